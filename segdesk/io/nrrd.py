"""Reading and writing NRRD, .nhdr with its data, and Slicer's .seg.nrrd.

Read by segdesk itself, not through ITK: ITK refuses shear, flattens the layers of
.seg.nrrd into vectors and does not tell a short file from a whole one.
"""

from __future__ import annotations

import bz2
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from isal import igzip
from numpy.typing import NDArray

from segdesk.core.geometry import Geometry
from segdesk.core.progress import Progress, silent
from segdesk.core.volume import IntensityUnit, Volume
from segdesk.errors import ReadError
from segdesk.io.byte_source import ByteSource
from segdesk.io.limits import file_bytes, require_size
from segdesk.io.nifti import nan_warning
from segdesk.io.nrrd_header import MAX_HEADER_BYTES, NrrdHeader, parse_nrrd_header

GEOMETRY_SOURCE_KEY = "segdesk_geometry_source"
"""Key that says where the place of a written image came from (GEOMETRY check 51)."""

_GZIP_LEVEL = 1
_NAMES = {
    "int8": "signed char", "uint8": "unsigned char", "int16": "short", "uint16": "unsigned short", "int32": "int",
    "uint32": "unsigned int", "int64": "long long int", "uint64": "unsigned long long int",
    "float32": "float", "float64": "double",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class NrrdFile:
    """A file whose header was read."""

    path: Path
    header: NrrdHeader


def open_nrrd(path: Path) -> NrrdFile:
    """Read the header of a .nrrd or .nhdr; raises `ReadError`."""
    try:
        with path.open("rb") as file:
            head = file.read(MAX_HEADER_BYTES)
    except OSError as error:
        raise ReadError(f"{path.name} cannot be read: {error.strerror}.", path=path) from error
    return NrrdFile(path, parse_nrrd_header(head, path))


def read_nrrd(file: NrrdFile, report: Progress = silent) -> Volume:
    """Read an image: grey, colour (RGB kinds), or with a leading time axis.

    Raises
    ------
    ReadError
        ``truncated`` when data are missing, ``not_an_image`` for vector fields.
    """
    report(0, 1, file.path.name)
    header = file.header
    layers = read_layers(file)
    is_rgb = header.is_rgb
    if is_rgb and layers.dtype != np.uint8:
        raise ReadError(f"{file.path.name} has {layers.dtype} colours; save it with 8 bits.", path=file.path)
    if header.list_kind.endswith("vector") and not is_rgb:
        raise ReadError(f"{file.path.name} holds vectors, not an image.", code="not_an_image", path=file.path)
    time_points = 1 if is_rgb else len(layers)
    array = layers[0] if len(layers) == 1 else layers
    if is_rgb:
        array = np.ascontiguousarray(np.moveaxis(layers[:3], 0, -1))
    report(1, 1, file.path.name)
    return Volume(
        array,
        header.geometry,
        unit=IntensityUnit.RGB if is_rgb else IntensityUnit.ARBITRARY,
        time_points=time_points,
        warnings=(*header.warnings, *nan_warning(array)),
        source_path=str(file.path),
    )


def read_layers(file: NrrdFile) -> NDArray[Any]:
    """Return all data as (L, K, J, I), L = 1 without a list axis; C-contiguous."""
    header = file.header
    array = _read_flat(file).reshape(header.sizes[::-1])
    layers = array[None] if header.list_axis is None else np.moveaxis(array, array.ndim - 1 - header.list_axis, 0)
    return np.ascontiguousarray(layers.reshape(len(layers), *header.geometry.shape_kji))


def _read_flat(file: NrrdFile) -> NDArray[Any]:
    header, count = file.header, math.prod(file.header.sizes)
    data_path = file.path if header.data_file is None else file.path.with_name(header.data_file)
    if not data_path.is_file():
        raise ReadError(f"{file.path.name} needs {data_path.name} beside it, which is missing.", path=file.path)
    start = header.header_size if header.data_file is None else 0
    if header.byte_skip == -1 and header.encoding == "raw":
        start = max(0, data_path.stat().st_size - count * header.dtype.itemsize)
    start = _after_lines(data_path, start, header.line_skip)
    with ByteSource(data_path, start, header.encoding == "gzip") as source:
        if header.encoding in ("raw", "gzip"):
            source.skip(header.byte_skip)
            return source.read_array(header.dtype, count)
        stored = file_bytes([data_path])
        if header.encoding == "ascii" and 2 * count - 1 > stored:
            raise ReadError(f"{data_path.name} ends early; copy it again.", code="truncated", path=data_path)
        require_size(data_path, count * header.dtype.itemsize, stored)
        content = source.read(-1)[max(0, header.byte_skip) :]
    return _decode(content, header, count, data_path)


def _decode(content: bytes, header: NrrdHeader, count: int, path: Path) -> NDArray[Any]:
    native = header.dtype.newbyteorder("=")
    try:
        if header.encoding == "ascii":
            flat = np.array(content.split(), dtype=native)
        else:
            needed = count * header.dtype.itemsize
            flat = np.frombuffer(bz2.BZ2Decompressor().decompress(content, needed), header.dtype).astype(native)
    except (OSError, ValueError, EOFError) as error:
        raise ReadError(f"{path.name} holds damaged data.", code="truncated", path=path) from error
    if flat.size < count:
        raise ReadError(f"{path.name} ends early: {flat.size} of {count} values.", code="truncated", path=path)
    return flat[:count]


def _after_lines(path: Path, start: int, lines: int) -> int:
    if lines <= 0:
        return start
    with path.open("rb") as file:
        file.seek(start)
        for _ in range(lines):
            if not file.readline():
                break
        return file.tell()


def write_nrrd(
    path: Path, layers: NDArray[Any], geometry: Geometry, keys: Mapping[str, str], kind: str = "list"
) -> None:
    """Write (L, K, J, I) layers as one attached, gzipped NRRD in LPS.

    Parameters
    ----------
    path : Path
        Ends in .nrrd.
    layers : ndarray, shape (L, K, J, I)
        One layer is written without a list axis.
    geometry : Geometry
        Unknown orientations are written with spacings and no space.
    keys : mapping
        Key/value pairs, as Slicer's segment descriptions.
    kind : str
        Kind of the list axis, which is the first and fastest one as Slicer writes it:
        "list" (layers, time points) or "RGB-color".
    """
    has_list = len(layers) > 1
    array = np.ascontiguousarray(np.moveaxis(layers, 0, -1) if has_list else layers[0])
    lines = [
        "NRRD0005",
        f"type: {_NAMES[array.dtype.name]}",
        f"dimension: {array.ndim}",
        *_space_lines(geometry, kind if has_list else ""),
        f"sizes: {' '.join(str(n) for n in array.shape[::-1])}",
        "endian: little",
        "encoding: gzip",
        f"{GEOMETRY_SOURCE_KEY}:={_escaped(geometry.source)}",
        *(f"{key}:={_escaped(value)}" for key, value in keys.items()),
    ]
    with path.open("wb") as raw:
        raw.write(("\n".join(lines) + "\n\n").encode())
        with igzip.IGzipFile("", "wb", _GZIP_LEVEL, raw, mtime=0) as stream:
            stream.write(array.reshape(-1).view(np.uint8).data)


def _space_lines(geometry: Geometry, kind: str) -> list[str]:
    kinds = ["domain"] * 3
    columns = geometry.affine_kji_to_lps[:3, [2, 1, 0]].T
    vectors = [f"({','.join(repr(float(x)) for x in column)})" for column in columns]
    spacings = [repr(s) for s in geometry.spacing_kji_mm[::-1]]
    if kind:
        kinds.insert(0, kind)
        vectors.insert(0, "none")
        spacings.insert(0, "NaN")
    lines = [f"kinds: {' '.join(kinds)}"]
    if not geometry.orientation_known:
        return [*lines, f"spacings: {' '.join(spacings)}"] if geometry.spacing_known else lines
    origin = ",".join(repr(float(x)) for x in geometry.affine_kji_to_lps[:3, 3])
    return [
        "space: left-posterior-superior",
        *lines,
        f"space directions: {' '.join(vectors)}",
        f"space origin: ({origin})",
    ]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "")
