"""A list one walks through with two keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from segdesk.core.events import Signal

Item = TypeVar("Item")


class Walk(Generic[Item]):
    """Items in order, with a present one; the ends are joined.

    Signals
    -------
    changed
        The items are others.
    moved : Item
        Another item is the present one.
    """

    changed = Signal()
    moved = Signal(object)

    def __init__(self) -> None:
        self._items: tuple[Item, ...] = ()
        self._position: int | None = None

    @property
    def items(self) -> tuple[Item, ...]:
        """All items."""
        return self._items

    @property
    def position(self) -> int | None:
        """Place of the present item, None before the first step."""
        return self._position

    @property
    def current(self) -> Item | None:
        """The present item."""
        return None if self._position is None else self._items[self._position]

    def set_items(self, items: Sequence[Item]) -> None:
        """Take other items; none is the present one."""
        self._items = tuple(items)
        self._position = None
        self.changed.emit()

    def step(self, by: int) -> Item | None:
        """Go on by `by` items (1 or -1), from the end to the beginning; None in an empty list."""
        if not self._items:
            return None
        start = self._position if self._position is not None else (-1 if by > 0 else 0)
        return self.go_to((start + by) % len(self._items))

    def go_to(self, position: int) -> Item:
        """Make the item at a place the present one."""
        self._position = position
        self.moved.emit(self._items[position])
        return self._items[position]
