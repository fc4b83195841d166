"""Read the header of a safetensors file: names and shapes of the weights, no torch, nothing executed.

The format: 8 bytes little-endian header length, that many bytes of JSON
``{name: {"dtype", "shape", "data_offsets"}}``, then the tensors without gaps
(https://github.com/huggingface/safetensors, "Format").
"""

from __future__ import annotations

import math
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segdesk.errors import BadModelFolder
from segdesk.zoo.plain_json import parse_json

MAX_WEIGHT_BYTES = 8 << 30
"""Larger files are no network of ours; the largest published U-Nets stay below 1 GiB."""

MAX_HEADER_BYTES = 8 << 20
"""A header of 10,000 tensors is about 1 MiB; the format itself allows 100 MB."""

_PICKLE_STARTS = (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
"""A zip archive (how torch saves) and the pickle protocols in use."""

_ITEM_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


@dataclass(frozen=True, slots=True)
class TensorEntry:
    """One tensor of a weights file."""

    name: str
    dtype: str
    shape: tuple[int, ...]


def read_weights_header(path: Path) -> tuple[TensorEntry, ...]:
    """Return the tensors of a safetensors file after checking that the header fits the file exactly.

    Raises
    ------
    BadModelFolder
        If it is no safetensors file, is truncated, or its header lies.
    """
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            raise BadModelFolder(f"{path.name} is not a regular file; links are refused.", path=path)
        with path.open("rb") as file:
            start = file.read(8)
            length = _header_length(start, status.st_size, path)
            header = parse_json(file.read(length), f"the header of {path.name}")
    except OSError as exc:
        raise BadModelFolder(f"{path.name} cannot be read ({exc.strerror}); get the folder again.", path=path) from exc
    if not isinstance(header, dict):
        raise BadModelFolder(f"{path.name} has no table of tensors in its header; get the folder again.", path=path)
    header.pop("__metadata__", None)
    return _tensors(header, status.st_size - 8 - length, path)


def _header_length(start: bytes, file_bytes: int, path: Path) -> int:
    """Check the first eight bytes and the sizes they promise."""
    length = int.from_bytes(start, "little")
    if file_bytes > MAX_WEIGHT_BYTES:
        raise BadModelFolder(f"{path.name} is larger than {MAX_WEIGHT_BYTES >> 30} GiB and is refused.", path=path)
    if len(start) < 8 or length < 2 or length > min(MAX_HEADER_BYTES, file_bytes - 8):
        # Only now: the length of an honest header may begin with the same bytes as a pickle.
        if start[:2] in _PICKLE_STARTS:
            raise BadModelFolder(
                f"{path.name} is a pickle, not safetensors; segdesk never opens pickles. Get safetensors weights.",
                path=path,
            )
        raise BadModelFolder(f"{path.name} is no safetensors file or is truncated; get the folder again.", path=path)
    return length


def _tensors(header: dict[str, Any], data_bytes: int, path: Path) -> tuple[TensorEntry, ...]:
    """Check that the tensors fill the data part without gap, overlap or rest."""
    rows = [(*_entry(name, row, path), name) for name, row in header.items()]
    position = 0
    for begin, end, entry, _ in sorted(rows, key=lambda row: (row[0], row[1])):
        size = math.prod(entry.shape) * _ITEM_BYTES[entry.dtype]
        if begin != position or end - begin != size:
            raise BadModelFolder(f"{path.name}: tensor {entry.name[:60]!r} lies outside its place.", path=path)
        position = end
    if position != data_bytes:
        raise BadModelFolder(
            f"{path.name} is truncated or padded ({data_bytes} bytes of weights, {position} expected).", path=path
        )
    return tuple(row[2] for row in rows)


def _entry(name: str, row: object, path: Path) -> tuple[int, int, TensorEntry]:
    """Return begin, end and description of one row of the header."""
    match row:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [int(begin), int(end)]} if (
            dtype in _ITEM_BYTES and len(shape) <= 8 and all(type(n) is int and 0 <= n < 2**40 for n in shape)
        ):
            return begin, end, TensorEntry(name, dtype, tuple(shape))
    raise BadModelFolder(f"{path.name}: the header row of {name[:60]!r} is damaged; get the folder again.", path=path)
