"""Views, tools, outlines and projections without Qt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segdesk.core.box import Box
from segdesk.core.geometry import Geometry, SliceStackGeometry
from segdesk.core.labels import Label, LabelMap, LabelTable
from segdesk.core.reslice import Plane, planes_of
from segdesk.core.volume import IntensityUnit, Volume, Window
from segdesk.ui.models.case_walk import neighbour
from segdesk.ui.models.label_counts import LabelCounts, counted, volume_text
from segdesk.ui.models.layout_model import LayoutModel
from segdesk.ui.models.model_choice import ModelChoice
from segdesk.ui.models.outline import outlines
from segdesk.ui.models.overlay import ColourTable, OverlayStyle
from segdesk.ui.models.overview_model import OverviewModel
from segdesk.ui.models.projection import first_labels, projected, spread
from segdesk.ui.models.tool_model import Tool
from segdesk.ui.models.view_set import ViewSet
from segdesk.ui.models.viewport import Viewport, scale_bar
from tests.builders import ball, oblique_geometry
from tests.ui.scenes import Scene
from tests.zoo.folders import folder


def channels(packed: int) -> tuple[int, int, int]:
    return packed >> 16 & 255, packed >> 8 & 255, packed & 255


def test_a_fitted_slice_lies_in_the_middle_with_true_proportions() -> None:
    port = Viewport.fitted((20, 30), (2.0, 1.0), (400, 300))
    left, top = port.to_screen(-0.5, -0.5)
    right, bottom = port.to_screen(19.5, 29.5)
    assert (left + right) / 2 == pytest.approx(200)
    assert (top + bottom) / 2 == pytest.approx(150)
    assert (right - left) / (bottom - top) == pytest.approx(30 / 40)


@given(row=st.floats(-50, 50), column=st.floats(-50, 50), factor=st.floats(0.2, 5), x=st.floats(0, 400))
def test_zooming_keeps_the_place_under_the_cursor(row: float, column: float, factor: float, x: float) -> None:
    port = Viewport((2.0, 0.5), 3.0, (10.0, 20.0))
    assert port.to_pixel(*port.to_screen(row, column)) == pytest.approx((row, column), abs=1e-9)
    assert port.zoomed(factor, (x, 70.0)).to_pixel(x, 70.0) == pytest.approx(port.to_pixel(x, 70.0), abs=1e-9)


@pytest.mark.parametrize(("scale", "length"), [(1.0, 100), (0.37, 200), (3.0, 20), (100.0, 1), (5000.0, 0.02)])
def test_the_scale_bar_is_a_round_length_that_fits(scale: float, length: float) -> None:
    length_mm, width_px = scale_bar(scale, 120)
    assert length_mm == pytest.approx(length)
    assert width_px <= 120


def test_labels_are_blended_over_grey_as_the_formula_says() -> None:
    table = LabelTable([Label(1, "a", (200, 100, 0))])
    colours = ColourTable(table, OverlayStyle(opacity=0.5))
    grey = np.array([[100, 100, 100]], np.uint8)
    packed = colours.on_grey(grey, np.array([[0, 1, 7]], np.uint8))
    assert channels(int(packed[0, 0])) == (100, 100, 100)
    assert channels(int(packed[0, 1])) == (150, 100, 50)
    assert channels(int(packed[0, 2])) != (100, 100, 100), "a value without a row is still seen"


def test_hidden_labels_and_a_hidden_overlay_leave_the_image() -> None:
    grey, labels = np.full((1, 2), 90, np.uint8), np.array([[1, 2]], np.uint8)
    some = ColourTable(LabelTable.for_values((1, 2)), OverlayStyle(hidden=frozenset({1}))).on_grey(grey, labels)
    assert channels(int(some[0, 0])) == (90, 90, 90)
    assert channels(int(some[0, 1])) != (90, 90, 90)
    none = ColourTable(LabelTable.for_values((1, 2)), OverlayStyle(visible=False)).on_grey(grey, labels)
    assert {channels(int(each)) for each in none[0]} == {(90, 90, 90)}


def test_label_values_above_255_are_coloured_by_their_own_row() -> None:
    table = LabelTable([Label(3, "a", (255, 0, 0)), Label(1000, "b", (0, 0, 255))])
    colours = ColourTable(table, OverlayStyle(opacity=1.0))
    packed = colours.on_grey(np.zeros((1, 3), np.uint8), np.array([[0, 3, 1000]], np.uint16))
    assert [channels(int(each)) for each in packed[0]] == [(0, 0, 0), (255, 0, 0), (0, 0, 255)]


def test_colour_images_keep_their_colours_under_labels() -> None:
    colours = ColourTable(LabelTable([Label(1, "a", (200, 0, 0))]), OverlayStyle(opacity=0.5))
    rgb = np.array([[[10, 20, 30], [10, 20, 30]]], np.uint8)
    packed = colours.on_rgb(rgb, np.array([[0, 1]], np.uint8))
    assert [channels(int(each)) for each in packed[0]] == [(10, 20, 30), (105, 10, 15)]


def test_the_outline_of_a_rectangle_is_four_lines_on_voxel_edges() -> None:
    labels = np.zeros((8, 9), np.uint8)
    labels[2:5, 3:7] = 4
    runs = outlines(labels)
    assert set(runs) == {4}
    assert sorted(map(tuple, runs[4].tolist())) == sorted(
        [(2.5, 1.5, 6.5, 1.5), (2.5, 4.5, 6.5, 4.5), (2.5, 1.5, 2.5, 4.5), (6.5, 1.5, 6.5, 4.5)]
    )


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.integers(1, 9))
def test_outlines_are_exactly_the_edges_between_different_labels(seed: int, rows: int, columns: int) -> None:
    labels = np.random.default_rng(seed).integers(0, 3, (rows, columns)).astype(np.uint8)
    framed = np.pad(labels, 1)
    for value, runs in outlines(labels).items():
        inside = framed == value
        edges = int((inside[1:] != inside[:-1]).sum() + (inside[:, 1:] != inside[:, :-1]).sum())
        lengths = np.abs(runs[:, 2] - runs[:, 0]) + np.abs(runs[:, 3] - runs[:, 1])
        assert lengths.sum() == edges


def test_an_empty_or_hidden_slice_has_no_outline() -> None:
    assert outlines(np.zeros((3, 4), np.uint8)) == {}
    assert outlines(np.ones((3, 4), np.uint8), hidden={1}) == {}


def test_a_rectangle_composed_alone_equals_its_part_of_the_whole_in_every_plane() -> None:
    scene = Scene.make()
    scene.views.labels.array[3:7, 4:9, 10:20] = 2
    for model in scene.views.slices:
        whole = model.compose()
        assert np.array_equal(model.compose((2, 3, 8, 9)), whole[2:8, 3:9])


def test_a_box_is_found_in_the_slices_it_touches() -> None:
    scene = Scene.make()
    axial, sagittal, coronal = scene.views.slices
    box = Box((5, 2, 14), (6, 4, 17))
    assert axial.rect_of(box) == (2, 14, 4, 17)
    assert sagittal.rect_of(box) == (4, 2, 5, 4), "superior is up: k 5 of 10 is row 4"
    assert coronal.rect_of(box) is None
    assert axial.rect_of(Box((5, 2, 14), (5, 4, 17))) is None


def test_large_films_are_averaged_before_they_are_coloured() -> None:
    grid = Geometry.from_spacing((1, 64, 96))
    values = np.random.default_rng(1).normal(0, 1, grid.shape_kji).astype(np.float32)
    views = ViewSet(Volume(values, grid), LabelMap.empty(grid))
    (model,) = views.slices
    assert model.reduction(0.26) == 3
    assert model.reduction(0.6) == 1
    views.window.value = Window(0.0, 1e-3)
    small = model.compose(reduction=4)
    means = model.plane.cut(values.reshape(1, 16, 4, 24, 4).mean(axis=(2, 4)).repeat(4, 1).repeat(4, 2), 0)[::4, ::4]
    assert small.shape == (16, 24)
    assert np.array_equal(small & 255 > 127, means > 0)


def test_the_cursor_stays_inside_and_moves_all_planes() -> None:
    scene = Scene.make()
    scene.views.go_to((99.0, -5.0, 14.6))
    assert scene.views.cursor_kji.value == (9, 0, 15)
    scene.views.slices[0].slice_index = -3
    assert scene.views.cursor_kji.value == (0, 0, 15)
    coronal = scene.views.slices[2]
    coronal.to_last()
    assert scene.views.cursor_kji.value[1] == 0, "forward is anterior, j runs to posterior"
    coronal.to_first()
    assert scene.views.cursor_kji.value[1] == 19


def test_what_is_under_the_mouse_in_words() -> None:
    scene = Scene.make()
    scene.views.labels.array[1, 2, 3] = 2
    assert scene.views.label_text((1, 2, 3)) == "Label 2"
    assert scene.views.label_text((0, 0, 0)) == ""
    assert scene.views.place_text((1, 2, 3)) == "L 3.0  P 4.0  S 4.0"
    assert scene.views.value_text((1, 2, 3)).endswith("a.u.")
    grid = Geometry.from_spacing((1, 2, 2))
    colour = Volume(np.full((1, 2, 2, 3), 7, np.uint8), grid, unit=IntensityUnit.RGB)
    assert ViewSet(colour, LabelMap.empty(grid)).value_text((0, 1, 1)) == "RGB 7 7 7"
    unplaced = Geometry((1, 2, 2), np.eye(4), orientation_known=False)
    assert ViewSet(Volume(np.zeros((1, 2, 2)), unplaced), LabelMap.empty(unplaced)).place_text((0, 1, 1)) == ""


def test_a_proposal_is_shown_over_the_working_mask_until_it_is_put_away() -> None:
    scene = Scene.make()
    scene.views.labels.array[5, 2:5, 2:5] = 1
    proposal = LabelMap.of((np.arange(6000).reshape(10, 20, 30) % 2).astype(np.uint8), scene.views.labels.geometry)
    scene.views.propose(proposal)
    assert scene.views.shown_layers is proposal.layers
    assert set(scene.views.slices[0].working_outlines()) == {1}
    scene.views.propose(None)
    assert scene.views.shown_layers is scene.views.labels.layers
    assert scene.views.slices[0].working_outlines() == {}


def test_a_drag_that_leaves_the_volume_is_one_undo_step() -> None:
    scene = Scene.make()
    scene.tools.choose(Tool.BRUSH)
    assert scene.tools.press((4, 10, 10), 0)
    scene.tools.drag((4, 10, 999))
    scene.tools.release()
    assert scene.editor.undo_name.value == "Brush: Label 1"
    scene.editor.undo()
    assert not scene.editor.can_undo.value


def test_choosing_another_tool_gives_a_stroke_up() -> None:
    scene = Scene.make()
    scene.tools.choose(Tool.BRUSH)
    scene.tools.press((4, 10, 10), 0)
    scene.tools.choose(Tool.ERASER)
    assert not scene.views.labels.array.any()
    assert not scene.tools.is_stroking
    assert not scene.tools.abort()


def test_without_a_case_tools_say_so() -> None:
    scene = Scene.make()
    scene.editor.attach(None)
    scene.tools.choose(Tool.BRUSH)
    assert not scene.tools.press((0, 0, 0), 0)
    assert "open an image" in scene.tools.notice.value
    scene.tools.step_label(1)
    scene.tools.pick_label((0, 0, 0))


def test_next_and_previous_label_go_round() -> None:
    scene = Scene.make()
    for expected in (2, 1, 2):
        scene.tools.step_label(1)
        assert scene.editor.active_value.value == expected
    scene.tools.step_label(-1)
    assert scene.editor.active_value.value == 1


def test_the_label_nearest_to_the_viewer_is_seen() -> None:
    grid = oblique_geometry((30, 60, 50))
    centre = np.array([15.0, 30.0, 25.0])
    for plane, towards in ((Plane.CORONAL, (0, -1, 0)), (Plane.SAGITTAL, (1, 0, 0)), (Plane.AXIAL, (0, 0, -1))):
        shown = next(each for each in planes_of(grid) if each.plane is plane)
        step = np.zeros(3)
        step[shown.normal_axis] = 1
        nearer = float((grid.index_to_lps(step) - grid.index_to_lps((0, 0, 0))) @ towards) > 0
        labels = np.zeros(grid.shape_kji, np.uint8)
        front, back = centre.copy(), centre.copy()
        front[shown.normal_axis] += 3 if nearer else -3
        back[shown.normal_axis] -= 3 if nearer else -3
        labels[tuple(front.astype(int))] = 1
        labels[tuple(back.astype(int))] = 2
        surface = first_labels(labels, shown)
        assert set(surface.values[surface.values > 0].tolist()) == {1}, plane
        behind = first_labels(labels, shown, frozenset({1}))
        assert set(behind.values[behind.values > 0].tolist()) == {2}


def test_a_click_in_the_overview_lands_on_the_label() -> None:
    made = ball(10.0, (3.0, 0.8, 0.8))
    views = ViewSet(Volume(np.zeros(made.geometry.shape_kji, np.float32), made.geometry), made)
    model = OverviewModel(views)
    picture = model.request().picture()
    assert model.take(picture)
    rows, columns = picture.surface.values.shape
    k, j, i = picture.index_at(rows // 2, columns // 2, 0)
    assert made.array[int(k), int(j), int(i)] == 1
    assert picture.index_at(-1, -1, 7)[picture.plane.normal_axis] == 7
    late = model.request()
    model.request()
    assert not model.take(late.picture())


def test_the_overview_of_an_empty_mask_and_of_nan_is_drawn() -> None:
    grid = Geometry.from_spacing((4, 5, 6))
    views = ViewSet(Volume(np.full(grid.shape_kji, np.nan, np.float32), grid), LabelMap.empty(grid))
    picture = OverviewModel(views).request().picture()
    assert picture.colours.shape == (4, 6)
    assert spread(np.array([np.nan])).width > 0


def test_ct_is_projected_by_its_maximum_and_other_images_by_their_mean() -> None:
    plane = planes_of(Geometry.from_spacing((3, 4, 5)))[0]
    values = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    assert np.array_equal(projected(values, plane), values.mean(axis=0))
    assert np.array_equal(projected(values - 10, plane), (values - 10).max(axis=0))


def test_label_volumes_follow_edits_slice_by_slice() -> None:
    labels = LabelMap.empty(Geometry.from_spacing((4, 5, 6), (2.0, 1.0, 1.0)))
    labels.array[1, 1:3, 1:3] = 2
    counts = LabelCounts(labels)
    while counts.is_stale:
        slices, slab = counts.next_slab()
        counts.put(slices, counted(slab))
    assert counts.volumes_mm3() == {2: 8.0}
    labels.array[3, 0, 0] = 1
    counts.touch(Box((3, 0, 0), (4, 1, 1)))
    slices, slab = counts.next_slab()
    assert slices == range(3, 4)
    counts.put(slices, counted(slab))
    assert counts.volumes_mm3() == {2: 8.0, 1: 2.0}


def test_a_stack_has_volumes_by_the_extent_of_each_slice() -> None:
    affines = np.zeros((2, 4, 3))
    affines[:, 0, 1] = affines[:, 1, 0] = affines[:, 3, 2] = 1.0
    stack = SliceStackGeometry((2, 3, 3), affines, np.array([4.0, 7.0]))
    labels = LabelMap.of(np.ones((2, 3, 3), np.uint8), stack)
    counts = LabelCounts(labels)
    slices, slab = counts.next_slab()
    counts.put(slices, counted(slab))
    assert counts.volumes_mm3() == {1: 9 * 4.0 + 9 * 7.0}


@pytest.mark.parametrize(
    ("volume_mm3", "text"), [(3.25, "3.25 mm³"), (640.2, "640 mm³"), (1250.0, "1.25 mL"), (1.5e7, "15 L")]
)
def test_volumes_in_words(volume_mm3: float, text: str) -> None:
    assert volume_text(volume_mm3, has_mm=True) == text
    assert volume_text(12.0, has_mm=False) == "12 vox"


def test_maximising_a_view_and_back() -> None:
    layout = LayoutModel(4)
    layout.toggle(2)
    assert [layout.shows(n) for n in range(4)] == [False, False, True, False]
    layout.toggle(2)
    assert all(layout.shows(n) for n in range(4))
    single = LayoutModel(1)
    single.toggle(0)
    assert single.maximised.value is None


def test_walking_through_the_cases() -> None:
    assert neighbour(["a", "b"], "a", 1) == "b"
    assert neighbour(["a", "b"], "b", 1) is None
    assert neighbour(["a", "b"], None, 1) == "a"
    assert neighbour(["a", "b"], None, -1) == "b"
    assert neighbour([], None, 1) is None


def test_a_model_is_described_by_its_labels_and_its_own_test(tmp_path: Path) -> None:
    metrics = {"test": {"mean": {"dice": {"mean": 0.8829, "n": 31}}}}
    tested = ModelChoice.of(folder(tmp_path / "a", metrics=metrics))
    assert tested.facts == "Draws thing · 3D · Dice 0.883 on 31 test cases"
    assert ModelChoice.of(folder(tmp_path / "b")).facts == "Draws thing · 3D"
    assert "untrained" in ModelChoice.of(folder(tmp_path / "c", untrained=True)).facts
