"""One grid inside another: which axis runs along which, which way, and from which voxel on.

A mask of the same voxels as an image may be stored along other axes, cut to a box, or slice by
slice. It is brought onto the image's grid by places in the patient, exactly or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from segdesk.core.box import Index3
from segdesk.core.geometry import CORNER_ATOL_MM, Geometry, Grid, SliceStackGeometry
from segdesk.core.labels import LabelArray, LabelMap
from segdesk.errors import GeometryMismatch


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the voxels of a smaller (or equal) grid lie in the array of a larger one.

    Parameters
    ----------
    start_kji : tuple of int
        First voxel of the window in the larger array.
    shape_kji : tuple of int
        Shape of the smaller array, along its own axes.
    axes : tuple of int
        For each axis of the smaller array, the axis of the larger one it runs along.
    flips : tuple of bool
        For each axis of the smaller array, whether it runs backwards.
    """

    start_kji: Index3
    shape_kji: Index3
    axes: Index3
    flips: tuple[bool, bool, bool]

    def view(self, array: NDArray[Any]) -> NDArray[Any]:
        """Return the window of the larger array with axes and shape of the smaller one; writing to it writes there."""
        window = [slice(None)] * 3
        for axis, count in zip(self.axes, self.shape_kji, strict=True):
            window[axis] = slice(self.start_kji[axis], self.start_kji[axis] + count)
        turned = array[tuple(window)].transpose(self.axes)
        return turned[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)]


def placement_of(source: Geometry, target: Grid, atol_mm: float = CORNER_ATOL_MM) -> Placement:
    """Find the voxels of one grid among those of another.

    Parameters
    ----------
    source : Geometry
        The smaller grid. Along an axis of one voxel its step does not matter: a single
        slice has none.
    target : Geometry or SliceStackGeometry
        The larger grid; on a stack, the source must be one of its slices.
    atol_mm : float
        Largest distance of a corner of the source from the voxel of the target it falls on.

    Returns
    -------
    Placement

    Raises
    ------
    GeometryMismatch
        Saying what differs: frame of reference, voxel size or axes, place, or extent.
    """
    _require_same_frame(source, target)
    if isinstance(target, SliceStackGeometry):
        return _on_stack(source, target, atol_mm)
    if not (source.orientation_known and target.orientation_known):
        return _without_place(source, target, atol_mm)
    steps = np.linalg.inv(target.affine_kji_to_lps)[:3, :3] @ source.affine_kji_to_lps[:3, :3]
    axes, flips = _axes_of(steps, source, target)
    corners = target.lps_to_index(source.index_to_lps([(0, 0, 0), [n - 1 for n in source.shape_kji]]))
    low = np.rint(corners.min(axis=0)).astype(int)
    placement = Placement((int(low[0]), int(low[1]), int(low[2])), source.shape_kji, axes, flips)
    _require_inside(placement, target)
    _require_near(placement, source, target, atol_mm)
    return placement


def lay_on(labels: LabelMap, grid: Grid) -> LabelMap:
    """Bring a mask onto the grid of an image, voxel for voxel; background where the mask has none.

    Parameters
    ----------
    labels : LabelMap
        On the same voxels as `grid`, or some of them, along any axes.
    grid : Geometry or SliceStackGeometry

    Returns
    -------
    LabelMap
        On `grid`; the same object where it lies there already.

    Raises
    ------
    GeometryMismatch
        As `placement_of`: resample the mask then.
    """
    _require_same_frame(labels.geometry, grid)
    if labels.geometry.matches(grid):
        return labels
    parts = list(_parts(labels.geometry, grid))
    layers = []
    for layer in labels.layers:
        array = np.zeros(grid.shape_kji, layer.dtype)
        for first, placement in parts:
            placement.view(array)[...] = layer[first : first + placement.shape_kji[0]]
        layers.append(cast(LabelArray, array))
    return LabelMap(tuple(layers), grid, labels.table, labels.origin, labels.warnings)


def slice_geometry(stack: SliceStackGeometry, k: int) -> Geometry:
    """Return one slice of a stack as a grid of its own; its k axis is the normal, as long as it is thick."""
    affine = np.eye(4)
    affine[:3, 1:] = stack.slice_affines_ji_to_lps[k, :3]
    normal = np.cross(affine[:3, 2], affine[:3, 1])
    affine[:3, 0] = normal / np.linalg.norm(normal) * stack.thickness_k_mm[k]
    shape = (1, *stack.shape_kji[1:])
    return Geometry(
        shape, affine, stack.orientation_known, stack.spacing_known, stack.source, stack.frame_of_reference_uid
    )


def _parts(source: Grid, target: Grid) -> Iterator[tuple[int, Placement]]:
    """Yield (first slice, placement): a regular grid at once, others slice by slice."""
    if isinstance(source, SliceStackGeometry):
        for k in range(source.shape_kji[0]):
            yield k, placement_of(slice_geometry(source, k), target)
    elif isinstance(target, SliceStackGeometry):
        for k in range(source.shape_kji[0]):
            affine = source.affine_kji_to_lps.copy()
            affine[:3, 3] = source.index_to_lps((k, 0, 0))
            one = Geometry((1, *source.shape_kji[1:]), affine, source.orientation_known, source.spacing_known)
            yield k, placement_of(one, target)
    else:
        yield 0, placement_of(source, target)


def _require_same_frame(source: Grid, target: Grid) -> None:
    frames = {source.frame_of_reference_uid, target.frame_of_reference_uid} - {None, ""}
    if len(frames) > 1:
        raise GeometryMismatch(
            "The mask belongs to another frame of reference than the image, so their places cannot be compared; "
            "use the image the mask was drawn on."
        )


def _axes_of(steps: NDArray[np.float64], source: Geometry, target: Geometry) -> tuple[Index3, tuple[bool, bool, bool]]:
    """Return axes and flips from the source's steps in voxels of the target, as columns."""
    axes, flips = [-1, -1, -1], [False, False, False]
    for axis in (n for n in range(3) if source.shape_kji[n] > 1):
        along = int(np.argmax(np.abs(steps[:, axis])))
        axes[axis], flips[axis] = along, bool(steps[along, axis] < 0)
        drift = np.abs(steps[:, axis]) - np.eye(3)[along]
        # Half a voxel over the whole length: what is less is judged in mm at the corners.
        if np.abs(drift).max() * (source.shape_kji[axis] - 1) > 0.5:
            raise GeometryMismatch(_other_voxels(source, target))
    free = iter(sorted({0, 1, 2} - set(axes)))
    k, j, i = (axis if axis >= 0 else next(free, 0) for axis in axes)
    if {k, j, i} != {0, 1, 2}:
        raise GeometryMismatch(_other_voxels(source, target))
    return (k, j, i), (flips[0], flips[1], flips[2])


def _other_voxels(source: Geometry, target: Geometry) -> str:
    mask, image = (
        f"{' x '.join(f'{mm:.4g}' for mm in g.spacing_kji_mm)} mm, {g.orientation}" for g in (source, target)
    )
    return f"The mask's voxels ({mask}) do not lie on the image's ({image}): size or direction differ; resample it."


def _require_inside(placement: Placement, target: Geometry) -> None:
    for axis, count in zip(placement.axes, placement.shape_kji, strict=True):
        before, after = -placement.start_kji[axis], placement.start_kji[axis] + count - target.shape_kji[axis]
        if max(before, after) > 0:
            raise GeometryMismatch(
                f"The mask reaches {max(before, after)} voxels beyond the image along {'kji'[axis]}; "
                "it was drawn on another image, or on more of it."
            )


def _require_near(placement: Placement, source: Geometry, target: Geometry, atol_mm: float) -> None:
    ends = [(0, n - 1) for n in source.shape_kji]
    own = np.array([(k, j, i) for k in ends[0] for j in ends[1] for i in ends[2]])
    there = np.empty_like(own)
    for axis in range(3):
        count, along = source.shape_kji[axis], placement.axes[axis]
        run = count - 1 - own[:, axis] if placement.flips[axis] else own[:, axis]
        there[:, along] = placement.start_kji[along] + run
    off_mm = float(np.linalg.norm(source.index_to_lps(own) - target.index_to_lps(there), axis=1).max())
    if off_mm > atol_mm:
        raise GeometryMismatch(f"The mask lies {off_mm:.4g} mm beside the image's voxels; resample it.")


def _on_stack(source: Geometry, target: SliceStackGeometry, atol_mm: float) -> Placement:
    """Find the one slice of a stack that a slice is."""
    rows, columns = source.shape_kji[1:]
    if source.shape_kji != (1, *target.shape_kji[1:]):
        raise GeometryMismatch(
            f"The mask's slices of {rows} x {columns} pixels are not the image's of "
            f"{target.shape_kji[1]} x {target.shape_kji[2]}."
        )
    corners = np.array([(0, 0, 1), (0, columns - 1, 1), (rows - 1, 0, 1), (rows - 1, columns - 1, 1)], np.float64)
    there = np.einsum("krc,nc->knr", target.slice_affines_ji_to_lps[:, :3], corners)
    own = source.index_to_lps(np.insert(corners[:, :2], 0, 0, axis=1))
    off_mm = np.linalg.norm(there - own, axis=2).max(axis=1)
    nearest = int(np.argmin(off_mm))
    if off_mm[nearest] > atol_mm:
        raise GeometryMismatch(
            f"A slice of the mask is none of the image's: the nearest one is {off_mm[nearest]:.4g} mm away."
        )
    return Placement((nearest, 0, 0), source.shape_kji, (0, 1, 2), (False, False, False))


def _without_place(source: Geometry, target: Geometry, atol_mm: float) -> Placement:
    """Accept equal grids only where one of them does not know its place in the patient."""
    if source.orientation_known != target.orientation_known:
        which = "mask" if target.orientation_known else "image"
        raise GeometryMismatch(f"The {which} does not say where it lies in the patient, the other one does.")
    if not source.matches(target, atol_mm):
        raise GeometryMismatch("Mask and image do not say where they lie, and their pixels differ in number or size.")
    return Placement((0, 0, 0), source.shape_kji, (0, 1, 2), (False, False, False))
