"""Frozen dataclasses from plain tables (TOML, JSON), checked field by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from segdesk.errors import UsageError

T = TypeVar("T")


def from_table(kind: type[T], table: Mapping[str, Any], where: str, ready: Mapping[str, Any] | None = None) -> T:
    """Build a dataclass from a table of plain values.

    Parameters
    ----------
    kind : type
        A dataclass whose fields are numbers, flags, words, or tuples of them.
    table : mapping
        Whole numbers are taken as float where one is wanted; lists become tuples.
    where : str
        The table's name, for messages.
    ready : mapping, optional
        Fields that are values already.

    Raises
    ------
    UsageError
        For a key that is unknown, missing, or of the wrong type.
    """
    done = dict(ready or {})
    hints = get_type_hints(kind)
    named = {each.name: each for each in fields(kind)}  # type: ignore[arg-type]
    for key, value in table.items():
        if key not in named or key in done:
            raise UsageError(
                f"[{where}] has no {key!r}; it has {', '.join(n for n in named if n not in (ready or {}))}."
            )
        done[key] = _typed(value, hints[key], f"[{where}] {key}")
    for name, each in named.items():
        if name not in done and each.default is MISSING and each.default_factory is MISSING:
            raise UsageError(f"[{where}] needs {name!r}.")
    return kind(**done)


def _typed(value: Any, hint: Any, where: str) -> Any:
    if get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise UsageError(f"{where} is a list.")
        return tuple(_typed(each, get_args(hint)[0], where) for each in value)
    allowed = get_args(hint) or (hint,)
    if value is None and type(None) in allowed:
        return None
    if float in allowed and type(value) in (int, float):
        return float(value)
    if any(type(value) is each for each in allowed):
        return value
    names = " or ".join(_WORDS.get(each, str(each)) for each in allowed if each is not type(None))
    raise UsageError(f"{where} is {names}, not {value!r:.60}.")


_WORDS = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
