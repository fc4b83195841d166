"""What a NIfTI-1, NIfTI-2 or Analyze header says, checked before a voxel is read.

RAS exists here and in `segdesk.io.nifti_write` only; what leaves is LPS mm.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from segdesk.core.box import Index3
from segdesk.core.geometry import Geometry
from segdesk.errors import ReadError, Warn

LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
IJK_FROM_KJI = np.eye(4)[[2, 1, 0, 3]]

QFORM_ATOL_MM = 0.1
"""Corners of sform and qform further apart than this are told to the user (GEOMETRY check 43)."""

PIXDIM_RTOL = 1e-3
"""Relative difference of sform scale and pixdim worth a warning; float32 rounding is 1e-7."""

_UNIT_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 1e-3}
"""Low three bits of xyzt_units: unknown (read as mm, as everybody does), metre, mm, micron."""

_RGB_CODES = {128: 3, 2304: 4}
_COMPLEX_CODES = (32, 1792, 2048)
_VECTOR_INTENTS = (1006, 1007, 1008)
"""Displacement vector, vector, point set (nifti1.h)."""


class HeaderKind(StrEnum):
    """The three layouts."""

    NIFTI1 = "NIfTI-1"
    NIFTI2 = "NIfTI-2"
    ANALYZE = "Analyze 7.5"


@dataclass(frozen=True, slots=True)
class NiftiHeader:
    """A checked header.

    Parameters
    ----------
    geometry : Geometry
        LPS mm; orientation unknown when neither form is set.
    time_points : int
        Length of the fourth axis, 1 for none.
    samples : int
        1 for grey, 3 for RGB24, 4 for RGBA32.
    stored_dtype : numpy dtype
        In the file's byte order.
    slope, intercept : float or None
        None when the stored values are the values.
    data_offset : int
        First byte of the voxels (in the image file).
    extension_offset : int
        First byte of the extension flag, 0 for formats without.
    is_pair : bool
        The voxels lie in an .img file beside the header.
    warnings : tuple of Warn
    """

    geometry: Geometry
    time_points: int
    samples: int
    stored_dtype: np.dtype[Any]
    slope: float | None
    intercept: float
    data_offset: int
    extension_offset: int
    is_pair: bool
    warnings: tuple[Warn, ...]

    @property
    def voxel_count(self) -> int:
        """Number of stored items, samples and time points included."""
        k, j, i = self.geometry.shape_kji
        return k * j * i * self.time_points * self.samples

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the array that reading returns."""
        native = self.stored_dtype.newbyteorder("=")
        if self.slope is None:
            return np.dtype(np.float64) if native.itemsize > 8 else native
        return np.dtype(np.float64 if native.itemsize > 4 else np.float32)


def parse_header(head: bytes, path: Path) -> NiftiHeader:
    """Check and translate the first bytes of a file.

    Parameters
    ----------
    head : bytes
        At least the 348 (NIfTI-1, Analyze) or 540 (NIfTI-2) header bytes.
    path : Path
        For messages.

    Raises
    ------
    ReadError
        ``truncated`` when the header is cut, ``unreadable`` when it is nonsense,
        ``not_an_image`` for vectors and complex numbers, ``bad_geometry`` when
        no usable affine can be had.
    """
    kind, header = _raw_header(head, path)
    code = int(header["datatype"])
    if code in _COMPLEX_CODES:
        raise ReadError(f"{path.name} holds complex numbers; save magnitude or phase.", code="not_an_image", path=path)
    shape_kji, time_points, warnings = _shape(header, path, kind)
    samples = _RGB_CODES.get(code, 1)
    slope, intercept = _scaling(header) if kind is not HeaderKind.ANALYZE and samples == 1 else (None, 0.0)
    geometry, more = _geometry(header, shape_kji, path, kind)
    magic = b"" if kind is HeaderKind.ANALYZE else bytes(header["magic"])[:3]
    is_pair = magic[:2] != b"n+"
    header_size = 540 if kind is HeaderKind.NIFTI2 else 348
    offset = 0.0 if kind is HeaderKind.ANALYZE else float(header["vox_offset"])
    if not np.isfinite(offset):
        raise ReadError(f"{path.name} does not say where its voxels begin; the header is damaged.", path=path)
    return NiftiHeader(
        geometry,
        time_points,
        samples,
        _stored_dtype(header, code, path),
        slope,
        intercept,
        max(int(offset), 0 if is_pair else header_size + 4),
        0 if kind is HeaderKind.ANALYZE else header_size,
        is_pair,
        (*warnings, *more),
    )


def _raw_header(head: bytes, path: Path) -> tuple[HeaderKind, Any]:
    """Return nibabel's header structure, in the byte order found."""
    if head[4:8] in (b"n+2\0", b"ni2\0"):
        kind, size, cls = HeaderKind.NIFTI2, 540, nibabel.Nifti2Header
    elif head[344:348] in (b"n+1\0", b"ni1\0"):
        kind, size, cls = HeaderKind.NIFTI1, 348, nibabel.Nifti1Header
    else:
        kind, size, cls = HeaderKind.ANALYZE, 348, nibabel.AnalyzeHeader
    if len(head) < size:
        raise ReadError(f"{path.name} ends inside its header; copy it again.", code="truncated", path=path)
    return kind, cls(head[:size], check=False)


def _stored_dtype(header: Any, code: int, path: Path) -> np.dtype[Any]:
    if code in _RGB_CODES:
        return np.dtype(np.uint8)
    try:
        dtype: np.dtype[Any] = np.dtype(header.get_data_dtype())
    except (HeaderDataError, KeyError) as error:
        raise ReadError(f"{path.name} has the unknown data type {code}.", path=path) from error
    if dtype.kind not in "iuf" or dtype.itemsize == 0:
        raise ReadError(f"{path.name} has the unsupported data type {code}.", path=path)
    return dtype


def _shape(header: Any, path: Path, kind: HeaderKind) -> tuple[Index3, int, list[Warn]]:
    """Return (K, J, I) and T; singleton axes beyond are dropped, others are refused."""
    dim = [int(n) for n in header["dim"]]
    if not 1 <= dim[0] <= 7 or any(n < 1 for n in dim[1 : dim[0] + 1]):
        raise ReadError(f"{path.name} has impossible dimensions {dim}; the header is damaged.", path=path)
    sizes = dim[1 : dim[0] + 1] + [1] * (7 - dim[0])
    intent = 0 if kind is HeaderKind.ANALYZE else int(header["intent_code"])
    if sizes[4] > 1 or sizes[5] > 1 or sizes[6] > 1 or (intent in _VECTOR_INTENTS and dim[0] >= 5):
        raise ReadError(
            f"{path.name} holds vectors ({'x'.join(map(str, sizes))}): a deformation field, not an image.",
            code="not_an_image",
            path=path,
        )
    warnings = []
    if dim[0] > 3 + (sizes[3] > 1):
        warnings.append(Warn("axis_dropped", f"{dim[0] - 3 - (sizes[3] > 1)} axes of length one were dropped."))
    return (sizes[2], sizes[1], sizes[0]), sizes[3], warnings


def _scaling(header: Any) -> tuple[float | None, float]:
    """Return slope and intercept; slope 0 or not finite means none (nifti1.h)."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    intercept = intercept if np.isfinite(intercept) else 0.0
    if not np.isfinite(slope) or slope == 0 or (slope == 1 and intercept == 0):
        return None, 0.0
    return slope, intercept


def _geometry(header: Any, shape_kji: Index3, path: Path, kind: HeaderKind) -> tuple[Geometry, list[Warn]]:
    """Choose sform, else qform, else nothing (GEOMETRY checks 42 to 48)."""
    pixdim = np.abs(np.asarray(header["pixdim"], dtype=np.float64)[1:4])
    if kind is HeaderKind.ANALYZE:
        return _unknown_orientation(pixdim, shape_kji)
    scale = np.diag([*([_UNIT_MM.get(int(header["xyzt_units"]) & 7, 1.0)] * 3), 1.0])
    pixdim = np.where(np.isfinite(pixdim) & (pixdim > 0), pixdim, np.where(np.array(shape_kji[::-1]) == 1, 1.0, 0.0))
    sform = _sform(header) if int(header["sform_code"]) > 0 else None
    qform = _qform(header, pixdim) if int(header["qform_code"]) > 0 else None
    if sform is None and qform is None:
        if int(header["sform_code"]) > 0 or int(header["qform_code"]) > 0:
            raise ReadError(f"{path.name} has a singular or infinite affine.", code="bad_geometry", path=path)
        return _unknown_orientation(pixdim * scale[0, 0], shape_kji)
    chosen, source = (sform, "NIfTI sform") if sform is not None else (qform, "NIfTI qform")
    geometry = Geometry(shape_kji, LPS_FROM_RAS @ scale @ chosen @ IJK_FROM_KJI, source=source)
    warnings = [Warn("sheared", "The affine holds a shear (gantry tilt); it is kept.")] if geometry.is_sheared else []
    if sform is not None and qform is not None:
        other = Geometry(shape_kji, LPS_FROM_RAS @ scale @ qform @ IJK_FROM_KJI)
        apart_mm = float(np.abs(geometry.corners_lps() - other.corners_lps()).max())
        if apart_mm > QFORM_ATOL_MM:
            warnings.append(Warn("sform_qform_differ", f"sform and qform differ by {apart_mm:.2f} mm; sform is used."))
    if sform is not None:
        scales = np.linalg.norm(sform[:3, :3], axis=0)
        if np.any(np.abs(scales - pixdim) > PIXDIM_RTOL * scales):
            text = f"The sform's spacing {_xyz(scales)} disagrees with pixdim {_xyz(pixdim)}; the sform is used."
            warnings.append(Warn("sform_pixdim_differ", text))
    return geometry, warnings


def _xyz(values: NDArray[np.float64]) -> str:
    return " x ".join(f"{value:.4g}" for value in values)


def _usable(affine: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the affine unless it is singular or not finite."""
    is_finite = bool(np.isfinite(affine).all())
    return affine if is_finite and abs(np.linalg.det(affine[:3, :3])) > 1e-12 else None


def _sform(header: Any) -> NDArray[np.float64] | None:
    affine = np.eye(4)
    for row, name in enumerate(("srow_x", "srow_y", "srow_z")):
        affine[row] = np.asarray(header[name], dtype=np.float64)
    return _usable(affine)


def _qform(header: Any, pixdim: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Quaternion to affine (nifti1.h, METHOD 2); qfac is the sign of pixdim[0], 0 counts as 1."""
    b, c, d = (float(header[name]) for name in ("quatern_b", "quatern_c", "quatern_d"))
    square = b * b + c * c + d * d
    if not np.isfinite(square):
        return None
    if square > 1.0:
        # Rounding of a half turn: nifti1.h rescales and sets a to zero.
        b, c, d = (x / square**0.5 for x in (b, c, d))
        square = 1.0
    a = (1.0 - square) ** 0.5
    affine = np.eye(4)
    affine[:3, :3] = [
        [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
        [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
        [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
    ]
    qfac = -1.0 if float(header["pixdim"][0]) < 0 else 1.0
    affine[:3, :3] *= pixdim * np.array([1.0, 1.0, qfac])
    affine[:3, 3] = [float(header[f"qoffset_{axis}"]) for axis in "xyz"]
    return _usable(affine)


def _unknown_orientation(pixdim: NDArray[np.float64], shape_kji: Index3) -> tuple[Geometry, list[Warn]]:
    """Lay the grid along the axes and say that nobody knows left from right."""
    is_known = bool(np.all(np.isfinite(pixdim) & (pixdim > 0)))
    spacing = pixdim if is_known else np.ones(3)
    plain = Geometry.from_spacing(shape_kji, (float(spacing[2]), float(spacing[1]), float(spacing[0])))
    geometry = Geometry(shape_kji, plain.affine_kji_to_lps, False, is_known, source="none")
    warnings = [Warn("orientation_unknown", "The file sets neither sform nor qform: left and right are not known.")]
    if not is_known:
        warnings.append(Warn("spacing_unknown", "The file gives no usable voxel size; lengths are in voxels."))
    return geometry, warnings
