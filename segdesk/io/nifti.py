"""Reading NIfTI-1, NIfTI-2 and Analyze, single files and pairs, plain and gzipped."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelTable
from segdesk.core.progress import Progress, silent
from segdesk.core.volume import IntensityUnit, Volume
from segdesk.errors import ReadError, Warn
from segdesk.io.byte_source import ByteSource
from segdesk.io.label_json import table_from_json
from segdesk.io.limits import file_bytes, require_size
from segdesk.io.nifti_header import NiftiHeader, parse_header

_HEAD_BYTES = 544
_COMMENT_CODE = 6
"""Extension code of free text (nifti1.h, NIFTI_ECODE_COMMENT)."""
_MAX_EXTENSION_BYTES = 1 << 24
_SLAB = 1 << 18
"""Voxels rescaled at once: the float64 slab stays in the processor's cache."""


@dataclass(frozen=True, slots=True)
class NiftiFile:
    """A file whose header was read: what is in it, its label names if it has some, whether slices lie open in it."""

    path: Path
    header: NiftiHeader
    table: LabelTable | None = None
    has_open_slices: bool = False


def open_nifti(path: Path) -> NiftiFile:
    """Read the header (and label names) of a .nii, .nii.gz or .hdr file; an .img leads to its .hdr.

    Raises
    ------
    ReadError
        As `parse_header`; ``unreadable`` when half of a pair is missing.
    """
    with ByteSource(path) as source:
        head = source.read(_HEAD_BYTES)
        header = parse_header(head, path)
        if header.is_pair:
            return NiftiFile(path, header)
        source.require_held(header.data_offset + header.voxel_count * header.stored_dtype.itemsize)
        start = header.extension_offset
        tail = head[start : header.data_offset]
        missing = min(header.data_offset, _MAX_EXTENSION_BYTES) - len(head)
        if missing > 0:
            tail += source.read(missing)
        return NiftiFile(path, header, _label_table(tail, header), not source.is_gzip)


def read_nifti(file: NiftiFile, report: Progress = silent) -> Volume:
    """Read the voxels.

    Returns
    -------
    Volume
        Integers stay integers when the file sets no scale; otherwise float32 (float64
        for stored types wider than 32 bits). RGBA loses its alpha.

    Raises
    ------
    ReadError
        ``truncated`` when the file is shorter than its header says.
    """
    header, path = file.header, file.path
    report(0, 1, path.name)
    with ByteSource(_image_path(path) if header.is_pair else path) as source:
        itemsize = max(header.stored_dtype.itemsize, header.dtype.itemsize)
        require_size(path, header.voxel_count * itemsize, file_bytes([source.path]))
        source.skip(header.data_offset)
        stored = source.read_array(header.stored_dtype, header.voxel_count)
    volume = _volume(file, stored, header.geometry, header.time_points)
    report(1, 1, path.name)
    return replace(volume, warnings=(*header.warnings, *nan_warning(volume.array)))


def read_nifti_slice(file: NiftiFile, k: int, point: int, report: Progress = silent) -> Volume:
    """Read one slice of one time point from a file with open slices: a `SliceReader`.

    Raises
    ------
    ReadError
        As `read_nifti`.
    """
    header = file.header
    slices, rows, columns = header.geometry.shape_kji
    values = rows * columns * header.samples
    report(0, 1, file.path.name)
    first_byte = header.data_offset + (point * slices + k) * values * header.stored_dtype.itemsize
    with ByteSource(file.path, first_byte, is_gzip=False) as source:
        stored = source.read_array(header.stored_dtype, values)
    return _volume(file, stored, header.geometry.at_slice(k), 1)


def _volume(file: NiftiFile, stored: NDArray[Any], geometry: Geometry, time_points: int) -> Volume:
    """Scale flat stored values and put them on their grid."""
    header = file.header
    shape: tuple[int, ...] = geometry.shape_kji
    shape = (time_points, *shape) if time_points > 1 else shape
    shape = (*shape, header.samples) if header.samples > 1 else shape
    return Volume(
        _scaled(stored.reshape(shape), header),
        geometry,
        unit=IntensityUnit.RGB if header.samples > 1 else IntensityUnit.ARBITRARY,
        time_points=time_points,
        warnings=header.warnings,
        source_path=str(file.path),
    )


def nan_warning(array: NDArray[Any]) -> tuple[Warn, ...]:
    """Return a warning with the number of NaN and infinite values, or nothing."""
    if array.dtype.kind != "f":
        return ()
    # A sum is finite unless a value is not (or it overflows): one fast pass for the usual case.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(np.sum(array, dtype=np.float64)):
            return ()
    count = int(array.size - np.count_nonzero(np.isfinite(array)))
    return (Warn("nan_values", f"{count} voxels are NaN or infinite."),) if count else ()


def _scaled(stored: NDArray[Any], header: NiftiHeader) -> NDArray[Any]:
    if header.samples == 4:
        return np.ascontiguousarray(stored[..., :3])
    if header.slope is None:
        return stored if stored.dtype == header.dtype else stored.astype(header.dtype)
    return rescaled(stored, header.slope, header.intercept, header.dtype)


def rescaled(stored: NDArray[Any], slope: float, intercept: float, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return stored * slope + intercept, computed in float64 slab by slab and rounded once."""
    array = np.empty(stored.shape, dtype)
    rescale_into(stored, slope, intercept, array)
    return array


def rescale_into(stored: NDArray[Any], slope: float, intercept: float, array: NDArray[Any]) -> None:
    """As `rescaled`, into a C-contiguous array of the same shape."""
    flat, target = stored.reshape(-1), array.reshape(-1)
    if slope == 1 and intercept == 0:
        target[:] = flat
        return
    for start in range(0, flat.size, _SLAB):
        slab = flat[start : start + _SLAB] * np.float64(slope)
        slab += intercept
        target[start : start + _SLAB] = slab


def _image_path(header_path: Path) -> Path:
    """Return the .img (or .img.gz) beside a .hdr, whatever the case of the letters."""
    stem = header_path.name.lower().removesuffix(".gz").removesuffix(".hdr").removesuffix(".img")
    wanted = (f"{stem}.img", f"{stem}.img.gz")
    for candidate in sorted(header_path.parent.iterdir()):
        if candidate.name.lower() in wanted and candidate.is_file():
            return candidate
    raise ReadError(f"{header_path.name} is a header without its image; put {stem}.img beside it.", path=header_path)


def _label_table(tail: bytes, header: NiftiHeader) -> LabelTable | None:
    """Find our label names among the extensions (nifti1.h: 4 flag bytes, then size, code, content)."""
    order = "little" if header.stored_dtype.newbyteorder("=") == header.stored_dtype else "big"
    position = 4 if tail[:1] not in (b"", b"\0") else len(tail)
    while position + 8 <= len(tail):
        size = int.from_bytes(tail[position : position + 4], order)  # type: ignore[arg-type]
        code = int.from_bytes(tail[position + 4 : position + 8], order)  # type: ignore[arg-type]
        if size < 8:
            return None
        if code == _COMMENT_CODE:
            text = tail[position + 8 : position + size].rstrip(b"\0").decode("utf-8", "replace")
            table = table_from_json(text)
            if table is not None:
                return table
        position += size
    return None
