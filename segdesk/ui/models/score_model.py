"""The Score workspace without its widgets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segdesk.core.box import Index3
from segdesk.core.events import Change, Property, Signal
from segdesk.core.progress import Lane, Progress, Task
from segdesk.core.reslice import planes_of
from segdesk.errors import UsageError
from segdesk.session import ScoreSheet, Session
from segdesk.ui.models.score_export import export_scores
from segdesk.ui.models.score_rows import RaterSummary, ScoreRow, rater_summaries, score_rows


class ScoreModel:
    """Rows, summaries and notes of the open case's scores.

    Attributes
    ----------
    tolerance_mm : Property of float
        Of the surface Dice.
    changed : Signal
        Something to show changed.
    """

    changed = Signal()

    def __init__(self, session: Session) -> None:
        self._session = session
        self.tolerance_mm: Property[float] = Property(1.0, minimum=0.1, maximum=20.0, unit="mm")
        self._rows: tuple[ScoreRow, ...] = ()
        self._summaries: tuple[RaterSummary, ...] = ()
        session.scores.sheet.changed.connect(self._take_sheet)
        session.changed.connect(self._on_session_changed)
        self._take_sheet(session.scores.sheet.value)

    @property
    def sheet(self) -> ScoreSheet | None:
        """The present evaluation."""
        return self._session.scores.sheet.value

    @property
    def rows(self) -> tuple[ScoreRow, ...]:
        """One row per rater and label, the worst first."""
        return self._rows

    @property
    def summaries(self) -> tuple[RaterSummary, ...]:
        """One line per rater, the worst first."""
        return self._summaries

    def why_not_score(self) -> str:
        """Return why nothing can be scored now; "" when it can be tried."""
        if self._session.project is None:
            return "Open a project first."
        return "" if self._session.case is not None else "Open a case first."

    def notes(self) -> tuple[str, ...]:
        """Return what must be said beside the numbers, each sentence once, with whom it concerns."""
        concerned: dict[str, list[str]] = {}
        for summary in self._summaries:
            for note in summary.notes:
                concerned.setdefault(note, []).append(summary.rater.name)
        return tuple(f"{', '.join(names)}: {note}" for note, names in concerned.items())

    def reference_text(self) -> str:
        """Return what the scores are against."""
        if self.sheet is None:
            return ""
        made = f"{self.sheet.reference.created:%d %b %Y}"
        tolerances_mm = {entry.scores.tolerance_mm for entry in self.sheet.entries}
        tolerance = ", ".join(f"{each:g} mm" for each in sorted(tolerances_mm))
        return f"Against the {self.sheet.reference_name} of {made}" + (f", tolerance {tolerance}" if tolerance else "")

    def evaluate(self) -> Task[ScoreSheet]:
        """Return the task that scores every reader and draft of the open case."""
        return self._session.scores.evaluate_against_reference(self.tolerance_mm.value)

    def find_worst_place(self, row: ScoreRow) -> Task[Index3]:
        """Return the task that finds the voxel to look at: amid the errors of the axial slice with most of them."""
        project, sheet = self._session.project, self.sheet
        if project is None or sheet is None:
            raise UsageError("There are no scores; evaluate a case first.")
        reference_sha256 = sheet.reference.sha256

        def work(report: Progress) -> Index3:
            candidate = project.masks.load(row.mask_sha256)
            reference = project.masks.load(reference_sha256)
            wrong = (candidate.array == row.value) != (reference.array == row.value)
            return worst_place(wrong, planes_of(reference.geometry)[0].normal_axis)

        return Task("Finding the worst slice", Lane.DISK, work)

    def export(self, path: Path) -> Task[Path]:
        """Return the task that writes the scores as CSV or JSON; the file dialog has asked about overwriting."""
        if self.sheet is None:
            raise UsageError("There are no scores to export; evaluate a case first.")
        return export_scores(self.sheet, path, overwrite=True)

    def _take_sheet(self, sheet: ScoreSheet | None) -> None:
        self._rows = () if sheet is None else score_rows(sheet)
        self._summaries = () if sheet is None else rater_summaries(sheet)
        self.changed.emit()

    def _on_session_changed(self, change: Change, source: object) -> None:
        if change & (Change.PROJECT | Change.VOLUME | Change.CONSENSUS | Change.CANDIDATE):
            self.changed.emit()


def worst_place(wrong: NDArray[np.bool_], normal_axis: int) -> Index3:
    """Return a wrong voxel in the slice with most of them, the one nearest to their middle.

    Parameters
    ----------
    wrong : ndarray of bool, shape (K, J, I)
        Where candidate and reference differ.
    normal_axis : int
        Slices are perpendicular to this axis.

    Returns
    -------
    tuple of int
        (k, j, i); the middle of the grid where nothing is wrong.
    """
    others = tuple(axis for axis in range(3) if axis != normal_axis)
    per_slice = np.count_nonzero(wrong, axis=others)
    if not per_slice.any():
        return wrong.shape[0] // 2, wrong.shape[1] // 2, wrong.shape[2] // 2
    index = int(np.argmax(per_slice))
    places = np.argwhere(np.take(wrong, index, axis=normal_axis))
    nearest = places[np.argmin(((places - places.mean(axis=0)) ** 2).sum(axis=1))]
    found = [int(x) for x in nearest]
    found.insert(normal_axis, index)
    return found[0], found[1], found[2]
