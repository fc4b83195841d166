from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from segdesk.session import Session
from segdesk.ui.dialogs.new_project import NewProject, NewProjectDialog
from segdesk.ui.dialogs.series_browser import SeriesBrowserDialog
from segdesk.ui.models.case_list_model import CaseFilter
from segdesk.ui.theme import Theme
from segdesk.ui.workspaces.cases import CasesWorkspace
from tests.ui.desks import desk_with_cases, image_file, on_screen


def shown(qtbot: QtBot, session: Session) -> CasesWorkspace:
    workspace, _ = on_screen(
        qtbot,
        lambda held, jobs: CasesWorkspace(held, jobs, Theme(cast(QApplication, QApplication.instance()))),
        session,
    )
    return workspace


def names(workspace: CasesWorkspace) -> list[str]:
    return [row.case.name for row in workspace.table.shown_rows()]


def test_without_a_project_it_says_what_to_do(qtbot: QtBot) -> None:
    workspace = shown(qtbot, Session())
    assert workspace.no_project.isVisible()
    assert "Drop a folder of scans" in workspace.no_project.text
    assert [button.text() for button in workspace.no_project.buttons] == ["New project…", "Open project…"]


def test_a_new_project_shows_how_to_add_images(qtbot: QtBot, tmp_path: Path) -> None:
    session = Session()
    workspace = shown(qtbot, session)
    workspace.intake.create_project(NewProject(tmp_path / "p", "Panel"))
    qtbot.waitUntil(workspace.no_cases.isVisible)
    assert session.project is not None


def test_the_table_lists_the_cases_of_the_project(qtbot: QtBot, tmp_path: Path) -> None:
    workspace = shown(qtbot, desk_with_cases(tmp_path, 3))
    assert sorted(names(workspace)) == ["case-0", "case-1", "case-2"]


def test_search_and_filter_narrow_the_table(qtbot: QtBot, tmp_path: Path) -> None:
    workspace = shown(qtbot, desk_with_cases(tmp_path, 3))
    workspace.filters.search.setText("case-1")
    assert names(workspace) == ["case-1"]
    workspace.filters.buttons[CaseFilter.AGREED].click()
    assert names(workspace) == []
    assert workspace.filters.buttons[CaseFilter.ALL].text() == "All  3"


def test_pictures_arrive_without_being_asked_twice(qtbot: QtBot, tmp_path: Path) -> None:
    workspace = shown(qtbot, desk_with_cases(tmp_path, 2))
    cases = [row.case for row in workspace.table.rows]
    qtbot.waitUntil(lambda: all(workspace.table.thumbnails.of(case) is not None for case in cases), timeout=10_000)


def test_a_double_click_opens_the_case(qtbot: QtBot, tmp_path: Path) -> None:
    session = desk_with_cases(tmp_path, 2)
    workspace = shown(qtbot, session)
    row = workspace.table.shown_rows()[1]
    with qtbot.waitSignal(workspace.case_opened, timeout=10_000):
        workspace.table.activated_row.emit(row)
    assert session.case is not None
    assert session.case.record.id == row.case.id


def test_the_next_case_opens_with_one_button(qtbot: QtBot, tmp_path: Path) -> None:
    session = desk_with_cases(tmp_path, 2)
    workspace = shown(qtbot, session)
    with qtbot.waitSignal(workspace.case_opened, timeout=10_000):
        workspace.next_button.click()
    assert session.case is not None
    assert session.case.record.name == "case-0"


def drop(workspace: CasesWorkspace, *paths: Path) -> None:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    event = QDropEvent(
        QPointF(50, 50), Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    )
    workspace.dropEvent(event)


def test_a_dropped_file_becomes_a_case_without_a_question(qtbot: QtBot, tmp_path: Path) -> None:
    workspace = shown(qtbot, desk_with_cases(tmp_path, 1))
    drop(workspace, image_file(tmp_path, "dropped", 7))
    qtbot.waitUntil(lambda: "dropped" in names(workspace), timeout=10_000)


def test_a_dropped_project_is_opened(qtbot: QtBot, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = desk_with_cases(tmp_path / "other", 1)
    other.close()
    session = desk_with_cases(tmp_path, 2)
    workspace = shown(qtbot, session)
    drop(workspace, tmp_path / "other" / "project")
    qtbot.waitUntil(lambda: len(names(workspace)) == 1, timeout=10_000)


def test_a_file_that_cannot_be_read_says_why_and_leaves_the_list_alone(qtbot: QtBot, tmp_path: Path) -> None:
    workspace = shown(qtbot, desk_with_cases(tmp_path, 1))
    text = tmp_path / "notes.txt"
    text.write_text("no image")
    drop(workspace, text)
    qtbot.waitUntil(lambda: bool(workspace.messages.texts), timeout=10_000)
    assert "notes.txt" in workspace.messages.texts[0]
    assert names(workspace) == ["case-0"]


def open_browser(qtbot: QtBot, workspace: CasesWorkspace, folder: Path) -> SeriesBrowserDialog:
    drop(workspace, folder)
    qtbot.waitUntil(lambda: bool(workspace.intake.dialog and workspace.intake.dialog.choice), timeout=10_000)
    dialog = workspace.intake.dialog
    assert isinstance(dialog, SeriesBrowserDialog)
    return dialog


@pytest.fixture
def mixed_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "mixed"
    folder.mkdir()
    image_file(folder, "one", 1)
    whole = image_file(folder, "two", 2).read_bytes()
    (folder / "broken.nii.gz").write_bytes(whole[: len(whole) // 2])
    (folder / "readme.txt").write_text("hello")
    return folder


def test_a_folder_with_several_series_is_shown_before_it_is_added(
    qtbot: QtBot, tmp_path: Path, mixed_folder: Path
) -> None:
    workspace = shown(qtbot, desk_with_cases(tmp_path, 1))
    dialog = open_browser(qtbot, workspace, mixed_folder)
    rows = {row.name: row for row in dialog.choice.rows}
    assert {"one", "two"} <= set(rows)
    for name in set(rows) - {"two"}:
        dialog.choice.choose(rows[name], False)
    assert dialog.add_button.text() == "Add 1 case"
    dialog.add_button.click()
    qtbot.waitUntil(lambda: len(names(workspace)) == 2, timeout=10_000)
    assert sorted(names(workspace)) == ["case-0", "two"]


def test_nothing_is_added_when_the_browser_is_left(qtbot: QtBot, tmp_path: Path, mixed_folder: Path) -> None:
    workspace = shown(qtbot, desk_with_cases(tmp_path, 1))
    dialog = open_browser(qtbot, workspace, mixed_folder)
    dialog.reject()
    assert names(workspace) == ["case-0"]


def test_no_tick_means_nothing_can_be_added(qtbot: QtBot, tmp_path: Path, mixed_folder: Path) -> None:
    workspace = shown(qtbot, desk_with_cases(tmp_path, 1))
    dialog = open_browser(qtbot, workspace, mixed_folder)
    dialog.choice.choose_shown(False)
    assert not dialog.add_button.isEnabled()
    dialog.reject()


def test_a_project_folder_in_use_is_refused_at_once(qtbot: QtBot, tmp_path: Path) -> None:
    (tmp_path / "Segmentation").mkdir()
    (tmp_path / "Segmentation" / "x").write_text("")
    dialog = NewProjectDialog(tmp_path)
    qtbot.addWidget(dialog)
    assert "choose another name" in dialog.problem
    dialog.name.setText("Other")
    assert dialog.problem == ""
    assert dialog.entered == NewProject(tmp_path / "Other", "Other")


def test_a_name_that_is_no_folder_name_becomes_one(qtbot: QtBot, tmp_path: Path) -> None:
    dialog = NewProjectDialog(tmp_path)
    qtbot.addWidget(dialog)
    dialog.name.setText("Liver: a/b?")
    assert dialog.entered.folder == tmp_path / "Liver- a-b-"
    dialog.name.setText("  ")
    assert dialog.problem == "A project needs a name."
