"""Scores as rows of a table: one a rater and label, worst first."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segdesk.session.scores import ScoreSheet
from segdesk.ui.models.columns import Column
from segdesk.ui.models.number_text import fixed, mean_with_counts, percent, signed, volume
from segdesk.ui.models.reader_style import ReaderStyle, reader_styles

if TYPE_CHECKING:
    from segdesk.metrics import CaseScores, LabelScores

STATUS_REASONS = {
    "ok": "",
    "both_empty": "both empty: agree",
    "missed": "missed",
    "false_positive": "not in the reference",
}
"""Why a value is undefined, or zero; shown beside it."""


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One rater's scores of one label; NaN where undefined.

    Parameters
    ----------
    rater : ReaderStyle
        Name, kind and colour.
    mask_sha256 : str
        The mask that was scored.
    value, label : int, str
        Label value and name.
    reason : str
        Why something is undefined, "" when all is well.
    dice, iou, precision, recall, nsd : float
        In [0, 1].
    hd95_mm, assd_mm : float
        Surface distances.
    reference_mm3, candidate_mm3, error_mm3 : float
        Volumes; the error is candidate - reference.
    """

    rater: ReaderStyle
    mask_sha256: str
    value: int
    label: str
    reason: str
    dice: float
    iou: float
    precision: float
    recall: float
    hd95_mm: float
    assd_mm: float
    nsd: float
    reference_mm3: float
    candidate_mm3: float
    error_mm3: float

    @property
    def error_fraction(self) -> float:
        """Volume error as a part of the reference volume; NaN for an empty reference."""
        return self.error_mm3 / self.reference_mm3 if self.reference_mm3 > 0 else math.nan

    @property
    def badness(self) -> float:
        """What rows are ordered by: low Dice first, undefined (both empty) last."""
        return self.dice if math.isfinite(self.dice) else math.inf


@dataclass(frozen=True, slots=True)
class RaterSummary:
    """One rater over all labels."""

    rater: ReaderStyle
    mean_dice: float
    mean_iou: float
    n: int
    n_undefined: int
    notes: tuple[str, ...]

    @property
    def dice_text(self) -> str:
        """The mean with what it rests on."""
        return mean_with_counts(self.mean_dice, self.n, self.n_undefined)


def score_rows(sheet: ScoreSheet) -> tuple[ScoreRow, ...]:
    """Return a row per rater and label, the worst first."""
    styles = _styles(sheet)
    rows = [
        _row(styles[entry.name], entry.mask_sha256, label) for entry in sheet.entries for label in entry.scores.labels
    ]
    return tuple(sorted(rows, key=lambda row: (row.badness, row.rater.name, row.value)))


def rater_summaries(sheet: ScoreSheet) -> tuple[RaterSummary, ...]:
    """Return each rater's mean over labels with its counts and notes, the worst first."""
    styles = _styles(sheet)
    summaries = [_summary(styles[entry.name], entry.scores, entry.notes) for entry in sheet.entries]
    return tuple(sorted(summaries, key=lambda each: (math.isnan(each.mean_dice), each.mean_dice, each.rater.name)))


def _styles(sheet: ScoreSheet) -> dict[str, ReaderStyle]:
    return reader_styles((entry.name, entry.kind) for entry in sheet.entries)


def _summary(rater: ReaderStyle, scores: CaseScores, notes: tuple[str, ...]) -> RaterSummary:
    counted = len(scores.labels) - scores.n_undefined
    warnings = tuple(warning.message for warning in scores.warnings)
    return RaterSummary(rater, scores.mean_dice, scores.mean_iou, counted, scores.n_undefined, (*notes, *warnings))


def _row(rater: ReaderStyle, sha256: str, label: LabelScores) -> ScoreRow:
    return ScoreRow(
        rater,
        sha256,
        label.value,
        label.name,
        STATUS_REASONS[label.status.value],
        label.dice,
        label.iou,
        label.precision,
        label.recall,
        label.hd95_mm,
        label.assd_mm,
        label.nsd,
        label.volume_reference_mm3,
        label.volume_candidate_mm3,
        label.volume_error_mm3,
    )


def _measure(title: str, name: str, help_text: str, digits: int = 3, width_px: int = 64) -> Column[ScoreRow]:
    def value(row: ScoreRow) -> float:
        return float(getattr(row, name))

    def tip(row: ScoreRow) -> str:
        return f"Undefined: {row.reason}" if math.isnan(value(row)) and row.reason else ""

    return Column(title, lambda row: fixed(value(row), digits), value, tip, True, help_text, width_px)


def _label_tip(row: ScoreRow) -> str:
    return f"Label {row.value}"


def _error_text(row: ScoreRow) -> str:
    share = row.error_fraction
    text = signed(row.error_mm3, 0)
    return text if math.isnan(share) else f"{text} ({'+' if share > 0 else ''}{percent(share)})"


SCORE_COLUMNS: tuple[Column[ScoreRow], ...] = (
    Column("Rater", lambda row: row.rater.label, width_px=0),
    Column("Label", lambda row: row.label, lambda row: float(row.value), _label_tip, width_px=150),
    _measure("Dice", "dice", "2|A∩B| / (|A|+|B|); undefined when both are empty"),
    _measure("IoU", "iou", "|A∩B| / |A∪B|"),
    _measure("Precision", "precision", "Part of the candidate that is in the reference", width_px=80),
    _measure("Recall", "recall", "Part of the reference that is in the candidate"),
    _measure("HD95 mm", "hd95_mm", "Larger of the two directed 95th percentiles of surface distances, in mm", 2, 80),
    _measure("ASSD mm", "assd_mm", "Mean of all surface distances of both directions, in mm", 2, 80),
    _measure("NSD", "nsd", "Part of both surfaces that lies within the tolerance of the other"),
    Column(
        "Volume", lambda row: volume(row.candidate_mm3), lambda row: row.candidate_mm3,
        lambda row: f"Reference: {volume(row.reference_mm3)}", True, "Volume of the candidate", 88,
    ),
    Column(
        "Error mm³", _error_text, lambda row: row.error_mm3, is_number=True,
        help="Candidate - reference, and as a part of the reference", width_px=112,
    ),
    Column("Remark", lambda row: row.reason, width_px=152),
)  # fmt: skip
"""The score table from left to right."""
