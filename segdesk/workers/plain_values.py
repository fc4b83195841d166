"""Data classes of ours as plain JSON values and back, with their arrays beside.

Only what is data can come back: data classes and enumerations of `segdesk.core`,
`segdesk.io` and `segdesk.errors`. Nothing else is called or imported by name, so a child
that a hostile file took over cannot make its parent run anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdesk.core.labels import LabelTable
from segdesk.errors import WorkerError

Plain = Any
"""A value of JSON; a mapping with the key "is" stands for something else."""

INLINE_BYTES = 1 << 12
"""Arrays up to this size (affines) travel in the text, exactly; larger ones beside it."""

_NUMBERS = "biuf"

_HOMES = ("segdesk.core.", "segdesk.io.", "segdesk.errors")


class Packer:
    """Turns values into plain ones and keeps aside what is not text.

    Parameters
    ----------
    inline_bytes : float
        Arrays up to this size are put into the text.

    Attributes
    ----------
    arrays : list of ndarray
        Large arrays, in the order of their numbers.
    calls : list of callable
        Functions (readers of entries), in the order of their numbers.
    """

    def __init__(self, inline_bytes: float = INLINE_BYTES) -> None:
        self._inline_bytes = inline_bytes
        self.arrays: list[NDArray[Any]] = []
        self.calls: list[Callable[..., object]] = []

    def pack(self, value: object) -> Plain:
        """Return the plain form of a value; TypeError when it has none."""
        if value is None or type(value) in (bool, int, float, str):
            return value
        if isinstance(value, Enum):
            return {"is": "enum", "class": _name_of(type(value)), "value": value.value}
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, tuple | list):
            return [self.pack(part) for part in value]
        return self._object(value)

    def _object(self, value: object) -> Plain:
        # Before data: a reader may be a data class as well, and must stay where it is.
        if callable(value):
            self.calls.append(value)
            return {"is": "call", "number": len(self.calls) - 1}
        if is_dataclass(value) and not isinstance(value, type):
            members = {each.name: self.pack(getattr(value, each.name)) for each in fields(value) if each.init}
            return {"is": "data", "class": _name_of(type(value)), "members": members}
        if isinstance(value, Mapping):
            return {"is": "mapping", "items": [[self.pack(key), self.pack(part)] for key, part in value.items()]}
        if isinstance(value, LabelTable):
            return {"is": "table", "labels": self.pack(tuple(value))}
        if isinstance(value, Path):
            return {"is": "path", "value": str(value)}
        if isinstance(value, datetime):
            return {"is": "time", "value": value.isoformat()}
        raise TypeError(f"{type(value).__name__} cannot be sent to another process")

    def _array(self, value: NDArray[Any]) -> Plain:
        if value.nbytes <= self._inline_bytes and value.dtype.kind in _NUMBERS:
            return {
                "is": "array",
                "dtype": value.dtype.str,
                "shape": list(value.shape),
                "values": value.ravel().tolist(),
            }
        self.arrays.append(value)
        return {"is": "block", "number": len(self.arrays) - 1}


class Unpacker:
    """Turns plain values back.

    Parameters
    ----------
    array_of : callable
        Returns the large array of a number.
    call_of : callable
        Returns a function that stands for the one of a number.
    """

    def __init__(self, array_of: Callable[[int], NDArray[Any]], call_of: Callable[[int], Callable[..., Any]]) -> None:
        self._array_of = array_of
        self._call_of = call_of

    def unpack(self, value: Plain) -> Any:
        """Return what `Packer.pack` was given.

        Raises
        ------
        WorkerError
            If it is nothing that a packer writes.
        """
        if isinstance(value, list):
            return tuple(self.unpack(part) for part in value)
        if not isinstance(value, dict):
            return value
        try:
            return self._special(value)
        except (KeyError, TypeError, ValueError, AttributeError, ImportError) as error:
            raise WorkerError("A child process sent something that is no value of ours.") from error

    def _special(self, value: dict[str, Any]) -> Any:
        kind = value["is"]
        if kind == "data":
            members = {name: self.unpack(part) for name, part in value["members"].items()}
            return _class_named(value["class"])(**members)
        if kind == "block":
            return self._array_of(value["number"])
        if kind == "call":
            return self._call_of(value["number"])
        if kind == "mapping":
            return {self.unpack(key): self.unpack(part) for key, part in value["items"]}
        if kind == "table":
            return LabelTable(self.unpack(value["labels"]))
        return _LEAVES[kind](value)


_LEAVES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "array": lambda value: _inline_array(value),
    "enum": lambda value: _class_named(value["class"])(value["value"]),
    "path": lambda value: Path(value["value"]),
    "time": lambda value: datetime.fromisoformat(value["value"]),
}


def _inline_array(value: dict[str, Any]) -> NDArray[Any]:
    dtype = np.dtype(value["dtype"])
    if dtype.kind not in _NUMBERS:
        raise ValueError(f"{dtype} is no type of numbers")
    return np.array(value["values"], dtype).reshape(value["shape"])


def _name_of(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _class_named(name: str) -> Callable[..., Any]:
    """Return a data class or enumeration of ours."""
    module, _, attribute = name.partition(":")
    if not module.startswith(_HOMES):
        raise ValueError(f"{name} is no data of ours")
    found = getattr(import_module(module), attribute)
    if not (isinstance(found, type) and (is_dataclass(found) or issubclass(found, Enum))):
        raise ValueError(f"{name} is no data of ours")
    return found
