"""Consensus of several readers' masks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from segdesk.core.labels import Label, LabelArray, LabelMap, LabelTable
from segdesk.core.provenance import Origin, OriginKind
from segdesk.core.volume import Volume
from segdesk.errors import ConsensusError, Warn
from segdesk.review.agreement import Agreement, agreement_of, null_if_nan
from segdesk.review.ballot import DEFAULT_MARGIN, Ballot, Domain, make_ballot
from segdesk.review.patterns import VotePatterns, vote_patterns
from segdesk.review.staple import StapleResult, binary_staple, multi_label_staple
from segdesk.review.voting import DEFAULT_QUORUM, UNDECIDED, majority, parse_quorum
from segdesk.review.voting import quorum as quorum_vote


class Method(StrEnum):
    """How masks are merged."""

    MAJORITY = "majority"
    QUORUM = "quorum"
    STAPLE = "staple"


@dataclass(frozen=True, slots=True)
class RaterQuality:
    """A rater against the truth: STAPLE's estimates, else counted against the consensus.

    Parameters
    ----------
    name : str
        The rater.
    sensitivity, specificity : mapping of int to float
        By label value, over the domain; NaN where undefined.
    is_counted : bool
        False for a rater of weight 0.
    """

    name: str
    sensitivity: Mapping[int, float]
    specificity: Mapping[int, float]
    is_counted: bool = True

    def to_json(self) -> dict[str, object]:
        """Return the fields of CONTRACT; undefined is None."""
        return {
            "name": self.name,
            "sensitivity": {str(value): null_if_nan(x) for value, x in self.sensitivity.items()},
            "specificity": {str(value): null_if_nan(x) for value, x in self.specificity.items()},
            "counted": self.is_counted,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Consensus:
    """Masks merged into one.

    Parameters
    ----------
    method : Method
        How.
    labels : LabelMap
        The consensus on the raters' grid; undecided voxels are background.
    votes : Volume
        Largest share of votes that one label (not background) got at each voxel, float32 in [0, 1]:
        the soft vote map.
    undecided, disputed : LabelMap
        1 where no class won, and 1 where the raters are not unanimous.
    raters : tuple of RaterQuality
        In alphabetical order.
    agreement : Agreement
        Of the counted raters, on the same domain.
    iterations : int or None
        EM steps; None for votes.
    converged : bool or None
        Whether EM met its stop rule; None for votes.
    warnings : tuple of Warn
        What must be shown; ``no_consensus`` asks for an adjudicator.
    domain : mapping
        Name, box and margin.
    """

    method: Method
    labels: LabelMap
    votes: Volume
    undecided: LabelMap
    disputed: LabelMap
    raters: tuple[RaterQuality, ...]
    agreement: Agreement
    iterations: int | None
    converged: bool | None
    warnings: tuple[Warn, ...]
    domain: Mapping[str, object] = field(default_factory=dict)

    @property
    def is_agreed_empty(self) -> bool:
        """Whether all raters drew nothing."""
        return not self.disputed.array.any() and not self.labels.array.any()

    def to_json(self) -> dict[str, object]:
        """Return the object of CONTRACT `consensus`; undefined is None."""
        voxels = {
            name: int(np.count_nonzero(mask.array))
            for name, mask in (("consensus", self.labels), ("disputed", self.disputed), ("undecided", self.undecided))
        }
        return {
            "method": self.method.value,
            "domain": dict(self.domain),
            "raters": [rater.to_json() for rater in self.raters],
            "voxels": voxels,
            "iterations": self.iterations,
            "converged": self.converged,
            "agreed_empty": self.is_agreed_empty,
            "warnings": [warn.to_json() for warn in self.warnings],
            "agreement": self.agreement.to_json(),
        }


def consensus(
    masks: Sequence[LabelMap],
    *,
    names: Sequence[str] | None = None,
    weights: Sequence[float] | None = None,
    method: str = Method.STAPLE,
    quorum: str | float | Fraction | None = None,
    domain: str = Domain.UNION,
    margin: int = DEFAULT_MARGIN,
) -> Consensus:
    """Merge several raters' masks.

    Background is a class like any other. Where no class wins, the voxel is background
    in the mask and undecided: never a label nobody drew. Raters that nowhere overlap on a
    label have no consensus on it, whatever STAPLE's probabilities say.

    Parameters
    ----------
    masks : sequence of LabelMap
        One per rater, on one grid, one layer each. Their order does not matter.
    names : sequence of str, optional
        Raters; the same mask under one name is counted once.
    weights : sequence of float, optional
        0: recorded, not counted. Votes are weighted; STAPLE only asks for more than 0.
    method : str
        "majority" (votes > half), "quorum" (the only class with enough votes) or "staple"
        (one label: Warfield 2004; several: Rohlfing 2004).
    quorum : str, int, float or Fraction, optional
        For "quorum": a fraction ("2/3", the default) or a count ("2").
    domain : str
        "union": the raters' union box + `margin` voxels; "whole": the grid.

    Returns
    -------
    Consensus

    Raises
    ------
    ConsensusError
        As `make_ballot`; an unknown method; a quorum that cannot be (``bad_quorum``).
    GeometryMismatch
        If the masks lie on different grids.
    """
    kind = _method(method)
    ballot = make_ballot(masks, names=names, weights=weights, domain=domain, margin=margin)
    patterns = vote_patterns(ballot.arrays())
    staple = _staple(patterns) if kind is Method.STAPLE else None
    winners = _vote(kind, ballot, patterns, quorum) if staple is None else staple.winners
    apart = _labels_nobody_shares(patterns)
    if staple is not None:
        # With two disjoint raters of unequal size the larger one would become the truth.
        winners = np.where(np.isin(patterns.votes, apart).any(axis=1), UNDECIDED, winners)
    labels = _paint(ballot, patterns, _values_of(patterns, winners), ballot.table)
    raters = _qualities(ballot, patterns, winners, staple)
    warnings = (*ballot.warnings, *_doubts(ballot, patterns, apart, raters))
    names_seen = tuple(rater.name for rater in ballot.counted)
    origin = Origin(OriginKind.CONSENSUS, kind.value, parameters={"raters": ", ".join(names_seen)})
    return Consensus(
        method=kind,
        labels=replace(labels, origin=origin),
        votes=_vote_map(ballot, patterns),
        undecided=_paint(ballot, patterns, winners == UNDECIDED, _flag("Undecided")),
        disputed=_paint(ballot, patterns, _is_disputed(patterns), _flag("Disputed")),
        raters=raters,
        agreement=agreement_of(ballot, patterns),
        iterations=None if staple is None else staple.iterations,
        converged=None if staple is None else staple.converged,
        warnings=warnings,
        domain=ballot.domain_json(),
    )


def _method(method: str) -> Method:
    try:
        return Method(method)
    except ValueError:
        raise ConsensusError(f"Unknown method {method!r}; use majority, quorum or staple.") from None


def _vote(
    kind: Method, ballot: Ballot, patterns: VotePatterns, quorum: str | float | Fraction | None
) -> NDArray[np.intp]:
    weights = [rater.weight for rater in ballot.counted]
    if kind is Method.MAJORITY:
        return majority(patterns, weights)
    needed = parse_quorum(quorum or DEFAULT_QUORUM, sum(weights, Fraction(0)))
    return quorum_vote(patterns, weights, needed)


def _staple(patterns: VotePatterns) -> StapleResult:
    n_classes = len(patterns.values)
    if n_classes == 1:
        # Everybody drew nothing: agreed empty, where ITK's EM divides by zero.
        sure = np.ones((patterns.n_raters, 1, 1))
        return StapleResult(np.zeros(len(patterns.votes), np.intp), sure, 0, True)
    return binary_staple(patterns) if n_classes == 2 else multi_label_staple(patterns)


def _labels_nobody_shares(patterns: VotePatterns) -> list[int]:
    """Return the classes that several raters drew and no two of them at one voxel."""
    class_votes = patterns.class_votes()
    apart = []
    for place in range(1, len(patterns.values)):
        drew = (patterns.votes == place).any(axis=0)
        if drew.sum() > 1 and class_votes[:, place].max() < 2:
            apart.append(place)
    return apart


def _is_disputed(patterns: VotePatterns) -> NDArray[np.bool_]:
    return np.asarray((patterns.votes != patterns.votes[:, :1]).any(axis=1), dtype=np.bool_)


def _values_of(patterns: VotePatterns, winners: NDArray[np.intp]) -> NDArray[np.intp]:
    return np.where(winners == UNDECIDED, 0, patterns.values[winners])


def _paint(ballot: Ballot, patterns: VotePatterns, per_pattern: NDArray[Any], table: LabelTable) -> LabelMap:
    """Spread a value per pattern over the whole grid; outside the domain everybody said background."""
    result = LabelMap.empty(ballot.geometry, table)
    if not ballot.box.is_empty:
        result.array[ballot.box.slices] = patterns.to_voxels(cast(LabelArray, per_pattern.astype(result.array.dtype)))
    return result


def _flag(name: str) -> LabelTable:
    return LabelTable([Label(1, name, (213, 94, 0))])


def _vote_map(ballot: Ballot, patterns: VotePatterns) -> Volume:
    shares = np.zeros(len(patterns.votes), np.float32)
    weights = np.array([float(rater.weight) for rater in ballot.counted])
    for place in range(1, len(patterns.values)):
        share = (patterns.votes == place) @ weights / weights.sum()
        shares = np.maximum(shares, share.astype(np.float32))
    array = np.zeros(ballot.geometry.shape_kji, np.float32)
    if not ballot.box.is_empty:
        array[ballot.box.slices] = patterns.to_voxels(shares)
    return Volume(array, ballot.geometry)


def _qualities(
    ballot: Ballot, patterns: VotePatterns, winners: NDArray[np.intp], staple: StapleResult | None
) -> tuple[RaterQuality, ...]:
    counted = [rater.name for rater in ballot.counted]
    labels = [int(value) for value in patterns.values if value != 0]
    truth = patterns.to_voxels(np.maximum(winners, 0))
    qualities = []
    for rater in ballot.raters:
        if rater.name in counted and staple is not None:
            confusion = _merged_confusion(staple.confusion[counted.index(rater.name)], patterns)
        else:
            confusion = _counted_confusion(rater.labels.array[ballot.box.slices], truth, patterns)
        sensitivity = {value: confusion[value][0] for value in labels}
        specificity = {value: confusion[value][1] for value in labels}
        qualities.append(RaterQuality(rater.name, sensitivity, specificity, rater.name in counted))
    return tuple(qualities)


def _merged_confusion(confusion: NDArray[np.float64], patterns: VotePatterns) -> dict[int, tuple[float, float]]:
    """Return (sensitivity, specificity) per label from P(said | true); specificity is the mean over other classes."""
    result = {}
    for place, value in enumerate(patterns.values):
        others = [1 - float(confusion[place, true]) for true in range(len(patterns.values)) if true != place]
        result[int(value)] = (float(confusion[place, place]), float(np.mean(others)) if others else math.nan)
    return result


def _counted_confusion(said: LabelArray, truth: NDArray[Any], patterns: VotePatterns) -> dict[int, tuple[float, float]]:
    result = {}
    for place, value in enumerate(patterns.values):
        drawn, true = said == value, truth == place
        n_true, n_drawn = int(np.count_nonzero(true)), int(np.count_nonzero(drawn))
        both = int(np.count_nonzero(drawn & true))
        n_false = true.size - n_true
        sensitivity = both / n_true if n_true else math.nan
        specificity = 1 - (n_drawn - both) / n_false if n_false else math.nan
        result[int(value)] = (sensitivity, specificity)
    return result


def _doubts(ballot: Ballot, patterns: VotePatterns, apart: Sequence[int], raters: Sequence[RaterQuality]) -> list[Warn]:
    doubts = []
    for place in apart:
        name = ballot.table.name_of(int(patterns.values[place]))
        text = f"No two raters overlap on {name}: no consensus, send it to an adjudicator."
        doubts.append(Warn("no_consensus", text))
    for rater in raters:
        weak = [value for value, p in rater.sensitivity.items() if rater.is_counted and p < 0.5]
        if weak and len(ballot.counted) > 1:
            names = ", ".join(ballot.table.name_of(value) for value in weak)
            text = f"{rater.name} finds less than half of {names}: no consensus, send it to an adjudicator."
            doubts.append(Warn("no_consensus", text))
    return doubts
