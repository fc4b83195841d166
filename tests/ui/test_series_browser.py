"""The series browser: pages, keys, what it hands on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QModelIndex, QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from segdesk.core.geometry import SliceStackGeometry
from segdesk.io import scan
from segdesk.io.series import Refusal, ScanResult
from segdesk.session import Session
from segdesk.ui.dialogs.series_browser import SeriesBrowserDialog
from segdesk.ui.jobs import Jobs
from segdesk.ui.main_window import MainWindow
from segdesk.ui.models.series_choice import SeriesChoice
from segdesk.ui.theme import Theme
from tests.io.dicom_maker import write_series
from tests.ui.conftest import settle
from tests.ui.desks import image_file

Show = Callable[[SeriesChoice | None], SeriesBrowserDialog]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A regular, a tilted and an irregular series, a damaged file and a text."""
    folder = tmp_path / "study"
    steps = {
        "even": [(0.0, 0.0, 2.0 * n) for n in range(4)],
        "tilted": [(0.0, 0.8 * n, 2.0 * n) for n in range(4)],
        "uneven": [(0.0, 0.0, z) for z in (0.0, 2.0, 3.1, 5.0)],
    }
    for number, (name, positions) in enumerate(steps.items()):

        def own_series(dataset: object, _: int, number: int = number, name: str = name) -> None:
            dataset.SeriesInstanceUID = f"1.2.3.{number}"  # type: ignore[attr-defined]
            dataset.SeriesDescription = name  # type: ignore[attr-defined]

        write_series(folder / name, positions, own_series)
    whole = image_file(folder, "file").read_bytes()
    (folder / "broken.nii.gz").write_bytes(whole[:60])
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.fixture
def show(qtbot: QtBot, theme: Theme, tmp_path: Path) -> Show:
    jobs = Jobs()

    def finish(_: object) -> None:
        jobs.shut_down()
        qtbot.waitUntil(lambda: not jobs.running)

    def make(choice: SeriesChoice | None) -> SeriesBrowserDialog:
        dialog = SeriesBrowserDialog(tmp_path / "study", jobs, theme)
        qtbot.addWidget(dialog, before_close_func=finish)
        dialog.show()
        if choice is not None:
            dialog.show_choice(choice)
            qtbot.waitUntil(lambda: not jobs.running, timeout=10_000)
        return dialog

    return make


def select(dialog: SeriesBrowserDialog, name: str) -> None:
    dialog.tree.select_first(lambda value: getattr(value, "entry", None) is not None and value.name == name)


def test_every_series_is_listed_and_what_cannot_be_opened_comes_last(show: Show, study: Path) -> None:
    dialog = show(SeriesChoice(scan(study)))
    model = dialog.tree.source
    groups = [model.data(model.index(n, 0)) for n in range(model.rowCount())]
    assert groups == ["DICOM", "Files", "Cannot be opened (1)"]
    last = model.index(2, 0)
    assert model.data(model.index(0, 0, last)).startswith("truncated: broken.nii.gz")
    tip = model.data(model.index(0, 0, last), Qt.ItemDataRole.ToolTipRole)
    assert tip == "Copy the file again."


def test_pictures_arrive_and_can_be_leafed_through(show: Show, study: Path) -> None:
    dialog = show(SeriesChoice(scan(study)))
    select(dialog, "even")
    preview = dialog.preview
    assert preview.number.text() == "Slice 3/4"
    preview.picture.wheelEvent(
        QWheelEvent(
            QPointF(5, 5), QPointF(5, 5), QPoint(), QPoint(0, -120), Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
        )
    )  # fmt: skip
    assert preview.number.text() == "Slice 4/4"
    assert preview.picture.text == ""
    dialog.grab()


def test_a_tilt_and_an_irregular_series_are_flagged(show: Show, study: Path) -> None:
    dialog = show(SeriesChoice(scan(study)))
    select(dialog, "tilted")
    assert any("gantry tilt" in text for text in dialog.preview.texts)
    assert dialog.open_button.text() == "Open"
    select(dialog, "uneven")
    assert dialog.open_button.text() == "Open as slices"
    assert any("not evenly spaced" in text for text in dialog.preview.texts)


def test_enter_opens_the_selected_series(qtbot: QtBot, show: Show, study: Path) -> None:
    dialog = show(SeriesChoice(scan(study)))
    select(dialog, "tilted")
    with qtbot.waitSignal(dialog.opened) as heard:
        qtbot.keyClick(dialog.tree, Qt.Key.Key_Return)
    assert heard.args[0].name == "tilted"
    assert not dialog.isVisible()


def test_space_ticks_and_ctrl_enter_adds(qtbot: QtBot, show: Show, study: Path) -> None:
    dialog = show(SeriesChoice(scan(study)))
    select(dialog, "even")
    qtbot.keyClick(dialog.tree, Qt.Key.Key_Space)
    assert [row.name for row in dialog.choice.chosen] == ["tilted", "file"]
    qtbot.keyClick(dialog.tree, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    assert len(dialog.choice.chosen) == 4
    assert dialog.all.isChecked()
    with qtbot.waitSignal(dialog.added) as heard:
        dialog.add_button.click()
    assert len(heard.args[0]) == 4


def test_a_click_on_a_tick_reaches_the_choice(show: Show, study: Path) -> None:
    dialog = show(SeriesChoice(scan(study)))
    model = dialog.tree.source
    first = model.index(0, 0, model.index(0, 0))
    assert model.setData(first, Qt.CheckState.Unchecked.value, Qt.ItemDataRole.CheckStateRole)
    assert not dialog.choice.is_chosen(model.value(first))
    assert not model.setData(model.index(0, 0), Qt.CheckState.Checked.value, Qt.ItemDataRole.CheckStateRole)
    assert model.parent(first) == model.index(0, 0)
    assert model.parent(QModelIndex()) == QModelIndex()
    assert not model.index(9, 9).isValid()


def test_a_refusal_can_be_read_but_not_opened(show: Show, study: Path) -> None:
    dialog = show(SeriesChoice(scan(study)))
    dialog.tree.select_first(lambda value: isinstance(value, Refusal))
    assert not dialog.open_button.isEnabled()
    assert "Copy the file again." in dialog.preview.texts
    dialog.open_button.click()
    assert dialog.isVisible()


def test_the_filter_narrows_the_list_and_says_when_nothing_is_left(qtbot: QtBot, show: Show, study: Path) -> None:
    dialog = show(SeriesChoice(scan(study)))
    qtbot.keyClicks(dialog.search, "tilt")
    assert dialog.tree.selected().name == "tilted"
    dialog.search.setText("nothing")
    assert dialog._nothing.isVisible()
    assert not dialog.open_button.isEnabled()


def test_a_long_scan_shows_how_far_it_is_and_can_be_left(qtbot: QtBot, show: Show) -> None:
    dialog = show(None)
    dialog.show_progress(3, 10, "Reading headers")
    assert (dialog.bar.value(), dialog.bar.maximum()) == (3, 10)
    assert dialog._progress.text() == "Reading headers · 3 of 10"
    with qtbot.waitSignal(dialog.stopped):
        qtbot.keyClick(dialog, Qt.Key.Key_Escape)


def test_a_scan_that_failed_says_why(show: Show) -> None:
    dialog = show(None)
    dialog.show_error("study holds no files.")
    assert "study holds no files." in dialog.message.text
    assert not dialog.open_button.isEnabled()


def test_everything_looks_right_in_the_other_theme(show: Show, study: Path, theme: Theme) -> None:
    dialog = show(SeriesChoice(scan(study)))
    theme.toggle()
    dialog.grab()
    theme.toggle()


def test_an_empty_scan_lists_nothing(show: Show, tmp_path: Path) -> None:
    dialog = show(SeriesChoice(ScanResult(tmp_path, (), 2, ())))
    assert dialog.tree.selected() is None
    assert not dialog.add_button.isEnabled()


@pytest.fixture
def shown(window: MainWindow) -> tuple[MainWindow, Session]:
    return window, window.desktop.session


def browser(qtbot: QtBot, window: MainWindow) -> SeriesBrowserDialog:
    intake = window.desktop._intake
    qtbot.waitUntil(lambda: bool(intake.dialog and intake.dialog.choice), timeout=10_000)
    return intake.dialog


def test_an_irregular_series_opens_as_slices_in_the_window(
    qtbot: QtBot, shown: tuple[MainWindow, Session], study: Path
) -> None:
    window, session = shown
    window.open_paths([study])
    dialog = browser(qtbot, window)
    select(dialog, "uneven")
    dialog.open_button.click()
    settle(qtbot, window)
    assert session.case.record.name == "uneven"
    assert isinstance(session.case.volume.geometry, SliceStackGeometry)
    assert np.asarray(session.case.volume.array).shape == (4, 5, 6)


def test_several_series_become_cases(qtbot: QtBot, shown: tuple[MainWindow, Session], study: Path) -> None:
    window, session = shown
    window.open_paths([study])
    browser(qtbot, window).add_button.click()
    settle(qtbot, window)
    assert {summary.case.name for summary in session.cases} >= {"even", "tilted", "file"}


def test_the_first_images_without_a_project_go_to_the_desk_project(
    qtbot: QtBot, make_window: Callable[[], MainWindow], tmp_path: Path, study: Path
) -> None:
    from segdesk.session import SessionSettings

    window = make_window()
    window.attach(Session(settings=SessionSettings(desk_folder=tmp_path / "desk")))
    window.open_paths([study])
    browser(qtbot, window).add_button.click()
    settle(qtbot, window)
    QApplication.processEvents()
    settle(qtbot, window)
    assert [summary.case.name for summary in window.desktop.session.cases] == ["even", "tilted", "file"]


def test_the_next_folder_has_a_browser_of_its_own(
    qtbot: QtBot, shown: tuple[MainWindow, Session], study: Path, tmp_path: Path
) -> None:
    window, _ = shown
    intake = window.desktop._intake
    (tmp_path / "more").mkdir()
    for number in range(2):
        image_file(tmp_path / "more", f"more-{number}", number)
    intake.take_paths([study, tmp_path / "more"])
    first = browser(qtbot, window)
    first.reject()
    qtbot.waitUntil(lambda: bool(intake.dialog and intake.dialog is not first and intake.dialog.choice), timeout=10_000)
    settle(qtbot, window)
    assert [row.name for row in intake.dialog.choice.rows] == ["more-0", "more-1"]
    intake.dialog.reject()
    settle(qtbot, window)
    assert intake.dialog is None


def test_a_mask_of_a_folder_is_added_to_the_open_case(
    qtbot: QtBot, shown: tuple[MainWindow, Session], tmp_path: Path, shared_data: Path
) -> None:
    window, _ = shown
    folder = tmp_path / "ct"
    folder.mkdir()
    for name in ("ct_image.dcm", "seg_image_ct_binary_single_frame.dcm"):
        (folder / name).write_bytes((shared_data / "dicom-seg-rtstruct/highdicom" / name).read_bytes())
    window.open_paths([folder])
    dialog = browser(qtbot, window)
    (mask,) = (row for row in dialog.choice.rows if row.entry.is_mask)
    assert not dialog.choice.is_chosen(mask)
    select(dialog, mask.name)
    assert dialog.open_button.text() == "Add to the open case"
    dialog.open_button.click()
    settle(qtbot, window)
    asked = window.desktop.exchange.dialog
    assert asked.choice.found.path.name == "seg_image_ct_binary_single_frame.dcm"
    asked.reject()


def test_a_lone_file_is_opened_without_a_question(
    qtbot: QtBot, shown: tuple[MainWindow, Session], tmp_path: Path
) -> None:
    window, session = shown
    window.open_paths([image_file(tmp_path, "alone", 4)])
    settle(qtbot, window)
    assert session.case.record.name == "alone"
    assert window.desktop._intake.dialog is None


def test_a_folder_without_images_says_so_and_the_next_path_is_tried(
    qtbot: QtBot, shown: tuple[MainWindow, Session], tmp_path: Path
) -> None:
    window, session = shown
    (tmp_path / "empty").mkdir()
    window.open_paths([tmp_path / "empty"])
    settle(qtbot, window)
    assert "holds no files" in window.messages.text
    window.open_paths([image_file(tmp_path, "next", 6)])
    settle(qtbot, window)
    assert session.case.record.name == "next"
