"""Images on a grid."""

from __future__ import annotations

import numpy as np
import pytest

from segdesk.core.box import Box
from segdesk.core.geometry import Geometry, SliceStackGeometry
from segdesk.core.volume import IntensityUnit, Volume, Window
from segdesk.errors import ShapeMismatch
from tests.builders import marker_volume, oblique_geometry

_GRID = Geometry.from_spacing((2, 3, 4))


def test_cropping_moves_no_voxel_in_the_patient() -> None:
    volume = marker_volume(oblique_geometry())
    part = volume.crop(Box((1, 1, 1), (3, 9, 9)))
    assert part.array[0, 1, 2] == volume.array[1, 2, 3]
    assert isinstance(part.geometry, Geometry)
    assert isinstance(volume.geometry, Geometry)
    assert np.allclose(part.geometry.index_to_lps((0, 1, 2)), volume.geometry.index_to_lps((1, 2, 3)))


def test_time_points_share_one_grid() -> None:
    volume = Volume(np.arange(48).reshape(2, 2, 3, 4), _GRID, time_points=2)
    assert volume.at_time(1).array[0, 0, 0] == 24
    assert volume.at_time(1).time_points == 1
    assert volume.at_time(0).at_time(0).array.shape == (2, 3, 4)
    with pytest.raises(ShapeMismatch, match="time point"):
        volume.crop(Box.whole((2, 3, 4)))


def test_a_stack_of_slices_cannot_be_cropped() -> None:
    stack = SliceStackGeometry((2, 3, 4), np.zeros((2, 4, 3)), np.ones(2))
    with pytest.raises(ShapeMismatch):
        Volume(np.zeros((2, 3, 4)), stack).crop(Box.whole((2, 3, 4)))


def test_colours_are_a_last_axis_of_three() -> None:
    volume = Volume(np.zeros((2, 3, 4, 3), np.uint8), _GRID, IntensityUnit.RGB)
    assert volume.is_rgb
    assert not volume.is_2d
    assert Volume(np.zeros((1, 3, 4)), Geometry.from_spacing((1, 3, 4))).is_2d


def test_pixels_that_do_not_fit_the_grid_are_refused() -> None:
    with pytest.raises(ShapeMismatch):
        Volume(np.zeros((2, 3, 5)), _GRID)


def test_a_window_has_a_low_and_a_high_end() -> None:
    window = Window(40, 400)
    assert (window.low, window.high) == (-160, 240)
