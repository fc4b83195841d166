"""What the overview shows: a projection of the whole case, made by a worker from a snapshot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelArray
from segdesk.core.reslice import Plane, SlicePlane
from segdesk.ui.models.layers import composed
from segdesk.ui.models.projection import Packed, Surface, first_labels, projected, shaded, spread
from segdesk.ui.models.view_set import ViewSet

MAX_VOXELS = 16_000_000
"""A larger case is looked at in every n-th voxel: copying 16 MB takes 3 ms, less than a frame."""

SIDES: dict[Plane, str] = {Plane.CORONAL: "Front", Plane.SAGITTAL: "Left", Plane.AXIAL: "Feet"}
"""Sides to look from, with their names."""


@dataclass(frozen=True, slots=True, eq=False)
class OverviewPicture:
    """A finished projection.

    Parameters
    ----------
    serial : int
        Of the request.
    plane : SlicePlane
        Coarse plane it was made on.
    stride : int
        Full voxels per coarse voxel along each axis.
    colours : ndarray of uint32, shape (rows, columns)
        0xFFRRGGBB.
    surface : Surface
        What lies where.
    background : ndarray
        The projected image, to be used again.
    """

    serial: int
    plane: SlicePlane
    stride: int
    colours: Packed
    surface: Surface
    background: NDArray[Any]

    def index_at(self, row: float, column: float, slice_index: int) -> tuple[float, float, float]:
        """Return the full-resolution index under a picture position; on the label hit there, else in `slice_index`."""
        rows, columns = self.surface.values.shape
        at_row, at_column = int(np.floor(row + 0.5)), int(np.floor(column + 0.5))
        hit = -1
        if 0 <= at_row < rows and 0 <= at_column < columns:
            hit = int(self.surface.slice_indices[at_row, at_column])
        index = [x * self.stride for x in self.plane.to_index(row, column, hit)]
        if hit < 0:
            index[self.plane.normal_axis] = slice_index
        return index[0], index[1], index[2]


@dataclass(frozen=True, slots=True, eq=False)
class OverviewRequest:
    """A snapshot of all that a projection needs."""

    serial: int
    plane: SlicePlane
    stride: int
    labels: LabelArray
    image: NDArray[Any]
    hidden: frozenset[int]
    palette: NDArray[np.uint8]
    voxel_mm: tuple[float, float, float]
    background: NDArray[Any] | None

    def picture(self) -> OverviewPicture:
        """Make the projection; runs in a worker."""
        behind = projected(self.image, self.plane) if self.background is None else self.background
        surface = first_labels(self.labels, self.plane, self.hidden)
        colours = shaded(surface, behind, spread(behind), self.palette, self.voxel_mm)
        return OverviewPicture(self.serial, self.plane, self.stride, colours, surface, behind)


class OverviewModel:
    """Requests projections and drops those that come too late.

    Parameters
    ----------
    views : ViewSet
        A case with three planes.
    """

    def __init__(self, views: ViewSet) -> None:
        self.views = views
        self.side = Plane.CORONAL
        self.picture: OverviewPicture | None = None
        self._serial = 0
        self._backgrounds: dict[tuple[Plane, int], NDArray[Any]] = {}
        voxels = float(np.prod(views.volume.geometry.shape_kji))
        self._stride = int(np.ceil((voxels / MAX_VOXELS) ** (1 / 3))) if voxels > MAX_VOXELS else 1

    @property
    def plane(self) -> SlicePlane:
        """The full-resolution plane looked at."""
        return next(each.plane for each in self.views.slices if each.plane.plane is self.side)

    def request(self) -> OverviewRequest:
        """Take a snapshot; a newer request makes the answers to older ones late."""
        self._serial += 1
        views, step = self.views, slice(None, None, self._stride)
        image = views.image[step, step, step]
        style = views.shown_style
        hidden = style.hidden if style.visible else frozenset(views.labels.table.values)
        layers = [layer[step, step, step] for layer in views.shown_layers]
        labels: LabelArray = composed(layers, style.hidden).copy()
        return OverviewRequest(
            self._serial, self._coarse(labels.shape), self._stride, labels,
            image[..., 1] if views.volume.is_rgb else image, hidden,
            self._palette(), self._voxel_mm(),
            self._backgrounds.get((self.side, views.time_point.value)),
        )  # fmt: skip

    def take(self, picture: OverviewPicture) -> bool:
        """Keep a finished projection; False when a newer one was asked for."""
        if picture.serial != self._serial:
            return False
        self._backgrounds[self.side, self.views.time_point.value] = picture.background
        self.picture = picture
        return True

    def look_from(self, side: Plane) -> None:
        """Look from another side; the old picture is put away."""
        self.side, self.picture = side, None

    def _coarse(self, shape: tuple[int, ...]) -> SlicePlane:
        height, width = self.plane.pixel_spacing_mm
        spacing = height * self._stride, width * self._stride
        return replace(self.plane, shape_kji=(shape[0], shape[1], shape[2]), pixel_spacing_mm=spacing)

    def _palette(self) -> NDArray[np.uint8]:
        """Return colours by value, for all 8-bit values and those of the table."""
        largest = max((255, *self.views.labels.table.values, *self._proposed_values()))
        return np.array([(0, 0, 0), *(self.views.colour_of(value) for value in range(1, largest + 1))], np.uint8)

    def _proposed_values(self) -> tuple[int, ...]:
        return () if self.views.proposal is None else self.views.proposal.table.values

    def _voxel_mm(self) -> tuple[float, float, float]:
        grid, plane = self.views.volume.geometry, self.plane
        normal_mm = grid.spacing_kji_mm[plane.normal_axis] if isinstance(grid, Geometry) else 1.0
        height, width = plane.pixel_spacing_mm
        return normal_mm * self._stride, height * self._stride, width * self._stride
