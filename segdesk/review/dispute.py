"""Disputes: connected parts on which the readers are not unanimous."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cc3d
import numpy as np
from numpy.typing import NDArray

from segdesk.core.box import Box, Index3
from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelArray, LabelMap
from segdesk.review.merge import Consensus

CONNECTIVITY = 26
"""Voxels that touch at a face, an edge or a corner are one dispute."""


@dataclass(frozen=True, slots=True)
class Dispute:
    """One connected part without unanimity.

    Parameters
    ----------
    id : int
        Counted from 1, the largest first.
    size_voxels : int
        Voxels in it.
    volume_mm3 : float
        Its volume.
    split : str
        Readers per opinion at most of its voxels, most first: "2-1".
    values : tuple of int
        Values somebody voted for in it, ascending; 0 is background.
    box : Box
        Tight around it.
    centre_kji : tuple of int
        The voxel of it nearest to its centre of mass.
    undecided_voxels : int
        Voxels of it where no class won.
    supporters : tuple of (int, tuple of int)
        Value and the places (in the order of the masks given) of the readers who drew it anywhere in it.
    """

    id: int
    size_voxels: int
    volume_mm3: float
    split: str
    values: tuple[int, ...]
    box: Box
    centre_kji: Index3
    undecided_voxels: int
    supporters: tuple[tuple[int, tuple[int, ...]], ...]


def disputes(masks: Sequence[LabelMap], merged: Consensus) -> tuple[Dispute, ...]:
    """List the connected parts on which masks differ, the largest first.

    Parameters
    ----------
    masks : sequence of LabelMap
        The readers' masks on the grid of `merged`.
    merged : Consensus
        What they were merged into; its disputed voxels are listed.
    """
    whole = Box.around(merged.disputed.array != 0)
    if whole is None:
        return ()
    disputed = merged.disputed.array[whole.slices] != 0
    parts, n_parts = cc3d.connected_components(disputed, connectivity=CONNECTIVITY, return_N=True)
    boxes = cc3d.statistics(parts)["bounding_boxes"]
    found = []
    for part in range(1, n_parts + 1):
        local = boxes[part]
        start = [whole.start_kji[axis] + int(local[axis].start) for axis in range(3)]
        stop = [whole.start_kji[axis] + int(local[axis].stop) for axis in range(3)]
        box = Box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))
        found.append(_describe(parts[local] == part, box, masks, merged))
    found.sort(key=lambda each: (-each.size_voxels, each.box.start_kji))
    return tuple(replace(each, id=number) for number, each in enumerate(found, 1))


def _describe(inside: NDArray[np.bool_], box: Box, masks: Sequence[LabelMap], merged: Consensus) -> Dispute:
    said = [mask.array[box.slices][inside] for mask in masks]
    values = sorted({int(value) for votes in said for value in np.unique(votes)})
    index = np.argwhere(inside)
    nearest = index[np.argmin(((index - index.mean(axis=0)) ** 2).sum(axis=1))] + box.start_kji
    supporters = tuple(
        (value, tuple(place for place, votes in enumerate(said) if (votes == value).any())) for value in values
    )
    return Dispute(
        id=0,
        size_voxels=len(index),
        volume_mm3=_volume_mm3(index[:, 0] + box.start_kji[0], merged),
        split=_split(said),
        values=tuple(values),
        box=box,
        centre_kji=(int(nearest[0]), int(nearest[1]), int(nearest[2])),
        undecided_voxels=int(np.count_nonzero(merged.undecided.array[box.slices][inside])),
        supporters=supporters,
    )


def _volume_mm3(slices_k: NDArray[np.intp], merged: Consensus) -> float:
    grid = merged.labels.geometry
    if isinstance(grid, Geometry):
        return len(slices_k) * grid.voxel_volume_mm3
    return float(grid.voxel_volumes_k_mm3[slices_k].sum())


def _split(said: Sequence[LabelArray]) -> str:
    """Return the most frequent split of the readers, as sizes of their camps."""
    votes = np.stack(said)
    camps = np.sort((votes[:, None] == votes[None, :]).sum(axis=1), axis=0)[::-1]
    # A camp of n readers appears n times in its column; each is named once.
    columns, counts = np.unique(camps, axis=1, return_counts=True)
    common, sizes, place = columns[:, int(counts.argmax())], [], 0
    while place < len(common):
        sizes.append(int(common[place]))
        place += int(common[place])
    return "-".join(str(size) for size in sizes)
