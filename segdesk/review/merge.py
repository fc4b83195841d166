"""Consensus of several readers' masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdesk.core.labels import Label, LabelMap, LabelTable
from segdesk.core.provenance import Origin, OriginKind
from segdesk.core.volume import Volume
from segdesk.errors import ConsensusError, Warn
from segdesk.review.agreement import Agreement, agreement_of
from segdesk.review.ballot import DEFAULT_MARGIN, Ballot, Domain, make_ballot
from segdesk.review.patterns import VotePatterns, vote_patterns
from segdesk.review.quality import RaterQuality, qualities_of
from segdesk.review.staple import StapleResult, binary_staple, multi_label_staple
from segdesk.review.voting import DEFAULT_QUORUM, UNDECIDED, majority, parse_quorum
from segdesk.review.voting import quorum as quorum_vote


class Method(StrEnum):
    """How masks are merged."""

    MAJORITY = "majority"
    QUORUM = "quorum"
    STAPLE = "staple"


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
        touched = np.isin(patterns.votes, apart).any(axis=1) & np.isin(winners, [0, *apart])
        winners = np.where(touched, UNDECIDED, winners)
    table = ballot.table.merged(LabelTable.for_values(patterns.values.tolist()))
    labels = _paint(ballot, patterns, _values_of(patterns, winners), table)
    raters = qualities_of(ballot, patterns, winners, staple)
    warnings = (*ballot.warnings, *_doubts(ballot, patterns, apart, raters))
    settings = {"raters": ", ".join(rater.name for rater in ballot.counted), "domain": ballot.domain.value}
    origin = Origin(
        OriginKind.CONSENSUS,
        kind.value,
        parameters={**settings, "margin": ballot.margin, "quorum": _text(kind, quorum)},
    )
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
    needed = parse_quorum(DEFAULT_QUORUM if quorum is None else quorum, sum(weights, Fraction(0)))
    return quorum_vote(patterns, weights, needed)


def _text(kind: Method, quorum: str | float | Fraction | None) -> str | None:
    return str(DEFAULT_QUORUM if quorum is None else quorum) if kind is Method.QUORUM else None


def _staple(patterns: VotePatterns) -> StapleResult:
    n_classes = len(patterns.values)
    if n_classes == 1:
        # Everybody drew nothing: agreed empty, where ITK's EM divides by zero.
        sure = np.ones((patterns.n_raters, 1, 1))
        return StapleResult(np.zeros(len(patterns.votes), np.intp), sure, 0, True)
    return binary_staple(patterns) if n_classes == 2 else multi_label_staple(patterns)


def _labels_nobody_shares(patterns: VotePatterns) -> list[int]:
    """Return the classes that no two of several raters drew at one voxel; one drawn by a single rater counts."""
    if patterns.n_raters < 2:
        return []
    most_votes = patterns.class_votes().max(axis=0, initial=0)
    return [place for place in range(1, len(patterns.values)) if most_votes[place] < 2]


def _is_disputed(patterns: VotePatterns) -> NDArray[np.bool_]:
    return np.asarray((patterns.votes != patterns.votes[:, :1]).any(axis=1), dtype=np.bool_)


def _values_of(patterns: VotePatterns, winners: NDArray[np.intp]) -> NDArray[np.intp]:
    return np.where(winners == UNDECIDED, 0, patterns.values[winners])


def _paint(ballot: Ballot, patterns: VotePatterns, per_pattern: NDArray[Any], table: LabelTable) -> LabelMap:
    """Spread a value per pattern over the whole grid; outside the domain everybody said background."""
    result = LabelMap.empty(ballot.geometry, table)
    patterns.spread(per_pattern.astype(result.array.dtype), result.array[ballot.box.slices])
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
    patterns.spread(shares, array[ballot.box.slices])
    return Volume(array, ballot.geometry)


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
