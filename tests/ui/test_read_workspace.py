"""Reading: labels, drafts, votes, saving, in the window."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from segdesk.core.box import Box
from segdesk.core.labels import LabelMap
from segdesk.core.prediction import Prediction, PredictOptions
from segdesk.core.progress import Progress
from segdesk.core.volume import Volume
from segdesk.errors import ModelError
from segdesk.session import Session, SessionSettings
from segdesk.ui.actions import Act
from segdesk.ui.main_window import MainWindow
from segdesk.ui.models.model_choice import ModelChoice
from segdesk.ui.models.mouse import LeftDrag
from segdesk.ui.models.tool_model import Tool
from segdesk.ui.panels.label_table import Column
from segdesk.ui.workspaces.desk import Desk
from segdesk.ui.workspaces.read import ReadWorkspace
from segdesk.zoo.model_folder import ModelFolder
from tests.ui.conftest import settle
from tests.ui.desks import image_file


@pytest.fixture
def read(window: MainWindow) -> ReadWorkspace:
    assert window.desktop is not None
    return window.desktop.read


def desk_of(read: ReadWorkspace) -> Desk:
    assert read.desk is not None
    return read.desk


def draw(read: ReadWorkspace, at_kji: tuple[float, float, float] = (4.0, 7.0, 7.0)) -> None:
    read.session.editor.begin_stroke()
    read.session.editor.paint(at_kji, at_kji)
    read.session.editor.commit_stroke()


def click(read: ReadWorkspace, row: int, column: Column) -> None:
    view = desk_of(read).labels.view
    place = view.visualRect(view.model().index(row, column)).center()
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)


def test_a_stroke_is_saved_by_itself_and_the_status_bar_says_so(
    qtbot: QtBot, window: MainWindow, read: ReadWorkspace
) -> None:
    draw(read)
    assert window.status.saved.text() == "saving…"
    qtbot.waitUntil(lambda: window.status.saved.text().startswith("saved ✓"), timeout=10_000)


def test_undo_is_named_in_the_menu(window: MainWindow, read: ReadWorkspace) -> None:
    draw(read)
    action = window.ui.actions[Act.UNDO]
    assert action.text() == "Undo Brush: Label 1"
    action.trigger()
    assert not desk_of(read).views.labels.array.any()
    assert window.ui.actions[Act.REDO].text() == "Redo Brush: Label 1"


def test_the_label_list_shows_volumes_and_hides_and_locks(
    qtbot: QtBot, window: MainWindow, read: ReadWorkspace
) -> None:
    desk = desk_of(read)
    draw(read)
    voxels = int(desk.views.labels.array.astype(bool).sum())
    volume = voxels * desk.views.labels.geometry.voxel_volume_mm3  # type: ignore[union-attr]
    qtbot.waitUntil(lambda: desk.labels.items.rows[0].volume != "–", timeout=10_000)
    assert desk.labels.items.rows[0].volume == f"{volume:.0f} mm³"
    click(read, 0, Column.EYE)
    assert desk.views.style.value.hidden == {1}
    click(read, 0, Column.LOCK)
    assert read.session.editor.locked.value == {1}


def test_a_label_is_added_renamed_and_drawn_with(qtbot: QtBot, window: MainWindow, read: ReadWorkspace) -> None:
    panel = desk_of(read).labels
    panel.model.add()
    last = panel.items.index(len(panel.items.rows) - 1, Column.NAME)
    panel.items.setData(last, "tumour core")
    assert [row.label.name for row in panel.items.rows][-1] == "tumour core"
    assert read.session.editor.active_value.value == panel.items.rows[-1].label.value
    panel.search.setText("tumour")
    assert [row.label.name for row in panel.items.rows] == ["tumour core"]
    settle(qtbot, window)
    assert read.session.case is not None
    case_id = read.session.case.record.id
    qtbot.waitUntil(lambda: not read.session.is_dirty.value, timeout=10_000)
    read.session.open_case(case_id).run()
    assert "tumour core" in [label.name for label in read.session.case.labels.table]


def test_tools_open_their_options_and_a_key_turns_them_off(qtbot: QtBot, read: ReadWorkspace) -> None:
    view = desk_of(read).grid.slice_views[0]
    for key, tool, shown in ((Qt.Key.Key_B, Tool.BRUSH, read.brush), (Qt.Key.Key_P, Tool.ROI, read.predict)):
        qtbot.keyClick(view, key)
        assert read.tools.tool.value is tool
        assert shown.isVisible()
        qtbot.keyClick(view, key)
        assert read.tools.tool.value is Tool.NONE


@pytest.mark.parametrize(
    ("key", "check"),
    [
        (Qt.Key.Key_G, lambda desk: not desk.views.style.value.visible),
        (Qt.Key.Key_O, lambda desk: not desk.views.style.value.outline),
        (Qt.Key.Key_A, lambda desk: desk.views.style.value.opacity == pytest.approx(0.25)),
        (Qt.Key.Key_D, lambda desk: desk.views.style.value.opacity == pytest.approx(0.45)),
        (Qt.Key.Key_W, lambda desk: True),
        (Qt.Key.Key_R, lambda desk: True),
        (Qt.Key.Key_H, lambda desk: not desk.grid.slice_views[0].shows_crosshair),
    ],
)
def test_keys_of_the_display(qtbot: QtBot, read: ReadWorkspace, key: Qt.Key, check: Callable[[Desk], bool]) -> None:
    desk = desk_of(read)
    qtbot.keyClick(desk.grid.slice_views[0], key)
    assert check(desk)


def test_brackets_size_the_brush(qtbot: QtBot, read: ReadWorkspace) -> None:
    view = desk_of(read).grid.slice_views[0]
    qtbot.keyClick(view, Qt.Key.Key_BracketRight)
    assert read.session.editor.brush_radius_mm.value == pytest.approx(5.75)
    qtbot.keyClick(view, Qt.Key.Key_BracketLeft)
    assert read.session.editor.brush_radius_mm.value == pytest.approx(5.0)


def test_maximising_shows_one_view_and_back(read: ReadWorkspace) -> None:
    grid = desk_of(read).grid
    grid.slice_views[1].maximise_asked.emit()
    assert [view.isVisible() for view in grid.slice_views] == [False, True, False]
    assert grid.active_view is grid.slice_views[1]
    grid.slice_views[1].maximise_asked.emit()
    assert all(view.isVisible() for view in grid.slice_views)


def test_the_status_bar_tells_the_voxel_under_the_mouse(window: MainWindow, read: ReadWorkspace) -> None:
    view = desk_of(read).grid.slice_views[0]
    x, y = view.viewport.to_screen(*view.model.plane.to_pixel((4, 6, 7)))
    QTest.mouseMove(view, QPoint(round(x), round(y)))
    assert window.status.voxel.text() == "(k, j, i)  4, 6, 7"
    assert window.status.place.text().startswith("L 7.7")
    assert "a.u." in window.status.value.text()


def test_a_submitted_read_is_counted_and_the_box_says_who_sees_it(
    qtbot: QtBot, window: MainWindow, read: ReadWorkspace
) -> None:
    draw(read)
    read.vote.comment.setPlainText("faint border")
    assert "blind" in read.vote.visible.text()
    window.ui.actions[Act.SUBMIT_READ].trigger()
    settle(qtbot, window)
    assert read.session.panel.has_submitted
    assert read.vote.button.text() == "Submit again"
    assert "hidden from the others" in read.vote.visible.text()
    assert read.vote.comment.toPlainText() == ""


def test_another_reader_gets_their_own_empty_mask_at_the_same_place(
    qtbot: QtBot, window: MainWindow, read: ReadWorkspace
) -> None:
    draw(read)
    desk_of(read).views.cursor_kji.value = (2, 3, 4)
    settle(qtbot, window)
    read.session.use_rater("Reader 2").run()
    settle(qtbot, window)
    assert not desk_of(read).views.labels.array.any()
    assert desk_of(read).views.cursor_kji.value == (2, 3, 4)


class BoxPredictor:
    """Draws label 1 into the region it was asked for, in three reported steps, or fails."""

    def __init__(self, error: str = "") -> None:
        self.error = error
        self.asked: list[PredictOptions] = []

    def __call__(
        self, channels: Mapping[str, Volume], model: Path, options: PredictOptions, report: Progress
    ) -> Prediction:
        self.asked.append(options)
        for step in range(3):
            report(step + 1, 3, "predicting")
        if self.error:
            raise ModelError(self.error)
        volume = next(iter(channels.values()))
        labels = np.zeros(volume.geometry.shape_kji, np.uint8)
        box = options.roi or Box.whole(volume.geometry.shape_kji)
        labels[box.slices] = 1
        return Prediction(LabelMap.of(labels, volume.geometry), {})


class WindowWithModel:
    """A window whose session runs a `BoxPredictor` on the model folder given."""

    def __init__(self, window: MainWindow, predictor: BoxPredictor) -> None:
        assert window.desktop is not None
        self.read = window.desktop.read
        self.predictor = predictor
        self.actions = window.ui.actions


@pytest.fixture
def drafting(
    qtbot: QtBot, make_window: Callable[[], MainWindow], tmp_path: Path, model_folder: Path
) -> WindowWithModel:
    predictor = BoxPredictor()
    session = Session(predictor, settings=SessionSettings(desk_folder=tmp_path / "desk"))
    session.open_path(image_file(tmp_path, "scan")).run()
    window = make_window()
    window.attach(session)
    settle(qtbot, window)
    made = WindowWithModel(window, predictor)
    panel = made.read.predict
    panel.model.clear()
    panel.model.addItem("toy@1", ModelChoice.of(ModelFolder.load(model_folder)))
    settle(qtbot, window)
    made.actions[Act.TOOL_PREDICT].trigger()
    return made


def test_a_draft_is_previewed_then_accepted_as_one_undo_step(qtbot: QtBot, drafting: WindowWithModel) -> None:
    read = drafting.read
    read.predict.roi.field.setText("1:4,2:6,3:9")
    read.predict.roi.field.editingFinished.emit()
    read.predict.run_model()
    qtbot.waitUntil(lambda: desk_of(read).views.proposal is not None, timeout=10_000)
    assert drafting.predictor.asked[0].roi == Box((1, 2, 3), (4, 6, 9))
    assert not desk_of(read).views.labels.array.any(), "a preview changes nothing"
    qtbot.waitUntil(lambda: not read.predict.is_running)
    drafting.actions[Act.ACCEPT_DRAFT].trigger()
    assert desk_of(read).views.labels.array.sum() == 3 * 4 * 6
    assert desk_of(read).views.proposal is None
    drafting.actions[Act.UNDO].trigger()
    assert not desk_of(read).views.labels.array.any()


def test_a_rejected_draft_changes_nothing(qtbot: QtBot, drafting: WindowWithModel) -> None:
    read = drafting.read
    read.predict.run_model()
    qtbot.waitUntil(lambda: desk_of(read).views.proposal is not None, timeout=10_000)
    qtbot.waitUntil(lambda: not read.predict.is_running)
    drafting.actions[Act.REJECT_DRAFT].trigger()
    assert desk_of(read).views.proposal is None
    assert not read.session.editor.can_undo.value


def test_a_failing_model_is_explained_in_its_panel(qtbot: QtBot, drafting: WindowWithModel) -> None:
    drafting.predictor.error = "The image is too small for the model; give a larger region."
    drafting.read.predict.run_model()
    qtbot.waitUntil(lambda: drafting.read.predict.problem.isVisible(), timeout=10_000)
    assert drafting.read.predict.problem.text() == drafting.predictor.error
    qtbot.waitUntil(lambda: not drafting.read.predict.is_running)


@pytest.mark.parametrize("text", ["1:2", "a:b,c:d,e:f", "50:60,0:5,0:5", "3:3,0:5,0:5"])
def test_a_region_that_makes_no_sense_is_explained(drafting: WindowWithModel, text: str) -> None:
    roi = drafting.read.predict.roi
    roi.field.setText(text)
    roi.field.editingFinished.emit()
    assert roi.problem.text()
    assert drafting.read.tools.roi.value is None


def test_without_a_case_the_start_page_offers_the_sample(
    qtbot: QtBot, make_window: Callable[[], MainWindow], tmp_path: Path
) -> None:
    window = make_window()
    window.attach(Session(settings=SessionSettings(desk_folder=tmp_path / "desk")))
    settle(qtbot, window)
    assert window.desktop is not None
    read = window.desktop.read
    assert read.start.isVisible()
    assert not window.ui.actions[Act.TOOL_BRUSH].isEnabled()
    read.start.sample.click()
    settle(qtbot, window)
    assert read.desk is not None
    assert read.desk.views.volume.geometry.shape_kji == (189, 233, 197)


def test_the_mouse_profile_and_the_wheel_are_chosen_in_the_menu(window: MainWindow, read: ReadWorkspace) -> None:
    view = desk_of(read).grid.slice_views[0]
    window.ui.actions[Act.MOUSE_SLICER].trigger()
    assert view.left_drag is LeftDrag.CROSSHAIR
    checked = [
        act for act in (Act.MOUSE_PACS, Act.MOUSE_SLICER, Act.MOUSE_ITK_SNAP) if window.ui.actions[act].isChecked()
    ]
    assert checked == [Act.MOUSE_SLICER]
    window.ui.actions[Act.MOUSE_SLICER].trigger()
    assert window.ui.actions[Act.MOUSE_SLICER].isChecked(), "choosing it again does not turn it off"
    window.ui.actions[Act.WHEEL_TURNED].trigger()
    assert view.scroll_sign == -1


def test_what_was_set_is_remembered(window: MainWindow, read: ReadWorkspace) -> None:
    read.session.editor.brush_radius_mm.value = 7.5
    desk_of(read).change_style(opacity=0.6)
    values = window.ui.settings.changed_values()
    assert (values["brush.radius_mm"], values["labels.opacity"]) == (7.5, 0.6)
