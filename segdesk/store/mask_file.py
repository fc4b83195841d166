"""Masks as files named by their content: ``masks/ab/abcd….zip``.

A zip of ``header.json`` (grid, label table, origin, dtype of each layer) and one ``.npy``
per layer, readable with nothing but zip and NumPy. The name is the SHA-256 of the header
and the raw voxels, not of the zip, so it does not depend on how well they were compressed.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, cast

import numpy as np

from segdesk.core.labels import LabelArray, LabelMap
from segdesk.errors import SegdeskError, StoreError, WriteError
from segdesk.io.atomic import replace_file
from segdesk.store.grid_json import (
    grid_from_json,
    grid_to_json,
    origin_from_json,
    origin_to_json,
    table_from_json,
    table_to_json,
)

FORMAT = 1
_HEADER = "header.json"
_LEVEL = 1
_LARGEST_HEADER = 64 << 20
# What zipfile, zlib, NumPy and our own checks raise on a damaged file; RuntimeError: "encrypted", "version 12".
_DAMAGE = (
    OSError, RuntimeError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile, zlib.error, struct.error,
    SegdeskError,
)  # fmt: skip
_DTYPES: dict[str, np.dtype[Any]] = {"uint8": np.dtype(np.uint8), "uint16": np.dtype("<u2")}


def header_of(labels: LabelMap) -> bytes:
    """Return the header: canonical JSON, the same bytes for the same content."""
    header = {
        "format": FORMAT,
        "grid": grid_to_json(labels.geometry),
        "table": table_to_json(labels.table),
        "origin": origin_to_json(labels.origin),
        "layers": [layer.dtype.name for layer in labels.layers],
    }
    return json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def content_sha256(labels: LabelMap) -> str:
    """Return the hash that names the mask: header, then each layer's voxels, little-endian."""
    digest = hashlib.sha256(header_of(labels))
    for layer in labels.layers:
        digest.update(np.ascontiguousarray(layer, _DTYPES[layer.dtype.name]).data)
    return digest.hexdigest()


def mask_path(folder: Path, sha256: str) -> Path:
    """Return where the mask with this hash lies below `folder`."""
    return folder / sha256[:2] / f"{sha256}.zip"


def write_mask(folder: Path, labels: LabelMap) -> str:
    """Write a mask below `folder` unless it is there already, and return its hash.

    The file appears whole or not at all and is read back before it counts.

    Raises
    ------
    WriteError
        If it cannot be written or reads back differently.
    """
    sha256 = content_sha256(labels)
    path = mask_path(folder, sha256)
    if path.exists():
        return sha256
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"The mask was not written: {error.strerror}.", path=path.parent) from error
    replace_file(
        path, lambda temporary: _write(temporary, labels), lambda temporary: _holds(temporary, sha256), overwrite=True
    )
    return sha256


def read_mask(folder: Path, sha256: str) -> LabelMap:
    """Read the mask with this hash and check that it is the one.

    Raises
    ------
    StoreError
        If it is missing, damaged, or its content does not give its name.
    """
    path = mask_path(folder, sha256)
    labels = _read(path)
    if content_sha256(labels) != sha256:
        raise StoreError("A mask of the project is not the one that was stored; get it from a backup.", path=path)
    return labels


def _write(path: Path, labels: LabelMap) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        archive.writestr(_HEADER, header_of(labels))
        for number, layer in enumerate(labels.layers):
            with archive.open(f"layer{number}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, layer.astype(_DTYPES[layer.dtype.name], copy=False), allow_pickle=False)


def _holds(path: Path, sha256: str) -> bool:
    try:
        return content_sha256(_read(path)) == sha256
    except StoreError:
        return False


def _read(path: Path) -> LabelMap:
    try:
        with zipfile.ZipFile(path) as archive:
            return _parsed(archive, _header(archive))
    except StoreError:
        raise
    except FileNotFoundError:
        raise StoreError("A mask of the project is missing; get it from a backup.", path=path) from None
    except _DAMAGE as error:
        raise StoreError("A mask of the project is damaged; get it from a backup.", path=path) from error


def _header(archive: zipfile.ZipFile) -> dict[str, Any]:
    if archive.getinfo(_HEADER).file_size > _LARGEST_HEADER:
        raise ValueError("impossible header")
    header: dict[str, Any] = json.loads(archive.read(_HEADER))
    return header


def _parsed(archive: zipfile.ZipFile, header: dict[str, Any]) -> LabelMap:
    if int(header["format"]) > FORMAT:
        raise StoreError("A mask of the project was written by a newer segdesk; update segdesk.", code="schema_too_new")
    grid = grid_from_json(header["grid"])
    layers = []
    for number, name in enumerate(header["layers"]):
        with archive.open(f"layer{number}.npy") as file:
            layer = np.lib.format.read_array(file, allow_pickle=False)
        layers.append(np.ascontiguousarray(layer, dtype=np.dtype(_DTYPES[name]).newbyteorder("=")))
    table, origin = table_from_json(header["table"]), origin_from_json(header["origin"])
    return LabelMap(tuple(cast(LabelArray, layer) for layer in layers), grid, table, origin)
