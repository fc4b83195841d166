"""The human ceiling: a model against a panel, beside the panel against itself."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from segdesk.core.labels import LabelMap
from segdesk.errors import UsageError
from segdesk.metrics.overlap import Mask, dice
from segdesk.metrics.table import null_if_nan
from segdesk.review.ballot import require_one_grid

RESAMPLES = 2000
"""Bootstrap samples: the ends of a 95 % interval are then steady to about a hundredth of its width."""


@dataclass(frozen=True, slots=True)
class PanelDice:
    """Dice of one label in one case.

    Parameters
    ----------
    patient : str
        Cases of one patient are drawn together.
    model_expert : float
        Mean Dice of the model with each expert; NaN where it is defined for none.
    expert_expert : float
        Mean Dice over pairs of experts; NaN where it is defined for none.
    """

    patient: str
    model_expert: float
    expert_expert: float

    @property
    def difference(self) -> float:
        """Model-expert - expert-expert; NaN where either is undefined."""
        return self.model_expert - self.expert_expert


@dataclass(frozen=True, slots=True)
class Ceiling:
    """How a model stands to the experts it is measured by.

    Parameters
    ----------
    model_expert, expert_expert : float
        Means over patients, each patient's cases averaged first.
    difference : float
        Model-expert - expert-expert: about 0 is as good as another expert.
    low, high : float
        95 % interval of the difference by bootstrap over patients; NaN for fewer than two patients.
    n_patients, n_cases, n_undefined : int
        What it rests on, and cases left out because a Dice was undefined.
    """

    model_expert: float
    expert_expert: float
    difference: float
    low: float
    high: float
    n_patients: int
    n_cases: int
    n_undefined: int

    def to_json(self) -> dict[str, object]:
        """Return all fields; undefined is None."""
        numbers = ("model_expert", "expert_expert", "difference", "low", "high")
        return {
            **{name: null_if_nan(getattr(self, name)) for name in numbers},
            "n_patients": self.n_patients,
            "n_cases": self.n_cases,
            "n_undefined": self.n_undefined,
        }


def panel_dice(model: LabelMap, experts: Sequence[LabelMap], value: int, patient: str) -> PanelDice:
    """Compare a model and two or more experts on one label of one case.

    Raises
    ------
    UsageError
        For fewer than two experts: there is no ceiling.
    GeometryMismatch
        If the masks lie on different grids.
    """
    if len(experts) < 2:
        raise UsageError("The human ceiling needs two experts or more on every case.")
    require_one_grid([("the model", model), *((f"expert {n}", expert) for n, expert in enumerate(experts, 1))])
    drawn: Mask = model.array == value
    masks: list[Mask] = [expert.array == value for expert in experts]
    return PanelDice(
        patient,
        _mean(dice(mask, drawn) for mask in masks),
        _mean(dice(one, other) for one, other in combinations(masks, 2)),
    )


def human_ceiling(cases: Iterable[PanelDice], *, seed: int = 0) -> Ceiling:
    """Average over patients and bootstrap the difference.

    Parameters
    ----------
    cases : iterable of PanelDice
        In any order: the result depends on the patients' names and numbers alone.
    seed : int
        Of the bootstrap.

    References
    ----------
    Efron, Ann Stat 7(1):1-26, 1979 (percentile interval).
    """
    given = list(cases)
    known = [case for case in given if not math.isnan(case.difference)]
    by_patient = {name: [case for case in known if case.patient == name] for name in {case.patient for case in known}}
    rows = np.array(
        [
            (_mean(case.model_expert for case in group), _mean(case.expert_expert for case in group))
            for _, group in sorted(by_patient.items())
        ]
    ).reshape(-1, 2)
    model_expert, expert_expert = (_mean(column) for column in rows.T)
    low, high = _interval(rows[:, 0] - rows[:, 1], seed)
    difference = model_expert - expert_expert
    return Ceiling(model_expert, expert_expert, difference, low, high, len(rows), len(known), len(given) - len(known))


def _interval(differences: NDArray[np.float64], seed: int) -> tuple[float, float]:
    count = len(differences)
    if count < 2:
        return math.nan, math.nan
    drawn = np.random.default_rng(seed).integers(0, count, (RESAMPLES, count))
    low, high = np.percentile(differences[drawn].mean(axis=1), (2.5, 97.5))
    return float(low), float(high)


def _mean(numbers: Iterable[float]) -> float:
    known = [float(number) for number in numbers if not math.isnan(number)]
    return math.fsum(known) / len(known) if known else math.nan
