"""The frame: shown before the session, tabs, actions, opening, closing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QLabel, QToolButton
from pytestqt.qtbot import QtBot

from segdesk.session import Session, SessionSettings
from segdesk.ui.actions import ACTIONS, Act, Place
from segdesk.ui.dialogs.keys_sheet import KeysSheet
from segdesk.ui.main_window import MainWindow
from segdesk.ui.theme import ThemeName
from tests.ui.conftest import settle
from tests.ui.desks import image_file


def test_the_window_is_made_without_the_session_and_without_heavy_libraries() -> None:
    code = (
        "import sys; from PySide6.QtWidgets import QApplication; app = QApplication([]);"
        "from segdesk.core.settings import Settings; from segdesk.ui.main_window import MainWindow;"
        "from segdesk.ui.theme import Theme; window = MainWindow(Theme(app), Settings()); window.show();"
        "heavy = {'torch', 'monai', 'vtk', 'SimpleITK', 'nilearn', 'matplotlib', 'sqlalchemy', 'pyqtgraph', 'scipy'};"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_what_is_dropped_before_the_session_is_there_is_opened_afterwards(
    qtbot: QtBot, make_window: Callable[[], MainWindow], tmp_path: Path
) -> None:
    window = make_window()
    window.open_paths([image_file(tmp_path, "early")])
    window.attach(Session(settings=SessionSettings(desk_folder=tmp_path / "desk")))
    settle(qtbot, window)
    assert window.desktop is not None
    assert window.desktop.session.case is not None
    assert window.desktop.session.case.record.name == "early"


def test_an_image_dropped_on_the_window_is_opened(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(image_file(tmp_path, "dropped")))])
    drop = QDropEvent(
        QPointF(5, 5), Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    window.dropEvent(drop)
    settle(qtbot, window)
    assert window.desktop is not None
    assert window.desktop.session.case is not None
    assert window.desktop.session.case.record.name == "dropped"


def test_a_file_that_is_no_image_is_refused_where_it_is_read(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no image")
    window.open_paths([text])
    settle(qtbot, window)
    assert "notes.txt" in window.messages.text
    assert window.desktop is not None
    assert window.desktop.session.case is not None, "the open case stays"


def test_each_key_means_one_thing_in_a_workspace() -> None:
    for place in Place:
        keys = [key for row in ACTIONS if row.where in (None, place) for key in row.keys]
        assert len(set(keys)) == len(keys), place
    assert len({row.name for row in ACTIONS}) == len(ACTIONS) == len(Act)


def test_every_action_does_something(window: MainWindow) -> None:
    unbound = [row.name for row in ACTIONS if not window.ui.actions.is_bound(row.name)]
    assert not unbound


def test_every_action_is_in_a_menu_and_on_the_sheet_of_keys(qtbot: QtBot, window: MainWindow) -> None:
    shown = [action for menu in window.header.menus.actions() for action in menu.menu().actions()]
    assert all(window.ui.actions[row.name] in shown for row in ACTIONS)
    sheet = KeysSheet()
    qtbot.addWidget(sheet)
    texts = {label.text() for label in sheet.findChildren(QLabel)}
    assert all(row.text.rstrip("…") in texts for row in ACTIONS if row.keys)


@pytest.mark.parametrize("place", list(Place))
def test_the_tabs_and_the_function_keys_show_the_workspaces(qtbot: QtBot, window: MainWindow, place: Place) -> None:
    assert window.desktop is not None
    window.ui.actions[Act.GO_TEACH].trigger()
    number = list(Place).index(place)
    qtbot.keyClick(window, Qt.Key(Qt.Key.Key_F1 + number))
    assert window.pages.currentWidget() is window.desktop.page(place)
    tab = next(button for button in window.header.tabs.buttons() if button.isChecked())
    assert tab.text() == place.value
    settle(qtbot, window)


def test_keys_of_read_do_nothing_elsewhere(window: MainWindow) -> None:
    brush = window.ui.actions[Act.TOOL_BRUSH]
    assert brush.isEnabled()
    window.go_to(Place.CASES)
    assert not brush.isEnabled()
    assert window.ui.actions[Act.OPEN_FILE].isEnabled()


def test_the_case_and_the_crosshair_stay_when_the_workspace_changes(window: MainWindow) -> None:
    assert window.desktop is not None
    read = window.desktop.read
    assert read.desk is not None
    read.desk.views.cursor_kji.value = (2, 3, 4)
    window.go_to(Place.SCORE)
    window.go_to(Place.READ)
    assert read.desk.views.cursor_kji.value == (2, 3, 4)


def test_the_next_case_is_a_key_away(qtbot: QtBot, window: MainWindow) -> None:
    assert window.desktop is not None
    session = window.desktop.session
    window.ui.actions[Act.NEXT_CASE].trigger()
    settle(qtbot, window)
    assert session.case is not None
    assert session.case.record.name == "case-1"
    window.ui.actions[Act.NEXT_CASE].trigger()
    settle(qtbot, window)
    assert session.case.record.name == "case-1", "the list ends here"


def test_the_theme_switches_and_icons_follow(window: MainWindow) -> None:
    theme = window.ui.theme
    before = window.palette().window().color()
    window.ui.actions[Act.THEME].trigger()
    try:
        assert theme.name is ThemeName.LIGHT
        assert window.palette().window().color() != before
    finally:
        theme.use(ThemeName.DARK)


def test_views_have_seventy_percent_of_a_small_window(window: MainWindow) -> None:
    assert window.desktop is not None
    assert window.desktop.read.desk is not None
    assert window.desktop.read.desk.grid.width() >= 0.7 * window.width()


def test_no_button_of_the_window_clips_its_text(window: MainWindow) -> None:
    for button in window.findChildren(QToolButton):
        if button.isVisible() and button.text():
            assert button.width() >= min(button.sizeHint().width(), button.fontMetrics().horizontalAdvance("M"))


def test_closing_saves_what_was_drawn(qtbot: QtBot, window: MainWindow) -> None:
    assert window.desktop is not None
    session = window.desktop.session
    assert session.case is not None
    session.editor.begin_stroke()
    session.editor.paint((4.0, 7.0, 7.0), (4.0, 7.0, 7.0))
    session.editor.commit_stroke()
    drawn = session.case.labels.array.copy()
    case_id = session.case.record.id
    window.close()
    session.open_case(case_id).run()
    assert session.case is not None
    assert (session.case.labels.array == drawn).all()
    assert drawn.any()
