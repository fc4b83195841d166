"""Frames and instances: what the header pass keeps of a DICOM file, in plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from segdesk.core.volume import Window
from segdesk.errors import Warn

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """How pixels lie in the file.

    Parameters
    ----------
    rows, columns, samples, frames : int
        Of the stored image (a mosaic counts as one frame).
    bits_allocated, bits_stored, high_bit : int
    is_signed : bool
    is_float : bool
        Float or double pixel data.
    photometric : str
        As in the header.
    transfer_syntax : str
        UID.
    data_offset : int
        First byte of uncompressed pixels; -1 where they must be decoded by pydicom.
    data_length : int
        Bytes of the pixel element, -1 for encapsulated.
    is_big_endian : bool
    has_modality_lut : bool
        A table takes the place of slope and intercept.
    fragments_offset : int
        First byte of the items of encapsulated pixels, -1 for others.
    """

    rows: int
    columns: int
    samples: int
    frames: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    is_signed: bool
    is_float: bool
    photometric: str
    transfer_syntax: str
    data_offset: int
    data_length: int
    is_big_endian: bool
    has_modality_lut: bool
    fragments_offset: int = -1

    @property
    def is_colour(self) -> bool:
        """Whether reading gives RGB."""
        return self.samples >= 3 or self.photometric == "PALETTE COLOR"

    @property
    def frame_bytes(self) -> int:
        """Bytes of one uncompressed frame of whole-byte pixels."""
        return self.rows * self.columns * self.samples * self.bits_allocated // 8


@dataclass(frozen=True, slots=True)
class Place:
    """Where a frame lies: first pixel's centre, unit vectors of its axes, spacing.

    `along_row_lps` is the direction in which the column index i grows (the first triple
    of ImageOrientationPatient), `along_column_lps` that in which the row index j grows.
    `spacing_ji_mm` is PixelSpacing in its own order: rows apart, then columns apart.
    """

    position_lps: Vector
    along_row_lps: Vector
    along_column_lps: Vector
    spacing_ji_mm: tuple[float, float]


@dataclass(frozen=True, slots=True)
class FrameKeys:
    """What tells frames at one position apart; None where the header is silent."""

    image_type: tuple[str, ...] = ()
    stack_id: str = ""
    temporal_index: float | None = None
    trigger_time_ms: float | None = None
    echo_time_ms: float | None = None
    b_value: float | None = None
    acquisition_number: float | None = None
    acquisition_time: str | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """One slice to be: a frame of a file, or a tile of a mosaic.

    Parameters
    ----------
    number : int
        Frame in the file, zero-based.
    tile : tuple of int, optional
        First row and column of a mosaic tile.
    rows, columns : int
        Of this frame or tile.
    place : Place, optional
        None when the header gives none.
    problem : str
        What is wrong with its place, "" when nothing.
    slope, intercept : float
    thickness_mm, step_mm : float, optional
        SliceThickness and SpacingBetweenSlices: never positions.
    windows : tuple of Window
    keys : FrameKeys
    """

    number: int
    tile: tuple[int, int] | None
    rows: int
    columns: int
    place: Place | None
    problem: str
    slope: float
    intercept: float
    thickness_mm: float | None
    step_mm: float | None
    windows: tuple[Window, ...]
    keys: FrameKeys


@dataclass(frozen=True, slots=True)
class PixelSize:
    """How large the pixels of a picture without a place are.

    Parameters
    ----------
    spacing_ji_mm : tuple of float, optional
        Rows apart, then columns apart; None when lengths are in pixels.
    source : str
        Where it came from, in words for the user.
    warning : Warn, optional
        What the user must know when measuring.
    """

    spacing_ji_mm: tuple[float, float] | None
    source: str
    warning: Warn | None = None


@dataclass(frozen=True, slots=True)
class Instance:
    """One DICOM file with an image, without its pixels.

    `patient_key` is a hash, so that no name travels further; `pixel_size` is for films
    and other pictures without a place; `patient_position` ("HFS"...) is text for the user,
    never geometry.
    """

    path: Path
    layout: PixelLayout
    frames: tuple[Frame, ...]
    patient_key: str
    series_uid: str
    sop_uid: str
    modality: str
    description: str
    instance_number: int | None
    images_in_acquisition: int | None
    frame_of_reference_uid: str | None
    has_functional_groups: bool
    is_inverted: bool
    is_lossy: bool
    rescale_type: str
    padding_stored: tuple[float, float] | None
    pixel_size: PixelSize
    patient_position: str = ""


@dataclass(frozen=True, slots=True)
class Slice:
    """A frame together with the file it is in."""

    instance: Instance
    frame: Frame
    copy: int = field(default=0)
