"""An RT Structure Set as plain values: regions of interest with their contours in the patient.

DICOM PS3.3 C.8.8.5 (Structure Set), C.8.8.6 (ROI Contour) and C.8.8.8 (RT ROI Observations).
"""

from __future__ import annotations

import logging
import warnings
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from segdesk.core.geometry import Points
from segdesk.core.labels import Code, Colour, Concept, Label
from segdesk.errors import ReadError
from segdesk.io.dicom.values import DAMAGED_FILE, items_of, numbers_of, text_of, whole_of
from segdesk.io.series import RegionSummary, StructureSetSummary

RT_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"

AREA_KINDS = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR", "INTERPOLATED_PLANAR")
"""Contours that enclose an area; the last is not in the standard, but some planning systems write it."""

_CONTOUR_DATA = Tag(0x3006, 0x0050)

logging.getLogger("pydicom").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True, eq=False)
class Contour:
    """One contour.

    Parameters
    ----------
    kind : str
        ContourGeometricType, in capitals.
    points_lps : ndarray of float64, shape (N, 3)
        In mm; the last point is joined to the first.
    """

    kind: str
    points_lps: Points

    @property
    def is_area(self) -> bool:
        """Whether the contour encloses an area (POINT and OPEN_PLANAR do not)."""
        return self.kind in AREA_KINDS


@dataclass(frozen=True, slots=True, eq=False)
class Roi:
    """A region of interest; one without contours is valid and empty.

    Parameters
    ----------
    number : int
        ROINumber, as stored.
    name : str
    colour_rgb : tuple of int
        ROIDisplayColor; a colour of our palette where the file gives none.
    frame_of_reference_uid : str
        "" where the file names none.
    contours : tuple of Contour
    concept : Concept, optional
        From RTROIIdentificationCodeSequence.
    """

    number: int
    name: str
    colour_rgb: Colour
    frame_of_reference_uid: str
    contours: tuple[Contour, ...] = field(repr=False)
    concept: Concept | None = None

    @property
    def areas(self) -> tuple[Contour, ...]:
        """The contours that enclose an area."""
        return tuple(each for each in self.contours if each.is_area)


@dataclass(frozen=True, slots=True, eq=False)
class StructureSet:
    """Everything segdesk reads of an RT Structure Set.

    Parameters
    ----------
    path : Path
    label : str
        StructureSetLabel.
    series_uids : tuple of str
        The image series it was drawn on.
    rois : tuple of Roi
        In the order of the file.
    """

    path: Path
    label: str
    series_uids: tuple[str, ...]
    rois: tuple[Roi, ...]

    @property
    def frame_of_reference_uids(self) -> tuple[str, ...]:
        """Every frame of reference a region lies in."""
        return tuple(sorted({roi.frame_of_reference_uid for roi in self.rois} - {""}))

    def summary(self) -> StructureSetSummary:
        """Return what is shown of it where no image is at hand."""
        regions = [RegionSummary(roi.number, roi.name, roi.colour_rgb, len(roi.contours)) for roi in self.rois]
        return StructureSetSummary(self.label, self.series_uids, tuple(regions))


def read_structure_set(path: Path | str) -> StructureSet:
    """Read an RT Structure Set; no image is needed.

    Raises
    ------
    ReadError
        ``unreadable`` for a damaged file, ``not_an_image`` for another DICOM object,
        ``bad_structure_set`` when regions or contours contradict themselves.
    """
    path = Path(path)
    try:
        with warnings.catch_warnings():
            # pydicom warns of every value that bends the standard; those that matter are judged here.
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(path, force=True)
            if text_of(dataset, "SOPClassUID") != RT_STRUCTURE_SET:
                raise ReadError(f"{path.name} is no RT Structure Set.", code="not_an_image", path=path)
            return StructureSet(
                path, text_of(dataset, "StructureSetLabel"), tuple(_series_uids(dataset)), tuple(_rois(dataset, path))
            )
    except DAMAGED_FILE as error:
        raise ReadError(f"{path.name} is a damaged DICOM file; copy it again.", path=path) from error


def _series_uids(dataset: Dataset) -> Iterator[str]:
    seen: set[str] = set()
    for frame in _items(dataset, "ReferencedFrameOfReferenceSequence"):
        for study in _items(frame, "RTReferencedStudySequence"):
            for series in _items(study, "RTReferencedSeriesSequence"):
                uid = text_of(series, "SeriesInstanceUID")
                if uid and uid not in seen:
                    seen.add(uid)
                    yield uid


def _rois(dataset: Dataset, path: Path) -> Iterator[Roi]:
    contours: dict[int, list[Contour]] = defaultdict(list)
    colours: dict[int, Colour] = {}
    for item in _items(dataset, "ROIContourSequence"):
        number = _number(item, "ReferencedROINumber", path)
        contours[number] += _contours(item, number, path)
        colour = _colour(item)
        if colour is not None:
            colours[number] = colour
    concepts = {
        whole_of(item, "ReferencedROINumber"): _concept(item) for item in _items(dataset, "RTROIObservationsSequence")
    }
    only_frame = text_of(dataset, "FrameOfReferenceUID")
    seen: set[int] = set()
    for item in _items(dataset, "StructureSetROISequence"):
        number = _number(item, "ROINumber", path)
        if number in seen:
            raise _contradiction(path, f"two regions have the number {number}")
        seen.add(number)
        yield Roi(
            number,
            text_of(item, "ROIName") or f"ROI {number}",
            colours.get(number, Label.default(max(1, number)).colour_rgb),
            text_of(item, "ReferencedFrameOfReferenceUID") or only_frame,
            tuple(contours.pop(number, ())),
            concepts.get(number),
        )
    if any(contours.values()):
        raise _contradiction(path, f"contours belong to region {min(contours)}, which is not listed")


def _items(dataset: Dataset, keyword: str) -> list[Dataset]:
    return [item for item in items_of(dataset, keyword) if isinstance(item, Dataset)]


def _contradiction(path: Path, what: str) -> ReadError:
    return ReadError(f"{path.name}: {what}; export the structure set again.", code="bad_structure_set", path=path)


def _number(item: Dataset, keyword: str, path: Path) -> int:
    number = whole_of(item, keyword)
    if number is None:
        raise _contradiction(path, "a region has no number")
    return number


def _colour(item: Dataset) -> Colour | None:
    parts = numbers_of(item, "ROIDisplayColor")
    if parts is None or len(parts) != 3:
        return None
    red, green, blue = (min(255, max(0, round(part))) for part in parts)
    return red, green, blue


def _concept(item: Dataset) -> Concept | None:
    code = next(iter(_items(item, "RTROIIdentificationCodeSequence")), Dataset())
    value, scheme = text_of(code, "CodeValue"), text_of(code, "CodingSchemeDesignator")
    return Concept(Code(value, scheme, text_of(code, "CodeMeaning"))) if value and scheme else None


def _contours(item: Dataset, number: int, path: Path) -> Iterator[Contour]:
    for contour in _items(item, "ContourSequence"):
        values = _contour_values(contour, number, path)
        stated = whole_of(contour, "NumberOfContourPoints")
        if len(values) % 3 or (stated is not None and stated * 3 != len(values)):
            raise _contradiction(path, f"a contour of region {number} has {len(values)} numbers for {stated} points")
        yield Contour(text_of(contour, "ContourGeometricType").upper(), values.reshape(-1, 3))


def _contour_values(contour: Dataset, number: int, path: Path) -> NDArray[np.float64]:
    """Return the coordinates; from the raw bytes, because pydicom makes an object of every number."""
    if _CONTOUR_DATA not in contour:
        return np.empty(0)
    raw: object = contour.get_item(_CONTOUR_DATA).value
    try:
        if isinstance(raw, bytes):
            text = raw.strip(b" \0")
            values = np.array(text.split(b"\\") if text else [], dtype=np.bytes_).astype(np.float64)
        else:
            values = np.atleast_1d(np.asarray(contour.ContourData, dtype=np.float64))
    except (ValueError, TypeError) as error:
        raise _contradiction(path, f"a contour of region {number} holds something that is no number") from error
    if not np.isfinite(values).all():
        raise _contradiction(path, f"a contour of region {number} holds NaN or infinite numbers")
    return values
