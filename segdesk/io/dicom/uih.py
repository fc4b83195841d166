"""United Imaging volumes stored as the tiles of one image ("VFRAME" in ImageType).

The private header gives the number of tiles and the position of each, so nothing is
guessed. Layout as the vendor describes it (dcm2niix UIH notes): ceil(sqrt(n)) tiles a
row, and only as many rows as that needs; Siemens always uses a square.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.values import convert_SQ

from segdesk.errors import ReadError
from segdesk.io.dicom.model import Frame, FrameKeys, Place
from segdesk.io.dicom.quick_header import Header
from segdesk.io.dicom.tags import UIH_FRAMES, UIH_TILES
from segdesk.io.dicom.values import DAMAGED_FILE, numbers_of


def uih_frames(dataset: Header, big: Frame, path: Path) -> tuple[Frame, ...]:
    """Take a tiled image apart.

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
        One per tile in stored order, each with the position its own item gives; empty
        when the file is not tiled.

    Raises
    ------
    ReadError
        ``bad_geometry`` when it is tiled and the tiles cannot be placed.
    """
    count = _tile_count(dataset)
    if count < 2 and not _says_tiled(big.keys):
        return ()
    positions = _positions_lps(dataset)
    columns_of_tiles = math.ceil(math.sqrt(max(1, count)))
    rows_of_tiles = math.ceil(count / columns_of_tiles)
    is_whole = count >= 1 and big.rows % rows_of_tiles == 0 and big.columns % columns_of_tiles == 0
    if not is_whole or big.place is None or len(positions) != count:
        raise ReadError(
            f"{path.name} is a UIH tiled image whose tiles cannot be placed (private header removed?); "
            "export it one slice a file.",
            code="bad_geometry",
            path=path,
        )
    rows, columns = big.rows // rows_of_tiles, big.columns // columns_of_tiles
    return tuple(
        replace(
            big,
            tile=((n // columns_of_tiles) * rows, (n % columns_of_tiles) * columns),
            rows=rows,
            columns=columns,
            place=_moved(big.place, position),
        )
        for n, position in enumerate(positions)
    )


def _says_tiled(keys: FrameKeys) -> bool:
    return "VFRAME" in (part.upper() for part in keys.image_type)


def _tile_count(dataset: Header) -> int:
    element = dataset.get(UIH_TILES)
    value = b"" if element is None else element.value
    try:
        number = float(value.decode("ascii") if isinstance(value, bytes) else value)
    except (TypeError, ValueError):
        return 0
    return int(number) if 0 < number < 1 << 16 else 0


def _positions_lps(dataset: Header) -> list[tuple[float, ...]]:
    """Return the position of each tile; none when one of them is missing or no number."""
    element = dataset.get(UIH_FRAMES)
    items = [] if element is None else element.value
    if isinstance(items, bytes):
        # Without its private dictionary an implicit file gives the sequence as raw bytes.
        try:
            items = convert_SQ(items, is_implicit_VR=True, is_little_endian=True)
        except DAMAGED_FILE:
            return []
    positions = [numbers_of(item, "ImagePositionPatient") for item in items if isinstance(item, Dataset)]
    return [] if any(each is None or len(each) != 3 for each in positions) else [each for each in positions if each]


def _moved(place: Place, position: tuple[float, ...]) -> Place:
    x, y, z = np.asarray(position, dtype=np.float64).tolist()
    return replace(place, position_lps=(x, y, z))
