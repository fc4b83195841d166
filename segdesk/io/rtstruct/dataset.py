"""An RT Structure Set as a DICOM dataset, from outlines and the series they lie on.

Modules: PS3.3 A.19.3 (Patient, General Study, RT Series, General Equipment, Frame of
Reference, Structure Set, ROI Contour, RT ROI Observations, Approval, SOP Common).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset
from pydicom.sequence import Sequence as Items
from pydicom.tag import Tag
from pydicom.uid import ImplicitVRLittleEndian

from segdesk.core.geometry import Points
from segdesk.core.labels import Label
from segdesk.core.provenance import OriginKind
from segdesk.io.dicom.derived import (
    ImageReference,
    SourceSeries,
    add_patient_and_study,
    add_series_and_equipment,
    date_text,
    new_object,
    time_text,
)
from segdesk.io.rtstruct.structure_set import RT_STRUCTURE_SET

_CONTOUR_DATA = Tag(0x3006, 0x0050)
_DETACHED_STUDY = "1.2.840.10008.3.1.2.3.1"
"""Detached Study Management: retired, and what readers expect in RTReferencedStudySequence."""

_HOW = {OriginKind.HUMAN: "MANUAL", OriginKind.MODEL: "AUTOMATIC"}
"""ROIGenerationAlgorithm; empty (not known) for every other origin."""


@dataclass(frozen=True, slots=True, eq=False)
class DrawnRegion:
    """A label and its contours.

    Parameters
    ----------
    label : Label
    contours : sequence of (int, ndarray of float64, shape (N, 3))
        Slice and points in LPS mm.
    """

    label: Label
    contours: Sequence[tuple[int, Points]]


def structure_set_dataset(
    regions: Sequence[DrawnRegion], source: SourceSeries, origin: OriginKind, now: datetime
) -> FileDataset:
    """Return the object, ready to be saved.

    It is in implicit VR: an element of explicit VR holds at most 64 kB of coordinates,
    which a long contour exceeds.
    """
    dataset = new_object(RT_STRUCTURE_SET, ImplicitVRLittleEndian)
    add_patient_and_study(dataset, source.header)
    add_series_and_equipment(dataset, "RTSTRUCT", now)
    dataset.OperatorsName = ""
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = source.frame_of_reference_uid, ""
    dataset.StructureSetLabel = "segdesk"
    dataset.StructureSetDate, dataset.StructureSetTime = date_text(now), time_text(now)
    dataset.ApprovalStatus = "UNAPPROVED"
    dataset.ReferencedFrameOfReferenceSequence = Items([_referenced_frame(source)])
    how = _HOW.get(origin, "")
    dataset.StructureSetROISequence = Items([_roi(each.label, source, how) for each in regions])
    dataset.ROIContourSequence = Items([_contours(each, source) for each in regions])
    dataset.RTROIObservationsSequence = Items([_observation(n, each.label) for n, each in enumerate(regions, 1)])
    return dataset


def _referenced_frame(source: SourceSeries) -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID = source.series_uid
    objects = {each.sop_instance_uid: replace(each, frame_number=None) for each in source.images}
    series.ContourImageSequence = Items([each.item() for each in objects.values()])
    study = Dataset()
    study.ReferencedSOPClassUID = _DETACHED_STUDY
    study.ReferencedSOPInstanceUID = source.header.StudyInstanceUID
    study.RTReferencedSeriesSequence = Items([series])
    frame = Dataset()
    frame.FrameOfReferenceUID = source.frame_of_reference_uid
    frame.RTReferencedStudySequence = Items([study])
    return frame


def _roi(label: Label, source: SourceSeries, how: str) -> Dataset:
    item = Dataset()
    item.ROINumber, item.ROIName = label.value, label.name
    item.ReferencedFrameOfReferenceUID = source.frame_of_reference_uid
    item.ROIGenerationAlgorithm = how
    return item


def _contours(region: DrawnRegion, source: SourceSeries) -> Dataset:
    item = Dataset()
    item.ROIDisplayColor = list(region.label.colour_rgb)
    item.ReferencedROINumber = region.label.value
    if region.contours:
        item.ContourSequence = Items([_contour(points, source.images[k]) for k, points in region.contours])
    return item


def _contour(points_lps: Points, image: ImageReference) -> Dataset:
    item = Dataset()
    item.ContourImageSequence = Items([image.item()])
    item.ContourGeometricType = "CLOSED_PLANAR"
    item.NumberOfContourPoints = len(points_lps)
    # As bytes: pydicom would make an object of every number. In implicit VR the file does not say DS or OB.
    item.add_new(_CONTOUR_DATA, "OB", decimal_string(points_lps))
    return item


def decimal_string(points_lps: NDArray[np.float64]) -> bytes:
    """Return coordinates as a DS value: 10 significant digits, at most 16 characters each, of even length.

    At 10 m from the origin that is 1e-6 mm.
    """
    values = np.where(np.abs(points_lps) < 1e-12, 0.0, points_lps).ravel().tolist()
    text = "\\".join(["%.10g"] * len(values)) % tuple(values)
    return (text + " " * (len(text) % 2)).encode("ascii")


def _observation(number: int, label: Label) -> Dataset:
    item = Dataset()
    item.ObservationNumber, item.ReferencedROINumber = number, label.value
    if label.concept is not None:
        code = Dataset()
        kind = label.concept.type
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = kind.value, kind.scheme, kind.meaning
        item.RTROIIdentificationCodeSequence = Items([code])
    item.RTROIInterpretedType, item.ROIInterpreter = "", ""
    return item
