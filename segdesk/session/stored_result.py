"""A prediction as a file of the result cache: a zip of ``entry.json`` and ``labels.npy``.

The labels are cut to the box around what is drawn. There is nothing of the image in it, and
nothing that names a patient, a file or a series.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from segdesk.core.box import Box, Index3
from segdesk.core.labels import LabelArray, drawn_box
from segdesk.core.prediction import Prediction
from segdesk.core.provenance import Scalar

FORMAT = 1
_ENTRY, _LABELS = "entry.json", "labels.npy"
_LEVEL = 1
_LARGEST_ENTRY = 4 << 20
_LARGEST_NPY_HEADER = 1 << 12
DAMAGE = (
    OSError,
    RuntimeError,
    EOFError,
    KeyError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
)
"""What zipfile, zlib, json, NumPy and the checks below raise on a damaged file."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredResult:
    """What is kept of a prediction.

    Parameters
    ----------
    labels : ndarray of uint8 or uint16, shape (K, J, I)
        On the whole grid.
    manifest : mapping
        Of the run that made them.
    parameters : mapping
        Of the labels' origin.
    created : datetime
        When they were made.
    """

    labels: LabelArray = field(repr=False)
    manifest: Mapping[str, Any]
    parameters: Mapping[str, Scalar]
    created: datetime

    @classmethod
    def of(cls, prediction: Prediction) -> StoredResult:
        """Return what is kept of a prediction without maps."""
        origin = prediction.labels.origin
        return cls(prediction.labels.array, prediction.manifest, origin.parameters, origin.created)

    def same_as(self, other: StoredResult) -> bool:
        """Whether both say the same, voxel by voxel."""
        return _entry_of(self, "") == _entry_of(other, "") and np.array_equal(self.labels, other.labels)


def write_result(path: Path, key: str, result: StoredResult) -> None:
    """Write a result to a path; OSError when that fails."""
    entry = _entry_of(result, key)
    (k0, j0, i0), (k1, j1, i1) = entry["box"]
    inside = cast(LabelArray, np.ascontiguousarray(result.labels[k0:k1, j0:j1, i0:i1]))
    text = json.dumps({**entry, "digest": _digest(entry, inside)}, separators=(",", ":"))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        archive.writestr(_ENTRY, text)
        with archive.open(_LABELS, "w", force_zip64=True) as file:
            np.lib.format.write_array(file, inside, allow_pickle=False)


def read_result(file: IO[bytes], key: str) -> StoredResult:
    """Read a result and check it.

    Raises
    ------
    OSError, ValueError, ...
        One of `DAMAGE`: if it is not whole, or not the one of this key.
    """
    with zipfile.ZipFile(file) as archive:
        if archive.getinfo(_ENTRY).file_size > _LARGEST_ENTRY:
            raise ValueError("impossible entry")
        entry = json.loads(archive.read(_ENTRY))
        if not isinstance(entry, dict):
            raise TypeError("impossible entry")
        digest = entry.pop("digest")
        if entry["format"] != FORMAT or entry["key"] != key:
            raise ValueError("another entry")
        box = Box(_index(entry["box"][0]), _index(entry["box"][1]))
        dtype = np.dtype({"uint8": np.uint8, "uint16": np.uint16}[entry["dtype"]])
        size = int(np.prod(box.shape_kji, dtype=np.int64)) * dtype.itemsize
        if archive.getinfo(_LABELS).file_size > size + _LARGEST_NPY_HEADER:
            raise ValueError("impossible labels")
        with archive.open(_LABELS) as labels:
            inside = np.ascontiguousarray(np.lib.format.read_array(labels, allow_pickle=False))
    if (inside.shape, inside.dtype) != (box.shape_kji, dtype) or digest != _digest(entry, inside):
        raise ValueError("other labels than were stored")
    whole = np.zeros(_index(entry["shape_kji"]), dtype)
    whole[box.slices] = inside
    created = datetime.fromisoformat(entry["created"])
    return StoredResult(cast(LabelArray, whole), entry["manifest"], entry["parameters"], created)


def _entry_of(result: StoredResult, key: str) -> dict[str, Any]:
    box = drawn_box(result.labels) or Box((0, 0, 0), (0, 0, 0))
    entry = {
        "format": FORMAT,
        "key": key,
        "created": result.created.isoformat(),
        "shape_kji": result.labels.shape,
        "dtype": result.labels.dtype.name,
        "box": [box.start_kji, box.stop_kji],
        "parameters": dict(result.parameters),
        "manifest": dict(result.manifest),
    }
    # Once through JSON, so that what is hashed and compared is what will be read.
    plain: dict[str, Any] = json.loads(json.dumps(entry))
    return plain


def _digest(entry: Mapping[str, Any], inside: LabelArray) -> str:
    digest = hashlib.blake2b(json.dumps(entry, sort_keys=True, separators=(",", ":")).encode(), digest_size=32)
    digest.update(inside.data)
    return digest.hexdigest()


def _index(values: Any) -> Index3:
    k, j, i = (int(value) for value in values)
    return k, j, i
