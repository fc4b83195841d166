"""Masks in and out through the window."""

from __future__ import annotations

from contextvars import ContextVar
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDragMoveEvent, QDropEvent
from PySide6.QtWidgets import QFileDialog, QMessageBox, QPushButton
from pytestqt.qtbot import QtBot

from segdesk.io.limits import SizePolicy, allow_large
from segdesk.session.export_formats import ExportFormat
from segdesk.session.mask_import import MaskTarget
from segdesk.ui.actions import Act
from segdesk.ui.dialogs.add_mask import AddMaskDialog
from segdesk.ui.dialogs.export import ExportDialog
from segdesk.ui.main_window import MainWindow
from tests.ui.conftest import settle
from tests.ui.desks import SHAPE_KJI, image_file
from tests.ui.test_mask_choice import mask_file


def added(qtbot: QtBot, window: MainWindow, path: Path) -> AddMaskDialog:
    assert window.desktop is not None
    window.desktop.exchange.add_mask(path)
    settle(qtbot, window)
    dialog = window.desktop.exchange.dialog
    assert isinstance(dialog, AddMaskDialog)
    return dialog


def exported(window: MainWindow, folder: Path) -> ExportDialog:
    assert window.desktop is not None
    window.ui.actions[Act.EXPORT].trigger()
    dialog = window.desktop.exchange.dialog
    assert isinstance(dialog, ExportDialog)
    dialog.model.choose_path(str(folder / dialog.model.suggested_name))
    return dialog


def test_a_fitting_mask_is_shown_and_accepted_with_one_key(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    dialog = added(qtbot, window, mask_file(tmp_path))
    assert dialog.agree.isHidden()
    qtbot.keyClick(dialog, Qt.Key.Key_Return)
    settle(qtbot, window)
    session = window.desktop.session
    assert session.drafts.candidate.value.model == "mask.nii.gz"
    window.ui.actions[Act.ACCEPT_DRAFT].trigger()
    assert int((session.case.labels.array == 1).sum()) == 75
    settle(qtbot, window)


def test_a_mask_elsewhere_waits_for_consent(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    dialog = added(qtbot, window, mask_file(tmp_path, shift_mm=6.0))
    assert not dialog.add_button.isEnabled()
    dialog.agree.click()
    assert dialog.add_button.isEnabled()
    dialog.add_button.click()
    settle(qtbot, window)
    assert int(window.desktop.session.drafts.candidate.value.labels.array.sum()) == 75


def test_another_reader_is_named_in_the_dialog(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    dialog = added(qtbot, window, mask_file(tmp_path))
    dialog.reader.setCurrentText("Bob")
    assert dialog.target_buttons[MaskTarget.READER].isChecked()
    dialog.add_button.click()
    settle(qtbot, window)
    assert "Bob" in [rater.name for rater in window.desktop.session.raters]
    dialog = added(qtbot, window, mask_file(tmp_path))
    dialog.reader.setCurrentText("Bob")
    dialog.add_button.click()
    settle(qtbot, window)
    assert "Bob has a mask of this case already" in window.messages.text


def test_a_file_that_is_no_mask_says_so(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    window.desktop.exchange.add_mask(image_file(tmp_path, "noise"))
    settle(qtbot, window)
    assert window.desktop.exchange.dialog is None
    assert "threshold" in window.messages.text


def test_without_a_case_a_mask_has_no_image(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    window.desktop.session.close()
    window.desktop.exchange.add_mask(mask_file(tmp_path))
    assert "open the image" in window.messages.text
    assert not window.ui.actions[Act.ADD_MASK].isEnabled()
    assert not window.ui.actions[Act.EXPORT].isEnabled()
    window.desktop.exchange.export()
    assert window.desktop.exchange.dialog is None


def test_the_case_changed_while_the_dialog_was_open(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    dialog = added(qtbot, window, mask_file(tmp_path))
    session = window.desktop.session
    session.open_case(session.cases[1].case.id).run()
    dialog.add_button.click()
    assert "Another case is open now" in window.messages.text
    settle(qtbot, window)


def test_a_mask_is_chosen_by_the_menu(
    qtbot: QtBot, window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = mask_file(tmp_path)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *args: (str(path), ""))
    window.ui.actions[Act.ADD_MASK].trigger()
    settle(qtbot, window)
    assert isinstance(window.desktop.exchange.dialog, AddMaskDialog)
    window.desktop.exchange.dialog.reject()
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *args: ("", ""))
    window.ui.actions[Act.ADD_MASK].trigger()
    assert window.desktop.exchange.dialog is None


def test_an_export_stays_open_and_says_that_it_was_compared(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    dialog = exported(window, tmp_path)
    dialog.export_button.click()
    settle(qtbot, window)
    assert "written and read back" in dialog.outcome.text()
    assert not dialog.export_button.isEnabled()
    assert np.asarray(nib.load(tmp_path / "case-0_Reader-1.nii.gz").dataobj).T.shape == SHAPE_KJI
    dialog.replace.click()
    assert dialog.export_button.text() == "Replace"
    dialog.export_button.click()
    settle(qtbot, window)
    assert not dialog.replace.isChecked()
    dialog.reject()


def test_formats_that_cannot_hold_it_are_off_with_a_reason(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    dialog = exported(window, tmp_path)
    assert not dialog.format_buttons[ExportFormat.PNG].isEnabled()
    assert dialog.format_buttons[ExportFormat.NIFTI].isChecked()
    dialog.format_buttons[ExportFormat.META].click()
    assert dialog.path.text().endswith(".mha")
    assert "names and colours" in dialog.remarks.texts[0]
    dialog.reject()


def test_an_export_that_fails_says_why_in_its_place(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    dialog = exported(window, tmp_path)
    target = dialog.model.path
    target.write_bytes(b"somebody was faster")
    dialog.export()
    settle(qtbot, window)
    assert "exists already" in dialog.outcome.text()
    assert target.read_bytes() == b"somebody was faster"
    dialog.reject()


def test_ticks_and_content_reach_the_order(
    qtbot: QtBot, window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialog = exported(window, tmp_path)
    dialog.labels.item(0).setCheckState(Qt.CheckState.Unchecked)
    assert dialog.problem.text() == "Tick at least one label."
    image = next(button for button in dialog._contents.buttons() if button.text() == "Image")
    image.click()
    assert dialog.problem.isHidden()
    chosen = tmp_path / "chosen.nii.gz"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *args, **kwargs: (str(chosen), ""))
    next(button for button in dialog.findChildren(QPushButton) if button.text() == "Choose…").click()
    assert dialog.model.path == chosen
    dialog.reject()


def mime(*paths: Path) -> QMimeData:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    return data


def drop(window: MainWindow, x: float, *paths: Path) -> None:
    data, left, none = mime(*paths), Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    copy = Qt.DropAction.CopyAction
    window.dragEnterEvent(QDragEnterEvent(QPoint(10, 10), copy, data, left, none))
    assert window.zones.isVisible()
    window.zones.dragEnterEvent(QDragEnterEvent(QPoint(10, 10), copy, data, left, none))
    window.zones.dragMoveEvent(QDragMoveEvent(QPoint(int(x), 300), copy, data, left, none))
    window.zones.grab()
    window.zones.dropEvent(QDropEvent(QPointF(x, 300), copy, data, left, none))
    assert window.zones.isHidden()


def test_a_file_dropped_on_the_right_becomes_a_mask(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    drop(window, 1000, mask_file(tmp_path))
    settle(qtbot, window)
    assert isinstance(window.desktop.exchange.dialog, AddMaskDialog)
    window.desktop.exchange.dialog.reject()


def test_a_file_dropped_on_the_left_is_opened(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    drop(window, 100, image_file(tmp_path, "other", 5))
    settle(qtbot, window)
    assert window.desktop.session.case.record.name == "other"


def test_the_zones_go_when_the_drag_leaves(qtbot: QtBot, window: MainWindow) -> None:
    window.zones.appear("case")
    window.zones.dragLeaveEvent(QDragLeaveEvent())
    assert window.zones.isHidden()


def answer(window: MainWindow, text: str) -> None:
    (box,) = (each for each in window.findChildren(QMessageBox) if each.isVisible())
    next(button for button in box.buttons() if button.text() == text).click()


@pytest.fixture
def small_limit(window: MainWindow, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no thread read more than 100 bytes without consent, once the window has its cases."""
    smallest = SizePolicy(max_bytes=100)
    monkeypatch.setattr("segdesk.io.limits._policy", ContextVar("size_policy", default=smallest))


@pytest.mark.usefixtures("small_limit")
def test_a_very_large_mask_is_read_after_a_yes_only(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    exchange = window.desktop.exchange
    exchange.add_mask(mask_file(tmp_path))
    settle(qtbot, window)
    answer(window, "Leave it")
    settle(qtbot, window)
    assert exchange.dialog is None
    exchange.add_mask(mask_file(tmp_path))
    settle(qtbot, window)
    answer(window, "Read it")
    settle(qtbot, window)
    assert isinstance(exchange.dialog, AddMaskDialog)
    exchange.dialog.reject()


@pytest.mark.usefixtures("small_limit")
def test_a_very_large_image_is_opened_after_a_yes_only(qtbot: QtBot, window: MainWindow, tmp_path: Path) -> None:
    path = image_file_without_limit(tmp_path)
    window.open_paths([path])
    settle(qtbot, window)
    answer(window, "Leave it")
    settle(qtbot, window)
    assert window.desktop.session.case.record.name == "case-0"
    window.open_paths([path])
    settle(qtbot, window)
    answer(window, "Read it")
    settle(qtbot, window)
    assert window.desktop.session.case.record.name == "large"


def image_file_without_limit(folder: Path) -> Path:
    with allow_large():
        return image_file(folder, "large", 3)
