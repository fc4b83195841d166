"""Python's garbage is collected in the window's thread only."""

from __future__ import annotations

import gc

from PySide6.QtCore import QObject, QTimer

INTERVAL_MS = 1_000
_YOUNG, _MIDDLE, _OLD = 2_000, 10, 25
"""A generation is collected after so many new objects, or so many collections of the younger one."""


class GuiGarbage(QObject):
    """Collects by a timer instead of wherever the interpreter happens to be.

    A collection that strikes in a worker thread deletes widgets and timers there that
    were left in a cycle, and Qt does not survive that.

    Parameters
    ----------
    parent : QObject
        Owner; while it lives the interpreter's own collection is off.
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        gc.disable()
        self._timer = QTimer(self)
        self._timer.setInterval(INTERVAL_MS)
        self._timer.timeout.connect(self.collect)
        self._timer.start()

    def collect(self) -> int | None:
        """Collect what is due; returns the generation, None when nothing is."""
        young, middle, old = gc.get_count()
        if young < _YOUNG:
            return None
        generation = 2 if old >= _OLD else 1 if middle >= _MIDDLE else 0
        gc.collect(generation)
        return generation

    def stop(self) -> None:
        """Give collection back to the interpreter."""
        self._timer.stop()
        gc.enable()
