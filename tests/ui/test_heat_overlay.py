"""Heat over slices: colours against matplotlib, and what is not to be mistaken for a mask."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest

from segdesk.core.explanation import ExplainMethod
from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap
from segdesk.core.prediction import Uncertainty
from segdesk.core.volume import Volume, Window
from segdesk.session import HeatMap
from segdesk.ui.models.heat_overlay import HeatOverlay, HeatStyle, colour_rows, scale_top
from segdesk.ui.models.view_set import ViewSet

SHAPE = (3, 4, 5)


def heat_map(array: np.ndarray, *, is_signed: bool = False) -> HeatMap:
    kind = ExplainMethod.GUIDED_BACKPROP if is_signed else Uncertainty.ENTROPY
    return HeatMap.of(kind, "Heat", "m", array.astype(np.float32), {})


def channels(packed: np.ndarray) -> np.ndarray:
    return np.stack([(packed >> shift) & 0xFF for shift in (16, 8, 0)], axis=-1).astype(int)


def views(*, labelled: bool = True) -> ViewSet:
    geometry = Geometry.from_spacing(SHAPE)
    labels = LabelMap.of(np.full(SHAPE, int(labelled), np.uint8), geometry)
    made = ViewSet(Volume(np.full(SHAPE, 50, np.float32), geometry), labels)
    made.window.value = Window(50, 100)
    return made


@pytest.mark.parametrize(("is_signed", "name", "close"), [(False, "magma", 3), (True, "coolwarm", 9)])
def test_the_colours_are_those_of_matplotlib(is_signed: bool, name: str, close: int) -> None:
    theirs = np.array([mpl.colormaps[name](x)[:3] for x in np.linspace(0, 1, 256)]) * 255
    assert np.abs(colour_rows(is_signed=is_signed).astype(float) - theirs).max() <= close


def test_heat_of_one_is_rendered_as_lightest_and_the_threshold_cuts() -> None:
    overlay = HeatOverlay(heat_map(np.ones(SHAPE)), HeatStyle(opacity=1.0, threshold=0.5))
    packed = np.full((1, 3), 0xFF204060, np.uint32)
    overlay.blend(packed, np.array([[0.49, 0.5, 1.0]], np.float32))
    assert packed[0, 0] == 0xFF204060
    np.testing.assert_array_equal(channels(packed)[0, 2], [252, 253, 191])
    assert channels(packed)[0, 1, 0] > 150


def test_opacity_mixes_with_what_is_below() -> None:
    overlay = HeatOverlay(heat_map(np.ones(SHAPE)), HeatStyle(opacity=0.5))
    packed = np.full((1, 1), 0xFF000000, np.uint32)
    overlay.blend(packed, np.ones((1, 1), np.float32))
    np.testing.assert_allclose(channels(packed)[0, 0], [126, 126, 95], atol=1)


def test_signs_have_opposite_colours_and_nothing_lies_in_the_middle() -> None:
    overlay = HeatOverlay(heat_map(np.ones(SHAPE), is_signed=True), HeatStyle(opacity=1.0))
    packed = np.full((1, 3), 0xFF010203, np.uint32)
    overlay.blend(packed, np.array([[-1.0, 0.0, 1.0]], np.float32))
    below, middle, above = channels(packed)[0]
    assert below[2] > below[0]
    assert above[0] > above[2]
    np.testing.assert_array_equal(middle, [1, 2, 3])
    assert overlay.numbers == (-1.0, -0.1, 0.1, 1.0)


def test_zero_is_never_coloured_even_without_a_threshold() -> None:
    overlay = HeatOverlay(heat_map(np.ones(SHAPE)), HeatStyle(threshold=0.0))
    packed = np.full((1, 1), 0xFF010203, np.uint32)
    overlay.blend(packed, np.zeros((1, 1), np.float32))
    assert packed[0, 0] == 0xFF010203


@pytest.mark.parametrize(
    ("largest", "top"), [(1.0, 1.0), (0.6, 1.0), (0.5, 0.5), (0.3, 0.5), (0.011, 0.02), (0.07, 0.1), (0.0, 1.0)]
)
def test_faint_maps_have_a_scale_of_their_own(largest: float, top: float) -> None:
    assert scale_top(largest) == pytest.approx(top)


def test_the_bar_runs_from_the_highest_number_down_and_is_empty_below_the_threshold() -> None:
    bar = HeatOverlay(heat_map(np.ones(SHAPE)), HeatStyle(threshold=0.5)).bar(11)
    assert (bar[:6] >> 24 == 0xFF).all()
    assert (bar[6:] >> 24 == 0).all()
    np.testing.assert_array_equal(channels(bar)[0, 0], [252, 253, 191])


def test_under_heat_labels_are_outlines_only_and_come_back_filled() -> None:
    shown = views()
    plane = shown.slices[0]
    filled = plane.compose()
    heat = np.zeros(SHAPE)
    heat[1, 0, 0] = 1.0
    shown.heat.value = HeatOverlay(heat_map(heat), HeatStyle())
    grey = channels(plane.compose()).reshape(-1, 3)
    coloured = np.ptp(grey, axis=1) > 0
    assert np.count_nonzero(coloured) == 1
    assert plane.outlines()
    shown.heat.value = shown.heat.value.restyled(HeatStyle(visible=False))
    np.testing.assert_array_equal(plane.compose(), filled)


def test_heat_lies_where_it_belongs_in_every_plane_and_in_every_part() -> None:
    shown = views(labelled=False)
    heat = np.zeros(SHAPE)
    heat[2, 1, 3] = 1.0
    shown.heat.value = HeatOverlay(heat_map(heat), HeatStyle())
    shown.cursor_kji.value = (2, 1, 3)
    for plane in shown.slices:
        row, column = (round(x) for x in plane.plane.to_pixel((2, 1, 3)))
        hot = np.argwhere(np.ptp(channels(plane.compose()), axis=-1) > 0)
        np.testing.assert_array_equal(hot, [[row, column]])
        part = plane.compose((row, column, row + 1, column + 1))
        assert np.ptp(channels(part)) > 0


def test_an_averaged_slice_carries_heat_too() -> None:
    geometry = Geometry.from_spacing((1, 40, 40))
    shown = ViewSet(Volume(np.zeros((1, 40, 40), np.float32), geometry), LabelMap.empty(geometry))
    shown.heat.value = HeatOverlay(heat_map(np.ones((1, 40, 40))), HeatStyle())
    assert np.ptp(channels(shown.slices[0].compose(reduction=4)), axis=-1).min() > 0


def test_unticked_labels_of_a_proposal_are_not_shown() -> None:
    shown = views(labelled=False)
    array = np.ones(SHAPE, np.uint8)
    array[:, :2] = 2
    shown.propose(LabelMap.of(array, shown.volume.geometry), frozenset({2}))
    assert set(shown.slices[0].outlines()) == {1}
    colours = channels(shown.slices[0].compose())
    assert np.count_nonzero(np.ptp(colours, axis=-1)) == np.count_nonzero(array[0] == 1)
    shown.propose(None)
    assert shown.shown_style is shown.style.value


@pytest.mark.parametrize(
    ("largest", "is_signed", "legend"),
    [
        (1.0, False, [(0.0, "0 sure"), (1.0, "1 unsure"), (0.25, "0.25")]),
        (0.003, False, [(0.0, "0 sure"), (0.005, "0.005 unsure"), (0.00125, "0.00125")]),
        (1.0, True, [(-1.0, "−1 darker"), (1.0, "1 brighter"), (0.0, "±0.25")]),
    ],
)
def test_the_legend_says_what_the_ends_mean(largest: float, is_signed: bool, legend: list[tuple[float, str]]) -> None:
    overlay = HeatOverlay(heat_map(np.full(SHAPE, largest), is_signed=is_signed), HeatStyle(threshold=0.25))
    assert [text for _, text in overlay.legend] == [text for _, text in legend]
    np.testing.assert_allclose([number for number, _ in overlay.legend], [number for number, _ in legend])


def test_what_is_under_the_mouse_is_told_while_the_map_is_shown() -> None:
    shown = views()
    array = np.zeros(SHAPE)
    array[1, 2, 3] = -0.125
    shown.heat.value = HeatOverlay(heat_map(array, is_signed=True), HeatStyle())
    assert shown.heat_text((1, 2, 3)) == "Heat −0.125"
    shown.heat.value = HeatOverlay(heat_map(array, is_signed=True), HeatStyle(visible=False))
    assert shown.heat_text((1, 2, 3)) == ""
