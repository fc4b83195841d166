"""JSON without NaN, without a key twice, without towers of brackets."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from segdesk.errors import BadModelFolder


def parse_json(text: bytes, what: str) -> Any:
    """Parse UTF-8 JSON strictly.

    Parameters
    ----------
    text : bytes
        The document.
    what : str
        What it is, for the message.

    Raises
    ------
    BadModelFolder
        If it is no JSON, holds NaN or infinity, has a key twice, or is nested too deep.
    """
    try:
        return json.loads(text.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except RecursionError as exc:
        raise BadModelFolder(f"{what} is nested too deep; get the folder again.") from exc
    except ValueError as exc:
        raise BadModelFolder(f"{what} is damaged: {str(exc).splitlines()[0][:160]}.") from exc


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number JSON knows")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key is there twice")
    return table
