"""Images to segment and masks to read, made with raw pydicom; and what other programs read from our files.

Import as ``from tests.io.dicom_seg.sources import write_source``.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from tests.io.dicom_maker import FRAME_OF_REFERENCE, STUDY, Edit, slice_dataset

SEG_CLASS = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP_CLASS = "1.2.840.10008.5.1.4.1.1.66.7"
SHAPE = (5, 6, 7)
SPACING_KJI_MM = (3.0, 0.8, 0.7)

Voxels = np.ndarray
"""Places of voxel centres in LPS mm, shape (N, 3), sorted."""


def affine_of(row_lps: Sequence[float], column_lps: Sequence[float], step_lps: Sequence[float] | None = None) -> Any:
    """An affine from (k, j, i) to LPS: i runs along a row, j along a column, k along the normal or a given step."""
    row, column = np.array(row_lps, float), np.array(column_lps, float)
    step = np.cross(row, column) * SPACING_KJI_MM[0] if step_lps is None else np.array(step_lps, float)
    affine = np.eye(4)
    affine[:3, :3] = np.stack([step, column * SPACING_KJI_MM[1], row * SPACING_KJI_MM[2]], axis=1)
    affine[:3, 3] = (-31.25, 12.5, 140.125)
    return affine


def right_angled(first: int = 0) -> list[tuple[list[int], list[int]]]:
    """All 24 pairs of row and column directions along the axes of the patient."""
    axes = [list(sign * np.eye(3, dtype=int)[n]) for n in range(3) for sign in (1, -1)]
    return [(row, column) for row in axes for column in axes if np.dot(row, column) == 0][first:]


def oblique(degrees_z: float = 20.0, degrees_x: float = 35.0) -> tuple[Any, Any]:
    """Row and column directions rotated about two axes."""
    a, b = np.deg2rad(degrees_z), np.deg2rad(degrees_x)
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    turned = about_z @ about_x
    return turned[:, 0], turned[:, 1]


def write_source(
    folder: Path, affine: Any, offsets_k: Sequence[float] = range(SHAPE[0]), edit: Edit | None = None
) -> list[FileDataset]:
    """Write a CT of one file a slice; `offsets_k` are slice numbers, whole ones for a regular series."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for n, k in enumerate(offsets_k):
        position = affine[:3, 3] + affine[:3, 0] * k
        dataset = slice_dataset(np.full(SHAPE[1:], n, np.int16), [round(x, 6) for x in position], n + 1)
        row, column = affine[:3, 2] / SPACING_KJI_MM[2], affine[:3, 1] / SPACING_KJI_MM[1]
        dataset.ImageOrientationPatient = [round(float(x), 9) for x in (*row, *column)]
        dataset.PixelSpacing = [SPACING_KJI_MM[1], SPACING_KJI_MM[2]]
        dataset.SliceThickness = 2.5
        dataset.PatientName = "Müller^Änne"
        dataset.SpecificCharacterSet = "ISO_IR 100"
        if edit is not None:
            edit(dataset, n)
        dataset.save_as(folder / f"{(n * 7 + 3) % 101:03d}.dcm", enforce_file_format=True)
        made.append(dataset)
    return made


def seg_dataset(
    kind: str, numbers: Sequence[int], frames: Sequence[tuple[int | None, Sequence[float], np.ndarray]], bits: int = 1
) -> FileDataset:
    """A segmentation of frames (segment, position, pixels); axial, 0.8 x 0.7 mm, in the order given."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = LABEL_MAP_CLASS if kind == "LABELMAP" else SEG_CLASS
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.Modality, dataset.PatientID, dataset.StudyInstanceUID = "SEG", "secret-id", STUDY
    dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = generate_uid(), FRAME_OF_REFERENCE
    dataset.SegmentationType = kind
    dataset.SegmentSequence = [_segment(number) for number in numbers]
    dataset.NumberOfFrames, (dataset.Rows, dataset.Columns) = len(frames), frames[0][2].shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.BitsAllocated = dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    orientation, measures, shared = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    measures.PixelSpacing, measures.SliceThickness = [0.8, 0.7], 3
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    dataset.SharedFunctionalGroupsSequence = [shared]
    dataset.PerFrameFunctionalGroupsSequence = [_group(segment, position) for segment, position, _ in frames]
    pixels = np.stack([frame for _, _, frame in frames])
    if bits == 1:
        data = np.packbits(pixels.astype(np.uint8).reshape(-1), bitorder="little").tobytes()
    else:
        data = pixels.astype(f"<u{bits // 8}").tobytes()
    dataset.add_new(0x7FE00010, "OW" if bits == 16 else "OB", data + b"\0" * (len(data) % 2))
    return dataset


def save(dataset: FileDataset, path: Path) -> Path:
    """Save as a DICOM file."""
    dataset.save_as(path, enforce_file_format=True)
    return path


def voxels_of(mask: np.ndarray, affine: Any) -> Voxels:
    """Places of the voxels of a mask on a regular grid."""
    index = np.argwhere(mask)
    return in_order(index @ np.asarray(affine)[:3, :3].T + np.asarray(affine)[:3, 3])


def in_order(points: np.ndarray) -> Voxels:
    """Sort places so that two lists of them can be compared; rounding does not change the order."""
    keys = np.rint(points * 100)
    return points[np.lexsort(keys.T)]


def assert_same_voxels(one: Voxels, other: Voxels) -> None:
    """Compare two lists of places in mm."""
    assert one.shape == other.shape
    np.testing.assert_allclose(one, other, atol=1e-3)


def dcmqi_voxels(path: Path, folder: Path) -> dict[int, Voxels]:
    """What dcmqi reads: places of the voxels of each segment number."""
    folder.mkdir()
    program = str(Path(sys.executable).with_name("segimage2itkimage"))
    command = [program, "--inputDICOM", str(path), "--outputDirectory", str(folder), "--prefix", "s"]
    subprocess.run([*command, "-t", "nrrd"], check=True, capture_output=True)
    found = {}
    for file in folder.glob("s-*.nrrd"):
        image = SimpleITK.ReadImage(str(file))
        array = SimpleITK.GetArrayFromImage(image)
        index = np.argwhere(array)[:, ::-1].tolist()
        points = np.array([image.TransformIndexToPhysicalPoint(each) for each in index]).reshape(-1, 3)
        found[int(file.stem.removeprefix("s-"))] = in_order(points)
    return found


def highdicom_voxels(path: Path) -> dict[int, Voxels]:
    """What highdicom reads: places of the voxels of each segment number."""
    seg = highdicom.seg.segread(path)
    volume = seg.get_volume(combine_segments=False)
    numbers = list(seg.segment_numbers)
    return {number: voxels_of(volume.array[..., n] != 0, volume.affine) for n, number in enumerate(numbers)}


def raw_voxels(path: Path) -> dict[int, Voxels]:
    """What the frames of a binary file say by themselves, read with raw pydicom: for grids that are no volume."""
    dataset = pydicom.dcmread(path)
    pixels = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    found: dict[int, list[np.ndarray]] = {item.SegmentNumber: [] for item in dataset.SegmentSequence}
    for frame, group in zip(pixels, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        place = next(g for g in (group, shared) if "PlaneOrientationSequence" in g).PlaneOrientationSequence[0]
        spacing = next(g for g in (group, shared) if "PixelMeasuresSequence" in g).PixelMeasuresSequence[0].PixelSpacing
        row, column = np.array(place.ImageOrientationPatient, float).reshape(2, 3)
        index = np.argwhere(frame)
        points = index[:, :1] * column * float(spacing[0]) + index[:, 1:] * row * float(spacing[1])
        number = group.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        found[number].append(points + np.array(group.PlanePositionSequence[0].ImagePositionPatient, float))
    return {number: in_order(np.concatenate(parts)) for number, parts in found.items() if parts}


def dciodvfy_errors(path: Path) -> list[str]:
    """What the validator of dicom3tools calls an error."""
    program = shutil.which("dciodvfy")
    if program is None:
        pytest.skip("dciodvfy (dicom3tools) is not installed")
    done = subprocess.run([program, str(path)], capture_output=True, text=True, check=False)
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]


def _segment(number: int) -> Dataset:
    item, code = Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "T-D0050", "SRT", "Tissue"
    item.SegmentNumber, item.SegmentLabel, item.SegmentAlgorithmType = number, f"Part {number}", "MANUAL"
    item.SegmentedPropertyCategoryCodeSequence = item.SegmentedPropertyTypeCodeSequence = [code]
    return item


def _group(segment: int | None, position: Sequence[float]) -> Dataset:
    group, plane = Dataset(), Dataset()
    plane.ImagePositionPatient = [float(x) for x in position]
    group.PlanePositionSequence = [plane]
    if segment is not None:
        identification = Dataset()
        identification.ReferencedSegmentNumber = segment
        group.SegmentIdentificationSequence = [identification]
    return group
