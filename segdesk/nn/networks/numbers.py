"""Check the plain numbers a model folder or a recipe gives for a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Parameters = Mapping[str, Any]


def only(numbers: Parameters, allowed: set[str], handled: set[str] | None = None) -> dict[str, Any]:
    """Return the `allowed` numbers that are there; ValueError for one that is neither allowed nor `handled`."""
    unknown = set(numbers) - allowed - (handled or set())
    if unknown:
        raise ValueError(f"unknown parameter {sorted(unknown)[0]!r}")
    return {name: numbers[name] for name in numbers if name in allowed}


def whole_numbers(value: object, name: str) -> tuple[int, ...]:
    """Return a list of whole numbers in 1..4096 as a tuple; ValueError if it is none."""
    values = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []
    if not values or not all(isinstance(n, int) and 0 < n <= 4096 for n in values):
        raise ValueError(f"{name} is a list of whole numbers in 1..4096")
    return tuple(values)
