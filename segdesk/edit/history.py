"""Undo and redo: strokes as transactions, bounded by memory."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from segdesk.core.box import Box
from segdesk.core.labels import LabelMap
from segdesk.edit.delta import LabelDelta, PackedDelta
from segdesk.errors import EditError

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Step:
    """One undo step: its name for the menu and its deltas, oldest first."""

    name: str
    deltas: tuple[PackedDelta, ...]

    @property
    def nbytes(self) -> int:
        """Compressed size in bytes."""
        return sum(delta.nbytes for delta in self.deltas)

    @property
    def box(self) -> Box:
        """The box around all that the step touches."""
        box = self.deltas[0].box
        for delta in self.deltas[1:]:
            box = box.union(delta.box)
        return box


class EditHistory:
    """What can be undone and redone on one label map.

    Parameters
    ----------
    max_bytes : int
        Oldest steps are forgotten above this compressed size.
    min_steps : int
        So many steps are kept however large they are.
    """

    def __init__(self, max_bytes: int = 256 * MIB, min_steps: int = 20) -> None:
        self._max_bytes = max_bytes
        self._min_steps = min_steps
        self._done: deque[Step] = deque()
        self._undone: list[Step] = []
        self._open: list[LabelDelta] | None = None
        self._open_name = ""
        self._nbytes = 0

    @property
    def is_open(self) -> bool:
        """Whether a stroke is in progress."""
        return self._open is not None

    @property
    def step_count(self) -> int:
        """Number of steps that can be undone."""
        return len(self._done)

    @property
    def redo_count(self) -> int:
        """Number of steps that can be repeated."""
        return len(self._undone)

    @property
    def nbytes(self) -> int:
        """Compressed size of all steps that can be undone, in bytes."""
        return self._nbytes

    @property
    def undo_name(self) -> str:
        """Name of the step that `undo` takes back, "" when there is none."""
        return self._done[-1].name if self._done else ""

    @property
    def redo_name(self) -> str:
        """Name of the step that `redo` repeats, "" when there is none."""
        return self._undone[-1].name if self._undone else ""

    def begin(self, name: str) -> None:
        """Start a stroke; EditError when one is open."""
        if self._open is not None:
            raise EditError(f"The stroke {self._open_name!r} is still open; finish or abort it first.")
        self._open, self._open_name = [], name

    def add(self, delta: LabelDelta | None) -> None:
        """Add an applied delta to the open stroke; None adds nothing."""
        if self._open is None:
            raise EditError("No stroke is open; begin one before drawing.")
        if delta is not None:
            self._open.append(delta)

    def commit(self) -> Step | None:
        """Close the stroke as one step; None when it changed nothing. What was undone is forgotten."""
        if self._open is None:
            raise EditError("No stroke is open; there is nothing to commit.")
        deltas, self._open = self._open, None
        if not deltas:
            return None
        step = Step(self._open_name, tuple(delta.packed() for delta in deltas))
        self._undone.clear()
        self._push(step)
        return step

    def abort(self, labels: LabelMap) -> Box | None:
        """Drop the open stroke and restore the voxels; returns what was touched."""
        if self._open is None:
            return None
        deltas, self._open = self._open, None
        box: Box | None = None
        for delta in reversed(deltas):
            delta.revert(labels)
            box = delta.box if box is None else box.union(delta.box)
        return box

    def revert_open(self, labels: LabelMap) -> None:
        """Take the open stroke out of a copy of the map; the stroke goes on."""
        for delta in reversed(self._open or []):
            delta.revert(labels)

    def undo(self, labels: LabelMap) -> Step | None:
        """Take the last step back; None when there is none. EditError while a stroke is open."""
        self._require_closed()
        if not self._done:
            return None
        step = self._done.pop()
        self._nbytes -= step.nbytes
        for delta in reversed(step.deltas):
            delta.unpacked().revert(labels)
        self._undone.append(step)
        return step

    def redo(self, labels: LabelMap) -> Step | None:
        """Repeat the step undone last; None when there is none. EditError while a stroke is open."""
        self._require_closed()
        if not self._undone:
            return None
        step = self._undone.pop()
        for delta in step.deltas:
            delta.unpacked().apply(labels)
        self._push(step)
        return step

    def clear(self) -> None:
        """Forget everything."""
        self._done.clear()
        self._undone.clear()
        self._open = None
        self._nbytes = 0

    def _push(self, step: Step) -> None:
        self._done.append(step)
        self._nbytes += step.nbytes
        while self._nbytes > self._max_bytes and len(self._done) > self._min_steps:
            self._nbytes -= self._done.popleft().nbytes

    def _require_closed(self) -> None:
        if self._open is not None:
            raise EditError(f"The stroke {self._open_name!r} is still open; finish or abort it first.")
