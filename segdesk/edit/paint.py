"""The one door for voxel writes; it owns the protection rule."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import cast

import numpy as np
from numpy.typing import NDArray

from segdesk.core.box import Box
from segdesk.core.labels import LabelArray, LabelMap
from segdesk.edit.delta import LabelDelta
from segdesk.edit.region import Region
from segdesk.errors import EditError


class Overwrite(StrEnum):
    """Which voxels a tool may change."""

    ALL = "all"
    BACKGROUND_ONLY = "background"
    ONLY_LABEL = "label"


@dataclass(frozen=True, slots=True)
class DrawOver:
    """The protection rule of an edit.

    Parameters
    ----------
    rule : Overwrite
        Which voxels may change.
    label : int, optional
        The label that may be drawn over with ``ONLY_LABEL``.
    locked : frozenset of int
        Label values that no edit adds to or takes from.
    """

    rule: Overwrite = Overwrite.ALL
    label: int | None = None
    locked: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        """Refuse a rule without its label."""
        if self.rule is Overwrite.ONLY_LABEL and self.label is None:
            raise EditError("Drawing over one label needs its value; choose the label.")

    @classmethod
    def only(cls, label: int, locked: frozenset[int] = frozenset()) -> DrawOver:
        """Return the rule that lets only voxels of `label` change."""
        return cls(Overwrite.ONLY_LABEL, label, locked)

    def permits(self, old: LabelArray) -> NDArray[np.bool_]:
        """Return where voxels with the values `old` may change; same shape as `old`."""
        if self.rule is Overwrite.BACKGROUND_ONLY:
            allowed = old == 0
        elif self.rule is Overwrite.ONLY_LABEL:
            allowed = old == self.label
        else:
            allowed = np.ones(old.shape, np.bool_)
        if self.locked:
            allowed &= ~np.isin(old, list(self.locked))
        return cast("NDArray[np.bool_]", allowed)


def paint(labels: LabelMap, region: Region, value: int, over: DrawOver, layer: int = 0) -> LabelDelta | None:
    """Write `value` where `region` covers voxels that `over` permits.

    Parameters
    ----------
    labels : LabelMap
        Changed in place.
    region : Region
        Which voxels; its box lies inside the grid.
    value : int
        Label value, 0 erases.
    over : DrawOver
        The protection rule.
    layer : int
        Index of the layer to write.

    Returns
    -------
    LabelDelta or None
        What changed, to be undone with `LabelDelta.revert`; None when nothing did.

    Raises
    ------
    EditError
        If the value does not fit the layer's dtype (it is never widened silently), is
        locked, or the layer or the region lies outside the map.
    """
    _check_value(labels, value, over, layer)
    old = _cut(labels, region.box, layer)
    new = np.where(region.mask & over.permits(old), old.dtype.type(value), old)
    return _written(labels, LabelDelta.between(region.box, old, cast(LabelArray, new), layer))


def replace_values(labels: LabelMap, box: Box, new: LabelArray, over: DrawOver, layer: int = 0) -> LabelDelta | None:
    """Write the values `new` into `box` where `over` permits: for accepted candidates.

    Parameters
    ----------
    labels : LabelMap
        Changed in place.
    box : Box
        Inside the grid.
    new : ndarray of integers, shape `box.shape_kji`
        Values after the edit; locked values neither vanish nor appear.
    over : DrawOver
        The protection rule.
    layer : int
        Index of the layer to write.

    Returns
    -------
    LabelDelta or None
        What changed, None when nothing did.

    Raises
    ------
    EditError
        If a value does not fit the layer, or the box or the layer lies outside the map.
    """
    _check_value(labels, 0, DrawOver(), layer)
    whole = _cut(labels, box, layer)
    if new.shape != whole.shape:
        raise EditError(f"New labels of shape {new.shape} do not fit the box {whole.shape}.")
    part = Box.around_slices(before != after for before, after in zip(whole, new, strict=True))
    if part is None:
        return None
    old, new = whole[part.slices], new[part.slices]
    _check_value(labels, int(new.max()), DrawOver(), layer)
    result = cast(LabelArray, new.astype(old.dtype, copy=False))
    if over != DrawOver():
        writable = over.permits(old) & ~np.isin(new, list(over.locked))
        result = cast(LabelArray, np.where(writable, result, old))
    return _written(labels, LabelDelta.between(part.shifted(box.start_kji), old, result, layer))


def _check_value(labels: LabelMap, value: int, over: DrawOver, layer: int) -> None:
    if not 0 <= layer < len(labels.layers):
        raise EditError(f"There is no layer {layer}; the mask has {len(labels.layers)}.")
    largest = int(np.iinfo(labels.layers[layer].dtype).max)
    if not 0 <= value <= largest:
        raise EditError(f"Label value {value} does not fit this mask (0..{largest}); convert the mask to 16 bit first.")
    if value in over.locked:
        raise EditError(f"Label {value} ({labels.table.name_of(value)}) is locked; unlock it to draw with it.")


def _cut(labels: LabelMap, box: Box, layer: int) -> LabelArray:
    array = labels.layers[layer]
    if box.clip(labels.geometry.shape_kji) != box:
        raise EditError(f"The edit {box} leaves the grid {array.shape}; clip it first.")
    return array[box.slices]


def _written(labels: LabelMap, delta: LabelDelta | None) -> LabelDelta | None:
    if delta is not None:
        delta.apply(labels)
    return delta
