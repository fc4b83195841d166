"""Writing NIfTI-1 and NIfTI-2: sform and qform, shear and the unknown told honestly."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from isal import igzip
from numpy.typing import NDArray

from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelTable
from segdesk.io.label_json import table_to_json
from segdesk.io.nifti_header import IJK_FROM_KJI, LPS_FROM_RAS

_GZIP_LEVEL = 1
_SCANNER = 1
_MAX_NIFTI1_DIM = 32767
_MM_AND_SECONDS = 2 | 8
_UNKNOWN_AND_SECONDS = 8
_MAX_DESCRIPTION_BYTES = 79


def write_nifti(path: Path, array: NDArray[Any], geometry: Geometry, table: LabelTable | None = None) -> None:
    """Write voxels and geometry to a .nii or .nii.gz.

    Parameters
    ----------
    path : Path
        A name ending in .gz is compressed.
    array : ndarray, shape ([T,] K, J, I[, 3])
        A last axis of 3 with dtype uint8 beyond the grid is RGB24.
    geometry : Geometry
        A sheared grid gets qform_code 0, because a quaternion cannot hold shear;
        an unknown orientation gets both codes 0, an unknown spacing no unit of length.
        Its source is kept in the description.
    table : LabelTable, optional
        Names and colours, kept in a comment extension.

    Notes
    -----
    NIfTI-2 is used where an axis is longer than 32767. srow is float32 in NIfTI-1:
    relative rounding 6e-8, about 3e-5 mm at 500 mm.
    """
    is_rgb = array.ndim > 3 and array.shape[-1] == 3 and array.shape[-4:-1] == geometry.shape_kji
    header = _header(array.dtype, array.shape[:-1] if is_rgb else array.shape, is_rgb)
    header["xyzt_units"] = _MM_AND_SECONDS if geometry.spacing_known else _UNKNOWN_AND_SECONDS
    header["descrip"] = f"segdesk: geometry from {geometry.source}".encode()[:_MAX_DESCRIPTION_BYTES]
    _set_forms(header, geometry)
    extension = b"\0\0\0\0" if table is None or not len(table) else _extension(table)
    header["vox_offset"] = header.sizeof_hdr + len(extension)
    parts = (header.binaryblock, extension, np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    if path.name.lower().endswith(".gz"):
        # No name and no time in the stream: equal masks give equal files.
        with path.open("wb") as raw, igzip.IGzipFile("", "wb", _GZIP_LEVEL, raw, mtime=0) as stream:
            for part in parts:
                stream.write(part)
    else:
        with path.open("wb") as raw:
            for part in parts:
                raw.write(part)


def _header(dtype: np.dtype[Any], shape: tuple[int, ...], is_rgb: bool) -> Any:
    """Return a header for an array of shape ([T,] K, J, I)."""
    cls = nibabel.Nifti1Header if max(shape) <= _MAX_NIFTI1_DIM else nibabel.Nifti2Header
    header = cls(endianness="<")
    header.set_data_shape(shape[::-1])
    header["datatype"], header["bitpix"] = (128, 24) if is_rgb else _type_code(dtype)
    header["magic"] = b"n+1" if cls is nibabel.Nifti1Header else b"n+2"
    header["scl_slope"], header["scl_inter"] = np.nan, np.nan
    return header


def _type_code(dtype: np.dtype[Any]) -> tuple[int, int]:
    return int(nibabel.nifti1.data_type_codes.code[dtype.newbyteorder("=")]), dtype.itemsize * 8


def _set_forms(header: Any, geometry: Geometry) -> None:
    affine_ras = LPS_FROM_RAS @ geometry.affine_kji_to_lps @ IJK_FROM_KJI
    spacing_xyz = geometry.spacing_kji_mm[::-1]
    if not geometry.orientation_known:
        header["pixdim"][1:4] = spacing_xyz if geometry.spacing_known else 1.0
        header["qform_code"], header["sform_code"] = 0, 0
        return
    if geometry.is_sheared:
        header["pixdim"][1:4] = spacing_xyz
        header["qform_code"] = 0
    else:
        header.set_qform(affine_ras, code=_SCANNER, strip_shears=True)
        header["pixdim"][1:4] = spacing_xyz
    header.set_sform(affine_ras, code=_SCANNER)


def _extension(table: LabelTable) -> bytes:
    """Return flag bytes and one comment extension, padded to 16 bytes (nifti1.h)."""
    content = table_to_json(table).encode()
    size = -(-(len(content) + 8) // 16) * 16
    return b"\1\0\0\0" + struct.pack("<ii", size, 6) + content.ljust(size - 8, b"\0")
