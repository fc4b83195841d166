"""The window on a small real project; a closed one must really be gone."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from segdesk.core.settings import Settings
from segdesk.session import Session
from segdesk.ui.jobs import Job
from segdesk.ui.main_window import MainWindow
from segdesk.ui.theme import Theme
from tests.ui.desks import desk_with_cases
from tests.zoo.folders import folder


def settle(qtbot: QtBot, window: MainWindow) -> None:
    """Wait until no job is running and what they caused has been handled."""
    qtbot.waitUntil(lambda: not window.ui.jobs.running, timeout=20_000)
    QApplication.processEvents()


@pytest.fixture(scope="session", autouse=True)
def _traced_workers() -> Iterator[None]:
    """Let coverage see the threads of Qt's pools: Python traces only those it started itself."""
    plain = Job.work_in_thread

    def traced(job: Job) -> None:
        sys.settrace(threading.gettrace())
        plain(job)

    Job.work_in_thread = traced  # type: ignore[method-assign]
    yield
    Job.work_in_thread = plain  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def theme(qapp: QApplication) -> Theme:
    return Theme(qapp)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """A session on a project of two cases, the first one open."""
    made = desk_with_cases(tmp_path, 2)
    made.open_case(made.cases[0].case.id).run()
    return made


@pytest.fixture
def make_window(qtbot: QtBot, theme: Theme, request: pytest.FixtureRequest) -> Iterator[Callable[[], MainWindow]]:
    """Make windows that are checked to be gone after the test."""
    alive: list[weakref.ref[MainWindow]] = []
    kept: list[MainWindow] = []

    def make() -> MainWindow:
        window = MainWindow(theme, Settings())
        window.resize(1280, 800)
        window.show()
        alive.append(weakref.ref(window))
        kept.append(window)
        return window

    yield make
    request.node.funcargs.clear()  # pytest holds the window until the test is reported
    while kept:
        window = kept.pop()
        window.close()
        window.deleteLater()
        del window
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    gc.collect()
    assert [ref() for ref in alive] == [None] * len(alive), "a closed window is still alive"


@pytest.fixture
def window(qtbot: QtBot, make_window: Callable[[], MainWindow], session: Session) -> MainWindow:
    """The window with an open case."""
    made = make_window()
    made.attach(session)
    settle(qtbot, made)
    made.activateWindow()
    qtbot.waitUntil(made.isActiveWindow)
    return made


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """A valid model folder; what runs it is the test's own predictor."""
    return folder(tmp_path / "toy").path
