"""Opening and saving beside SimpleITK and nibabel: outputs checked equal first, ratios printed.

    python benchmarks/open.py [--slices 300] [--size 512] [--encoded-slices 60] [--repeats 5]

Everything is made in a temporary folder: a CT-like series by raw pydicom (JPEG lossless by
GDCM), a volume by nibabel. Candidates take turns, so that a busy machine slows all of them;
the median counts, and ratios are what may be quoted. The second ratio is that of processor
time: it says how much work each does, whatever else the machine is doing, but rewards
nobody for using two cores.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import gdcm
import nibabel
import numpy as np
import pydicom
import SimpleITK
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap
from segdesk.core.progress import silent
from segdesk.io import read_labels, read_volume, scan, write_labels
from segdesk.io.dicom.volume import DicomVolume
from segdesk.io.nifti_write import write_nifti

Work = Callable[[], object]

_PEAK_OF = """
import sys
from segdesk.io import read_volume, scan
{warm_up}
def memory(key):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))
before = memory("VmRSS")
volume = read_volume(sys.argv[1])
print((memory("VmHWM") - before) / volume.array.nbytes)
"""


@dataclass(frozen=True)
class Timing:
    """Medians of one candidate: seconds on the wall and of the processor."""

    wall_s: float
    cpu_s: float


@dataclass(frozen=True)
class Row:
    name: str
    peer: str
    goal: float
    ours: Timing
    theirs: Timing

    def line(self) -> str:
        wall, cpu = self.theirs.wall_s / self.ours.wall_s, self.theirs.cpu_s / max(self.ours.cpu_s, 1e-3)
        times = f"{self.ours.wall_s * 1000:.0f} ms | {self.peer} {self.theirs.wall_s * 1000:.0f} ms"
        return f"| {self.name} | {times} | {wall:.1f} x | {cpu:.1f} x | {self.goal:g} x |"


def phantom(slices: int, size: int) -> np.ndarray:
    """Anatomy-like int16: smooth structure, an air background, noise."""
    rng = np.random.default_rng(0)
    k, j, i = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in (slices, size, size)), indexing="ij")
    body = (j**2 / 0.6 + i**2 / 0.8 < 1) & (np.abs(k) < 0.97)
    array = np.where(body, 40 + 60 * np.sin(9 * i) * np.cos(7 * j + 3 * k), -1000)
    array += rng.normal(0, 12, array.shape).astype(np.float32) * body
    return array.astype(np.int16)


def write_series(folder: Path, array: np.ndarray, syntax: str = ExplicitVRLittleEndian) -> None:
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
        if syntax != ExplicitVRLittleEndian:
            dataset.compress(syntax)
        dataset.save_as(folder / f"{k:04d}.dcm", enforce_file_format=True)


def write_jpeg_lossless(folder: Path, source: Path, count: int) -> None:
    """Encode the first files of a series with GDCM: pydicom has no encoder for it."""
    folder.mkdir()
    for path in sorted(source.iterdir())[:count]:
        reader = gdcm.ImageReader()
        reader.SetFileName(str(path))
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
        writer = gdcm.ImageWriter()
        writer.SetFileName(str(folder / path.name))
        is_read = reader.Read()
        change.SetInput(reader.GetImage())
        is_encoded = is_read and change.Change()
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        if not (is_encoded and writer.Write()):
            raise SystemExit(f"GDCM did not encode {path.name}.")


def by_simpleitk(folder: Path) -> np.ndarray:
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return SimpleITK.GetArrayFromImage(reader.Execute())


def timed(run: Work) -> Timing:
    start, before = time.perf_counter(), time.process_time()
    kept = run()
    timing = Timing(time.perf_counter() - start, time.process_time() - before)
    del kept  # outside the clock: freeing is the caller's
    return timing


def median(timings: list[Timing]) -> Timing:
    return Timing(statistics.median(t.wall_s for t in timings), statistics.median(t.cpu_s for t in timings))


def compare(name: str, peer: str, goal: float, ours: Work, theirs: Work, repeats: int) -> Row:
    """Time both in turns; the first round warms the caches and is not counted."""
    rounds = [(timed(ours), timed(theirs)) for _ in range(repeats + 1)][1:]
    return Row(name, peer, goal, median([one for one, _ in rounds]), median([other for _, other in rounds]))


def require_equal(what: str, ours: np.ndarray, theirs: np.ndarray) -> None:
    if not np.array_equal(ours, theirs):
        raise SystemExit(f"{what}: the outputs differ; no time is worth printing.")


def dicom_rows(folder: Path, array: np.ndarray, encoded_slices: int, repeats: int) -> list[Row]:
    plain = folder / "uncompressed"
    write_series(plain, array)
    kinds = {"uncompressed": (plain, 5.0)}
    for name, syntax in (("RLE", RLELossless), ("JPEG-LS", JPEGLSLossless), ("JPEG 2000", JPEG2000Lossless)):
        kinds[name] = (folder / name, 1.8)
        write_series(folder / name, array[:encoded_slices], syntax)
    kinds["JPEG lossless"] = (folder / "JPEG lossless", 1.8)
    write_jpeg_lossless(folder / "JPEG lossless", plain, encoded_slices)
    rows = []
    for name, (series, goal) in kinds.items():
        require_equal(name, read_volume(series).array, by_simpleitk(series))
        title = f"DICOM {name}, {len(list(series.iterdir()))} files, gate included"

        def ours(path: Path = series) -> object:
            return read_volume(path)

        def theirs(path: Path = series) -> object:
            return by_simpleitk(path)

        rows.append(compare(title, "SimpleITK", goal, ours, theirs, repeats))
    return rows


def first_slice_s(series: Path, repeats: int) -> float:
    """Return the median time from the folder's name to the middle slice in a volume."""

    def until_first() -> float:
        start, seen = time.perf_counter(), []
        reader = scan(series).series[0].reader
        if not isinstance(reader, DicomVolume):
            raise SystemExit("The series is not read as DICOM.")
        reader.stream(silent, lambda volume, is_read: seen.append(time.perf_counter() - start))
        return seen[0]

    return statistics.median(until_first() for _ in range(repeats + 1))


def peak_volumes(series: Path, warm_up_file: Path) -> float:
    """Return the memory that reading takes at its peak, in volumes; libraries are loaded before."""
    code = _PEAK_OF.format(warm_up=f"read_volume({str(warm_up_file)!r})")
    done = subprocess.run([sys.executable, "-c", code, str(series)], check=True, capture_output=True, text=True)
    return float(done.stdout)


def nifti_row(folder: Path, array: np.ndarray, repeats: int) -> Row:
    path = folder / "volume.nii.gz"
    nibabel.save(nibabel.Nifti1Image(array.T, np.diag([0.8, 0.8, 1.5, 1.0])), path)

    def theirs() -> np.ndarray:
        return np.asanyarray(nibabel.load(path).dataobj)

    require_equal(".nii.gz", read_volume(path).array, theirs().T)
    return compare("read .nii.gz", "nibabel", 1.7, lambda: read_volume(path), theirs, repeats)


def label_rows(folder: Path, array: np.ndarray, repeats: int) -> list[Row]:
    grid = Geometry.from_spacing(array.shape)
    labels = LabelMap.of(np.digitize(array, [-500, 0, 40, 80]).astype(np.uint8), grid)
    image = SimpleITK.GetImageFromArray(labels.array)
    ours, theirs = folder / "ours.nii.gz", folder / "theirs.nii.gz"

    def peer() -> None:
        SimpleITK.WriteImage(image, str(theirs), useCompression=True)

    def write() -> None:
        write_nifti(ours, labels.array, grid, labels.table)

    peer()
    write()
    require_equal("labels for SimpleITK", SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(ours))), labels.array)
    require_equal("labels for nibabel", np.asanyarray(nibabel.load(ours).dataobj).T, labels.array)
    require_equal("labels", read_labels(theirs).array, labels.array)
    return [
        compare("save labels .nii.gz", "SimpleITK", 5, write, peer, repeats),
        compare(
            "save labels .nii.gz, synced, read back, compared",
            "SimpleITK",
            2,
            lambda: write_labels(labels, ours, overwrite=True),
            peer,
            repeats,
        ),
    ]


def machine() -> str:
    """Return what the figures hold for."""
    model = next(
        (line.split(":")[1].strip() for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")),
        platform.processor(),
    )
    versions = f"Python {platform.python_version()}, SimpleITK {SimpleITK.Version().VersionString()}"
    return f"{model}, {os.cpu_count()} cores, {versions}, nibabel {nibabel.__version__}, pydicom {pydicom.__version__}"


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def state(load: float) -> str:
    return f"load {load:.1f} at the start: {'idle' if load < 0.5 else 'BUSY, other work on the same cores'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--encoded-slices", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    load = os.getloadavg()[0]
    array = phantom(options.slices, options.size)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = dicom_rows(folder, array, min(options.encoded_slices, options.slices), options.repeats)
        first_s = first_slice_s(folder / "uncompressed", options.repeats)
        peak = peak_volumes(folder / "uncompressed", next((folder / "uncompressed").iterdir()))
        rows.append(nifti_row(folder, array, options.repeats))
        rows += label_rows(folder, array, options.repeats)
    print(f"{options.slices} x {options.size} x {options.size}, median of {options.repeats}, candidates in turns.")
    print(f"{machine()}; {state(load)}.\n")
    print("| work | segdesk | peer | ratio | ratio of processor time | goal |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        print(row.line())
    print(f"\nFirst slice of the uncompressed series, gate included: {first_s * 1000:.0f} ms (goal 200 ms).")
    print(f"Peak memory while reading it: {peak:.2f} volumes (goal 1.2).")


if __name__ == "__main__":
    main()
