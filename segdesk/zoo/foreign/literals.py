"""Configurations of MONAI as plain data: what is not a literal is not read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segdesk.errors import ImportRefused

_MARKS = ("$", "@", "%")
"""First letters of what MONAI evaluates, looks up or includes."""

_SPECIAL = frozenset({"_requires_", "_mode_", "_args_", "_desc_"})


def is_expression(value: object) -> bool:
    """Whether a text is one that MONAI would evaluate, look up or include."""
    return isinstance(value, str) and value.lstrip().startswith(_MARKS)


def as_literal(value: Any, where: str) -> Any:
    """Return a copy of a value that holds literals only.

    Raises
    ------
    ImportRefused
        If there is an expression, a reference, or an object to be made, at any depth.
    """
    if isinstance(value, Mapping):
        return {key: _inner(key, each, where) for key, each in value.items()}
    if isinstance(value, list):
        return [as_literal(each, where) for each in value]
    if is_expression(value):
        raise ImportRefused(
            f"{where} of the bundle holds an expression ({str(value)[:60]!r}). segdesk runs no code of a bundle; "
            "declare this part in a contract file (--contract)."
        )
    return value


def is_literal(value: Any) -> bool:
    """Whether a value holds literals only."""
    try:
        as_literal(value, "")
    except ImportRefused:
        return False
    return True


def table_at(value: Any, *names: str) -> Mapping[str, Any] | None:
    """Return a table inside tables, None where there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else None


def _inner(key: str, value: Any, where: str) -> Any:
    if key in _SPECIAL or is_expression(key):
        raise ImportRefused(f"{where} of the bundle uses {key[:40]!r}, which runs code; declare it in a contract file.")
    if isinstance(value, Mapping) and "_target_" in value:
        raise ImportRefused(
            f"{where} of the bundle would call {str(value['_target_'])[:60]!r}; declare it in a contract file."
        )
    return as_literal(value, where)
