"""The report of an evaluation: worst first, and how the scores are spread."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from segdesk.metrics import CohortScores, LabelScores, Status
from segdesk.report.document import Cell, Document, Drawing, Figure, Item, Notice, Section, Share, Table, Tone
from segdesk.report.histogram import histogram

_SHOWN_FIGURES = 4


@dataclass(frozen=True, slots=True)
class ScoreContext:
    """What the numbers belong to.

    Parameters
    ----------
    candidate, reference : str
        The two sides, as the user named them.
    cautions : tuple of str
        What was left out, or must be known beside the numbers.
    colophon : tuple of (str, str)
        Software and versions.
    """

    candidate: str
    reference: str
    cautions: tuple[str, ...] = ()
    colophon: tuple[tuple[str, str], ...] = ()


def score_document(cohort: CohortScores, context: ScoreContext) -> Document:
    """Return the report of an evaluation of one case or more."""
    by_label = _by_label(cohort)
    count = len(cohort.cases)
    return Document(
        title="Scores against the reference",
        lead=f"{context.candidate} against {context.reference}: {count} {'case' if count == 1 else 'cases'}.",
        notices=tuple(Notice(text, Tone.CAUTION) for text in context.cautions),
        figures=tuple(_figure(scores) for scores in list(by_label.values())[:_SHOWN_FIGURES]),
        sections=(
            Section("Per label", tuple(_per_label(by_label))),
            Section("Every case, worst first", (_table(cohort),)),
        ),
        colophon=context.colophon,
    )


def worst_first(cohort: CohortScores) -> list[tuple[str, LabelScores]]:
    """Return case and scores of every label, lowest Dice first; undefined ones go last."""
    rows = [(case, label) for case, scores in cohort.cases for label in scores.labels]
    return sorted(rows, key=lambda row: (math.isnan(row[1].dice), _finite(row[1].dice) or 0.0, row[0], row[1].value))


def _by_label(cohort: CohortScores) -> dict[int, list[LabelScores]]:
    found: dict[int, list[LabelScores]] = {}
    for _, scores in cohort.cases:
        for label in scores.labels:
            found.setdefault(label.value, []).append(label)
    return dict(sorted(found.items()))


def _defined(scores: list[LabelScores]) -> list[float]:
    return [each.dice for each in scores if not math.isnan(each.dice)]


def _figure(scores: list[LabelScores]) -> Figure:
    dice = _defined(scores)
    value = f"{sum(dice) / len(dice):.3f}" if dice else "–"
    return Figure(value, f"mean Dice, {scores[0].name}", f"n = {len(dice)}")


def _per_label(by_label: dict[int, list[LabelScores]]) -> Iterator[Item]:
    yield Table(
        ("Label", "Name", "Mean Dice", "Worst", "n", "Undefined", "Missed", "False positive"),
        tuple(_summary(scores) for scores in by_label.values()),
        "Undefined: neither side has the label. Missed and false positive cases count as Dice 0.",
    )
    for scores in by_label.values():
        yield _spread(scores)


def _summary(scores: list[LabelScores]) -> tuple[Cell, ...]:
    dice = _defined(scores)
    mean, worst = (sum(dice) / len(dice), min(dice)) if dice else (None, None)
    statuses = [each.status for each in scores]
    missed, invented = statuses.count(Status.MISSED), statuses.count(Status.FALSE_POSITIVE)
    return scores[0].value, scores[0].name, Share(mean), worst, len(dice), len(scores) - len(dice), missed, invented


def _spread(scores: list[LabelScores]) -> Drawing:
    dice = _defined(scores)
    return histogram(dice, f"Dice of label {scores[0].value} ({scores[0].name}), n = {len(dice)}.")


def _table(cohort: CohortScores) -> Table:
    tolerance_mm = cohort.cases[0][1].tolerance_mm if cohort.cases else 1.0
    distances = ("HD95 (mm)", "ASSD (mm)", f"NSD {tolerance_mm:g} mm")
    return Table(
        ("Case", "Label", "Status", "Dice", "IoU", *distances, "Volume error (mm³)"),
        tuple(_row(case, label) for case, label in worst_first(cohort)),
        "Surface distances are undefined where one side is empty.",
    )


def _row(case: str, label: LabelScores) -> tuple[Cell, ...]:
    numbers = (label.iou, label.hd95_mm, label.assd_mm, label.nsd, label.volume_error_mm3)
    status = label.status.value.replace("_", " ")
    return case, f"{label.value} {label.name}", status, Share(_finite(label.dice)), *(_finite(x) for x in numbers)


def _finite(value: float) -> float | None:
    return None if math.isnan(value) else value
