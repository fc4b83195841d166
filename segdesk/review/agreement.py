"""How far readers agree, from the histogram of their votes.

The domain is part of every result: the whole volume inflates every kappa.

References
----------
Fleiss, Psychol Bull 76:378, 1971; Krippendorff, Computing Krippendorff's alpha-reliability, 2011;
Kouwenhoven et al. (generalised conformity index), J Appl Clin Med Phys 10, 2009.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from segdesk.core.labels import LabelMap
from segdesk.errors import Warn
from segdesk.metrics.table import null_if_nan
from segdesk.review.ballot import DEFAULT_MARGIN, Ballot, Domain, make_ballot
from segdesk.review.patterns import VotePatterns, vote_patterns

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LabelAgreement:
    """Agreement on one label.

    Parameters
    ----------
    value, name : int, str
        The label.
    dice : ndarray of float64, shape (N, N)
        Dice of every pair; NaN where both drew nothing.
    gci : float
        Sum over pairs of intersections / sum over pairs of unions; NaN when nobody drew it.
    leave_one_out_dice : tuple of float
        Each reader against the majority of the others; NaN where both are empty, and for fewer than three readers.
    """

    value: int
    name: str
    dice: Floats
    gci: float
    leave_one_out_dice: tuple[float, ...]

    @property
    def mean_dice(self) -> float:
        """Mean over pairs where it is defined."""
        pairs = self._pairs()
        return fmean(pairs) if pairs else math.nan

    @property
    def least_dice(self) -> float:
        """Smallest over pairs where it is defined."""
        return min(self._pairs(), default=math.nan)

    def _pairs(self) -> list[float]:
        upper = self.dice[np.triu_indices(len(self.dice), 1)]
        return [float(x) for x in upper if not math.isnan(x)]

    def to_json(self) -> dict[str, object]:
        """Return the fields of CONTRACT; undefined is None."""
        matrix = [[null_if_nan(float(x)) for x in row] for row in self.dice]
        pairwise = {"mean": null_if_nan(self.mean_dice), "min": null_if_nan(self.least_dice), "matrix": matrix}
        left_out = [null_if_nan(x) for x in self.leave_one_out_dice]
        return {
            "name": self.name,
            "pairwise_dice": pairwise,
            "gci": null_if_nan(self.gci),
            "leave_one_out_dice": left_out,
        }


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of several readers on one domain; NaN where undefined.

    Parameters
    ----------
    raters : tuple of str
        In alphabetical order: the order of every matrix and list.
    labels : tuple of LabelAgreement
        In ascending order of value.
    krippendorff_alpha, fleiss_kappa : float
        Over the voxels of the domain, background being a class like any other.
    domain : dict
        Name, box and margin.
    warnings : tuple of Warn
        What must be shown beside the numbers.
    """

    raters: tuple[str, ...]
    labels: tuple[LabelAgreement, ...]
    krippendorff_alpha: float
    fleiss_kappa: float
    domain: dict[str, object]
    warnings: tuple[Warn, ...]

    def to_json(self) -> dict[str, object]:
        """Return the object of CONTRACT `agree`; undefined is None."""
        return {
            "raters": list(self.raters),
            "labels": {str(label.value): label.to_json() for label in self.labels},
            "krippendorff_alpha": null_if_nan(self.krippendorff_alpha),
            "fleiss_kappa": null_if_nan(self.fleiss_kappa),
            "domain": self.domain,
            "warnings": [warn.to_json() for warn in self.warnings],
        }


def agreement(
    masks: Sequence[LabelMap],
    *,
    names: Sequence[str] | None = None,
    domain: str = Domain.UNION,
    margin: int = DEFAULT_MARGIN,
) -> Agreement:
    """Measure how far readers agree.

    Parameters
    ----------
    masks : sequence of LabelMap
        One per reader, on one grid.
    names : sequence of str, optional
        Their names; "rater 1"... by default.
    domain : str
        "union": the readers' union box + `margin` voxels; "whole": the grid.

    Returns
    -------
    Agreement

    Raises
    ------
    ConsensusError, GeometryMismatch
        As `segdesk.review.ballot.make_ballot`.
    """
    ballot = make_ballot(masks, names=names, domain=domain, margin=margin)
    return agreement_of(ballot, vote_patterns(ballot.arrays()))


def agreement_of(ballot: Ballot, patterns: VotePatterns) -> Agreement:
    """Measure the agreement of the counted readers of a ballot."""
    labels = tuple(
        _label_agreement(patterns, place, int(value), ballot.table.name_of(int(value)))
        for place, value in enumerate(patterns.values)
        if value != 0
    )
    counts, class_votes = patterns.counts, patterns.class_votes()
    return Agreement(
        raters=tuple(rater.name for rater in ballot.counted),
        labels=labels,
        krippendorff_alpha=krippendorff_alpha(class_votes, counts),
        fleiss_kappa=fleiss_kappa(class_votes, counts),
        domain=ballot.domain_json(),
        warnings=ballot.warnings,
    )


def fleiss_kappa(class_votes: NDArray[np.intp], counts: NDArray[np.int64]) -> float:
    """Compute Fleiss' kappa from a table of votes.

    Parameters
    ----------
    class_votes : ndarray of int, shape (P, C)
        Votes per unit and class; every row has the same sum.
    counts : ndarray of int64, shape (P,)
        How often each unit occurs.

    Returns
    -------
    float
        NaN for fewer than two raters, without units, or when only one class was ever used.
    """
    raters, units = int(class_votes[0].sum()) if len(class_votes) else 0, float(counts.sum())
    if raters < 2 or units == 0:
        return math.nan
    share = counts @ class_votes / (units * raters)
    expected = float((share**2).sum())
    observed = float(counts @ ((class_votes**2).sum(axis=1) - raters)) / (units * raters * (raters - 1))
    return math.nan if expected >= 1.0 else (observed - expected) / (1 - expected)


def krippendorff_alpha(class_votes: NDArray[np.intp], counts: NDArray[np.int64]) -> float:
    """Compute Krippendorff's alpha for nominal classes; reads may be missing.

    Parameters
    ----------
    class_votes : ndarray of int, shape (P, C)
        Votes per unit and class; rows with fewer than two votes cannot be paired and are left out.
    counts : ndarray of int64, shape (P,)
        How often each unit occurs.

    Returns
    -------
    float
        NaN when nothing can be paired or only one class was ever used.
    """
    per_unit = class_votes.sum(axis=1)
    usable = (per_unit >= 2) & (counts > 0)
    votes, weight, readers = class_votes[usable].astype(np.float64), counts[usable], per_unit[usable]
    totals = weight @ votes
    n = float(totals.sum())
    expected = n * n - float((totals**2).sum())
    if n == 0 or expected == 0:
        return math.nan
    disagreeing = (readers**2 - (votes**2).sum(axis=1)) / (readers - 1)
    return 1 - (n - 1) * float(weight @ disagreeing) / expected


def _label_agreement(patterns: VotePatterns, place: int, value: int, name: str) -> LabelAgreement:
    said = (patterns.votes == place).astype(np.int64)
    both = said.T @ (said * patterns.counts[:, None])
    sizes = np.diag(both)
    sums = sizes[:, None] + sizes[None, :]
    dice = np.divide(2 * both, sums, out=np.full(sums.shape, np.nan), where=sums > 0)
    pairs = list(combinations(range(patterns.n_raters), 2))
    unions = sum(int(sums[a, b] - both[a, b]) for a, b in pairs)
    gci = sum(int(both[a, b]) for a, b in pairs) / unions if unions else math.nan
    left_out = tuple(_against_others(said, patterns.counts, rater) for rater in range(patterns.n_raters))
    return LabelAgreement(value, name, dice, gci, left_out)


def _against_others(said: NDArray[np.int64], counts: NDArray[np.int64], rater: int) -> float:
    """Return the Dice of one reader against the majority (more than half) of the others."""
    others = said.shape[1] - 1
    if others < 2:
        return math.nan
    own = said[:, rater]
    agreed = (said.sum(axis=1) - own) * 2 > others
    total = int(counts @ own) + int(counts @ agreed)
    return 2 * int(counts @ (own * agreed)) / total if total else math.nan
