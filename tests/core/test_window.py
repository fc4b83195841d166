"""Grey values become what a screen shows."""

from __future__ import annotations

import numpy as np
import pytest

from segdesk.core.geometry import Geometry
from segdesk.core.volume import IntensityUnit, Volume, Window
from segdesk.core.window import CT_PRESETS, auto_window, presets_for, start_window, to_grey8


def _volume(array: np.ndarray, **kwargs: object) -> Volume:
    return Volume(array, Geometry.from_spacing(array.shape[:3]), **kwargs)


def test_the_window_maps_its_ends_to_black_and_white() -> None:
    values = np.array([-1000, -160, 40, 240, 3000], np.int16)
    assert to_grey8(values, Window(40, 400)).tolist() == [0, 0, 127, 255, 255]


def test_inverting_turns_black_into_white() -> None:
    values = np.array([0.0, 50.0, 100.0])
    assert to_grey8(values, Window(50, 100), inverted=True).tolist() == [255, 128, 0]


def test_nan_and_infinity_are_shown_at_the_ends() -> None:
    values = np.array([np.nan, -np.inf, np.inf], np.float32)
    assert to_grey8(values, Window(0, 10)).tolist() == [0, 0, 255]


def test_a_width_of_zero_is_a_threshold() -> None:
    assert to_grey8(np.array([4.0, 6.0]), Window(5, 0)).tolist() == [0, 255]


def test_values_beyond_float32_do_not_warn() -> None:
    assert to_grey8(np.array([-1e300, 1e300]), Window(0, 10)).tolist() == [0, 255]


def test_the_automatic_window_ignores_a_hot_pixel_and_padding() -> None:
    array = np.tile(np.arange(100, dtype=np.float32), (10, 10, 1))
    array[0, 0, 0] = 1e6
    array[0] = -2000
    window = auto_window(_volume(array, padding_range=(-2000.0, -2000.0)))
    assert (window.low, window.high) == pytest.approx((0.0, 99.0), abs=0.5)


def test_a_nearly_empty_image_gets_its_whole_range() -> None:
    array = np.zeros((10, 100, 100), np.float32)
    array[0, 0, 0] = 7.0
    assert auto_window(_volume(array)).high == 7.0


@pytest.mark.parametrize("array", [np.full((2, 3, 4), 5.0), np.full((2, 3, 4), np.nan), np.zeros((0, 3, 4))])
def test_a_constant_or_empty_image_gets_a_window_of_width_one(array: np.ndarray) -> None:
    assert auto_window(_volume(array)).width == 1.0


def test_colour_images_are_shown_as_they_are() -> None:
    colour = Volume(np.zeros((1, 4, 5, 3), np.uint8), Geometry.from_spacing((1, 4, 5)), unit=IntensityUnit.RGB)
    assert (auto_window(colour).low, auto_window(colour).high) == (0.0, 255.0)


def test_the_files_own_window_comes_first() -> None:
    values = np.linspace(0, 90, 20).reshape(1, 4, 5)
    volume = _volume(values, windows=(Window(30, 60), Window(0, 0), Window(1, 2, "Bone")))
    names = [window.name for window in presets_for(volume)]
    assert names == ["From the file 1", "Bone", "Auto"]
    assert start_window(volume) == Window(30, 60, "From the file 1")


def test_ct_offers_its_presets_and_starts_with_soft_tissue() -> None:
    volume = _volume(np.zeros((1, 4, 5), np.int16), unit=IntensityUnit.HU)
    assert presets_for(volume)[1:] == CT_PRESETS
    assert start_window(volume).name == "Soft tissue"


def test_anything_else_starts_with_the_automatic_window() -> None:
    assert start_window(_volume(np.ones((1, 4, 5)))).name == "Auto"


def test_a_nifti_that_reaches_the_hu_of_air_offers_the_ct_presets_but_does_not_start_with_them() -> None:
    array = np.full((2, 30, 30), 40, np.int16)
    array[0] = -1000
    assert presets_for(_volume(array))[1:] == CT_PRESETS
    assert start_window(_volume(array)).name == "Auto"
    assert len(presets_for(_volume(array, modality="MR"))) == 1
    assert len(presets_for(_volume(np.zeros((0, 3, 4), np.int16)))) == 1


def test_a_window_of_another_image_in_which_nothing_can_be_told_apart_is_not_the_start() -> None:
    values = np.linspace(20, 110, 20).reshape(1, 4, 5)
    crop = _volume(values, windows=(Window(470, 950),))
    assert start_window(crop).name == "Auto"
    assert presets_for(crop)[0].name == "From the file 1"
