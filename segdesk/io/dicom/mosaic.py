"""Siemens mosaics: a volume stored as the tiles of one image.

Geometry as in dcm2niix and SPM: ImagePositionPatient is that of the big image, whose
centre is the centre of the first slice.
"""

from __future__ import annotations

import math
import struct
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segdesk.errors import ReadError
from segdesk.io.dicom.model import Frame, Place
from segdesk.io.dicom.quick_header import Header
from segdesk.io.dicom.tags import SIEMENS_CSA_IMAGE, SIEMENS_TILES

_MAX_CSA_ENTRIES = 4096


def mosaic_frames(dataset: Header, big: Frame, path: Path) -> tuple[Frame, ...]:
    """Take a mosaic apart.

    Parameters
    ----------
    dataset : Header
        Of a single-frame file.
    big : Frame
        The whole image as one frame.
    path : Path
        For messages.

    Returns
    -------
    tuple of Frame
        One per tile in stored order; empty when the file is no mosaic.

    Raises
    ------
    ReadError
        ``bad_geometry`` when it is a mosaic whose tiles cannot be placed.
    """
    if "MOSAIC" not in (part.upper() for part in big.keys.image_type):
        return ()
    csa = _csa_numbers(dataset)
    count = _tile_count(dataset, csa)
    normal = csa.get("SliceNormalVector", ())
    step_mm = abs(big.step_mm or big.thickness_mm or 0.0)
    grid = math.ceil(math.sqrt(count)) if count else 0
    if not grid or big.rows % grid or big.columns % grid or big.place is None or not step_mm:
        raise ReadError(
            f"{path.name} is a Siemens mosaic whose tiles cannot be placed (private header removed?).",
            code="bad_geometry",
            path=path,
        )
    rows, columns = big.rows // grid, big.columns // grid
    place = big.place
    along_row, along_column = np.array(place.along_row_lps), np.array(place.along_column_lps)
    direction = np.cross(along_row, along_column)
    if len(normal) == 3 and float(direction @ np.array(normal)) < 0:
        direction = -direction
    first = (
        np.array(place.position_lps)
        + along_row * place.spacing_ji_mm[1] * (big.columns - columns) / 2
        + along_column * place.spacing_ji_mm[0] * (big.rows - rows) / 2
    )
    return tuple(
        replace(
            big,
            tile=((n // grid) * rows, (n % grid) * columns),
            rows=rows,
            columns=columns,
            place=_moved(place, first + n * step_mm * direction),
        )
        for n in range(count)
    )


def _moved(place: Place, point: NDArray[np.float64]) -> Place:
    x, y, z = (float(value) for value in point)
    return replace(place, position_lps=(x, y, z))


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
