"""United Imaging volumes stored as the tiles of one image ("VFRAME" in ImageType).

The private header gives the number of tiles and the position of each, so nothing is
guessed. Layout as the vendor describes it (dcm2niix UIH notes): ceil(sqrt(n)) tiles a
row, and only as many rows as that needs; Siemens always uses a square.
"""

from __future__ import annotations

import math
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.values import convert_SQ

from segdesk.io.dicom.model import Frame, FrameKeys, Vector
from segdesk.io.dicom.quick_header import Header
from segdesk.io.dicom.tags import UIH_FRAMES, UIH_TILES
from segdesk.io.dicom.tiles import Tiles, divides, no_places
from segdesk.io.dicom.values import DAMAGED_FILE, numbers_of


def uih_frames(dataset: Header, big: Frame, path: Path) -> tuple[Frame, ...]:
    """Take a single-frame file apart, each tile where its own item says; empty when it is not tiled.

    Raises
    ------
    ReadError
        ``bad_geometry`` when it is tiled and the tiles cannot be placed.
    """
    count = _tile_count(dataset)
    if count < 2 and not _says_tiled(big.keys):
        return ()
    positions = _positions_lps(dataset)
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / max(1, columns))
    if big.place is None or not divides(big, rows, columns) or len(positions) != count:
        raise no_places(path, "UIH tiled image")
    return Tiles(rows, columns, positions).frames(big)


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


def _positions_lps(dataset: Header) -> list[Vector]:
    """Return the position of each tile; none when one of them is missing or no number."""
    element = dataset.get(UIH_FRAMES)
    items = [] if element is None else element.value
    if isinstance(items, bytes):
        # Without its private dictionary an implicit file gives the sequence as raw bytes.
        try:
            items = convert_SQ(items, is_implicit_VR=True, is_little_endian=True)
        except DAMAGED_FILE:
            return []
    found = [numbers_of(item, "ImagePositionPatient") for item in items if isinstance(item, Dataset)]
    positions = [(each[0], each[1], each[2]) for each in found if each is not None and len(each) == 3]
    return positions if len(positions) == len(found) else []
