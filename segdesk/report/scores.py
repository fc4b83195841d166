"""The report of an evaluation: worst first, and how the scores are spread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from statistics import median
from typing import Any

from segdesk.report.document import Cell, Document, Drawing, Figure, Item, Notice, Section, Share, Table, Tone
from segdesk.report.histogram import histogram


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """The scores of one label in one case; None is undefined.

    Parameters
    ----------
    case : str
        Name of the case.
    label : int
        Label value.
    name : str
        Label name.
    status : str
        "ok", "both_empty", "missed" or "false_positive".
    dice, iou, precision, recall, nsd : float, optional
        In [0, 1].
    hd95_mm, assd_mm : float, optional
        Surface distances in mm.
    volume_reference_mm3, volume_candidate_mm3, volume_error_mm3 : float, optional
        Volumes in mm3; the error is signed.
    """

    case: str
    label: int
    name: str
    status: str
    dice: float | None
    iou: float | None
    precision: float | None
    recall: float | None
    hd95_mm: float | None
    assd_mm: float | None
    nsd: float | None
    volume_reference_mm3: float | None
    volume_candidate_mm3: float | None
    volume_error_mm3: float | None


SCORE_COLUMNS = tuple(field.name for field in fields(ScoreRow))
"""Names of the columns of a score table, in order."""


def score_rows(case: str, labels: Mapping[str, Mapping[str, Any]]) -> list[ScoreRow]:
    """Return a row per label of one case, from the ``labels`` object of CONTRACT's `evaluate`."""
    return [
        ScoreRow(case, int(value), **{name: row[name] for name in SCORE_COLUMNS[2:]}) for value, row in labels.items()
    ]


def worst_first(rows: Iterable[ScoreRow]) -> list[ScoreRow]:
    """Sort by Dice, lowest first; undefined rows go last."""
    return sorted(rows, key=lambda row: (row.dice is None, row.dice or 0.0, row.case, row.label))


@dataclass(frozen=True, slots=True)
class ScoreContext:
    """What the numbers belong to: the two sides, and what was left out."""

    candidate: str
    reference: str
    tolerance_mm: float
    left_out: tuple[str, ...] = ()
    colophon: tuple[tuple[str, str], ...] = ()


def score_document(rows: Sequence[ScoreRow], context: ScoreContext) -> Document:
    """Return the report of an evaluation.

    Parameters
    ----------
    rows : sequence of ScoreRow
        All labels of all cases.
    context : ScoreContext
        Names of the two sides and notes.
    """
    cases = len({row.case for row in rows})
    notices = tuple(Notice(f"Left out: {text}", Tone.CAUTION) for text in context.left_out)
    return Document(
        title="Scores against the reference",
        lead=f"{context.candidate} against {context.reference}: {cases} {'case' if cases == 1 else 'cases'}.",
        notices=notices,
        figures=tuple(_figure(label, rows) for label in _labels(rows)[:4]),
        sections=(
            Section("Per label", tuple(_per_label(rows))),
            Section("Every case, worst first", (_table(rows, context.tolerance_mm),)),
        ),
        colophon=context.colophon,
    )


def _labels(rows: Sequence[ScoreRow]) -> list[tuple[int, str]]:
    return sorted({(row.label, row.name) for row in rows})


def _defined(rows: Sequence[ScoreRow], label: tuple[int, str]) -> list[float]:
    return [row.dice for row in rows if (row.label, row.name) == label and row.dice is not None]


def _figure(label: tuple[int, str], rows: Sequence[ScoreRow]) -> Figure:
    dice = _defined(rows, label)
    value = f"{sum(dice) / len(dice):.3f}" if dice else "–"
    return Figure(value, f"mean Dice, {label[1]}", f"n = {len(dice)}")


def _per_label(rows: Sequence[ScoreRow]) -> Iterable[Item]:
    yield Table(
        ("Label", "Name", "Mean Dice", "Median", "Worst", "n", "Undefined", "Missed", "False positive"),
        tuple(_summary(label, rows) for label in _labels(rows)),
        "Undefined: neither side has the label. Missed and false positive cases count as Dice 0.",
    )
    for label in _labels(rows):
        yield _spread(label, rows)


def _summary(label: tuple[int, str], rows: Sequence[ScoreRow]) -> tuple[Cell, ...]:
    dice = _defined(rows, label)
    status = [row.status for row in rows if (row.label, row.name) == label]
    mean, middle, worst = (sum(dice) / len(dice), median(dice), min(dice)) if dice else (None, None, None)
    counts = len(dice), len(status) - len(dice), status.count("missed"), status.count("false_positive")
    return (*label, Share(mean), middle, worst, *counts)


def _spread(label: tuple[int, str], rows: Sequence[ScoreRow]) -> Drawing:
    dice = _defined(rows, label)
    return histogram(dice, f"Dice of label {label[0]} ({label[1]}) in n = {len(dice)} cases.")


def _table(rows: Sequence[ScoreRow], tolerance_mm: float) -> Table:
    columns = (
        "Case",
        "Label",
        "Status",
        "Dice",
        "IoU",
        "HD95 (mm)",
        "ASSD (mm)",
        f"NSD {tolerance_mm:g} mm",
        "Volume error (mm³)",
    )
    body = tuple(
        (
            row.case,
            f"{row.label} {row.name}",
            row.status.replace("_", " "),
            Share(row.dice),
            row.iou,
            row.hd95_mm,
            row.assd_mm,
            row.nsd,
            row.volume_error_mm3,
        )
        for row in worst_first(rows)
    )
    return Table(columns, body, "A surface distance is undefined where one side is empty.")
