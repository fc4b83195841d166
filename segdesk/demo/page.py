"""The demo's report: what was done, what came out, and what it does not mean."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

from segdesk.core.labels import LabelTable
from segdesk.demo import sources
from segdesk.demo.story import DemoOutcome, DemoSettings
from segdesk.report.document import Cell, Document, Figure, Item, Notice, Picture, Section, Share, Table, Tone
from segdesk.review import Dispute
from segdesk.session import ScoreEntry
from segdesk.session.panel import Merge

_VERDICTS = {
    "better": "The fine-tuned model was better on the held-out cases.",
    "tie": "The fine-tuned model was neither better nor worse on the held-out cases.",
    "worse": "The fine-tuned model was worse on the held-out cases.",
    "cannot_judge": "Nobody can tell whether the fine-tuned model is better.",
}


def document_of(outcome: DemoOutcome, settings: DemoSettings) -> Document:
    """Return the report of a finished demo."""
    return Document(
        title="From a scan to a consensus, and a model that learns from it",
        lead=(
            "A T1 volume was opened, a 3D U-Net drafted both hippocampi, three simulated readers corrected the draft "
            "and voted blind, the votes were merged, model and readers were scored, and the model was fine-tuned "
            "in the background."
        ),
        notices=(
            Notice(
                "The readers are simulated: a program drew with the brush in three fixed habits. "
                "No person has read this scan, and the figures say nothing about how people read.",
                Tone.CAUTION,
            ),
            Notice("Research use only. segdesk is not a medical device.", Tone.CAUTION),
        ),
        figures=tuple(_figures(outcome, settings)),
        sections=(
            _opened(outcome),
            _drafted(outcome, settings),
            _agreed(outcome),
            _scored(outcome),
            _taught(outcome, settings),
            _sliced(outcome),
        ),
        colophon=tuple(_colophon(outcome)),
    )


def _figures(outcome: DemoOutcome, settings: DemoSettings) -> Iterator[Figure]:
    staple = outcome.merges["staple"]
    alpha = _facts(staple)["agreement"]["krippendorff_alpha"]
    yield Figure(str(len(settings.readers)), "simulated readers", "blind, one vote each")
    yield Figure(
        "–" if alpha is None else f"{alpha:.2f}",
        "Krippendorff's alpha",
        "1 is full agreement; readers shared one draft",
    )
    yield Figure(str(len(staple.disputes)), "disputes", "connected places where votes differ")
    yield Figure(f"{sum(outcome.seconds.values()):.0f} s", "for everything", "on this machine")
    yield Figure(
        str(outcome.verdict["verdict"]).replace("_", " "), "verdict of the gate", "champion against challenger"
    )


def _facts(merge: Merge) -> dict[str, Any]:
    return merge.consensus.to_json()


def _labels(entry: ScoreEntry) -> dict[str, dict[str, Any]]:
    scores: dict[str, Any] = entry.scores.to_json()
    labels: dict[str, dict[str, Any]] = scores["labels"]
    return labels


def _opened(outcome: DemoOutcome) -> Section:
    return Section(
        "1  Open",
        (
            f"The scan is the {sources.TEMPLATE_CREDIT}: an average of 152 brains, not a patient. "
            f"A second case is an {sources.SLICE_CREDIT}. Both came with packages that segdesk needs; "
            "nothing was downloaded.",
            *_photo(outcome, "1-open"),
        ),
    )


def _drafted(outcome: DemoOutcome, settings: DemoSettings) -> Section:
    rows = tuple(
        (side, f"{value} {label['name']}", _whole(label["volume_mm3"]), float(manifest["seconds"]["total"]))
        for side, manifest in outcome.drafts.items()
        for value, label in manifest["labels"].items()
    )
    first = next(iter(outcome.drafts.values()))
    strokes = tuple((name, count) for name, count in outcome.strokes.items())
    return Section(
        "2  Draft and correct",
        (
            f"The model {first['model']} ran on the {first['device']} in a box around each hippocampus. Every reader "
            "accepted the draft and corrected it with the brush; each stroke can be undone.",
            Table(("Side", "Label", "Volume (mm³)", "Seconds"), rows, "The model's drafts, before correction."),
            *_photo(outcome, "2-draft"),
            Table(("Reader", "Strokes"), strokes, f"Corrections of the n = {len(settings.readers)} simulated readers."),
            *_photo(outcome, "3-corrected"),
        ),
    )


def _agreed(outcome: DemoOutcome) -> Section:
    staple, names = _facts(outcome.merges["staple"]), outcome.merges["staple"].consensus.labels.table
    merges = tuple(
        (method, *(_facts(merge)["voxels"][key] for key in ("consensus", "disputed", "undecided")))
        for method, merge in outcome.merges.items()
    )
    raters = tuple(
        (
            rater["name"],
            _label(value, names),
            Share(rater["sensitivity"][value]),
            Share(rater["specificity"][value]),
        )
        for rater in staple["raters"]
        for value in rater["sensitivity"]
    )
    return Section(
        "3  Agree",
        (
            "The votes were recorded blind and merged twice: by majority, and by STAPLE, which weighs each reader by "
            "how well they fit the rest. Where no label wins, the voxel stays undecided for an adjudicator.",
            Table(
                ("Method", "Voxels agreed", "Disputed", "Undecided"), merges, f"n = {len(staple['raters'])} readers."
            ),
            Table(
                ("Reader", "Label", "Sensitivity", "Specificity"),
                raters,
                "STAPLE's estimate for each reader, within the box around all masks.",
            ),
            *_pairs(staple["agreement"], names),
            *_disputes(outcome),
            *_photo(outcome, "4-agree"),
        ),
    )


def _pairs(agreement: Mapping[str, Any], names: LabelTable) -> Iterator[Item]:
    rows = tuple(
        (
            _label(value, names),
            Share(row["pairwise_dice"]["mean"]),
            Share(row["pairwise_dice"]["min"]),
            row["gci"],
        )
        for value, row in agreement["labels"].items()
    )
    yield Table(
        ("Label", "Mean Dice of pairs", "Lowest pair", "Conformity index"),
        rows,
        "All readers began with the same draft, so they agree more than independent drawings would.",
    )


def _disputes(outcome: DemoOutcome) -> Iterator[Item]:
    merge = outcome.merges["staple"]
    disputes = merge.disputes
    rows = tuple(_dispute_row(each, merge.consensus.labels.table) for each in disputes[:8])
    if rows:
        shown = (
            f"The {len(rows)} largest of {len(disputes)} disputes." if len(disputes) > len(rows) else "All disputes."
        )
        yield Table(("Dispute", "Opinions", "Split", "Voxels", "Volume (mm³)", "Undecided voxels"), rows, shown)


def _scored(outcome: DemoOutcome) -> Section:
    sheet = outcome.sheet
    entries = () if sheet is None else sheet.entries
    rows = tuple(
        (
            entry.name,
            f"{value} {row['name']}",
            Share(row["dice"]),
            Share(row["iou"]),
            row["hd95_mm"],
            _whole(row["volume_error_mm3"]),
        )
        for entry in entries
        for value, row in _labels(entry).items()
    )
    notes = dict.fromkeys(note for entry in entries for note in entry.notes)
    return Section(
        "4  Score",
        (
            Notice(
                "This reference began as the model's own draft, and the readers' masks are parts of it. "
                "All scores below are therefore too good; they show the table, not the quality.",
                Tone.CAUTION,
            ),
            Table(
                ("Candidate", "Label", "Dice", "IoU", "HD95 (mm)", "Volume error (mm³)"),
                rows,
                f"Against the {'' if sheet is None else sheet.reference_name}; n = 1 scan. " + " ".join(notes),
            ),
            *_photo(outcome, "5-score"),
        ),
    )


def _taught(outcome: DemoOutcome, settings: DemoSettings) -> Section:
    verdict = outcome.verdict
    name = str(verdict["verdict"])
    return Section(
        "5  Teach",
        (
            f"The model was fine-tuned on the consensus for {settings.training_seconds:g} seconds in a process of its "
            f"own. {_VERDICTS[name]} {verdict.get('reason') or ''}",
            Table(
                ("Verdict", "Promoted", "Test cases"),
                (
                    (
                        name.replace("_", " "),
                        "yes" if verdict.get("promoted") else "no",
                        len(verdict.get("test_cases") or ()),
                    ),
                ),
                "A challenger replaces the champion only when it is not worse on patients that neither has seen. "
                "With one subject there are none.",
            ),
            *_photo(outcome, "6-teach"),
        ),
    )


def _sliced(outcome: DemoOutcome) -> Section:
    seconds = float(outcome.slice_draft["seconds"]["total"])
    return Section(
        "6  Two dimensions",
        (
            Notice("The 2D network is untrained: its weights are random, and its mask has no meaning.", Tone.CAUTION),
            f"The U-Net of 2015 (unpadded convolutions, overlapping tiles) ran on one DICOM slice in {seconds:.1f} s, "
            "to show that a single image takes the same path as a volume.",
            *_photo(outcome, "7-slice"),
        ),
    )


def _photo(outcome: DemoOutcome, name: str) -> Iterator[Item]:
    photo = outcome.photos.get(name)
    if photo is not None:
        yield Picture(photo.path.read_bytes(), photo.caption)


def _dispute_row(dispute: Dispute, names: LabelTable) -> tuple[Cell, ...]:
    opinions = ", ".join(names.name_of(value) for value in dispute.values)
    size, volume = dispute.size_voxels, _whole(dispute.volume_mm3)
    return f"#{dispute.id}", opinions, dispute.split, size, volume, dispute.undecided_voxels


def _label(value: str, names: LabelTable) -> str:
    return f"{value} {names.name_of(int(value))}"


def _whole(number: float | None) -> int | None:
    """Return a volume without decimals: voxels are 1 mm³ here."""
    return None if number is None else round(number)


def _colophon(outcome: DemoOutcome) -> Iterator[tuple[str, str]]:
    yield "segdesk", version("segdesk")
    first = next(iter(outcome.drafts.values()))
    yield "Model", f"{first['model']}, weights sha256 {first['model_sha256']}"
    yield "Device", str(first["device"])
    yield "Steps", ", ".join(f"{name} {seconds:.0f} s" for name, seconds in outcome.seconds.items())
    yield "Images", f"{sources.TEMPLATE_CREDIT}; {sources.SLICE_CREDIT}"
