"""DICOM files made with raw pydicom, never with our own writer.

Import as ``from tests.io.dicom_maker import write_series``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from segdesk.io.series import ScanResult

SERIES = "1.2.826.0.1.3680043.8.498.1"
STUDY = "1.2.826.0.1.3680043.8.498.2"
FRAME_OF_REFERENCE = "1.2.826.0.1.3680043.8.498.3"

Edit = Callable[[FileDataset, int], None]


def slice_dataset(pixels: np.ndarray, position_lps: Sequence[float], number: int = 1) -> FileDataset:
    """One axial CT slice, 16 bit signed, PixelSpacing 0.8 x 0.7 mm."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(number), str(position_lps)])
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    dataset.Modality, dataset.PatientID, dataset.PatientName = "CT", "secret-id", "Secret^Name"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = STUDY, SERIES
    dataset.FrameOfReferenceUID, dataset.InstanceNumber = FRAME_OF_REFERENCE, number
    dataset.ImagePositionPatient = [float(x) for x in position_lps]
    dataset.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    dataset.PixelSpacing = [0.8, 0.7]
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
    dataset.PixelData = np.ascontiguousarray(pixels, dtype="<i2").tobytes()
    return dataset


def write_series(folder: Path, positions: Sequence[Sequence[float]], edit: Edit | None = None) -> np.ndarray:
    """Write one slice per position, file names shuffled against the positions.

    Returns
    -------
    ndarray of int16, shape (N, 5, 6)
        The pixels, in the order of `positions`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    volume = np.random.default_rng(11).integers(-900, 900, (len(positions), 5, 6)).astype(np.int16)
    for n, position in enumerate(positions):
        dataset = slice_dataset(volume[n], position, n + 1)
        if edit is not None:
            edit(dataset, n)
        dataset.save_as(folder / f"{(n * 7 + 3) % 101:03d}_{n}.dcm", enforce_file_format=True)
    return volume


def axial(*zs_mm: float) -> list[tuple[float, float, float]]:
    """Positions along z."""
    return [(-10.0, -20.0, z) for z in zs_mm]


def enhanced(positions: Sequence[Sequence[float]], volume: np.ndarray, **extra: Any) -> FileDataset:
    """An enhanced multi-frame CT of the given frames, in their order."""
    dataset = slice_dataset(volume[0], positions[0])
    for keyword in (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "RescaleSlope",
        "RescaleIntercept",
    ):
        delattr(dataset, keyword)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    dataset.NumberOfFrames = len(positions)
    shared = Dataset()
    orientation, measures = Dataset(), Dataset()
    orientation.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    measures.PixelSpacing, measures.SliceThickness = [0.8, 0.7], 5.0
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = Items([orientation]), Items([measures])
    dataset.SharedFunctionalGroupsSequence = Items([shared])
    groups = []
    for n, position in enumerate(positions):
        group, plane, transform, content = Dataset(), Dataset(), Dataset(), Dataset()
        plane.ImagePositionPatient = [float(x) for x in position]
        transform.RescaleSlope, transform.RescaleIntercept, transform.RescaleType = 1, -10 * n, "HU"
        for keyword, values in extra.items():
            setattr(content, keyword, values[n])
        group.PlanePositionSequence, group.FrameContentSequence = Items([plane]), Items([content])
        group.PixelValueTransformationSequence = Items([transform])
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = Items(groups)
    dataset.PixelData = np.ascontiguousarray(volume, dtype="<i2").tobytes()
    return dataset


def setting(**values: object) -> Edit:
    """An edit that sets the same values in every slice."""

    def edit(dataset: FileDataset, n: int) -> None:
        for keyword, value in values.items():
            setattr(dataset, keyword, value)

    return edit


def warnings_of(found: ScanResult) -> set[str]:
    """Codes of the warnings of all entries."""
    return {warning.code for entry in found.series for warning in entry.warnings}


def refusals_of(found: ScanResult) -> list[str]:
    """Codes of what was refused."""
    return [refusal.code for refusal in found.refused]
