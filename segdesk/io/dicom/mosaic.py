"""Siemens mosaics: a volume stored as the tiles of one image.

Geometry as in dcm2niix and SPM: ImagePositionPatient is that of the big image, whose
centre is the centre of the first slice.
"""

from __future__ import annotations

import math
import struct
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segdesk.io.dicom.model import Frame, Place, Vector
from segdesk.io.dicom.quick_header import Header
from segdesk.io.dicom.tags import SIEMENS_CSA_IMAGE, SIEMENS_TILES
from segdesk.io.dicom.tiles import Tiles, divides, no_places

_MAX_CSA_ENTRIES = 4096


def mosaic_frames(dataset: Header, big: Frame, path: Path) -> tuple[Frame, ...]:
    """Take a single-frame file apart, one frame a tile; empty when it is no mosaic.

    Raises
    ------
    ReadError
        ``bad_geometry`` when it is a mosaic whose tiles cannot be placed.
    """
    if "MOSAIC" not in (part.upper() for part in big.keys.image_type):
        return ()
    csa = _csa_numbers(dataset)
    count = _tile_count(dataset, csa)
    step_mm = abs(big.step_mm or big.thickness_mm or 0.0)
    grid = math.ceil(math.sqrt(max(0, count)))
    if big.place is None or not step_mm or not divides(big, grid, grid):
        raise no_places(path, "Siemens mosaic")
    first, direction = _first_slice(big, big.place, grid, csa.get("SliceNormalVector", ()))
    return Tiles(grid, grid, [_vector(first + n * step_mm * direction) for n in range(count)]).frames(big)


def _first_slice(
    big: Frame, place: Place, grid: int, normal: tuple[float, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the first pixel's centre of the first slice, and the unit vector to the next slice (LPS)."""
    along_row, along_column = np.array(place.along_row_lps), np.array(place.along_column_lps)
    direction = np.cross(along_row, along_column)
    if len(normal) == 3 and float(direction @ np.array(normal)) < 0:
        direction = -direction
    rows, columns = big.rows // grid, big.columns // grid
    first = (
        np.array(place.position_lps)
        + along_row * place.spacing_ji_mm[1] * (big.columns - columns) / 2
        + along_column * place.spacing_ji_mm[0] * (big.rows - rows) / 2
    )
    return first, direction


def _vector(point: NDArray[np.float64]) -> Vector:
    x, y, z = point.tolist()
    return x, y, z


def _tile_count(dataset: Header, csa: dict[str, tuple[float, ...]]) -> int:
    element = dataset.get(SIEMENS_TILES)
    if element is not None and isinstance(element.value, int):
        return int(element.value)
    if element is not None and isinstance(element.value, bytes) and len(element.value) == 2:
        return int.from_bytes(element.value, "little")
    return int(csa.get("NumberOfImagesInMosaic", (0.0,))[0])


def _csa_numbers(dataset: Header) -> dict[str, tuple[float, ...]]:
    """Return the numeric entries of the CSA image header (nipy.org/nibabel/dicom/siemens_csa.html)."""
    element = dataset.get(SIEMENS_CSA_IMAGE)
    raw = element.value if element is not None else b""
    if not isinstance(raw, bytes) or len(raw) < 16:
        return {}
    is_second = raw[:4] == b"SV10"
    position = 8 if is_second else 0
    found: dict[str, tuple[float, ...]] = {}
    try:
        (count,) = struct.unpack_from("<I", raw, position)
        position += 8
        base = 0
        for number in range(min(count, _MAX_CSA_ENTRIES)):
            name = raw[position : position + 64].split(b"\0")[0].decode("latin-1")
            (items,) = struct.unpack_from("<i", raw, position + 76)
            # The first format adds the number of items of its first entry to every length.
            base = items if number == 0 and not is_second else base
            found[name], position = _csa_items(raw, position + 84, items, base if not is_second else None)
    except struct.error:
        return {}
    return {name: values for name, values in found.items() if values}


def _csa_items(raw: bytes, position: int, items: int, base: int | None) -> tuple[tuple[float, ...], int]:
    """Return the numbers among the items of one entry, and where the next entry begins."""
    values: list[float] = []
    for _ in range(max(0, min(items, _MAX_CSA_ENTRIES))):
        lengths = struct.unpack_from("<4i", raw, position)
        length = lengths[1] if base is None else lengths[0] - base
        position += 16
        if length < 0 or position + length > len(raw):
            break
        text = raw[position : position + length].split(b"\0")[0].strip()
        with suppress(ValueError):
            values.append(float(text))
        position += (length + 3) // 4 * 4
    return tuple(values), position
