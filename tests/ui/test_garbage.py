"""Garbage is collected in the window's thread only."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from segdesk.ui.garbage import GuiGarbage


@pytest.fixture
def garbage(qtbot: QtBot) -> Iterator[GuiGarbage]:
    owner = QObject()
    made = GuiGarbage(owner)
    yield made
    made.stop()
    assert gc.isenabled()


def test_the_interpreter_does_not_collect_by_itself(garbage: GuiGarbage) -> None:
    assert not gc.isenabled()


def test_young_garbage_is_collected_when_there_is_enough_of_it(garbage: GuiGarbage) -> None:
    gc.collect()
    assert garbage.collect() is None
    kept = [[] for _ in range(3_000)]
    assert garbage.collect() == 0
    assert len(kept) == 3_000
