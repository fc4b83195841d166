"""Champion against challenger on patients neither has seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from segdesk.nn.scoring import BOOTSTRAP_ROUNDS, CaseDice

MIN_PATIENTS = 5
"""Fewer test patients cannot carry a verdict."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the test patients say.

    Parameters
    ----------
    word : str
        "better", "tie", "worse" or "cannot_judge".
    reason : str
        One sentence for people.
    patients : int
        How many were compared.
    difference : mapping, optional
        Challenger minus champion in mean Dice: ``mean`` and ``ci95``; None without patients.
    """

    word: str
    reason: str
    patients: int
    difference: Mapping[str, Any] | None


def judge(champion: Sequence[CaseDice], challenger: Sequence[CaseDice]) -> Verdict:
    """Compare two models on the same test cases.

    Dice is averaged over labels, then over the cases of a patient; the difference of a patient is
    one observation. "better" or "worse" when the 95 % percentile interval of the mean difference,
    over a bootstrap of the patients, leaves out 0; "cannot_judge" below `MIN_PATIENTS`.

    Parameters
    ----------
    champion, challenger : sequence of CaseDice
        The same cases in the same order; undefined ones (no label in any mask) are left out.

    References
    ----------
    Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and 13.
    """
    differences = _by_patient(champion, challenger)
    count = len(differences)
    if count == 0:
        return Verdict("cannot_judge", f"There is no test patient; at least {MIN_PATIENTS} are needed.", 0, None)
    mean, low, high = _interval(differences)
    difference = {"mean": round(mean, 5), "ci95": [round(low, 5), round(high, 5)] if count > 1 else None}
    if count < MIN_PATIENTS:
        text = f"Only {count} test patient{'s' if count > 1 else ''}; at least {MIN_PATIENTS} are needed."
        return Verdict("cannot_judge", text, count, difference)
    word = "better" if low > 0 else "worse" if high < 0 else "tie"
    text = f"Mean Dice changes by {mean:+.4f} (95 % interval {low:+.4f} to {high:+.4f}) on {count} test patients."
    drafted = sum(score.began_as_model for score in champion)
    if drafted:
        text += f" {drafted} of {len(champion)} references began as a model's own draft, which flatters that model."
    return Verdict(word, text, count, difference)


def _by_patient(champion: Sequence[CaseDice], challenger: Sequence[CaseDice]) -> list[float]:
    """Return the mean difference of every patient, over the cases both have a score for."""
    found: dict[str, list[float]] = {}
    for before, after in zip(champion, challenger, strict=True):
        if before.mean is not None and after.mean is not None:
            found.setdefault(before.patient, []).append(after.mean - before.mean)
    return [float(np.mean(found[patient])) for patient in sorted(found)]


def _interval(differences: Sequence[float]) -> tuple[float, float, float]:
    values = np.asarray(differences)
    drawn = np.random.default_rng(0).integers(len(values), size=(BOOTSTRAP_ROUNDS, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), (2.5, 97.5))
    return float(values.mean()), float(low), float(high)
