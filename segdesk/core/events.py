"""Signals without Qt, and values that announce their changes."""

from __future__ import annotations

from enum import Flag, auto
from typing import Generic, TypeVar

from psygnal import Signal, SignalInstance

T = TypeVar("T")


class Change(Flag):
    """What an operation of the session changed; every listener decides for itself."""

    PROJECT = auto()
    CASES = auto()
    VOLUME = auto()
    LABELS = auto()
    TABLE = auto()
    CANDIDATE = auto()
    VOTES = auto()
    CONSENSUS = auto()
    SCORES = auto()
    MODEL = auto()
    HISTORY = auto()
    SAVED = auto()


class Property(Generic[T]):
    """A value that emits `changed` when it is set to something else.

    Parameters
    ----------
    value : T
        Start value.
    minimum, maximum : T, optional
        Range that values are clipped to.
    unit : str
        Shown behind the value ("mm").
    """

    changed = Signal(object)

    def __init__(self, value: T, *, minimum: T | None = None, maximum: T | None = None, unit: str = "") -> None:
        self.minimum = minimum
        self.maximum = maximum
        self.unit = unit
        self._value = value

    @property
    def value(self) -> T:
        """The present value."""
        return self._value

    @value.setter
    def value(self, new: T) -> None:
        clipped = self._clip(new)
        if clipped != self._value:
            self._value = clipped
            self.changed.emit(clipped)

    def _clip(self, new: T) -> T:
        if self.minimum is not None and new < self.minimum:  # type: ignore[operator]
            return self.minimum
        if self.maximum is not None and new > self.maximum:  # type: ignore[operator]
            return self.maximum
        return new


__all__ = ["Change", "Property", "Signal", "SignalInstance"]
