"""One plane of the open case: which slice, and the colours it is shown in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from segdesk.core.box import Box, Index3
from segdesk.core.labels import LabelArray
from segdesk.core.reslice import SlicePlane
from segdesk.core.window import to_grey8
from segdesk.ui.models.layers import composed, outlines_of_layers
from segdesk.ui.models.outline import Runs
from segdesk.ui.models.overlay import Packed

if TYPE_CHECKING:
    from segdesk.ui.models.view_set import ViewSet

PixelRect = tuple[int, int, int, int]
"""First row, first column, stop row, stop column."""

_SHRINK_FROM = 2
"""A slice shown at less than half size is averaged down first: a film of 3000 x 3000 would shimmer and cost 30 ms."""

_BAND_PIXELS = 1 << 17
"""Pixels coloured at once: the temporaries of a band stay in the processor's cache (2048 squared: 10 ms for 17)."""


class SliceModel:
    """Pulls one slice out of a view set; holds no pixels between frames but the averaged slice.

    Parameters
    ----------
    views : ViewSet
        Volume, labels, cursor, window and style.
    plane : SlicePlane
        How to cut.
    """

    def __init__(self, views: ViewSet, plane: SlicePlane) -> None:
        self.views = views
        self.plane = plane
        self._shrunk: tuple[tuple[int, int, int], NDArray[Any]] | None = None

    @property
    def slice_index(self) -> int:
        """The shown slice along the plane's normal axis: where the cursor is."""
        return self.views.cursor_kji.value[self.plane.normal_axis]

    @slice_index.setter
    def slice_index(self, index: int) -> None:
        cursor = list(self.views.cursor_kji.value)
        cursor[self.plane.normal_axis] = min(max(index, 0), self.plane.slice_count - 1)
        self.views.cursor_kji.value = (cursor[0], cursor[1], cursor[2])

    def step(self, slices: int) -> None:
        """Go on by slices, towards superior, anterior or left when positive."""
        self.slice_index = self.slice_index + slices * self.plane.normal_step

    def to_first(self) -> None:
        """Go to the slice where stepping forward begins."""
        self.slice_index = 0 if self.plane.normal_step > 0 else self.plane.slice_count - 1

    def to_last(self) -> None:
        """Go to the slice where stepping forward ends."""
        self.slice_index = self.plane.slice_count - 1 if self.plane.normal_step > 0 else 0

    def index_at(self, row: float, column: float) -> tuple[float, float, float]:
        """Return the continuous (k, j, i) at a slice position."""
        return self.plane.to_index(row, column, self.slice_index)

    def voxel_at(self, row: float, column: float) -> Index3 | None:
        """Return the voxel at a slice position, None outside the image."""
        k, j, i = (int(np.floor(x + 0.5)) for x in self.index_at(row, column))
        return (k, j, i) if Box.whole(self.plane.shape_kji).contains((k, j, i)) else None

    def reduction(self, screen_px_per_pixel: float) -> int:
        """Return how many pixels along each axis are averaged into one at a magnification."""
        ratio = 1.0 / max(screen_px_per_pixel, 1e-6)
        return int(ratio) if ratio >= _SHRINK_FROM else 1

    def compose(self, rect: PixelRect | None = None, reduction: int = 1) -> Packed:
        """Return the colours of the slice, or of a rectangle of it.

        Parameters
        ----------
        rect : PixelRect, optional
            Part of the slice; only with `reduction` 1.
        reduction : int
            Average this many pixels along each axis.

        Returns
        -------
        ndarray of uint32, C-contiguous
            0xFFRRGGBB.
        """
        views = self.views
        overlay = views.shown_heat
        # Under heat no label is filled: a colour means a number there, and nothing else.
        heat = None if overlay is None else self.plane.cut(overlay.heat_map.heat, self.slice_index)
        labels = composed(self._cuts(views.shown_layers), views.shown_style.hidden)
        image = self._image(reduction)
        if rect is not None:
            part = slice(rect[0], rect[2]), slice(rect[1], rect[3])
            labels, image = labels[part], image[part]
            heat = None if heat is None else heat[part]
        elif reduction > 1:
            rows, columns = image.shape[:2]
            half = reduction // 2
            labels = labels[half::reduction, half::reduction][:rows, :columns]
            heat = None if heat is None else heat[half::reduction, half::reduction][:rows, :columns]
        packed = np.empty(labels.shape, np.uint32)
        rows = max(1, _BAND_PIXELS // max(1, labels.shape[1]))
        for first in range(0, labels.shape[0], rows):
            band = slice(first, first + rows)
            if overlay is None or heat is None:
                packed[band] = self._colours(image[band], labels[band])
            else:
                packed[band] = self._colours(image[band], np.zeros_like(labels[band]))
                overlay.blend(packed[band], heat[band])
        return packed

    def outlines(self) -> dict[int, Runs]:
        """Return the outlines of the labels shown in this slice; empty when they are off."""
        style = self.views.shown_style
        if not (style.visible and style.outline):
            return {}
        return outlines_of_layers(self._cuts(self.views.shown_layers), style.hidden)

    def working_outlines(self) -> dict[int, Runs]:
        """Return the outlines of the working mask under a proposal; empty without one."""
        if self.views.proposal is None or not self.views.style.value.visible:
            return {}
        return outlines_of_layers(self._cuts(self.views.labels.layers), self.views.style.value.hidden)

    def rect_of(self, box: Box) -> PixelRect | None:
        """Return where a box of voxels lies in the shown slice, None when it misses it."""
        axis = self.plane.normal_axis
        if box.is_empty or not box.start_kji[axis] <= self.slice_index < box.stop_kji[axis]:
            return None
        last = (box.stop_kji[0] - 1, box.stop_kji[1] - 1, box.stop_kji[2] - 1)
        (row0, column0), (row1, column1) = self.plane.to_pixel(box.start_kji), self.plane.to_pixel(last)
        return (
            int(min(row0, row1)), int(min(column0, column1)), int(max(row0, row1)) + 1, int(max(column0, column1)) + 1,
        )  # fmt: skip

    def _colours(self, image: NDArray[Any], labels: NDArray[Any]) -> Packed:
        views = self.views
        if views.volume.is_rgb:
            return views.colours.on_rgb(image.astype(np.uint8, copy=False), labels)
        grey = to_grey8(image, views.window.value, inverted=views.volume.display_inverted)
        return views.colours.on_grey(grey, labels)

    def _cuts(self, layers: Sequence[LabelArray]) -> list[NDArray[Any]]:
        return [self.plane.cut(layer, self.slice_index) for layer in layers]

    def _image(self, reduction: int) -> NDArray[Any]:
        image = self.plane.cut(self.views.image, self.slice_index)
        if reduction <= 1:
            return image
        key = (self.views.time_point.value, self.slice_index, reduction)
        if self._shrunk is None or self._shrunk[0] != key:
            self._shrunk = (key, _averaged(image, reduction))
        return self._shrunk[1]


def _averaged(image: NDArray[Any], factor: int) -> NDArray[Any]:
    """Return means over squares of `factor` pixels; what does not fill a square at the far edge is left out."""
    rows, columns = image.shape[0] // factor, image.shape[1] // factor
    if rows == 0 or columns == 0:
        return image[::factor, ::factor]
    total = np.zeros((rows, columns, *image.shape[2:]), np.float32)
    for row in range(factor):
        for column in range(factor):
            total += image[row : rows * factor : factor, column : columns * factor : factor]
    total /= np.float32(factor * factor)
    return total
