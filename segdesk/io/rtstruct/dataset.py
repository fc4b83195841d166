"""An RT Structure Set as a DICOM dataset, from outlines and the series they lie on.

Modules: PS3.3 A.19.3 (Patient, General Study, RT Series, General Equipment, Frame of
Reference, Structure Set, ROI Contour, RT ROI Observations, Approval, SOP Common).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.tag import Tag
from pydicom.uid import UID, ImplicitVRLittleEndian, generate_uid

from segdesk.core.geometry import Points
from segdesk.core.labels import Label
from segdesk.core.provenance import OriginKind
from segdesk.io.rtstruct.structure_set import RT_STRUCTURE_SET

_CONTOUR_DATA = Tag(0x3006, 0x0050)
_DETACHED_STUDY = "1.2.840.10008.3.1.2.3.1"
"""Detached Study Management: retired, and what readers expect in RTReferencedStudySequence."""

_PATIENT_AND_STUDY = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "PatientAge", "PatientSize",
    "PatientWeight", "PatientIdentityRemoved", "DeidentificationMethod", "StudyInstanceUID", "StudyDate", "StudyTime",
    "ReferringPhysicianName", "StudyID", "AccessionNumber", "StudyDescription",
)  # fmt: skip
_MUST_BE_THERE = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "ReferringPhysicianName",
    "StudyID", "AccessionNumber",
)  # fmt: skip
"""Type 2: present, if empty."""

_HOW = {OriginKind.HUMAN: "MANUAL", OriginKind.MODEL: "AUTOMATIC"}
"""ROIGenerationAlgorithm; empty (not known) for every other origin."""


@dataclass(frozen=True, slots=True)
class ImageReference:
    """One slice of the series: its object, and the frame in it (from 1) where it has several."""

    sop_class_uid: str
    sop_instance_uid: str
    frame_number: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SeriesReference:
    """What a structure set says about the image it belongs to.

    Parameters
    ----------
    header : Dataset
        Of one of its files: patient and study.
    series_uid, frame_of_reference_uid : str
    slices : tuple of ImageReference
        In slice order.
    """

    header: Dataset
    series_uid: str
    frame_of_reference_uid: str
    slices: tuple[ImageReference, ...]


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
    regions: Sequence[DrawnRegion], series: SeriesReference, origin: OriginKind, now: datetime
) -> FileDataset:
    """Return the object, ready to be saved.

    It is in implicit VR: an element of explicit VR holds at most 64 kB of coordinates,
    which a long contour exceeds.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(RT_STRUCTURE_SET)
    meta.MediaStorageSOPInstanceUID = generate_uid(prefix=None)
    meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    _add_patient_and_study(dataset, series.header)
    _add_series_and_equipment(dataset, now)
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = series.frame_of_reference_uid, ""
    dataset.StructureSetLabel = "segdesk"
    dataset.StructureSetDate, dataset.StructureSetTime = _date(now), _time(now)
    dataset.ApprovalStatus = "UNAPPROVED"
    dataset.ReferencedFrameOfReferenceSequence = Items([_referenced_frame(series)])
    how = _HOW.get(origin, "")
    dataset.StructureSetROISequence = Items([_roi(each.label, series, how) for each in regions])
    dataset.ROIContourSequence = Items([_contours(each, series) for each in regions])
    dataset.RTROIObservationsSequence = Items([_observation(n, each.label) for n, each in enumerate(regions, 1)])
    return dataset


def _add_patient_and_study(dataset: Dataset, header: Dataset) -> None:
    for keyword in _PATIENT_AND_STUDY:
        if keyword in header:
            setattr(dataset, keyword, header[keyword].value)
        elif keyword in _MUST_BE_THERE:
            setattr(dataset, keyword, "")


def _add_series_and_equipment(dataset: Dataset, now: datetime) -> None:
    dataset.Modality = "RTSTRUCT"
    dataset.SeriesInstanceUID = generate_uid(prefix=None)
    dataset.SeriesNumber, dataset.InstanceNumber = 1, 1
    dataset.SeriesDescription, dataset.OperatorsName = "Segmentation", ""
    dataset.SeriesDate, dataset.SeriesTime = _date(now), _time(now)
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = _date(now), _time(now)
    dataset.Manufacturer = dataset.ManufacturerModelName = "segdesk"
    dataset.SoftwareVersions = version("segdesk")


def _date(now: datetime) -> str:
    return now.strftime("%Y%m%d")


def _time(now: datetime) -> str:
    return now.strftime("%H%M%S")


def _referenced_frame(series: SeriesReference) -> Dataset:
    images = Dataset()
    images.SeriesInstanceUID = series.series_uid
    unique = {each.sop_instance_uid: each for each in series.slices}
    images.ContourImageSequence = Items([_image(ImageReference(*_names(each))) for each in unique.values()])
    study = Dataset()
    study.ReferencedSOPClassUID = _DETACHED_STUDY
    study.ReferencedSOPInstanceUID = series.header.StudyInstanceUID
    study.RTReferencedSeriesSequence = Items([images])
    frame = Dataset()
    frame.FrameOfReferenceUID = series.frame_of_reference_uid
    frame.RTReferencedStudySequence = Items([study])
    return frame


def _names(image: ImageReference) -> tuple[str, str]:
    return image.sop_class_uid, image.sop_instance_uid


def _image(image: ImageReference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = _names(image)
    if image.frame_number is not None:
        item.ReferencedFrameNumber = image.frame_number
    return item


def _roi(label: Label, series: SeriesReference, how: str) -> Dataset:
    item = Dataset()
    item.ROINumber, item.ROIName = label.value, label.name
    item.ReferencedFrameOfReferenceUID = series.frame_of_reference_uid
    item.ROIGenerationAlgorithm = how
    return item


def _contours(region: DrawnRegion, series: SeriesReference) -> Dataset:
    item = Dataset()
    item.ROIDisplayColor = list(region.label.colour_rgb)
    item.ReferencedROINumber = region.label.value
    if region.contours:
        item.ContourSequence = Items([_contour(points, series.slices[k]) for k, points in region.contours])
    return item


def _contour(points_lps: Points, image: ImageReference) -> Dataset:
    item = Dataset()
    item.ContourImageSequence = Items([_image(image)])
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
