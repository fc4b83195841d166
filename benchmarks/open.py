"""Opening and saving beside SimpleITK and nibabel: outputs checked equal first, ratios printed.

    python benchmarks/open.py [--slices 300] [--size 512] [--repeats 5]

Everything is made in a temporary folder: a CT-like series by raw pydicom, a volume by
nibabel. Candidates take turns, so that a busy machine slows all of them; the median
counts, and ratios are what may be quoted.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RLELossless, generate_uid

from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap
from segdesk.io import read_labels, read_volume, scan, write_labels


@dataclass(frozen=True)
class Row:
    name: str
    peer: str
    ours_s: float
    peer_s: float

    def line(self) -> str:
        ratio = self.peer_s / self.ours_s
        times = f"{self.ours_s * 1000:9.1f} ms   {self.peer:<12} {self.peer_s * 1000:9.1f} ms"
        return f"{self.name:<42} {times}   {ratio:5.2f} x"


def phantom(slices: int, size: int) -> np.ndarray:
    """Anatomy-like int16: smooth structure, an air background, noise."""
    rng = np.random.default_rng(0)
    k, j, i = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in (slices, size, size)), indexing="ij")
    body = (j**2 / 0.6 + i**2 / 0.8 < 1) & (np.abs(k) < 0.97)
    array = np.where(body, 40 + 60 * np.sin(9 * i) * np.cos(7 * j + 3 * k), -1000)
    array += rng.normal(0, 12, array.shape).astype(np.float32) * body
    return array.astype(np.int16)


def write_series(folder: Path, array: np.ndarray, *, rle: bool = False) -> None:
    """Write one file per slice with raw pydicom."""
    folder.mkdir()
    series, study = generate_uid(), generate_uid()
    for k, pixels in enumerate(array):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        dataset.Modality, dataset.SeriesInstanceUID, dataset.StudyInstanceUID = "CT", series, study
        dataset.PatientID, dataset.InstanceNumber = "phantom", k + 1
        dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [-200, -190, 1.5 * k], [1, 0, 0, 0, 1, 0]
        dataset.PixelSpacing, dataset.SliceThickness = [0.8, 0.8], 1.5
        dataset.Rows, dataset.Columns = pixels.shape
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, -24
        dataset.PixelData = pixels.tobytes()
        if rle:
            dataset.compress(RLELossless)
        dataset.save_as(folder / f"{k:04d}.dcm", enforce_file_format=True)


def by_simpleitk(folder: Path) -> np.ndarray:
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return SimpleITK.GetArrayFromImage(reader.Execute())


def compare(name: str, peer: str, ours: Callable[[], object], theirs: Callable[[], object], repeats: int) -> Row:
    """Time both in turns; the first round warms the caches and is not counted."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeats + 1):
        for run, kept in zip((ours, theirs), times, strict=True):
            start = time.perf_counter()
            run()
            kept.append(time.perf_counter() - start)
    return Row(name, peer, statistics.median(times[0][1:]), statistics.median(times[1][1:]))


def require_equal(what: str, ours: np.ndarray, theirs: np.ndarray) -> None:
    if not np.array_equal(ours, theirs):
        raise SystemExit(f"{what}: the outputs differ; no time is worth printing.")


def dicom_rows(folder: Path, array: np.ndarray, repeats: int) -> list[Row]:
    rows = []
    for name, rle in (("DICOM uncompressed", False), ("DICOM RLE", True)):
        series = folder / name.replace(" ", "-")
        write_series(series, array, rle=rle)
        require_equal(name, read_volume(series).array, by_simpleitk(series))
        rows.append(
            compare(name, "SimpleITK", lambda s=series: read_volume(s), lambda s=series: by_simpleitk(s), repeats)
        )
    series = folder / "DICOM-uncompressed"
    rows.append(
        compare("DICOM headers and gate only", "SimpleITK", lambda: scan(series), lambda: by_simpleitk(series), repeats)
    )
    return rows


def nifti_rows(folder: Path, array: np.ndarray, repeats: int) -> list[Row]:
    path = folder / "volume.nii.gz"
    nibabel.save(nibabel.Nifti1Image(array.T, np.diag([0.8, 0.8, 1.5, 1.0])), path)

    def theirs() -> np.ndarray:
        return np.asanyarray(nibabel.load(path).dataobj)

    require_equal(".nii.gz", read_volume(path).array, theirs().T)
    return [compare("read .nii.gz", "nibabel", lambda: read_volume(path), theirs, repeats)]


def label_rows(folder: Path, array: np.ndarray, repeats: int) -> list[Row]:
    labels = LabelMap.of(np.digitize(array, [-500, 0, 40, 80]).astype(np.uint8), Geometry.from_spacing(array.shape))
    image = SimpleITK.GetImageFromArray(labels.array)
    ours, theirs = folder / "ours.nii.gz", folder / "theirs.nii.gz"

    def peer() -> None:
        SimpleITK.WriteImage(image, str(theirs), useCompression=True)

    write_labels(labels, ours)
    peer()
    require_equal("labels", read_labels(ours).array, SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(theirs))))
    return [
        compare(
            "save labels .nii.gz, read back, compare",
            "SimpleITK",
            lambda: write_labels(labels, ours, overwrite=True),
            peer,
            repeats,
        )
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    array = phantom(options.slices, options.size)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = dicom_rows(folder, array, options.repeats)
        rows += nifti_rows(folder, array, options.repeats)
        rows += label_rows(folder, array, options.repeats)
    print(f"{options.slices} x {options.size} x {options.size}, median of {options.repeats}, beside the named peer")
    for row in rows:
        print(row.line())


if __name__ == "__main__":
    main()
