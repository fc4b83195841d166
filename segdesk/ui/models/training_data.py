"""What a project has to teach a model with, counted before a run starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from segdesk.store.records import CaseStatus, CaseSummary
from segdesk.ui.models.number_text import count

MIN_TEST_PATIENTS = 5
"""Test patients a verdict needs; fewer is `cannot_judge`."""

_WHY_NOT = {
    CaseStatus.NEW: "not read yet",
    CaseStatus.READING: "with reads missing",
    CaseStatus.READ: "not merged yet",
}


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Cases by what they are good for.

    Parameters
    ----------
    usable : int
        Cases with a reference: a recorded consensus, or an imported mask.
    patients : int
        Different patients among them; a case whose patient is not known counts as its own.
    patients_unknown : int
        Usable cases without a patient key: their split is by case name.
    left_out : tuple of (reason, number)
        Cases that will not be used, by reason, the most frequent first.
    """

    usable: int
    patients: int
    patients_unknown: int
    left_out: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, summaries: Iterable[CaseSummary], imported: Collection[str] = ()) -> TrainingData:
        """Count the cases of a project; those in `imported` have a reference without having been read."""
        rows = list(summaries)
        usable = [row for row in rows if row.status is CaseStatus.AGREED or row.case.id in imported]
        unknown = sum(1 for row in usable if not _is_patient_known(row))
        known = {row.case.patient_key for row in usable if _is_patient_known(row)}
        reasons = Counter(_WHY_NOT[row.status] for row in rows if row not in usable)
        return cls(len(usable), len(known) + unknown, unknown, tuple(reasons.most_common()))

    @property
    def can_train(self) -> bool:
        """Whether there is anything to learn from."""
        return self.usable > 0

    def left_out_text(self) -> str:
        """Return what is left out and why, "" when everything is used."""
        return " · ".join(f"{count(number, 'case')} {reason}" for reason, number in self.left_out)

    def notes(self) -> tuple[str, ...]:
        """Return what must be known before starting, in sentences."""
        notes = []
        if not self.usable:
            notes.append(
                "No case has a reference yet: record a consensus in Agree, or import a reference mask in Score."
            )
        elif self.patients < 2 * MIN_TEST_PATIENTS:
            notes.append(
                f"A verdict needs {MIN_TEST_PATIENTS} test patients beside those that train; with "
                f"{count(self.patients, 'patient')} the result will most likely be “cannot be judged”."
            )
        if self.patients_unknown:
            notes.append(
                f"The patient of {count(self.patients_unknown, 'case')} is not known; these are split by case name."
            )
        return tuple(notes)


def _is_patient_known(row: CaseSummary) -> bool:
    """Whether a patient key was found; the project falls back to the case's name."""
    return row.case.patient_key not in ("", row.case.name)
