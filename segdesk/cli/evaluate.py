"""`segdesk evaluate`: score masks against a reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from segdesk.cli.console import Console, Json, Page
from segdesk.cli.files import require_exists, require_free, stem_of
from segdesk.cli.options import AllowLargeOption, JsonOption, OverwriteOption, QuietOption
from segdesk.core.progress import Progress
from segdesk.core.relabel import relabel
from segdesk.errors import ReadError, SegdeskError, UsageError, Warn
from segdesk.io import read_labels
from segdesk.io.atomic import replace_file
from segdesk.metrics import CaseScores, CohortScores
from segdesk.metrics import evaluate as compare
from segdesk.report.render import render
from segdesk.report.scores import ScoreContext, score_document, worst_first

CsvOption = Annotated[Path | None, typer.Option(help="Write a row per case and label here.")]
ReportOption = Annotated[Path | None, typer.Option(help="Write a one-page HTML report here.")]
ResampleOption = Annotated[bool, typer.Option("--resample", help="Bring candidates to the reference's grid first.")]
WallOption = Annotated[
    int | None, typer.Option(help="Label that is the wall between cells (a membrane): score the cells, too.", min=1)
]
RelabelOption = Annotated[
    str, typer.Option(help="Values of the reference's files and what they mean: 0=1,255=0.", show_default=False)
]
ToleranceOption = Annotated[float, typer.Option(help="Surface tolerance of the NSD in mm.", min=0.0)]

_LARGEST = 65535
"""Largest value a label may have."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two files that belong together."""

    case: str
    candidate: Path
    reference: Path


@dataclass(frozen=True, slots=True)
class _Rules:
    """How a pair is scored."""

    tolerance_mm: float
    resample: bool
    wall: int | None
    reference_values: Mapping[int, int]

    def score(self, pair: _Pair) -> CaseScores:
        """Read both masks and compare them."""
        candidate, reference = read_labels(pair.candidate), read_labels(pair.reference)
        if self.reference_values:
            reference = relabel(reference, self.reference_values)
        return compare(candidate, reference, tolerance_mm=self.tolerance_mm, resample=self.resample, wall=self.wall)


@dataclass(frozen=True, slots=True)
class _Outputs:
    """Files that are written beside the text."""

    csv: Path | None
    report: Path | None
    overwrite: bool

    def write(self, cohort: CohortScores, context: ScoreContext) -> None:
        """Write what was asked for, each file whole or not at all."""
        if self.csv is not None:
            self._replace(self.csv, cohort.to_csv())
        if self.report is not None:
            self._replace(self.report, render(score_document(cohort, context)))

    def _replace(self, target: Path, text: str) -> None:
        replace_file(target, lambda path: _write(path, text), overwrite=self.overwrite)


def evaluate(
    candidate: Annotated[Path, typer.Argument(help="A mask, or a folder of masks.", show_default=False)],
    reference: Annotated[Path, typer.Argument(help="The same kind of thing.", show_default=False)],
    csv: CsvOption = None,
    report: ReportOption = None,
    resample: ResampleOption = False,
    tolerance_mm: ToleranceOption = 1.0,
    wall: WallOption = None,
    relabel_reference: RelabelOption = "",
    overwrite: OverwriteOption = False,
    allow_large: AllowLargeOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Score a mask, or every mask of a folder, against its reference; folders are matched by file name."""
    require_exists(candidate, reference)
    require_free((csv, report), overwrite=overwrite, inputs=[p for p in (candidate, reference) if p.is_file()])
    console = Console(json=json, quiet=quiet)
    pairs, left_out = _pairs(candidate, reference)
    rules = _Rules(tolerance_mm, resample, wall, _values(relabel_reference))
    with console.progress("Scoring") as progress:
        cohort = CohortScores(tuple(_scored(pairs, rules, progress)))
    warnings = [*left_out, *(warn for _, scores in cohort.cases for warn in scores.warnings)]
    cautions = tuple(dict.fromkeys(warn.message for warn in warnings))
    context = ScoreContext(str(candidate), str(reference), cautions, (("segdesk", version("segdesk")),))
    _Outputs(csv, report, overwrite).write(cohort, context)
    console.warn(list(dict.fromkeys(warnings)))
    console.show(_payload(cohort, left_out, is_cohort=candidate.is_dir()), lambda page: _page(page, cohort))


def _values(text: str) -> dict[int, int]:
    """Read 0=1,255=0."""
    try:
        pairs = [part.split("=") for part in text.split(",") if part.strip()]
        values = {int(old): int(new) for old, new in pairs}
    except ValueError:
        raise UsageError(f"--relabel-reference is like 0=1,255=0, not {text!r}.") from None
    if any(not 0 <= value <= _LARGEST for pair in values.items() for value in pair):
        raise UsageError("--relabel-reference: values lie in 0..65535.")
    return values


def _pairs(candidate: Path, reference: Path) -> tuple[list[_Pair], list[Warn]]:
    """Pair the files; what has no partner is told, never silently dropped: that would flatter the score."""
    if candidate.is_dir() != reference.is_dir():
        raise UsageError("Give two files or two folders, not one of each.")
    if not candidate.is_dir():
        return [_Pair(stem_of(candidate), candidate, reference)], []
    ours, theirs = _masks_in(candidate), _masks_in(reference)
    both = sorted(ours.keys() & theirs.keys())
    if not both:
        raise ReadError(f"No file of {candidate} has a partner of the same name in {reference}.", code="empty")
    lonely = [
        *(f"{name}: no candidate, not scored." for name in sorted(theirs.keys() - ours.keys())),
        *(f"{name}: no reference, not scored." for name in sorted(ours.keys() - theirs.keys())),
    ]
    return [_Pair(name, ours[name], theirs[name]) for name in both], [Warn("case_excluded", text) for text in lonely]


def _masks_in(folder: Path) -> dict[str, Path]:
    """Return the files with a known image extension by case name."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        stem = stem_of(path)
        if stem == path.name or path.name.startswith(".") or not path.is_file():
            continue
        if stem in found:
            raise UsageError(f"{folder} holds {stem} twice ({found[stem].name}, {path.name}); keep one.", path=folder)
        found[stem] = path
    return found


def _scored(pairs: Sequence[_Pair], rules: _Rules, report: Progress) -> Iterator[tuple[str, CaseScores]]:
    """Score pair by pair: a cohort never lies in memory as a whole. An error names its case."""
    for number, pair in enumerate(pairs):
        report(number, len(pairs), f"Scoring {pair.case}")
        try:
            yield pair.case, rules.score(pair)
        except SegdeskError as error:
            raise type(error)(f"{pair.case}: {error.message}", code=error.code, path=error.path) from error


def _payload(cohort: CohortScores, left_out: Sequence[Warn], *, is_cohort: bool) -> Json:
    if not is_cohort:
        return dict(cohort.cases[0][1].to_json())
    return {**cohort.to_json(), "warnings": [warn.to_json() for warn in left_out]}


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _page(page: Page, cohort: CohortScores) -> None:
    columns = ("Case", "Label", "Status", "Dice", "IoU", "HD95 (mm)", "ASSD (mm)", "Volume error (mm3)")
    rows = [
        (case, f"{s.value} {s.name}", s.status.value, s.dice, s.iou, s.hd95_mm, s.assd_mm, s.volume_error_mm3)
        for case, s in worst_first(cohort)
    ]
    page.table(columns, rows)
    page.line(f"pixel error: {1 - cohort.pixel_accuracy:.4f}")
    if cohort.cells:
        page.line(
            f"cells: Rand {cohort.cells.rand:.4f} (merge {cohort.cells.merge:.4f}, split {cohort.cells.split:.4f})"
        )
    if len(cohort.cases) > 1:
        for value, summary in cohort.summary().items():
            dice = summary["dice"]
            spread = f"median {dice.median:.4f}, worst {dice.worst:.4f} ({dice.worst_case})"
            page.line(f"label {value}: mean Dice {dice.mean:.4f}, {spread}, n = {dice.n}")
