"""`segdesk evaluate`: score masks against a reference."""

from __future__ import annotations

import csv as csv_module
import io
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from segdesk.cli.console import Console, Json, Page
from segdesk.cli.files import require_exists, require_free, stem_of
from segdesk.cli.options import JsonOption, OverwriteOption, QuietOption
from segdesk.errors import ReadError, UsageError, Warn
from segdesk.io import read_labels
from segdesk.io.atomic import replace_file
from segdesk.metrics import CaseScores
from segdesk.metrics import evaluate as evaluate_pair
from segdesk.report.render import render
from segdesk.report.scores import SCORE_COLUMNS, ScoreContext, ScoreRow, score_document, score_rows, worst_first

CsvOption = Annotated[Path | None, typer.Option(help="Write a row per case and label here.")]
ReportOption = Annotated[Path | None, typer.Option(help="Write a one-page HTML report here.")]
ResampleOption = Annotated[bool, typer.Option("--resample", help="Bring candidates to the reference's grid first.")]
ToleranceOption = Annotated[float, typer.Option(help="Surface tolerance of the NSD in mm.", min=0.0)]


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two files that belong together."""

    case: str
    candidate: Path
    reference: Path


@dataclass(frozen=True, slots=True)
class _Settings:
    """How scores are computed."""

    tolerance_mm: float
    resample: bool


def evaluate(
    candidate: Annotated[Path, typer.Argument(help="A mask, or a folder of masks.", show_default=False)],
    reference: Annotated[Path, typer.Argument(help="The same kind of thing.", show_default=False)],
    csv: CsvOption = None,
    report: ReportOption = None,
    resample: ResampleOption = False,
    tolerance_mm: ToleranceOption = 1.0,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Score a mask, or every mask of a folder, against its reference; folders are matched by file name."""
    require_exists(candidate, reference)
    require_free((csv, report), overwrite=overwrite, inputs=[p for p in (candidate, reference) if p.is_file()])
    console = Console(json=json, quiet=quiet)
    settings = _Settings(tolerance_mm, resample)
    if candidate.is_dir() != reference.is_dir():
        raise UsageError("Give two files or two folders, not one of each.")
    left_out: list[Warn] = []
    if candidate.is_dir():
        pairs, left_out = _matched(candidate, reference)
        with console.progress("Scoring") as progress:
            payload, rows = _score_folders(pairs, settings, progress)
    else:
        payload, rows = _score_files(_Pair(stem_of(candidate), candidate, reference), settings)
    payload = {**payload, "warnings": [*payload.get("warnings", ()), *(warn.to_json() for warn in left_out)]}
    console.warn(left_out)
    context = ScoreContext(
        str(candidate),
        str(reference),
        tolerance_mm,
        tuple(w.message for w in left_out),
        (("segdesk", version("segdesk")),),
    )
    _write_outputs(rows, context, csv, report, overwrite=overwrite)
    console.show(payload, lambda page: _page(page, rows))


def _score_files(pair: _Pair, settings: _Settings) -> tuple[Json, list[ScoreRow]]:
    scores = _score(pair, settings)
    payload = dict(scores.to_json())
    return payload, score_rows(pair.case, payload["labels"])


def _score(pair: _Pair, settings: _Settings) -> CaseScores:
    return evaluate_pair(
        read_labels(pair.candidate),
        read_labels(pair.reference),
        tolerance_mm=settings.tolerance_mm,
        resample=settings.resample,
    )


def _matched(candidate: Path, reference: Path) -> tuple[list[_Pair], list[Warn]]:
    """Pair masks by file name without extension; what has no partner is told, never silently dropped."""
    ours, theirs = _masks_in(candidate), _masks_in(reference)
    both = sorted(ours.keys() & theirs.keys())
    if not both:
        raise ReadError(f"No file of {candidate} has a partner of the same name in {reference}.", code="empty")
    missing = [
        Warn("case_excluded", f"{name}: no candidate, not scored.") for name in sorted(theirs.keys() - ours.keys())
    ]
    surplus = [
        Warn("case_excluded", f"{name}: no reference, not scored.") for name in sorted(ours.keys() - theirs.keys())
    ]
    return [_Pair(name, ours[name], theirs[name]) for name in both], [*missing, *surplus]


def _masks_in(folder: Path) -> dict[str, Path]:
    """Return the files with a known image extension by case name."""
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")]
    found: dict[str, Path] = {}
    for path in files:
        stem = stem_of(path)
        if stem == path.name:
            continue
        if stem in found:
            raise UsageError(f"{folder} holds {stem} twice ({found[stem].name}, {path.name}); keep one.", path=folder)
        found[stem] = path
    return found


def _write_outputs(
    rows: Sequence[ScoreRow], context: ScoreContext, csv: Path | None, report: Path | None, *, overwrite: bool
) -> None:
    if csv is not None:
        text = _csv_text(rows)
        replace_file(csv, lambda path: _write(path, text), overwrite=overwrite)
    if report is not None:
        html = render(score_document(rows, context))
        replace_file(report, lambda path: _write(path, html), overwrite=overwrite)


def _csv_text(rows: Sequence[ScoreRow]) -> str:
    file = io.StringIO()
    writer = csv_module.writer(file, lineterminator="\n")
    writer.writerow(SCORE_COLUMNS)
    writer.writerows([_safe(cell) for cell in astuple(row)] for row in rows)
    return file.getvalue()


def _safe(cell: object) -> object:
    """Keep a spreadsheet from running a name that looks like a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _page(page: Page, rows: Sequence[ScoreRow]) -> None:
    columns = ("Case", "Label", "Status", "Dice", "IoU", "HD95 (mm)", "ASSD (mm)", "Volume error (mm3)")
    body = [
        (r.case, f"{r.label} {r.name}", r.status, r.dice, r.iou, r.hd95_mm, r.assd_mm, r.volume_error_mm3)
        for r in worst_first(rows)
    ]
    page.table(columns, body)
    for label, name in sorted({(row.label, row.name) for row in rows}):
        dice = [row.dice for row in rows if row.label == label and row.dice is not None]
        if len(dice) > 1:
            page.line(f"label {label} ({name}): mean Dice {sum(dice) / len(dice):.4f}, n = {len(dice)}")
