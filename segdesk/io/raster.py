"""PNG, JPEG and TIFF: pictures without a place in any patient."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageSequence, UnidentifiedImageError

from segdesk.core.box import Index3
from segdesk.core.geometry import Geometry
from segdesk.core.progress import Progress, silent
from segdesk.core.volume import IntensityUnit, Volume
from segdesk.errors import InvalidMask, ReadError, Warn
from segdesk.io.byte_source import MAX_BYTES
from segdesk.io.formats import Format

RASTER_WARNINGS = (
    Warn("spacing_unknown", "A picture has no pixel size in mm; lengths are in pixels."),
    Warn("orientation_unknown", "A picture does not say where left and right of the patient are."),
)

_TIFFFILE_CODECS = (1, 8, 32946, 32773)
"""Compressions tifffile decodes by itself: none, deflate (two numbers), PackBits."""

_GREY_MODES = ("1", "L", "I;16", "I;16B", "I;16L", "I", "F")
_DAMAGE = (
    OSError, ValueError, SyntaxError, IndexError, KeyError, OverflowError, TypeError, RuntimeError, EOFError,
    UnidentifiedImageError, tifffile.TiffFileError, Image.DecompressionBombError, MemoryError,
)  # fmt: skip
"""What Pillow and tifffile raise on damaged files (their parsers do not have one error class)."""


# Its warnings about damaged files come back as `ReadError`; without a handler they would go to stderr.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


def raster_geometry(shape_kji: Index3) -> Geometry:
    """Return a grid in pixels: neither mm nor sides are known."""
    plain = Geometry.from_spacing(shape_kji)
    return Geometry(shape_kji, plain.affine_kji_to_lps, orientation_known=False, spacing_known=False, source="none")


def read_raster(path: Path, kind: Format, report: Progress = silent) -> Volume:
    """Read a picture, or a multi-page TIFF as a stack of slices.

    Returns
    -------
    Volume
        Grey pixels keep their type (1-bit becomes 0/1 uint8); colour is RGB uint8,
        alpha is dropped.

    Raises
    ------
    ReadError
        ``truncated`` or ``unreadable`` for damaged files, ``too_large`` for bombs.
    """
    report(0, 1, path.name)
    pixels = _load(path, kind)
    is_rgb = pixels.ndim == 4
    shape_kji: Index3 = (pixels.shape[0], pixels.shape[1], pixels.shape[2])
    report(1, 1, path.name)
    return Volume(
        pixels,
        raster_geometry(shape_kji),
        unit=IntensityUnit.RGB if is_rgb else IntensityUnit.ARBITRARY,
        warnings=RASTER_WARNINGS,
        source_path=str(path),
    )


def read_raster_indices(path: Path, kind: Format) -> NDArray[Any]:
    """Read a picture as label values, shape (K, J, I).

    A palette picture gives its indices; a colour picture must be grey in all but name.

    Raises
    ------
    InvalidMask
        If the picture is really coloured.
    """
    pixels = _load(path, kind, as_indices=True)
    if pixels.ndim == 3:
        return pixels
    grey = pixels[..., 0]
    if not (np.array_equal(grey, pixels[..., 1]) and np.array_equal(grey, pixels[..., 2])):
        raise InvalidMask(f"{path.name} is a colour picture; a mask holds one number a pixel.", path=path)
    return np.ascontiguousarray(grey)


def write_raster(path: Path, array: NDArray[Any]) -> None:
    """Write (K, J, I[, 3]) pixels: PNG for one slice, TIFF (deflate) for any number.

    Parameters
    ----------
    path : Path
        Ends in .png, .tif or .tiff.
    array : ndarray of uint8 or uint16 (TIFF: also float32 and signed)
    """
    if path.suffix.lower() == ".png":
        Image.fromarray(array[0]).save(path, format="PNG")
        return
    photometric = "rgb" if array.ndim == 4 else "minisblack"
    tifffile.imwrite(path, array, photometric=photometric, compression="zlib", metadata=None)


def _load(path: Path, kind: Format, *, as_indices: bool = False) -> NDArray[Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pixels = _load_tiff(path) if kind is Format.TIFF else _load_pillow(path, as_indices)
    except _DAMAGE as error:
        if isinstance(error, Image.DecompressionBombError | MemoryError):
            raise ReadError(
                f"{path.name} claims too many pixels to be read safely.", code="too_large", path=path
            ) from None
        code = "truncated" if "truncated" in str(error).lower() else "unreadable"
        raise ReadError(f"{path.name} is damaged or truncated; copy it again.", code=code, path=path) from error
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8)
    if not pixels.dtype.isnative:
        pixels = pixels.astype(pixels.dtype.newbyteorder("="))
    return np.ascontiguousarray(pixels)


def _load_pillow(path: Path, as_indices: bool) -> NDArray[Any]:
    with Image.open(path, formats=("PNG", "JPEG")) as picture:
        if picture.mode == "P" and as_indices:
            return np.asarray(picture)[None]
        if picture.mode == "LA":
            return np.asarray(picture)[None, ..., 0]
        if picture.mode not in _GREY_MODES:
            return np.asarray(picture.convert("RGB"))[None]
        grey = np.asarray(picture)
        # Pillow before 11 opens 16 bit PNG as int32.
        return (grey.astype(np.uint16) if picture.mode == "I" and path.suffix.lower() == ".png" else grey)[None]


def _load_tiff(path: Path) -> NDArray[Any]:
    """Return (K, J, I) or (K, J, I, 3); pages of different size are refused."""
    with tifffile.TiffFile(path) as file:
        series = file.series
        if len(series) != 1:
            raise ReadError(
                f"{path.name} holds pages of {len(series)} different kinds; save them one by one.",
                code="mixed_size",
                path=path,
            )
        if int(np.prod(series[0].shape, dtype=np.float64)) * series[0].dtype.itemsize > MAX_BYTES:
            raise MemoryError
        page = series[0].keyframe
        # tifffile decodes LZW, JPEG and fax pages only with an extra package; Pillow's libtiff knows them.
        pixels = series[0].asarray() if page.compression in _TIFFFILE_CODECS else _pages_by_pillow(path)
        is_colour = page.samplesperpixel >= 3
        if is_colour and page.compression in _TIFFFILE_CODECS and page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:
            pixels = np.moveaxis(pixels, -3, -1)
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and pixels.dtype.kind in "ub":
            pixels = ~pixels if pixels.dtype.kind == "b" else np.iinfo(pixels.dtype).max - pixels
    if page.samplesperpixel == 2:
        pixels = pixels[..., 0]
    return _as_slices(pixels[..., :3] if is_colour else pixels, is_colour, path)


def _pages_by_pillow(path: Path) -> NDArray[Any]:
    with Image.open(path, formats=("TIFF",)) as picture:
        pages = [np.asarray(page) for page in ImageSequence.Iterator(picture)]
    return pages[0] if len(pages) == 1 else np.stack(pages)


def _as_slices(pixels: NDArray[Any], is_colour: bool, path: Path) -> NDArray[Any]:
    depth = pixels.ndim - is_colour
    if depth not in (2, 3) or pixels.dtype.kind not in "buif":
        raise ReadError(
            f"{path.name} is a TIFF with {pixels.ndim} axes of {pixels.dtype}; save plain pages.", path=path
        )
    if is_colour and pixels.dtype != np.uint8:
        if pixels.dtype != np.uint16:
            raise ReadError(f"{path.name} has {pixels.dtype} colours; save it with 8 bits.", path=path)
        pixels = (pixels >> 8).astype(np.uint8)
    return pixels[None] if depth == 2 else pixels
