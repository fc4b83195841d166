"""Frames of a dataset: single, enhanced multi-frame, dose grids, mosaics."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from segdesk.core.volume import Window
from segdesk.errors import ReadError
from segdesk.io.dicom.model import Frame, FrameKeys, PixelLayout, Place, Vector
from segdesk.io.dicom.mosaic import mosaic_frames
from segdesk.io.dicom.quick_header import Header
from segdesk.io.dicom.tags import SIEMENS_B_VALUE, UIH_B_VALUE
from segdesk.io.dicom.uih import uih_frames
from segdesk.io.dicom.values import is_there, item_of, items_of, number_of, numbers_of, text_of, texts_of

UNIT_ATOL = 1e-3
"""Direction cosines this near to length one are normalised (GEOMETRY check 19)."""

RIGHT_ANGLE_ATOL = 1e-4
"""Largest |row . column| of an orientation (GEOMETRY check 18)."""


def frames_of(dataset: Header, layout: PixelLayout, path: Path) -> tuple[Frame, ...]:
    """Return the frames of a file, each with its own place, rescale and keys.

    Raises
    ------
    ReadError
        ``bad_pixels`` when the functional groups are fewer or more than the frames,
        ``bad_geometry`` when it is tiled and the tiles cannot be placed.
    """
    groups = items_of(dataset, "PerFrameFunctionalGroupsSequence")
    if groups:
        if len(groups) != layout.frames:
            text = f"{path.name} describes {len(groups)} frames but holds {layout.frames}."
            raise ReadError(text, code="bad_pixels", path=path)
        shared = item_of(dataset, "SharedFunctionalGroupsSequence")
        return tuple(_enhanced_frame(n, group, shared, dataset, layout) for n, group in enumerate(groups))
    single = _single_frame(dataset, layout)
    if layout.frames == 1:
        return mosaic_frames(dataset, single, path) or uih_frames(dataset, single, path) or (single,)
    offsets = numbers_of(dataset, "GridFrameOffsetVector")
    if offsets is not None and len(offsets) == layout.frames and single.place is not None:
        return _offset_frames(single, offsets)
    return tuple(_without_place(single, n) for n in range(layout.frames))


@dataclass(frozen=True, slots=True)
class _Macros:
    """Where a frame's attributes are: items of the functional groups, or the dataset itself for all of them."""

    position: Header
    orientation: Header
    measures: Header
    transform: Header
    windows: Header

    def frame(self, number: int, layout: PixelLayout, keys: FrameKeys) -> Frame:
        """Return the frame they describe."""
        place, problem = place_of(self.position, self.orientation, self.measures)
        slope = number_of(self.transform, "RescaleSlope")
        return Frame(
            number=number,
            tile=None,
            rows=layout.rows,
            columns=layout.columns,
            place=place,
            problem=problem,
            slope=1.0 if slope is None else slope,
            intercept=number_of(self.transform, "RescaleIntercept") or 0.0,
            thickness_mm=number_of(self.measures, "SliceThickness"),
            step_mm=number_of(self.measures, "SpacingBetweenSlices"),
            windows=_windows(self.windows),
            keys=keys,
        )


def _single_frame(dataset: Header, layout: PixelLayout) -> Frame:
    keys = FrameKeys(
        texts_of(dataset, "ImageType"),
        text_of(dataset, "StackID"),
        number_of(dataset, "TemporalPositionIdentifier"),
        number_of(dataset, "TriggerTime"),
        number_of(dataset, "EchoTime"),
        _b_value(dataset),
        number_of(dataset, "AcquisitionNumber"),
        text_of(dataset, "AcquisitionDateTime") or text_of(dataset, "AcquisitionTime") or None,
    )
    frame = _Macros(dataset, dataset, dataset, dataset, dataset).frame(0, layout, keys)
    dose = number_of(dataset, "DoseGridScaling")
    return frame if dose is None else replace(frame, slope=dose)


def _enhanced_frame(number: int, group: Header, shared: Header, dataset: Header, layout: PixelLayout) -> Frame:
    def macro(keyword: str) -> Header:
        return item_of(group, keyword) if is_there(group, keyword) else item_of(shared, keyword)

    content = item_of(group, "FrameContentSequence")
    kind = texts_of(macro("MRImageFrameTypeSequence"), "FrameType") or texts_of(
        macro("CTImageFrameTypeSequence"), "FrameType"
    )
    keys = FrameKeys(
        kind or texts_of(dataset, "ImageType"),
        text_of(content, "StackID"),
        number_of(content, "TemporalPositionIndex"),
        number_of(macro("CardiacSynchronizationSequence"), "NominalCardiacTriggerDelayTime"),
        number_of(macro("MREchoSequence"), "EffectiveEchoTime"),
        number_of(macro("MRDiffusionSequence"), "DiffusionBValue"),
        number_of(content, "FrameAcquisitionNumber"),
        text_of(content, "FrameAcquisitionDateTime") or None,
    )
    macros = _Macros(
        macro("PlanePositionSequence"),
        macro("PlaneOrientationSequence"),
        macro("PixelMeasuresSequence"),
        macro("PixelValueTransformationSequence"),
        macro("FrameVOILUTSequence"),
    )
    return macros.frame(number, layout, keys)


def place_of(position: Header, orientation: Header, measures: Header) -> tuple[Place | None, str]:
    """Return the place of a frame and what is wrong with it; (None, "") when the header does not say.

    Parameters
    ----------
    position, orientation, measures : Header
        Items that hold ImagePositionPatient, ImageOrientationPatient and PixelSpacing: the
        dataset itself, or macros of the functional groups.
    """
    if not (is_there(position, "ImagePositionPatient") and is_there(orientation, "ImageOrientationPatient")):
        return None, ""
    if not is_there(measures, "PixelSpacing"):
        # Pixels only (GEOMETRY check 17); one that is there and wrong is refused below.
        return None, ""
    point = numbers_of(position, "ImagePositionPatient")
    cosines = numbers_of(orientation, "ImageOrientationPatient")
    spacing = numbers_of(measures, "PixelSpacing")
    if point is None or len(point) != 3:
        return None, "the position is empty or no number"
    if cosines is None or len(cosines) != 6:
        return None, "the orientation is empty or no number"
    if spacing is None or len(spacing) != 2 or min(spacing) <= 0:
        return None, "the pixel spacing is empty, zero or no number"
    row, column = _vector(cosines[:3]), _vector(cosines[3:])
    lengths = math.hypot(*row), math.hypot(*column)
    if max(abs(length - 1.0) for length in lengths) > UNIT_ATOL:
        return None, "the direction cosines are not of length one"
    row, column = _divided(row, lengths[0]), _divided(column, lengths[1])
    if abs(row[0] * column[0] + row[1] * column[1] + row[2] * column[2]) > RIGHT_ANGLE_ATOL:
        return None, "rows and columns are not at a right angle"
    return Place(_vector(point), row, column, (spacing[0], spacing[1])), ""


def _divided(vector: Vector, length: float) -> Vector:
    x, y, z = vector
    return x / length, y / length, z / length


def _vector(values: Iterable[float]) -> Vector:
    x, y, z = map(float, values)
    return x, y, z


def _windows(dataset: Header) -> tuple[Window, ...]:
    centres, widths = numbers_of(dataset, "WindowCenter") or (), numbers_of(dataset, "WindowWidth") or ()
    names = texts_of(dataset, "WindowCenterWidthExplanation")
    pairs = [(c, w) for c, w in zip(centres, widths, strict=False) if w > 0]
    return tuple(Window(c, w, names[n] if n < len(names) else "") for n, (c, w) in enumerate(pairs))


def _b_value(dataset: Header) -> float | None:
    standard = number_of(dataset, "DiffusionBValue")
    private = dataset.get(SIEMENS_B_VALUE) or dataset.get(UIH_B_VALUE)
    return standard if standard is not None or private is None else _first_number(private.value)


def _first_number(value: object) -> float | None:
    """Read a private number, which may come as raw bytes from an implicit file."""
    try:
        return float(value.decode("ascii") if isinstance(value, bytes) else value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None


def _offset_frames(single: Frame, offsets: tuple[float, ...]) -> tuple[Frame, ...]:
    """Place the planes of a dose grid: offsets along the normal, relative to the first."""
    place = single.place
    if place is None:
        return ()
    normal = np.cross(place.along_row_lps, place.along_column_lps)
    frames = []
    for n, offset in enumerate(offsets):
        point = np.array(place.position_lps) + (offset - offsets[0]) * normal
        moved = Place(_vector(point), place.along_row_lps, place.along_column_lps, place.spacing_ji_mm)
        frames.append(_numbered(single, n, moved))
    return tuple(frames)


def _without_place(single: Frame, number: int) -> Frame:
    return _numbered(single, number, None)


def _numbered(single: Frame, number: int, place: Place | None) -> Frame:
    return replace(single, number=number, place=place, problem="")
