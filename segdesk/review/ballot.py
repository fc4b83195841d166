"""The masks of several raters, checked: one grid, one vote a rater, one domain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

import numpy as np

from segdesk.core.box import Box
from segdesk.core.geometry import Grid
from segdesk.core.labels import LabelArray, LabelMap, LabelTable
from segdesk.errors import ConsensusError, GeometryMismatch, Warn

DEFAULT_MARGIN = 10
"""Voxels around the raters' union box; background in the box moves STAPLE's prior and every kappa."""


class Domain(StrEnum):
    """What part of the grid is compared."""

    UNION = "union"
    WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class Rater:
    """One rater's mask and weight; weight 0 is recorded and not counted."""

    name: str
    labels: LabelMap
    weight: Fraction


@dataclass(frozen=True, slots=True)
class Ballot:
    """What is voted on.

    Parameters
    ----------
    raters : tuple of Rater
        In alphabetical order, so that nothing depends on the order they came in.
    domain : Domain
        How the box was chosen.
    box : Box
        The voxels compared.
    margin : int
        Voxels around the union; meaningless for the whole grid.
    warnings : tuple of Warn
        What was noticed on the way.
    """

    raters: tuple[Rater, ...]
    domain: Domain
    box: Box
    margin: int
    warnings: tuple[Warn, ...]

    @property
    def counted(self) -> tuple[Rater, ...]:
        """Raters whose weight is above 0."""
        return tuple(rater for rater in self.raters if rater.weight > 0)

    @property
    def geometry(self) -> Grid:
        """The common grid."""
        return self.raters[0].labels.geometry

    @property
    def table(self) -> LabelTable:
        """Names and colours of all raters' labels."""
        table = self.raters[0].labels.table
        for rater in self.raters[1:]:
            table = table.merged(rater.labels.table)
        return table

    def arrays(self) -> list[LabelArray]:
        """Return the counted raters' labels inside the box (views)."""
        return [rater.labels.array[self.box.slices] for rater in self.counted]

    def domain_json(self) -> dict[str, object]:
        """Return the domain as CONTRACT has it."""
        box = [list(self.box.start_kji), list(self.box.stop_kji)]
        return {"name": self.domain.value, "box_kji": box, "margin": self.margin}


def make_ballot(
    masks: Sequence[LabelMap],
    *,
    names: Sequence[str] | None = None,
    weights: Sequence[float] | None = None,
    domain: str = Domain.UNION,
    margin: int = DEFAULT_MARGIN,
) -> Ballot:
    """Check raters' masks and fix the domain.

    Raises
    ------
    ConsensusError
        No mask; a weight that is negative or not a number (``bad_weight``); all weights 0; names
        that do not fit; one name with two different masks; overlapping layers; an unknown domain.
    GeometryMismatch
        If the masks lie on different grids.
    """
    raters, warnings = _raters(masks, names, weights)
    require_one_grid([(rater.name, rater.labels) for rater in raters])
    kind, whole = _domain(domain), Box.whole(raters[0].labels.geometry.shape_kji)
    if margin < 0:
        raise ConsensusError(f"The margin must be 0 or more, not {margin}.")
    counted = [rater for rater in raters if rater.weight > 0]
    if not counted:
        raise ConsensusError("Every rater has weight 0; give at least one a weight above 0.", code="bad_weight")
    if len(counted) == 1:
        warnings.append(Warn("one_rater", f"Only one rater ({counted[0].name}): this is no consensus."))
    box = whole if kind is Domain.WHOLE else _union_box(counted, margin, whole)
    return Ballot(tuple(raters), kind, box, margin, tuple(warnings))


def require_one_grid(named: Sequence[tuple[str, LabelMap]]) -> None:
    """Refuse masks (name, labels) that do not all lie on the first one's grid; GeometryMismatch."""
    (first, reference), *others = named
    for name, labels in others:
        if not labels.geometry.matches(reference.geometry):
            raise GeometryMismatch(f"The masks of {first} and {name} lie on different grids.")


def _raters(
    masks: Sequence[LabelMap], names: Sequence[str] | None, weights: Sequence[float] | None
) -> tuple[list[Rater], list[Warn]]:
    if not masks:
        raise ConsensusError("There are no masks to merge.")
    names = [f"rater {number}" for number in range(1, len(masks) + 1)] if names is None else names
    weights = [1.0] * len(masks) if weights is None else weights
    if not len(names) == len(weights) == len(masks):
        raise ConsensusError(f"{len(masks)} masks need as many names and weights, not {len(names)} and {len(weights)}.")
    by_name: dict[str, Rater] = {}
    warnings = []
    for name, labels, weight in sorted(zip(names, masks, weights, strict=True), key=lambda each: each[0]):
        rater = Rater(name, _single_layer(name, labels), _weight(name, weight))
        if name in by_name:
            _require_same(by_name[name], rater)
            warnings.append(Warn("rater_counted_once", f"{name} was given twice and is counted once."))
        by_name[name] = rater
    return list(by_name.values()), warnings


def _single_layer(name: str, labels: LabelMap) -> LabelMap:
    if len(labels.layers) > 1:
        raise ConsensusError(f"The mask of {name} has overlapping layers; vote on one layer at a time.")
    return labels


def _weight(name: str, weight: float) -> Fraction:
    if not math.isfinite(weight) or weight < 0:
        raise ConsensusError(f"The weight of {name} is {weight}; use 0 (not counted) or more.", code="bad_weight")
    return Fraction(weight)


def _require_same(one: Rater, other: Rater) -> None:
    if one.weight != other.weight or not np.array_equal(one.labels.array, other.labels.array):
        raise ConsensusError(f"Two different masks carry the name {one.name}; give each rater a name of their own.")


def _domain(domain: str) -> Domain:
    try:
        return Domain(domain)
    except ValueError:
        raise ConsensusError(f"Unknown domain {domain!r}; use union or whole.") from None


def _union_box(raters: Sequence[Rater], margin: int, whole: Box) -> Box:
    union = Box((0, 0, 0), (0, 0, 0))
    for rater in raters:
        box = Box.around(rater.labels.array != 0)
        union = union if box is None else union.union(box)
    return union if union.is_empty else union.grow(margin).intersection(whole)
