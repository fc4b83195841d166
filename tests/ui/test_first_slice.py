"""A case on its way in the window: a slice to look at, and no way to work with it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtGui import QColor
from pytestqt.qtbot import QtBot

from segdesk.core.progress import Progress
from segdesk.core.volume import Volume
from segdesk.errors import ReadError
from segdesk.io import SeriesEntry
from segdesk.session import Session, first_slice
from segdesk.ui.actions import Act, Place
from segdesk.ui.main_window import MainWindow
from tests.io.dicom_maker import axial, write_series
from tests.ui.conftest import settle

WORKING_ACTS = (
    Act.TOOL_BRUSH, Act.TOOL_ERASER, Act.TOOL_PREDICT, Act.UNDO, Act.REDO, Act.SUBMIT_READ, Act.EXPORT, Act.ADD_MASK,
    Act.ACCEPT_DRAFT,
)  # fmt: skip


SHAPE_KJI = (5, 5, 6)


class Gate:
    """Holds the whole read back until it is let through, told to fail, or cancelled."""

    def __init__(self) -> None:
        self.is_open = threading.Event()
        self.error: ReadError | None = None


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    made, plain = Gate(), SeriesEntry.read

    def held(entry: SeriesEntry, report: Progress) -> Volume:
        while entry.shape_kji == SHAPE_KJI and not made.is_open.wait(0.01):
            report(3, 5, "Reading slices")
        if made.error is not None and entry.shape_kji == SHAPE_KJI:
            raise made.error
        return plain(entry, report)

    monkeypatch.setattr(first_slice, "WORTH_BYTES", 0)
    monkeypatch.setattr(SeriesEntry, "read", held)
    yield made
    made.is_open.set()


@pytest.fixture
def series(tmp_path: Path) -> Path:
    write_series(tmp_path / "ct", axial(0, 3, 6, 9, 12))
    return tmp_path / "ct"


@pytest.fixture
def waiting(qtbot: QtBot, window: MainWindow, gate: Gate, series: Path) -> Iterator[MainWindow]:
    """The window while the series is on its way."""
    window.open_paths([series])
    qtbot.waitUntil(lambda: window.desktop.read.is_waiting, timeout=10_000)
    yield window
    gate.is_open.set()
    settle(qtbot, window)


def test_the_slice_is_shown_in_the_view_of_its_plane(qtbot: QtBot, waiting: MainWindow) -> None:
    page = waiting.desktop.read.arriving
    assert page.isVisible()
    assert page.view.isVisible()
    assert page.view.accessibleName().startswith("Axial")
    assert page.view.model.views.volume.array.shape == (1, 5, 6)
    image = page.view.grab().toImage()
    greys = {QColor(image.pixel(x, y)).value() for x in range(0, image.width(), 4) for y in range(0, image.height(), 4)}
    assert len(greys) > 20
    qtbot.waitUntil(lambda: page.progress.text() == "Reading slices 60 %")
    assert (page.bar.value(), page.bar.maximum()) == (3, 5)


def test_nothing_can_be_done_with_half_a_case_nor_with_the_one_behind_it(waiting: MainWindow) -> None:
    window = waiting
    before = window.desktop.session.case
    assert before.record.name == "case-0"
    for act in WORKING_ACTS:
        assert not window.ui.actions[act].isEnabled(), act
    window.go_to(Place.CASES)
    window.go_to(Place.READ)
    assert not any(window.ui.actions[act].isEnabled() for act in WORKING_ACTS)
    assert window.desktop.session.editor.labels is before.labels
    assert not before.labels.array.any()


def test_the_whole_case_takes_the_place_of_the_slice(qtbot: QtBot, waiting: MainWindow, gate: Gate) -> None:
    gate.is_open.set()
    settle(qtbot, waiting)
    read = waiting.desktop.read
    assert not read.is_waiting
    assert read.desk.grid.isVisible()
    assert read.desk.case.record.name == "ct"
    assert np.asarray(read.desk.views.volume.array).shape == SHAPE_KJI
    assert waiting.ui.actions[Act.TOOL_BRUSH].isEnabled()


def test_an_error_takes_the_slice_away_and_is_shown(qtbot: QtBot, waiting: MainWindow, gate: Gate) -> None:
    gate.error = ReadError("0003.dcm ends early; copy it again.", code="truncated")
    gate.is_open.set()
    settle(qtbot, waiting)
    assert "ends early" in waiting.messages.text
    assert_back_at(waiting, "case-0")


def test_cancel_takes_the_slice_away(qtbot: QtBot, waiting: MainWindow) -> None:
    waiting.desktop.read.arriving.cancel_button.click()
    settle(qtbot, waiting)
    assert_back_at(waiting, "case-0")
    assert [summary.case.name for summary in waiting.desktop.session.cases] == ["case-0", "case-1"]


def test_whoever_came_from_another_workspace_goes_back_there(
    qtbot: QtBot, window: MainWindow, gate: Gate, series: Path
) -> None:
    window.go_to(Place.CASES)
    window.open_paths([series])
    qtbot.waitUntil(lambda: window.desktop.read.is_waiting, timeout=10_000)
    assert window.pages.currentWidget() is window.desktop.read
    window.desktop.read.arriving.cancel_button.click()
    settle(qtbot, window)
    assert window.pages.currentWidget() is window.desktop.page(Place.CASES)


def test_a_window_can_be_closed_meanwhile(
    qtbot: QtBot, make_window: Callable[[], MainWindow], session: Session, gate: Gate, series: Path
) -> None:
    window = make_window()
    window.attach(session)
    window.open_paths([series])
    qtbot.waitUntil(lambda: window.desktop.read.is_waiting, timeout=10_000)
    assert window.close()
    assert session.case.record.name == "case-0"


def assert_back_at(window: MainWindow, name: str) -> None:
    read = window.desktop.read
    assert not read.is_waiting
    assert read.desk.grid.isVisible()
    assert read.desk.case.record.name == name
    assert window.ui.actions[Act.TOOL_BRUSH].isEnabled()
