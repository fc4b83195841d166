"""Overview, readers, dialogs and the job bar, in the window."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import shiboken6
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QColorDialog, QFileDialog, QInputDialog, QMessageBox, QToolButton
from pytestqt.qtbot import QtBot

from segdesk.core.progress import Lane, Progress, Task
from segdesk.core.reslice import Plane
from segdesk.errors import MissingExtra
from segdesk.ui import desktop as desktop_module
from segdesk.ui.actions import Act
from segdesk.ui.dialogs.keys_sheet import KeysSheet
from segdesk.ui.main_window import MainWindow
from segdesk.ui.panels.label_table import Column
from segdesk.ui.panels.reader_menu import ReaderButton
from segdesk.ui.panels.status_bar import JobsBar
from segdesk.ui.views.overview import OverviewFrame, OverviewView
from segdesk.ui.workspaces.read import ReadWorkspace
from tests.ui.conftest import settle
from tests.ui.desks import image_file


@pytest.fixture
def read(window: MainWindow) -> ReadWorkspace:
    assert window.desktop is not None
    return window.desktop.read


def overview_of(read: ReadWorkspace) -> OverviewView:
    assert read.desk is not None
    found = read.desk.grid.findChild(OverviewView)
    assert isinstance(found, OverviewView)
    return found


def test_the_overview_looks_from_other_sides_and_a_click_goes_there(
    qtbot: QtBot, window: MainWindow, read: ReadWorkspace
) -> None:
    view = overview_of(read)
    qtbot.waitUntil(lambda: view.model.picture is not None, timeout=10_000)
    frame = view.parentWidget()
    assert isinstance(frame, OverviewFrame)
    feet = next(button for button in frame.findChildren(QToolButton) if button.text() == "Feet")
    feet.click()
    assert view.model.side is Plane.AXIAL
    qtbot.waitUntil(lambda: view.model.picture is not None, timeout=10_000)
    before = read.desk.views.cursor_kji.value  # type: ignore[union-attr]
    QTest.mouseClick(view, Qt.MouseButton.LeftButton, pos=view.rect().center() + QPoint(30, 20))
    after = read.desk.views.cursor_kji.value  # type: ignore[union-attr]
    assert after[0] == before[0], "nothing is drawn there: the slice stays"
    assert after[1] > before[1]
    assert after[2] > before[2]


def test_a_projection_that_comes_after_its_case_was_put_away_is_dropped(
    qtbot: QtBot, window: MainWindow, read: ReadWorkspace
) -> None:
    view = overview_of(read)
    qtbot.waitUntil(lambda: view.model.picture is not None, timeout=10_000)
    late = view.model.request().picture()
    session = read.session
    window.ui.jobs.start(session.open_case(session.cases[1].case.id))
    settle(qtbot, window)
    qtbot.waitUntil(lambda: not shiboken6.isValid(view))
    view._take(late)
    assert view.model.picture is not late


def test_an_edit_is_seen_in_the_overview(qtbot: QtBot, window: MainWindow, read: ReadWorkspace) -> None:
    view = overview_of(read)
    qtbot.waitUntil(lambda: view.model.picture is not None, timeout=10_000)
    first = view.model.picture
    read.session.editor.begin_stroke()
    read.session.editor.paint((4.0, 7.0, 7.0), (4.0, 7.0, 7.0))
    read.session.editor.commit_stroke()
    qtbot.waitUntil(lambda: view.model.picture is not first, timeout=10_000)
    assert view.model.picture is not None
    assert view.model.picture.surface.values.any()


def test_a_new_reader_is_made_from_the_menu(qtbot: QtBot, window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> None:
    button = window.header.findChild(ReaderButton)
    assert isinstance(button, ReaderButton)
    assert button.text() == "Reader 1"
    button.menu().aboutToShow.emit()
    button.menu().actions()[-1].trigger()
    dialog = window.findChild(QInputDialog)
    assert isinstance(dialog, QInputDialog)
    dialog.setTextValue("  AB ")
    dialog.accept()
    settle(qtbot, window)
    assert button.text() == "AB"
    assert window.ui.settings.of("reader.name").value == "AB"
    button.menu().aboutToShow.emit()
    assert [action.text() for action in button.menu().actions() if action.isChecked()] == ["AB"]


def test_the_job_bar_shows_the_oldest_job_and_cancels_it(qtbot: QtBot, window: MainWindow) -> None:
    bar = window.status.findChild(JobsBar)
    assert isinstance(bar, JobsBar)
    assert not bar.cancel.isVisible()
    gate = threading.Event()

    def work(report: Progress) -> None:
        while not gate.wait(0.005):
            report(3, 10, "counting")

    job = window.ui.jobs.start(Task("Counting", Lane.CPU, work))
    window.ui.jobs.start(Task("Later", Lane.CPU, lambda report: gate.wait(5)))
    qtbot.waitUntil(lambda: bar.bar.maximum() == 10)
    assert bar.text.text().startswith("Counting  30 %")
    assert "(+1)" in bar.text.text()
    with qtbot.waitSignal(job.cancelled):
        bar.cancel.click()
    gate.set()
    settle(qtbot, window)
    qtbot.waitUntil(lambda: not bar.cancel.isVisible())


@pytest.mark.parametrize(
    ("act", "dialog"), [(Act.OPEN_FILE, "getOpenFileName"), (Act.OPEN_FOLDER, "getExistingDirectory")]
)
def test_the_file_dialogs_open_what_is_chosen(
    qtbot: QtBot, window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: Act, dialog: str
) -> None:
    assert window.desktop is not None
    folder = tmp_path / "chosen"
    folder.mkdir()
    image = image_file(folder, "chosen-image")
    answer = (str(image), "") if act is Act.OPEN_FILE else str(folder)
    monkeypatch.setattr(QFileDialog, dialog, lambda *words: answer)
    window.ui.actions[act].trigger()
    settle(qtbot, window)
    case = window.desktop.session.case
    assert case is not None
    assert case.record.name.startswith("chosen")


def test_a_cancelled_dialog_changes_nothing(window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> None:
    assert window.desktop is not None
    before = window.desktop.session.case
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *words: ("", ""))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *words: "")
    window.ui.actions[Act.OPEN_FILE].trigger()
    window.ui.actions[Act.OPEN_FOLDER].trigger()
    assert window.desktop.session.case is before


def test_a_missing_sample_is_explained(window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> Path:
        raise MissingExtra("The sample is not there: pip install nilearn")

    monkeypatch.setattr(desktop_module, "sample_image", gone)
    window.ui.actions[Act.OPEN_SAMPLE].trigger()
    assert "pip install nilearn" in window.messages.text


def test_several_images_become_cases(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    assert window.desktop is not None
    window.open_paths([image_file(tmp_path, "one"), image_file(tmp_path, "two")])
    qtbot.waitUntil(lambda: len(window.desktop.session.cases) == 4, timeout=20_000)  # type: ignore[union-attr]
    settle(qtbot, window)


def test_a_failed_save_keeps_the_window_open(
    qtbot: QtBot, window: MainWindow, read: ReadWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = read.session
    assert session.project is not None
    masks = Path(session.project.folder) / "masks"
    session.editor.begin_stroke()
    session.editor.paint((4.0, 7.0, 7.0), (4.0, 7.0, 7.0))
    aside = masks.with_name("aside")
    if masks.exists():
        masks.rename(aside)
    masks.write_text("a file where the folder was")
    session.editor.commit_stroke()
    window.close()
    assert window.isVisible()
    assert "not saved" in window.messages.text
    masks.unlink()
    if aside.exists():
        aside.rename(masks)


def test_the_sheet_of_keys_and_the_about_box_are_one_key_away(qtbot: QtBot, window: MainWindow) -> None:
    window.ui.actions[Act.HELP_KEYS].trigger()
    sheet = window.findChild(KeysSheet)
    assert isinstance(sheet, KeysSheet)
    assert sheet.width() <= 1280
    sheet.accept()
    window.ui.actions[Act.ABOUT].trigger()
    box = window.findChild(QMessageBox)
    assert isinstance(box, QMessageBox)
    assert "not a medical device" in box.informativeText()
    box.accept()


def test_a_colour_is_chosen_for_a_label(qtbot: QtBot, read: ReadWorkspace) -> None:
    assert read.desk is not None
    panel = read.desk.labels
    panel.view.clicked.emit(panel.items.index(0, Column.COLOUR))
    dialog = panel.findChild(QColorDialog)
    assert isinstance(dialog, QColorDialog)
    dialog.setCurrentColor(Qt.GlobalColor.magenta)
    dialog.accept()
    assert panel.model.table[1].colour_rgb == (255, 0, 255)
    assert read.desk.views.colour_of(1) == (255, 0, 255)
