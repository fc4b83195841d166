"""A look at a whole case from one side: shaded labels in front of the brightest voxels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdesk.core.labels import LabelArray
from segdesk.core.reslice import Plane, SlicePlane
from segdesk.core.volume import Window
from segdesk.core.window import to_grey8

Packed = NDArray[np.uint32]

BACKGROUND_DIMMING = 0.75
"""The projected image is context; the labels are the subject."""


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """The labels seen from one side.

    Parameters
    ----------
    values : ndarray of integers, shape (rows, columns)
        First label that a ray into the screen meets, 0 where there is none.
    slice_indices : ndarray of int32, shape (rows, columns)
        Slice in which it is met; -1 where none is.
    viewer_at_start : bool
        Whether the viewer stands before slice 0.
    """

    values: NDArray[Any]
    slice_indices: NDArray[np.int32]
    viewer_at_start: bool

    @property
    def distances(self) -> NDArray[np.int32]:
        """Slices between an arbitrary plane before the viewer and the label; undefined where none is."""
        return self.slice_indices if self.viewer_at_start else -self.slice_indices


def viewer_at_start(plane: SlicePlane) -> bool:
    """Whether who looks at the screen stands before slice 0: in front (coronal), at the feet (axial), at the left."""
    return (plane.normal_step > 0) == (plane.plane in (Plane.AXIAL, Plane.NATIVE))


def projected(array: NDArray[Any], plane: SlicePlane) -> NDArray[Any]:
    """Return the image seen through, as it lies on the screen, shape `plane.shape_px`.

    Images with negative values (CT: air is -1000) give their maximum, so that bones stand
    out; others their mean, as a film does: the maximum of an MR image is fog.
    """
    axis = plane.normal_axis
    # fmin and fmax look past NaN; a comparison with NaN is False.
    if array.size and array.dtype.kind in "if" and float(np.fmin.reduce(array, axis=None)) < 0:
        return _on_screen(np.fmax.reduce(array, axis=axis, keepdims=True), plane)
    with np.errstate(invalid="ignore"):
        return _on_screen(np.asarray(np.mean(array, axis=axis, dtype=np.float32, keepdims=True)), plane)


def spread(projected: NDArray[Any]) -> Window:
    """Return the window that spreads a projection over the greys: its darks are the slices' brights."""
    finite = projected[np.isfinite(projected)]
    low, high = (float(x) for x in np.percentile(finite, (1.0, 99.0))) if finite.size else (0.0, 1.0)
    return Window((low + high) / 2, max(high - low, 1e-6))


def first_labels(labels: LabelArray, plane: SlicePlane, hidden: frozenset[int] = frozenset()) -> Surface:
    """Return the labels nearest to the viewer.

    Parameters
    ----------
    labels : ndarray of uint8 or uint16, shape (K, J, I)
        A snapshot; read only.
    plane : SlicePlane
        The side to look from.
    hidden : frozenset of int
        Values that are looked through.

    Returns
    -------
    Surface
        All background for an empty mask.
    """
    axis, at_start = plane.normal_axis, viewer_at_start(plane)
    shape = tuple(n for number, n in enumerate(labels.shape) if number != axis)
    values, indices = np.zeros(shape, labels.dtype), np.full(shape, -1, np.int32)
    back_to_front = range(labels.shape[axis])
    # Slices are laid over each other from back to front: no temporary of the volume's size.
    for index in reversed(back_to_front) if at_start else back_to_front:
        layer = labels[(slice(None),) * axis + (index,)]
        if layer.any():
            hit = layer != 0 if not hidden else ~np.isin(layer, [0, *hidden])
            np.copyto(values, layer, where=hit)
            indices[hit] = index
    screen = [_on_screen(np.expand_dims(each, axis), plane) for each in (values, indices)]
    return Surface(screen[0], screen[1], at_start)


def shaded(
    surface: Surface, background: NDArray[Any], window: Window, palette: NDArray[np.uint8], voxel_mm: tuple[float, ...]
) -> Packed:
    """Return the picture: labels lit from the upper left, over dimmed grey values.

    Parameters
    ----------
    surface : Surface
        What is in front.
    background : ndarray, shape (rows, columns)
        From `projected`.
    window : Window
        For the background.
    palette : ndarray of uint8, shape (n, 3)
        Colours by label value; a larger value takes the last one.
    voxel_mm : tuple of float
        Extent of a voxel along the normal, the rows and the columns.

    Returns
    -------
    ndarray of uint32, shape (rows, columns)
        0xFFRRGGBB.
    """
    grey = to_grey8(background, window).astype(np.float32) * BACKGROUND_DIMMING
    picture = np.repeat(grey[..., None], 3, axis=2)
    hit = surface.values != 0
    if hit.any():
        colours = palette[np.minimum(surface.values[hit], len(palette) - 1)].astype(np.float32)
        picture[hit] = np.clip(colours * _light(surface, hit, voxel_mm)[hit][:, None], 0, 255)
    packed = picture.astype(np.uint32)
    colours = np.uint32(0xFF000000) | (packed[..., 0] << 16) | (packed[..., 1] << 8) | packed[..., 2]
    return np.asarray(colours, np.uint32)


_LIGHT_ROW_COLUMN_DEPTH = np.array([-0.45, -0.50, -0.74], np.float32)
"""Unit vector towards the light: above, left, and before the screen."""

_AMBIENT, _FULL = 0.30, 1.15


def _light(surface: Surface, hit: NDArray[np.bool_], voxel_mm: tuple[float, ...]) -> NDArray[np.float32]:
    """Return brightness by Lambert's cosine law on the smoothed distances; beyond the rim it falls away."""
    depth_mm, height_mm, width_mm = voxel_mm
    distance_mm = surface.distances.astype(np.float32) * depth_mm
    rim_mm = float(distance_mm[hit].max()) + 2 * max(height_mm, width_mm)
    relief = _smoothed(np.where(hit, distance_mm, rim_mm).astype(np.float32))
    normal = np.empty((*relief.shape, 3), np.float32)
    normal[..., 0] = _slope(relief, 0) / height_mm
    normal[..., 1] = _slope(relief, 1) / width_mm
    normal[..., 2] = -1
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    cosine = np.clip(normal @ _LIGHT_ROW_COLUMN_DEPTH, 0, 1)
    return np.asarray(_AMBIENT + (_FULL - _AMBIENT) * cosine, np.float32)


def _smoothed(relief: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean over 3 x 3: slices make steps, and steps make stripes of light."""
    padded = np.pad(relief, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return np.asarray((rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) / np.float32(9), np.float32)


def _slope(relief: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    return np.asarray(np.gradient(relief, axis=axis), np.float32) if relief.shape[axis] > 1 else relief * 0


def _on_screen(flat: NDArray[Any], plane: SlicePlane) -> NDArray[Any]:
    """Return an array with one slice along the normal as the plane shows it."""
    one = np.take(flat, 0, axis=plane.normal_axis)
    if plane.row_axis > plane.column_axis:
        one = one.swapaxes(0, 1)
    turned = one[:: -1 if plane.row_flipped else 1, :: -1 if plane.column_flipped else 1]
    return np.ascontiguousarray(turned)
