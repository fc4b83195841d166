"""PNG, JPEG and TIFF: pictures without a place in any patient."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
from segdesk.io.formats import Format
from segdesk.io.limits import MAX_FRAMES, file_bytes, require_size

RASTER_WARNINGS = (
    Warn("spacing_unknown", "A picture has no pixel size in mm; lengths are in pixels."),
    Warn("orientation_unknown", "A picture does not say where left and right of the patient are."),
)

_TIFFFILE_CODECS = (1, 8, 32946, 32773)
"""Compressions tifffile decodes by itself: none, deflate (two numbers), PackBits."""

_TIFF_COLOURS = (
    tifffile.PHOTOMETRIC.MINISWHITE, tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.RGB,
    tifffile.PHOTOMETRIC.PALETTE, tifffile.PHOTOMETRIC.MASK, tifffile.PHOTOMETRIC.YCBCR,
)  # fmt: skip
"""What pages may mean; the numbers of others (CMYK, Lab, raw sensors) are no grey and no RGB."""

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


@dataclass(frozen=True, slots=True)
class RasterHeader:
    """What a picture promises.

    Parameters
    ----------
    shape_kji : tuple of int
        One slice, or as many as a TIFF has pages.
    is_rgb : bool
    dtype : numpy dtype
        Of the array that reading returns.
    """

    shape_kji: Index3
    is_rgb: bool
    dtype: np.dtype[Any]

    @property
    def image_bytes(self) -> int:
        """Bytes of the array that reading returns."""
        return math.prod(self.shape_kji) * (3 if self.is_rgb else 1) * self.dtype.itemsize


def open_raster(path: Path, kind: Format) -> RasterHeader:
    """Read the header of a picture; no pixel is decoded.

    Raises
    ------
    ReadError
        As `read_raster`.
    """
    with _damage_told(path):
        return _tiff_header(path) if kind is Format.TIFF else _pillow_header(path)


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


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    """Turn what the libraries raise on damaged files into `ReadError`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (Image.DecompressionBombError, MemoryError):
        raise ReadError(f"{path.name} claims too many pixels to be read safely.", code="too_large", path=path) from None
    except _DAMAGE as error:
        code = "truncated" if "truncated" in str(error).lower() else "unreadable"
        raise ReadError(f"{path.name} is damaged or truncated; copy it again.", code=code, path=path) from error


def _load(path: Path, kind: Format, *, as_indices: bool = False) -> NDArray[Any]:
    header = open_raster(path, kind)
    require_size(path, header.image_bytes, file_bytes([path]))
    with _damage_told(path):
        pixels = _load_tiff(path) if kind is Format.TIFF else _load_pillow(path, as_indices)
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8)
    if not pixels.dtype.isnative:
        pixels = pixels.astype(pixels.dtype.newbyteorder("="))
    return np.ascontiguousarray(pixels)


def _pillow_header(path: Path) -> RasterHeader:
    with Image.open(path, formats=("PNG", "JPEG")) as picture:
        shape_kji = (1, picture.height, picture.width)
        if picture.mode not in (*_GREY_MODES, "LA"):
            return RasterHeader(shape_kji, True, np.dtype(np.uint8))
        is_wide_png = picture.mode == "I" and picture.format == "PNG"
        return RasterHeader(shape_kji, False, np.dtype(np.uint16) if is_wide_png else _dtype_of_mode(picture.mode))


def _dtype_of_mode(mode: str) -> np.dtype[Any]:
    if mode.startswith("I;16"):
        return np.dtype(np.uint16)
    return np.dtype({"I": np.int32, "F": np.float32}.get(mode, np.uint8))


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
        return (grey.astype(np.uint16) if picture.mode == "I" and picture.format == "PNG" else grey)[None]


@dataclass(frozen=True, slots=True)
class _TiffPages:
    """The one series of pages of a TIFF, and how its pixels lie."""

    series: Any
    page: Any

    @property
    def is_colour(self) -> bool:
        return bool(self.page.samplesperpixel >= 3)

    @property
    def is_by_tifffile(self) -> bool:
        """Whether tifffile decodes it; LZW, JPEG and fax pages need an extra package, Pillow's libtiff knows them.

        Pillow also turns YCbCr into RGB, which tifffile leaves as it is.
        """
        return self.page.compression in _TIFFFILE_CODECS and self.page.photometric != tifffile.PHOTOMETRIC.YCBCR

    def stored_shape(self) -> tuple[int, ...]:
        """Return the shape of the array that the decoder gives."""
        if self.is_by_tifffile:
            return tuple(self.series.shape)
        samples = (self.page.samplesperpixel,) if self.page.samplesperpixel > 1 else ()
        return (len(self.series.pages), self.page.imagelength, self.page.imagewidth, *samples)

    def slices_of(self, pixels: NDArray[Any], path: Path) -> NDArray[Any]:
        """Return (K, J, I) or (K, J, I, 3) of what the decoder gave: views only."""
        if self.is_colour:
            if self.is_by_tifffile and self.page.planarconfig == tifffile.PLANARCONFIG.SEPARATE:
                pixels = np.moveaxis(pixels, -3, -1)
            pixels = pixels[..., :3]
        elif self.page.samplesperpixel == 2:
            pixels = pixels[..., 0]
        depth = pixels.ndim - self.is_colour
        if depth not in (2, 3) or pixels.dtype.kind not in "buif":
            raise ReadError(
                f"{path.name} is a TIFF with {pixels.ndim} axes of {pixels.dtype}; save plain pages.", path=path
            )
        if self.is_colour and pixels.dtype not in (np.uint8, np.uint16):
            raise ReadError(f"{path.name} has {pixels.dtype} colours; save it with 8 bits.", path=path)
        return pixels[None] if depth == 2 else pixels


def _tiff_pages(file: Any, path: Path) -> _TiffPages:
    """Return the pages; pages of different size are refused."""
    series = file.series
    if len(series) != 1:
        raise ReadError(
            f"{path.name} holds pages of {len(series)} different kinds; save them one by one.",
            code="mixed_size",
            path=path,
        )
    if series[0].keyframe.photometric not in _TIFF_COLOURS:
        raise ReadError(f"{path.name} holds colours of a printer or of a camera; save it as RGB.", path=path)
    if len(series[0].pages) > MAX_FRAMES:
        raise ReadError(f"{path.name} has {len(series[0].pages)} pages.", code="too_large", path=path)
    return _TiffPages(series[0], series[0].keyframe)


def _tiff_header(path: Path) -> RasterHeader:
    with tifffile.TiffFile(path) as file:
        pages = _tiff_pages(file, path)
        # An array without memory: it takes the way of the real one.
        stored = np.broadcast_to(np.zeros((), pages.series.dtype), pages.stored_shape())
        slices = pages.slices_of(stored, path)
        dtype = slices.dtype.newbyteorder("=")
        is_narrow = pages.is_colour or dtype.kind == "b"
        shape_kji: Index3 = (slices.shape[0], slices.shape[1], slices.shape[2])
        return RasterHeader(shape_kji, pages.is_colour, np.dtype(np.uint8) if is_narrow else dtype)


def _load_tiff(path: Path) -> NDArray[Any]:
    with tifffile.TiffFile(path) as file:
        pages = _tiff_pages(file, path)
        pixels = _pages_by_tifffile(pages) if pages.is_by_tifffile else _pages_by_pillow(path)
        slices = pages.slices_of(pixels, path)
        is_wide_colour = pages.is_colour and slices.dtype == np.uint16
        return (slices >> 8).astype(np.uint8) if is_wide_colour else slices


def _pages_by_tifffile(pages: _TiffPages) -> NDArray[Any]:
    pixels = np.asarray(pages.series.asarray())
    # tifffile gives what is stored; Pillow has turned white-is-zero pages around by itself.
    if pages.page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and pixels.dtype.kind in "ub":
        pixels = ~pixels if pixels.dtype.kind == "b" else np.iinfo(pixels.dtype).max - pixels
    return pixels


def _pages_by_pillow(path: Path) -> NDArray[Any]:
    with Image.open(path, formats=("TIFF",)) as picture:
        pages = [
            np.asarray(page.convert("RGB") if page.mode == "YCbCr" else page)
            for page in ImageSequence.Iterator(picture)
        ]
    return np.stack(pages)
