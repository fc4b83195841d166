"""What every DICOM object of ours that belongs to an image says alike: patient, study, equipment, references."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from uuid import NAMESPACE_OID, uuid5

import pydicom
from pydicom.config import RAISE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, generate_uid
from pydicom.valuerep import validate_value

from segdesk.core.labels import LabelMap
from segdesk.core.placement import lay_on
from segdesk.core.progress import Progress
from segdesk.errors import ReadError, WriteError
from segdesk.io.dicom.model import Slice
from segdesk.io.dicom.values import BAD_VALUE, DAMAGED_FILE
from segdesk.io.dicom.volume import DicomVolume
from segdesk.io.reference import ReferenceGrid, one_that_fits
from segdesk.io.scan import scan
from segdesk.io.series import SeriesEntry

_PATIENT_AND_STUDY = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "PatientAge", "PatientSize",
    "PatientWeight", "PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence",
    "StudyInstanceUID", "StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID", "AccessionNumber",
    "StudyDescription",
)  # fmt: skip
_MUST_BE_THERE = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "ReferringPhysicianName",
    "StudyID", "AccessionNumber",
)  # fmt: skip
"""Type 2: present, if empty."""

_FORMATTED = ("DA", "TM", "AS", "DS")


@dataclass(frozen=True, slots=True)
class ImageReference:
    """One slice of a series: its object, and the frame in it (from 1) where it has several."""

    sop_class_uid: str
    sop_instance_uid: str
    frame_number: int | None = None

    def item(self) -> Dataset:
        """Return the item of a sequence that refers to the image."""
        item = Dataset()
        item.ReferencedSOPClassUID = self.sop_class_uid
        item.ReferencedSOPInstanceUID = self.sop_instance_uid
        if self.frame_number is not None:
            item.ReferencedFrameNumber = self.frame_number
        return item


@dataclass(frozen=True, slots=True, eq=False)
class SourceSeries:
    """The image an object of ours belongs to.

    Parameters
    ----------
    header : Dataset
        Of one of its files, without pixels, decoded: patient and study.
    series_uid : str
    frame_of_reference_uid : str or None
    images : tuple of ImageReference
        In slice order.
    slices : tuple of Slice
        The frames of the header pass, in the same order.
    """

    header: Dataset
    series_uid: str
    frame_of_reference_uid: str | None
    images: tuple[ImageReference, ...]
    slices: tuple[Slice, ...]


def on_dicom_image(labels: LabelMap, reference: Path, report: Progress) -> tuple[SeriesEntry, LabelMap]:
    """Find the DICOM image a mask lies on, and bring the mask onto its whole grid.

    Parameters
    ----------
    labels : LabelMap
    reference : Path
        The image, or a folder that holds it.
    report : Progress

    Raises
    ------
    ReadError
        Code ``no_reference`` when there is no DICOM image.
    GeometryMismatch, UsageError
        As `segdesk.io.reference.one_that_fits`.
    """
    entries = {entry.uid: entry for entry in scan(reference, report).images if isinstance(entry.reader, DicomVolume)}
    if not entries:
        message = f"{reference.name} holds no DICOM image; a DICOM mask refers to the one it was drawn on."
        raise ReadError(message, code="no_reference", path=reference)
    grids = [ReferenceGrid(entry.geometry, series_uid=uid) for uid, entry in entries.items()]
    chosen, laid = one_that_fits(grids, lambda each: lay_on(labels, each.grid))
    return entries[chosen.series_uid], laid


def source_series(entry: SeriesEntry) -> SourceSeries:
    """Return what an object refers to, from an entry of a scan (of a 4D series, the first point).

    Raises
    ------
    ReadError
        If the entry is no DICOM image, or its file is damaged.
    WriteError
        If the image lacks an identifier that an object must refer to.
    """
    if not isinstance(entry.reader, DicomVolume):
        raise ReadError(f"{entry.description or entry.uid} is no DICOM image.", code="no_reference")
    slices = entry.reader.points[0]
    header = _header(slices[0].instance.path)
    missing = [name for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID") if not header.get(name)]
    if missing:
        path = slices[0].instance.path
        raise WriteError(f"{path.name} has no {missing[0]}, to which a mask must refer.", path=path)
    images = tuple(
        ImageReference(
            str(header.SOPClassUID),
            each.instance.sop_uid,
            each.frame.number + 1 if each.instance.layout.frames > 1 else None,
        )
        for each in slices
    )
    return SourceSeries(
        header, slices[0].instance.series_uid, entry.geometry.frame_of_reference_uid, images, tuple(slices)
    )


def with_frame_of_reference(source: SourceSeries) -> SourceSeries:
    """Name the series' frame of reference where its files do not: what has places in the patient must.

    The name is made from the series', so that all objects drawn on one series share it.
    """
    if source.frame_of_reference_uid or source.slices[0].frame.place is None:
        return source
    return replace(source, frame_of_reference_uid=f"2.25.{uuid5(NAMESPACE_OID, source.series_uid).int}")


def new_object(sop_class_uid: str, transfer_syntax_uid: str) -> FileDataset:
    """Return an empty object with identifiers of its own, in UTF-8."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class_uid)
    meta.MediaStorageSOPInstanceUID = generate_uid(prefix=None)
    meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    return dataset


def add_patient_and_study(dataset: Dataset, header: Dataset) -> None:
    """Copy who was imaged and in which study."""
    for keyword in _PATIENT_AND_STUDY:
        if keyword in header and _is_worth_copying(header[keyword]):
            setattr(dataset, keyword, header[keyword].value)
        elif keyword in _MUST_BE_THERE:
            setattr(dataset, keyword, "")
    if not (dataset.get("DeidentificationMethod") or dataset.get("DeidentificationMethodCodeSequence")):
        # "Identity removed" may only be said together with how (PS3.3 C.7.1.1).
        dataset.pop("PatientIdentityRemoved", None)


def add_series_and_equipment(dataset: Dataset, modality: str, now: datetime) -> None:
    """Describe a new series, made by this program."""
    dataset.Modality = modality
    dataset.SeriesInstanceUID = generate_uid(prefix=None)
    dataset.SeriesNumber, dataset.InstanceNumber = None, 1
    dataset.SeriesDescription = "Segmentation"
    dataset.SeriesDate = dataset.InstanceCreationDate = date_text(now)
    dataset.SeriesTime = dataset.InstanceCreationTime = time_text(now)
    dataset.Manufacturer = dataset.ManufacturerModelName = "segdesk"
    dataset.SoftwareVersions = version("segdesk")


def date_text(now: datetime) -> str:
    """Return a DA value."""
    return now.strftime("%Y%m%d")


def time_text(now: datetime) -> str:
    """Return a TM value."""
    return now.strftime("%H%M%S")


def _is_worth_copying(element: DataElement) -> bool:
    """Whether a value is not a malformed date, time, age or number; names and identifiers stay as they are."""
    if element.VR not in _FORMATTED:
        return True
    try:
        validate_value(element.VR, element.value, RAISE)
    except BAD_VALUE:
        return False
    return True


def _header(path: Path) -> Dataset:
    try:
        with warnings.catch_warnings():
            # pydicom warns of every value that bends the standard; it is copied as it is.
            warnings.simplefilter("ignore")
            header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
            header.decode()
    except DAMAGED_FILE as error:
        raise ReadError(f"{path.name} is a damaged DICOM file; copy it again.", path=path) from error
    return header
