"""Each row of the product's table of mouse and keys."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QKeyEvent, QMouseEvent, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from segdesk.core.geometry import Geometry
from segdesk.core.volume import Window
from segdesk.ui.models.mouse import LeftDrag
from segdesk.ui.models.tool_model import Tool
from segdesk.ui.views.slice_view import SliceView
from tests.ui.scenes import Scene

LEFT, RIGHT, MIDDLE = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton, Qt.MouseButton.MiddleButton
NO_BUTTON = Qt.MouseButton.NoButton
NONE, CTRL = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ControlModifier
SHIFT, ALT = Qt.KeyboardModifier.ShiftModifier, Qt.KeyboardModifier.AltModifier


@pytest.fixture
def scene() -> Scene:
    return Scene.make()


@pytest.fixture
def view(qtbot: QtBot, scene: Scene) -> SliceView:
    """The axial view, 400 x 300."""
    made = SliceView(scene.views.slices[0], scene.tools)
    made.resize(400, 300)
    qtbot.addWidget(made)
    with qtbot.waitExposed(made):
        made.show()
    return made


def place_of(view: SliceView, index_kji: tuple[float, float, float]) -> QPointF:
    """Where a voxel is on screen."""
    return QPointF(*view.viewport.to_screen(*view.model.plane.to_pixel(index_kji)))


def mouse(
    view: SliceView, kind: QEvent.Type, at: QPointF, button: Qt.MouseButton = LEFT, held: Qt.KeyboardModifier = NONE
) -> None:
    buttons = NO_BUTTON if kind is QEvent.Type.MouseButtonRelease else button
    own = NO_BUTTON if kind is QEvent.Type.MouseMove else button
    QApplication.sendEvent(view, QMouseEvent(kind, at, view.mapToGlobal(at), own, buttons, held))


def drag(
    view: SliceView, start: QPointF, stop: QPointF, button: Qt.MouseButton = LEFT, held: Qt.KeyboardModifier = NONE
) -> None:
    mouse(view, QEvent.Type.MouseButtonPress, start, button, held)
    for part in (0.5, 1.0):
        mouse(view, QEvent.Type.MouseMove, start + (stop - start) * part, button, held)
    mouse(view, QEvent.Type.MouseButtonRelease, stop, button, held)


def wheel(view: SliceView, notches: float, held: Qt.KeyboardModifier = NONE, at: QPointF | None = None) -> None:
    here = at or QPointF(200, 150)
    turn = QPoint(0, round(120 * notches))
    event = QWheelEvent(
        here, view.mapToGlobal(here), QPoint(), turn, NO_BUTTON, held, Qt.ScrollPhase.NoScrollPhase, False
    )
    QApplication.sendEvent(view, event)


def key(view: SliceView, which: Qt.Key, kind: QEvent.Type = QEvent.Type.KeyPress) -> None:
    QApplication.sendEvent(view, QKeyEvent(kind, which, NONE))


def test_the_wheel_goes_one_slice_a_notch_also_in_a_tool(scene: Scene, view: SliceView) -> None:
    wheel(view, 1)
    assert view.model.slice_index == 6
    scene.tools.choose(Tool.BRUSH)
    wheel(view, -2)
    assert view.model.slice_index == 4


def test_fine_steps_of_a_touch_pad_add_up_to_a_slice(view: SliceView) -> None:
    for _ in range(3):
        wheel(view, 0.34)
    assert view.model.slice_index == 6


def test_the_scroll_direction_is_a_setting(view: SliceView) -> None:
    view.scroll_sign = -1
    wheel(view, 1)
    assert view.model.slice_index == 4


def test_ctrl_wheel_zooms_at_the_cursor(view: SliceView) -> None:
    at = QPointF(120, 90)
    before, scale = view.index_under(at), view.viewport.scale
    wheel(view, 2, CTRL, at)
    assert view.viewport.scale == pytest.approx(scale * 1.15**2)
    assert view.index_under(at) == pytest.approx(before)
    assert view.model.slice_index == 5


def test_shift_wheel_sizes_the_brush_in_a_tool(scene: Scene, view: SliceView) -> None:
    scene.tools.choose(Tool.ERASER)
    wheel(view, 1, SHIFT)
    assert scene.editor.brush_radius_mm.value == pytest.approx(5.75)


def test_shift_wheel_changes_the_time_point_without_a_tool(qtbot: QtBot) -> None:
    scene = Scene.make(time_points=3)
    view = SliceView(scene.views.slices[0], scene.tools)
    qtbot.addWidget(view)
    wheel(view, 1, SHIFT)
    assert scene.views.time_point.value == 1
    assert view.model.slice_index == 5


def test_left_drag_sets_window_and_level_without_a_tool(scene: Scene, view: SliceView) -> None:
    scene.views.window.value = Window(100, 50)
    drag(view, QPointF(100, 100), QPointF(280, 100))
    assert scene.views.window.value.width == pytest.approx(100)
    scene.views.window.value = Window(100, 50)
    drag(view, QPointF(100, 100), QPointF(100, 60))
    assert scene.views.window.value.centre == pytest.approx(95), "up brightens"


def test_left_drag_moves_the_crosshair_in_the_other_profiles(scene: Scene, view: SliceView) -> None:
    view.left_drag = LeftDrag.CROSSHAIR
    drag(view, place_of(view, (5, 3, 3)), place_of(view, (5, 14, 20)))
    assert scene.views.cursor_kji.value == (5, 14, 20)


@pytest.mark.parametrize("tool", [Tool.NONE, Tool.BRUSH])
def test_right_drag_zooms_and_middle_drag_pans_always(scene: Scene, view: SliceView, tool: Tool) -> None:
    scene.tools.tool.value = tool
    scale = view.viewport.scale
    drag(view, QPointF(200, 150), QPointF(200, 100), RIGHT)
    assert view.viewport.scale > scale
    place = place_of(view, (5, 5, 5))
    drag(view, QPointF(200, 150), QPointF(230, 140), MIDDLE)
    assert place_of(view, (5, 5, 5)) == place + QPointF(30, -10)
    assert not scene.editor.can_undo.value


def test_holding_space_pans_in_a_tool_and_a_tap_toggles_the_last_tool(scene: Scene, view: SliceView) -> None:
    scene.tools.choose(Tool.BRUSH)
    place = place_of(view, (5, 5, 5))
    key(view, Qt.Key.Key_Space)
    drag(view, QPointF(200, 150), QPointF(210, 170))
    key(view, Qt.Key.Key_Space, QEvent.Type.KeyRelease)
    assert place_of(view, (5, 5, 5)) == place + QPointF(10, 20)
    assert scene.tools.tool.value is Tool.BRUSH
    for expected in (Tool.NONE, Tool.BRUSH):
        key(view, Qt.Key.Key_Space)
        key(view, Qt.Key.Key_Space, QEvent.Type.KeyRelease)
        assert scene.tools.tool.value is expected


def test_shift_move_links_all_views_here(scene: Scene, view: SliceView) -> None:
    mouse(view, QEvent.Type.MouseMove, place_of(view, (5, 12, 7)), NO_BUTTON, SHIFT)
    assert scene.views.cursor_kji.value == (5, 12, 7)
    assert [each.slice_index for each in scene.views.slices] == [5, 7, 12]


def test_moving_alone_only_tells_what_is_there(scene: Scene, view: SliceView) -> None:
    mouse(view, QEvent.Type.MouseMove, place_of(view, (5, 12, 7)), NO_BUTTON)
    assert scene.views.probe_kji.value == (5, 12, 7)
    assert scene.views.cursor_kji.value == (5, 10, 15)
    mouse(view, QEvent.Type.MouseMove, QPointF(1, 1), NO_BUTTON)
    assert scene.views.probe_kji.value is None


def test_a_click_with_the_crosshair_tool_links_all_views(scene: Scene, view: SliceView) -> None:
    scene.tools.choose(Tool.CROSSHAIR)
    drag(view, place_of(view, (5, 2, 2)), place_of(view, (5, 2, 2)))
    assert scene.views.cursor_kji.value == (5, 2, 2)


def test_double_click_maximises_and_with_ctrl_resets_the_window(qtbot: QtBot, scene: Scene, view: SliceView) -> None:
    with qtbot.waitSignal(view.maximise_asked):
        mouse(view, QEvent.Type.MouseButtonDblClick, QPointF(50, 50))
    first = scene.views.window.value
    scene.views.window.value = Window(0, 1)
    mouse(view, QEvent.Type.MouseButtonDblClick, QPointF(50, 50), LEFT, CTRL)
    assert scene.views.window.value == first


def test_fitting_takes_zoom_and_pan_back(view: SliceView) -> None:
    fitted = view.viewport
    wheel(view, 3, CTRL)
    view.fit()
    assert view.viewport == fitted


@pytest.mark.parametrize(
    ("which", "slice_index"),
    [("Key_Up", 6), ("Key_Down", 4), ("Key_PageUp", 9), ("Key_PageDown", 0), ("Key_Home", 0), ("Key_End", 9)],
)
def test_keys_go_through_the_slices(view: SliceView, which: str, slice_index: int) -> None:
    key(view, getattr(Qt.Key, which))
    assert view.model.slice_index == slice_index


def test_numbers_take_window_presets_without_a_tool(scene: Scene, view: SliceView) -> None:
    scene.views.window.value = Window(0, 1)
    key(view, Qt.Key.Key_9)
    assert scene.views.window.value == Window(0, 1), "there is no ninth preset"
    key(view, Qt.Key.Key_1)
    assert scene.views.window.value == scene.views.presets[0]
    scene.views.window.value = Window(0, 1)
    scene.tools.choose(Tool.BRUSH)
    key(view, Qt.Key.Key_1)
    assert scene.views.window.value == Window(0, 1)


def test_the_brush_draws_and_one_drag_is_one_undo_step(scene: Scene, view: SliceView) -> None:
    scene.tools.choose(Tool.BRUSH)
    scene.editor.brush_radius_mm.value = 2.0
    drag(view, place_of(view, (5, 10, 5)), place_of(view, (5, 10, 25)))
    array = scene.views.labels.array
    assert array[5, 10, 5:26].all()
    assert not array[[4, 6]].any(), "a disc stays in its slice"
    scene.editor.undo()
    assert not array.any()
    assert not scene.editor.can_undo.value


@pytest.mark.parametrize(("plane", "axis"), [(0, 0), (1, 2), (2, 1)])
def test_each_plane_paints_in_its_own_slice(qtbot: QtBot, scene: Scene, plane: int, axis: int) -> None:
    view = SliceView(scene.views.slices[plane], scene.tools)
    view.resize(400, 300)
    qtbot.addWidget(view)
    scene.tools.choose(Tool.BRUSH)
    scene.editor.brush_radius_mm.value = 4.0
    at = place_of(view, (5, 10, 15))
    drag(view, at, at)
    hit = scene.views.labels.array.nonzero()
    assert set(hit[axis].tolist()) == {(5, 10, 15)[axis]}
    assert len(hit[0]) > 1


def test_ctrl_turns_the_brush_into_an_eraser(scene: Scene, view: SliceView) -> None:
    scene.tools.choose(Tool.BRUSH)
    at = place_of(view, (5, 10, 15))
    drag(view, at, at)
    drag(view, at, at, held=CTRL)
    assert not scene.views.labels.array.any()


def test_escape_gives_a_stroke_up_then_turns_the_tool_off(scene: Scene, view: SliceView) -> None:
    scene.tools.choose(Tool.BRUSH)
    mouse(view, QEvent.Type.MouseButtonPress, place_of(view, (5, 10, 15)))
    assert scene.views.labels.array.any()
    key(view, Qt.Key.Key_Escape)
    assert not scene.views.labels.array.any()
    mouse(view, QEvent.Type.MouseMove, place_of(view, (5, 10, 20)))
    mouse(view, QEvent.Type.MouseButtonRelease, place_of(view, (5, 10, 20)))
    assert not scene.editor.can_undo.value
    key(view, Qt.Key.Key_Escape)
    assert scene.tools.tool.value is Tool.NONE


def test_alt_click_picks_the_label_under_the_cursor(scene: Scene, view: SliceView) -> None:
    scene.views.labels.array[5, 10, 15] = 2
    mouse(view, QEvent.Type.MouseButtonPress, place_of(view, (5, 10, 15)), LEFT, ALT)
    assert scene.editor.active_value.value == 2


def test_a_locked_label_is_refused_where_it_happens(scene: Scene, view: SliceView) -> None:
    scene.editor.locked.value = frozenset({1})
    scene.tools.choose(Tool.BRUSH)
    at = place_of(view, (5, 10, 15))
    drag(view, at, at)
    assert "locked" in scene.tools.notice.value
    assert not scene.views.labels.array.any()
    view.grab()


def test_a_region_is_drawn_moved_and_resized(scene: Scene, view: SliceView) -> None:
    scene.tools.choose(Tool.ROI)
    drag(view, place_of(view, (5, 4.6, 5.6)), place_of(view, (5, 9.4, 20.4)))
    roi = scene.tools.roi.value
    assert roi is not None
    assert (roi.start_kji, roi.stop_kji) == ((0, 5, 6), (10, 10, 21))
    drag(view, place_of(view, (5, 7, 12)), place_of(view, (5, 9, 15)))
    assert scene.tools.roi.value is not None
    assert scene.tools.roi.value.start_kji == (0, 7, 9)
    drag(view, place_of(view, (5, 9, 23.5)), place_of(view, (5, 9, 27.5)))
    assert scene.tools.roi.value.stop_kji == (10, 12, 28)


def test_only_the_touched_rectangle_is_composed_anew_and_untouched_slices_are_not(
    qtbot: QtBot, scene: Scene, view: SliceView
) -> None:
    view.grab()
    frames = view.canvas.composed_frames
    scene.editor.begin_stroke()
    scene.editor.paint((2.0, 5.0, 5.0), (2.0, 5.0, 5.0), 0)
    view.grab()
    assert (view.canvas.composed_frames, view.canvas.composed_rects) == (frames, 0), "another slice was painted"
    scene.editor.paint((5.0, 5.0, 5.0), (5.0, 5.0, 5.0), 0)
    scene.editor.commit_stroke()
    view.grab()
    assert (view.canvas.composed_frames, view.canvas.composed_rects) == (frames, 1)


def test_a_partly_repainted_picture_equals_a_whole_one(scene: Scene, view: SliceView) -> None:
    view.grab()
    scene.editor.begin_stroke()
    scene.editor.paint((5.0, 6.0, 6.0), (5.0, 12.0, 20.0), 0)
    scene.editor.commit_stroke()
    partly = view.grab().toImage()
    view.canvas.invalidate()
    assert view.grab().toImage() == partly


def test_a_painted_voxel_lies_on_screen_where_the_mapping_says(scene: Scene, view: SliceView) -> None:
    view.shows_crosshair = view.shows_letters = False
    scene.views.window.value = Window(1e6, 1)
    scene.views.labels.array[5, 3, 22] = 1
    scene.views.refresh_colours()
    picture = view.grab().toImage()
    at = place_of(view, (5, 3, 22)).toPoint()
    red, green, blue, _ = picture.pixelColor(at).getRgb()
    assert red > green > blue > -1
    assert red > 40, "the label's orange over black"
    assert picture.pixelColor(at + QPoint(0, 60)).getRgb()[0] < 10


def test_the_view_holds_the_place_in_its_middle_when_it_is_resized(view: SliceView) -> None:
    wheel(view, 3, CTRL)
    middle = view.index_under(QPointF(200, 150))
    view.resize(500, 400)
    QTest.qWait(0)
    assert view.index_under(QPointF(250, 200)) == pytest.approx(middle)


def test_a_view_of_an_unknown_orientation_paints(qtbot: QtBot) -> None:
    scene = Scene.make(
        Geometry((1, 20, 30), Geometry.from_spacing((1, 20, 30)).affine_kji_to_lps, orientation_known=False)
    )
    view = SliceView(scene.views.slices[0], scene.tools)
    qtbot.addWidget(view)
    assert not view.grab().isNull()
    assert len(scene.views.slices) == 1


def test_a_view_that_let_go_listens_no_more(scene: Scene, view: SliceView) -> None:
    view.let_go()
    scene.views.cursor_kji.value = (1, 1, 1)
    view.grab()
    assert view.canvas.composed_frames == 1


def test_the_brush_shows_that_ctrl_inverts_it_only_while_ctrl_is_held(scene: Scene, view: SliceView) -> None:
    scene.tools.choose(Tool.BRUSH)
    mouse(view, QEvent.Type.MouseMove, QPointF(200, 150), NO_BUTTON)
    painting = view.grab().toImage()
    key(view, Qt.Key.Key_Control)
    assert view.grab().toImage() != painting
    key(view, Qt.Key.Key_Control, QEvent.Type.KeyRelease)
    assert view.grab().toImage() == painting
