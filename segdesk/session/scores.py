"""Scores of readers and model drafts against the reference."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from segdesk.core.events import Property
from segdesk.core.progress import Task
from segdesk.metrics.evaluate import CaseScores
from segdesk.session.state import SessionState
from segdesk.store.records import MaskRecord, RaterKind


@dataclass(frozen=True, slots=True, eq=False)
class ScoreEntry:
    """One candidate's scores.

    Parameters
    ----------
    name : str
        Reader's name, or model and version.
    kind : RaterKind
        Person, simulated reader or model.
    mask_sha256 : str
        The mask that was scored.
    scores : CaseScores
        Per label and mean.
    notes : tuple of str
        What must be shown beside the numbers: "The reference began as this model's own draft."
    """

    name: str
    kind: RaterKind
    mask_sha256: str
    scores: CaseScores
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class ScoreSheet:
    """All scores of a case against one reference mask."""

    case_id: str
    reference: MaskRecord
    reference_name: str
    entries: tuple[ScoreEntry, ...]


class Scores:
    """Evaluation of the open case.

    Attributes
    ----------
    sheet : Property of ScoreSheet or None
        The last evaluation of the open case.
    """

    def __init__(self, state: SessionState) -> None:
        self._state = state
        self.sheet: Property[ScoreSheet | None] = Property(None)

    def import_reference(self, path: Path) -> Task[MaskRecord]:
        """Return the task that stores a mask file as the open case's reference."""
        raise NotImplementedError

    def evaluate_against_reference(self, tolerance_mm: float = 1.0) -> Task[ScoreSheet]:
        """Return the task that scores every visible read and every stored draft.

        The reference is the imported one where there is one, else the last recorded consensus.
        """
        raise NotImplementedError
