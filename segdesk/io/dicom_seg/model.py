"""What the header of a DICOM Segmentation says, in plain values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from segdesk.core.labels import Label
from segdesk.io.dicom.model import Place


class SegmentationType(StrEnum):
    """How pixels mean segments (PS3.3 C.8.20.2.3)."""

    BINARY = "BINARY"
    """One bit a pixel, one segment a frame; segments may overlap."""
    FRACTIONAL = "FRACTIONAL"
    """One byte a pixel, one segment a frame: how probable, or how much of the pixel."""
    LABELMAP = "LABELMAP"
    """The pixel is the number of its segment."""


@dataclass(frozen=True, slots=True)
class SegPixelLayout:
    """How the frames are stored; `padding` is the background's value in a label map."""

    rows: int
    columns: int
    frames: int
    bits_allocated: int
    transfer_syntax: str
    photometric: str
    padding: int = 0


@dataclass(frozen=True, slots=True)
class SegFrame:
    """One frame.

    Parameters
    ----------
    number : int
        In the file, zero-based.
    segment : int or None
        Number of its segment; None in a label map.
    place : Place or None
        None when the file gives none (films).
    source : str
        The image frame it was drawn on: what tells places apart where there is no position.
    thickness_mm, step_mm : float or None
        SliceThickness and SpacingBetweenSlices.
    """

    number: int
    segment: int | None
    place: Place | None
    source: str
    thickness_mm: float | None
    step_mm: float | None


@dataclass(frozen=True, slots=True)
class SegHeader:
    """A segmentation without its pixels.

    Parameters
    ----------
    path : Path
    kind : SegmentationType
    fractional_type : str
        "PROBABILITY" or "OCCUPANCY" of a fractional one.
    maximum_fraction : int
        The stored value that means 1.0.
    layout : SegPixelLayout
    labels : mapping of int to Label
        By segment number; `Label.value` is what the segment becomes in a label map. The
        background is not among them.
    ignored : frozenset of int
        Segments that are there for form's sake: a mask on which nothing is drawn.
    frames : tuple of SegFrame
    series_uid, description, frame_of_reference_uid, referenced_series_uid : str
    """

    path: Path
    kind: SegmentationType
    fractional_type: str
    maximum_fraction: int
    layout: SegPixelLayout
    labels: dict[int, Label]
    ignored: frozenset[int]
    frames: tuple[SegFrame, ...]
    series_uid: str
    description: str
    frame_of_reference_uid: str | None
    referenced_series_uid: str
