"""From the items of SegmentSequence to labels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_color_lut
from pydicom.tag import Tag

from segdesk.core.labels import Colour, Label
from segdesk.errors import ReadError
from segdesk.io.dicom.quick_header import Header
from segdesk.io.dicom.values import BAD_VALUE, is_there, item_of, numbers_of, text_of, whole_of
from segdesk.io.dicom_seg.codes import concept_of
from segdesk.io.dicom_seg.colours import rgb_of_lab
from segdesk.io.dicom_seg.model import SegmentationType

PRIVATE_GROUP = 0x0063
PRIVATE_CREATOR = "segdesk"
LABEL_VALUE_ELEMENT = 0x01
"""US: the number the label has in the program. Binary segments must be numbered from 1 without gaps
(PS3.3 C.8.20.4), labels need not be. 0 marks the one segment of a mask on which nothing is drawn."""

_CREATOR_TAG = Tag(PRIVATE_GROUP, 0x0010)
_LABEL_VALUE_TAG = Tag(PRIVATE_GROUP, 0x1000 + LABEL_VALUE_ELEMENT)
_PALETTE = tuple(Tag(0x0028, element) for element in (0x1101, 0x1102, 0x1103, 0x1201, 0x1202, 0x1203))
_LARGEST = 65535
_SHORT, _LONG = 64, 1024
"""Characters of an LO and of an ST value (PS3.5 6.2)."""


def labels_of(
    segments: Sequence[Header], dataset: Header, kind: SegmentationType, padding: int, path: Path
) -> tuple[dict[int, Label], frozenset[int]]:
    """Return labels by segment number, and the numbers of segments that mean nothing.

    Parameters
    ----------
    segments : sequence of Header
        Items of SegmentSequence.
    dataset : Header
        Holds the palette of a coloured label map.
    kind : SegmentationType
    padding : int
        Value of the background in a label map.
    path : Path
        For messages.

    Raises
    ------
    ReadError
        When a segment has no number, or two have the same.
    """
    numbers = [whole_of(segment, "SegmentNumber") for segment in segments]
    if any(number is None or not 0 <= number <= _LARGEST for number in numbers) or len(set(numbers)) < len(numbers):
        raise ReadError(f"{path.name} does not number its segments, or two alike; export it again.", path=path)
    by_number = {number: item for number, item in zip(numbers, segments, strict=True) if number is not None}
    if kind is SegmentationType.LABELMAP:
        by_number.pop(padding, None)
    values = _values(by_number)
    ignored = frozenset(number for number, value in values.items() if value == 0)
    labels = {
        number: _label(item, number, values[number], dataset)
        for number, item in sorted(by_number.items())
        if number not in ignored
    }
    return labels, ignored


def written_name(label: Label) -> str:
    """Return a label's name as a segment can hold it: one line of at most 1024 characters, never empty."""
    return re.sub(r"[\x00-\x1f\x7f]+", " ", label.name).strip()[:_LONG].strip() or f"Label {label.value}"


def short_name(name: str) -> str:
    """Return a name as SegmentLabel holds it: 64 characters, no backslash, which separates values in LO."""
    return name.replace("\\", "/")[:_SHORT].strip()


def _values(by_number: dict[int, Header]) -> dict[int, int]:
    """Return the label value of each segment: our own note of it, else the segment's number."""
    noted = {number: _noted_value(item) for number, item in by_number.items()}
    if None not in noted.values() and len(set(noted.values())) == len(noted):
        return {number: value for number, value in noted.items() if value is not None}
    # 0 is the background of a label map in memory, but may be a segment in a file.
    free = max(by_number, default=0) + 1
    return {number: number or free for number in by_number}


def _noted_value(item: Header) -> int | None:
    try:
        if str(item.get(_CREATOR_TAG).value).strip() != PRIVATE_CREATOR:
            return None
        value = item.get(_LABEL_VALUE_TAG).value
        # Programs that rewrite files without VRs turn private numbers into bytes.
        number = int.from_bytes(value, "little") if isinstance(value, bytes) else int(value)
    except BAD_VALUE:
        return None
    return number if 0 <= number <= _LARGEST else None


def _label(item: Header, number: int, value: int, dataset: Header) -> Label:
    short, long = text_of(item, "SegmentLabel"), text_of(item, "SegmentDescription")
    # SegmentDescription is a remark in other programs' files, and the whole of a cut name in ours.
    named = long if not short or short_name(long) == short else short
    name = named or text_of(item_of(item, "SegmentedPropertyTypeCodeSequence"), "CodeMeaning") or f"Segment {number}"
    return Label(value, name, _colour(item, number, dataset) or Label.default(value).colour_rgb, concept_of(item))


def _colour(item: Header, number: int, dataset: Header) -> Colour | None:
    lab = numbers_of(item, "RecommendedDisplayCIELabValue")
    if lab is not None and len(lab) == 3:
        return rgb_of_lab(lab)
    if not is_there(dataset, "RedPaletteColorLookupTableDescriptor"):
        return None
    palette = Dataset()
    for tag in _PALETTE:
        if (element := dataset.get(tag)) is not None:
            palette.add(element)
    try:
        colours = apply_color_lut(np.array([[number]], np.uint16), palette)
    except BAD_VALUE:
        return None
    shift = 8 * (colours.dtype.itemsize - 1)
    red, green, blue = (int(part) >> shift for part in colours[0, 0, :3])
    return red, green, blue
