"""Axial, coronal and sagittal slices of any grid, as views without a copy.

The display is radiological: the patient's left is on the right of the screen,
anterior is up in axial slices, superior is up in the others; sagittal slices
look to the left with anterior on the left of the screen.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdesk.core.box import Index3
from segdesk.core.geometry import Geometry, Grid, SliceStackGeometry, nearest_axes
from segdesk.errors import ShapeMismatch

UNKNOWN_LETTER = "?"
"""Shown at the edges where the file says nothing about the patient's axes."""

_OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "S": "I", "I": "S", UNKNOWN_LETTER: UNKNOWN_LETTER}


class Plane(StrEnum):
    """Which way a slice is cut."""

    AXIAL = "Axial"
    SAGITTAL = "Sagittal"
    CORONAL = "Coronal"
    NATIVE = "Slice"


@dataclass(frozen=True, slots=True)
class Edges:
    """The patient directions at the four edges of a slice on screen."""

    left: str
    right: str
    top: str
    bottom: str


@dataclass(frozen=True, slots=True)
class SlicePlane:
    """How slices of one plane are cut out of an array and lie on the screen.

    A pixel is (row, column) with the origin at the top left; whole numbers are pixel
    centres, so pixel (0, 0) covers -0.5..0.5.

    Parameters
    ----------
    plane : Plane
        Its name.
    shape_kji : tuple of int
        Shape of the whole array.
    normal_axis, row_axis, column_axis : int
        Array axis perpendicular to the slice; array axes that rows and columns run along.
    row_flipped, column_flipped : bool
        Whether rows (columns) run against their array axis.
    normal_step : int
        +1 or -1: change of the slice index that goes towards superior, anterior or left.
    pixel_spacing_mm : tuple of float
        Height and width of a pixel in mm (in pixels where the spacing is unknown).
    edges : Edges
        Letters of the four edges.
    """

    plane: Plane
    shape_kji: Index3
    normal_axis: int
    row_axis: int
    column_axis: int
    row_flipped: bool
    column_flipped: bool
    normal_step: int
    pixel_spacing_mm: tuple[float, float]
    edges: Edges

    @property
    def slice_count(self) -> int:
        """Number of slices in this plane."""
        return self.shape_kji[self.normal_axis]

    @property
    def shape_px(self) -> tuple[int, int]:
        """Rows and columns of a slice."""
        return self.shape_kji[self.row_axis], self.shape_kji[self.column_axis]

    @property
    def size_mm(self) -> tuple[float, float]:
        """Height and width of a slice in mm, voxel edges included."""
        (rows, columns), (height, width) = self.shape_px, self.pixel_spacing_mm
        return rows * height, columns * width

    def cut(self, array: NDArray[Any], slice_index: int) -> NDArray[Any]:
        """Return one slice as it lies on the screen.

        Parameters
        ----------
        array : ndarray, shape (K, J, I) or (K, J, I, 3)
            Voxels on this plane's grid.
        slice_index : int
            Index along `normal_axis`, 0 <= index < `slice_count`.

        Returns
        -------
        ndarray, shape `shape_px` or (*`shape_px`, 3)
            A view; writing to it writes to `array`.

        Raises
        ------
        ShapeMismatch
            If `array` is not on this plane's grid.
        """
        if array.shape[:3] != self.shape_kji:
            raise ShapeMismatch(f"A slice of {self.shape_kji} cannot be cut out of an array of {array.shape}.")
        picked = array[(slice(None),) * self.normal_axis + (slice_index,)]
        if self.row_axis > self.column_axis:
            picked = picked.swapaxes(0, 1)
        rows = slice(None, None, -1) if self.row_flipped else slice(None)
        columns = slice(None, None, -1) if self.column_flipped else slice(None)
        return picked[rows, columns]

    def to_index(self, row: float, column: float, slice_index: float) -> tuple[float, float, float]:
        """Return the continuous (k, j, i) under a continuous pixel position."""
        rows, columns = self.shape_px
        index = [0.0, 0.0, 0.0]
        index[self.normal_axis] = float(slice_index)
        index[self.row_axis] = rows - 1 - row if self.row_flipped else row
        index[self.column_axis] = columns - 1 - column if self.column_flipped else column
        return index[0], index[1], index[2]

    def to_pixel(self, index_kji: tuple[float, float, float]) -> tuple[float, float]:
        """Return the continuous (row, column) at which an index is shown."""
        rows, columns = self.shape_px
        row, column = index_kji[self.row_axis], index_kji[self.column_axis]
        return (rows - 1 - row if self.row_flipped else row, columns - 1 - column if self.column_flipped else column)


def planes_of(grid: Grid) -> tuple[SlicePlane, ...]:
    """Return the planes a grid is looked at in.

    Parameters
    ----------
    grid : Geometry or SliceStackGeometry
        Oblique and sheared grids are cut along their own axes, named after the nearest
        patient axes; nothing is interpolated.

    Returns
    -------
    tuple of SlicePlane
        Axial, sagittal, coronal for a volume; for one slice or a stack of separately
        placed slices only the plane they were acquired in.
    """
    if isinstance(grid, SliceStackGeometry):
        return (_stack_plane(grid),)
    planes = tuple(_plane_of(grid, plane) for plane in (Plane.AXIAL, Plane.SAGITTAL, Plane.CORONAL))
    if grid.shape_kji[0] == 1:
        return tuple(plane for plane in planes if plane.normal_axis == 0)
    return planes


_NORMAL_LPS = {Plane.SAGITTAL: 0, Plane.CORONAL: 1, Plane.AXIAL: 2}
_ROWS_TOWARDS_LPS = {Plane.AXIAL: (1, 1), Plane.CORONAL: (2, -1), Plane.SAGITTAL: (2, -1)}
_COLUMNS_TOWARDS_LPS = {Plane.AXIAL: (0, 1), Plane.CORONAL: (0, 1), Plane.SAGITTAL: (1, 1)}
_STEP_TOWARDS_LPS = {Plane.AXIAL: 1, Plane.CORONAL: -1, Plane.SAGITTAL: 1}
"""Screen axes in the patient: (LPS axis, sign); rows run down the screen, columns to the right."""

_TOWARDS_LETTER = {(0, 1): "L", (1, 1): "P", (2, -1): "I"}
"""Letters of the directions that rows and columns run towards."""

_INDEX_AXES = {Plane.AXIAL: (0, 1, 2), Plane.CORONAL: (1, 0, 2), Plane.SAGITTAL: (2, 0, 1)}
"""Unknown orientation: (normal, row, column) array axes, shown as stored."""


def _plane_of(grid: Geometry, plane: Plane) -> SlicePlane:
    if not grid.orientation_known:
        return _index_plane(grid, plane)
    axis_of_lps = {lps: (axis, 1 - 2 * sign) for axis, (lps, sign) in enumerate(nearest_axes(grid.directions_lps))}
    normal, normal_sign = axis_of_lps[_NORMAL_LPS[plane]]
    row_lps, row_want = _ROWS_TOWARDS_LPS[plane]
    column_lps, column_want = _COLUMNS_TOWARDS_LPS[plane]
    (row, row_sign), (column, column_sign) = axis_of_lps[row_lps], axis_of_lps[column_lps]
    row_flipped, column_flipped = row_sign != row_want, column_sign != column_want
    down = _TOWARDS_LETTER[row_lps, row_want]
    right = _TOWARDS_LETTER[column_lps, column_want]
    spacing = grid.spacing_kji_mm
    return SlicePlane(
        plane, grid.shape_kji, normal, row, column, row_flipped, column_flipped,
        normal_sign * _STEP_TOWARDS_LPS[plane], (spacing[row], spacing[column]),
        Edges(_OPPOSITE[right], right, _OPPOSITE[down], down),
    )  # fmt: skip


def _index_plane(grid: Geometry, plane: Plane) -> SlicePlane:
    normal, row, column = _INDEX_AXES[plane]
    spacing = grid.spacing_kji_mm
    # Slices are stacked upwards on the screen, as in an axial series read feet to head.
    row_flipped = plane is not Plane.AXIAL
    letters = Edges(*(UNKNOWN_LETTER,) * 4)
    return SlicePlane(
        Plane.NATIVE if grid.shape_kji[0] == 1 else plane, grid.shape_kji, normal, row, column,
        row_flipped, False, 1, (spacing[row], spacing[column]), letters,
    )  # fmt: skip


def _stack_plane(grid: SliceStackGeometry) -> SlicePlane:
    """Return the plane of acquisition, turned as the regular grid of the first slice would be."""
    first = grid.slice_affines_ji_to_lps[0, :3]
    normal = np.cross(first[:, 0], first[:, 1])
    normal /= np.linalg.norm(normal)
    travel = float(normal @ (grid.slice_affines_ji_to_lps[-1, :3, 2] - first[:, 2]))
    affine = np.eye(4)
    affine[:3, :3] = np.stack([-normal if travel < 0 else normal, first[:, 0], first[:, 1]], axis=1)
    flat = Geometry(grid.shape_kji, affine, grid.orientation_known, grid.spacing_known)
    planes = (_plane_of(flat, plane) for plane in _NORMAL_LPS)
    return next(plane for plane in planes if plane.normal_axis == 0)
