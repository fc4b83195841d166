"""RT Structure Sets and image series made with raw pydicom, and DICOM's own equation from pixels to mm.

Import as ``from tests.io.rtstruct.structure_sets import structure_set``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from tests.io.dicom_maker import FRAME_OF_REFERENCE, SERIES, STUDY, slice_dataset

_CLASS = "1.2.840.10008.5.1.4.1.1.481.3"


@dataclass(frozen=True)
class Planes:
    """Image planes: orientation, spacing (rows, columns) and one position a slice."""

    orientation: tuple[float, ...]
    spacing: tuple[float, float]
    positions: tuple[tuple[float, float, float], ...]
    shape: tuple[int, int] = (24, 30)

    def points(self, k: int, pixels_ji: Sequence[Sequence[float]]) -> NDArray[np.float64]:
        """Pixel (row, column) to patient mm: PS3.3 C.7.6.2.1-1."""
        along_row, along_column = np.array(self.orientation[:3]), np.array(self.orientation[3:])
        rows, columns = np.asarray(pixels_ji, float).T
        return (
            np.array(self.positions[k])
            + columns[:, None] * self.spacing[1] * along_row
            + rows[:, None] * self.spacing[0] * along_column
        )

    def write(self, folder: Path) -> None:
        """Write the image series."""
        folder.mkdir(parents=True, exist_ok=True)
        for k, position in enumerate(self.positions):
            dataset = slice_dataset(np.zeros(self.shape, np.int16), position, k + 1)
            dataset.ImageOrientationPatient, dataset.PixelSpacing = list(self.orientation), list(self.spacing)
            dataset.StudyDate = dataset.StudyTime = dataset.StudyID = dataset.AccessionNumber = ""
            dataset.PatientBirthDate = dataset.PatientSex = dataset.ReferringPhysicianName = ""
            dataset.save_as(folder / f"{(k * 7 + 3) % 101:03d}.dcm", enforce_file_format=True)


def axial(count: int = 5, step: float = 3.0) -> Planes:
    """Slices straight up."""
    positions = tuple((-10.0, -20.0, 30.0 + step * k) for k in range(count))
    return Planes((1, 0, 0, 0, 1, 0), (0.8, 0.7), positions)


def oblique(count: int = 5) -> Planes:
    """Turned about two axes, along the normal."""
    along_row, along_column, normal = _turned()
    positions = tuple(tuple(np.array([12.3, -45.6, 78.9]) + 2.5 * k * normal) for k in range(count))
    return Planes((*along_row, *along_column), (0.8, 0.7), positions)  # type: ignore[arg-type]


def negated(count: int = 5) -> Planes:
    """Rows and columns run the other way, slices downwards."""
    positions = tuple((100.0, 120.0, 50.0 - 2.0 * k) for k in range(count))
    return Planes((-1, 0, 0, 0, -1, 0), (0.5, 0.9), positions)


def tilted(count: int = 5) -> Planes:
    """A gantry tilt: positions leave the normal by 1 mm of 5."""
    positions = tuple((-10.0, -20.0 + 1.0 * k, 5.0 * k) for k in range(count))
    return Planes((1, 0, 0, 0, 1, 0), (0.8, 0.7), positions)


def sagittal(count: int = 5) -> Planes:
    """Columns to the back, rows down the body."""
    positions = tuple((-30.0 + 4.0 * k, -60.0, 90.0) for k in range(count))
    return Planes((0, 1, 0, 0, 0, -1), (1.1, 0.6), positions)


ALL_PLANES = {"axial": axial, "oblique": oblique, "negated": negated, "tilted": tilted, "sagittal": sagittal}


@dataclass(frozen=True)
class DrawnRoi:
    """A region to be written: contours as (type, points in mm)."""

    number: int
    name: str
    contours: Sequence[tuple[str, NDArray[np.float64]]] = ()
    colour: Sequence[int] | None = (255, 128, 0)
    frame: str = FRAME_OF_REFERENCE
    code: tuple[str, str, str] | None = field(default=None)


def structure_set(rois: Sequence[DrawnRoi], series: str = SERIES) -> FileDataset:
    """An RT Structure Set with the elements that planning systems write."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = _CLASS, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.SOPClassUID, dataset.SOPInstanceUID = _CLASS, meta.MediaStorageSOPInstanceUID
    dataset.Modality, dataset.PatientID, dataset.PatientName = "RTSTRUCT", "secret-id", "Secret^Name"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = STUDY, generate_uid()
    dataset.StructureSetLabel = "PLAN 1"
    image, study, frame = Dataset(), Dataset(), Dataset()
    image.SeriesInstanceUID = series
    study.RTReferencedSeriesSequence = Items([image])
    frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = FRAME_OF_REFERENCE, Items([study])
    dataset.ReferencedFrameOfReferenceSequence = Items([frame])
    dataset.StructureSetROISequence = Items([_named(roi) for roi in rois])
    dataset.ROIContourSequence = Items([_drawn(roi) for roi in rois])
    dataset.RTROIObservationsSequence = Items([_observed(n, roi) for n, roi in enumerate(rois)])
    return dataset


def save(dataset: FileDataset, path: Path) -> Path:
    dataset.save_as(path, enforce_file_format=True)
    return path


def closed(*points: NDArray[np.float64]) -> list[tuple[str, NDArray[np.float64]]]:
    return [("CLOSED_PLANAR", each) for each in points]


def square(top: float, left: float, bottom: float, right: float) -> list[tuple[float, float]]:
    """Corners (row, column)."""
    return [(top, left), (top, right), (bottom, right), (bottom, left)]


def _turned() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    a, b = np.deg2rad(20.0), np.deg2rad(35.0)
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    columns = (about_z @ about_x).T
    return columns[0], columns[1], columns[2]


def _named(roi: DrawnRoi) -> Dataset:
    item = Dataset()
    item.ROINumber, item.ROIName = roi.number, roi.name
    item.ReferencedFrameOfReferenceUID, item.ROIGenerationAlgorithm = roi.frame, "MANUAL"
    return item


def _drawn(roi: DrawnRoi) -> Dataset:
    item = Dataset()
    item.ReferencedROINumber = roi.number
    if roi.colour is not None:
        item.ROIDisplayColor = list(roi.colour)
    if roi.contours:
        item.ContourSequence = Items([_contour(kind, points) for kind, points in roi.contours])
    return item


def _contour(kind: str, points: NDArray[np.float64]) -> Dataset:
    item = Dataset()
    item.ContourGeometricType, item.NumberOfContourPoints = kind, len(points)
    item.ContourData = [f"{value:.10g}" for value in points.ravel()]
    return item


def _observed(number: int, roi: DrawnRoi) -> Dataset:
    item = Dataset()
    item.ObservationNumber, item.ReferencedROINumber = number, roi.number
    if roi.code is not None:
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = roi.code
        item.RTROIIdentificationCodeSequence = Items([code])
    item.RTROIInterpretedType = "ORGAN"
    return item
