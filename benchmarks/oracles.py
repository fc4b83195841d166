"""Geometry and voxels beside programs we did not write, one line per series; any difference is exit code 1.

    python -m benchmarks.oracles [--data ../shared/data] [--write docs/oracles.md]

dcm2niix with ``-p n`` on every regular DICOM series, the reference files of the data sets, all 48 orientations in
three formats, and every NIfTI and NRRD beside nibabel and SimpleITK. What is irregular, tilted or tiled is listed
with its code. Run it from the root of a checkout: comparison and lists are those of the tests.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from pathlib import Path
from typing import Any

import dcm2niix
import nibabel
import numpy as np
import SimpleITK
from numpy.typing import NDArray

from benchmarks.outcomes import versions
from segdesk.core.geometry import Geometry
from segdesk.core.volume import Volume
from segdesk.errors import SegdeskError
from segdesk.io import SeriesEntry, SeriesKind, read_volume, scan
from tests.io.dicom_maker import slice_dataset
from tests.io.oracle_lists import DCM2NIIX_DIFFERS, GOLDEN, REFERENCES
from tests.io.world import LPS_FROM_RAS, load, lps_affine, nibabel_array, to_grid_of

CORNER_MM = 1e-3
TRUTH_CORNER_MM = 0.01
"""The ground truths hold float32 affines, some with pixdim rounded."""

RTOL = 1e-6
"""For scaled values: float32 rounded once or twice."""

_SPATIAL = (SeriesKind.VOLUME, SeriesKind.SERIES4D)


@dataclass(frozen=True)
class Row:
    """One comparison."""

    name: str
    peer: str
    shape: str
    differing: int
    corner_mm: float
    allowed_mm: float = CORNER_MM
    remark: str = ""

    @property
    def is_equal(self) -> bool:
        """Whether voxels and corners agree."""
        return self.differing == 0 and self.corner_mm <= self.allowed_mm

    def cells(self) -> list[str]:
        """Return the row of the table."""
        verdict = "equal" if self.is_equal else f"differs: {self.remark}" if self.remark else "DIFFERS"
        return [self.name, self.peer, self.shape, str(self.differing), f"{self.corner_mm:.1e}", verdict]


def compared(name: str, peer: str, volume: Volume, theirs: Any, allowed_mm: float, remark: str = "") -> Row:
    """Compare a volume with an image of nibabel, in the patient."""
    shape = "x".join(str(n) for n in volume.array.shape)
    try:
        ours, corner_mm = to_grid_of(volume, theirs)
    except AssertionError:
        return Row(name, peer, shape, volume.array.size, float("inf"), allowed_mm, remark)
    expected = nibabel_array(theirs)
    if ours.shape != expected.shape:
        return Row(name, peer, shape, volume.array.size, corner_mm, allowed_mm, remark)
    return Row(name, peer, shape, differing(ours, expected), corner_mm, allowed_mm, remark)


def differing(one: NDArray[Any], other: NDArray[Any]) -> int:
    """Return the number of unequal voxels; scaled ones may be rounded differently."""
    is_exact = one.dtype.kind in "iub" and other.dtype.kind in "iub"
    tolerance = 0.0 if is_exact else RTOL
    return int(np.count_nonzero(~np.isclose(one, other, rtol=tolerance, atol=tolerance, equal_nan=True)))


def series_folders(data: Path) -> Iterator[tuple[Path, list[SeriesEntry]]]:
    """Yield the folders with DICOM series directly in them, and those series."""
    for root in ("dicom-brain-tumor-progression", "dicom-qa", "dicom-seg-rtstruct", "dicom-small-golden"):
        for folder in sorted(path for path in (data / root).rglob("*") if path.is_dir()):
            try:
                found = scan(folder)
            except SegdeskError:
                continue
            entries = [
                each for each in found.series if each.modality not in ("", "SEG") and _is_directly_in(each, folder)
            ]
            if entries:
                yield folder, entries


def _is_directly_in(entry: SeriesEntry, folder: Path) -> bool:
    return all(path.parent == folder for path in entry.paths)


def dcm2niix_rows(data: Path, folders: Sequence[tuple[Path, list[SeriesEntry]]]) -> Iterator[Row]:
    """Compare every regular series with what dcm2niix makes of its folder."""
    for folder, entries in folders:
        regular = [entry for entry in entries if entry.kind in _SPATIAL and not _codes(entry) & {"gantry_tilt"}]
        if not regular:
            continue
        name = folder.relative_to(data).as_posix()
        remark = DCM2NIIX_DIFFERS.get(name.removeprefix("dicom-small-golden/"), "")
        with tempfile.TemporaryDirectory() as out:
            command = [
                dcm2niix.bin,
                "-p",
                "n",
                "-b",
                "n",
                "-z",
                "n",
                "-f",
                "out_%s_%t",
                "-o",
                out,
                "-d",
                "0",
                str(folder),
            ]
            subprocess.run(command, check=False, capture_output=True)
            images = [load(path) for path in sorted(Path(out).glob("*.nii"))]
            for entry in regular:
                volume = entry.read()
                rows = [compared(name, "dcm2niix", volume, image, CORNER_MM, remark) for image in images]
                none = Row(name, "dcm2niix", "no output", volume.array.size, float("inf"))
                yield min(rows, key=lambda row: (row.differing, row.corner_mm), default=none)


def truth_rows(data: Path) -> Iterator[Row]:
    """Compare with the reference files that come with the data."""
    golden, quality = data / "dicom-small-golden", data / "dicom-qa"
    for name in GOLDEN:
        truth = load(golden / f"{name}_ground_truth.nii.gz")
        yield compared(f"dicom-small-golden/{name}", "ground truth", read_volume(golden / name), truth, TRUTH_CORNER_MM)
    for source, reference in REFERENCES:
        yield compared(
            f"dicom-qa/{source}", "reference", read_volume(quality / source), load(quality / reference), CORNER_MM
        )


def file_rows(data: Path) -> Iterator[Row]:
    """Compare every NIfTI with nibabel and every NRRD and MetaImage with SimpleITK, one row per set."""
    yield from _per_set(data, ("*.nii", "*.nii.gz"), "nibabel", _beside_nibabel)
    yield from _per_set(data, ("*.nrrd", "*.mha"), "SimpleITK", _beside_simpleitk)


def _per_set(
    data: Path, patterns: Iterable[str], peer: str, compare: Callable[[Path], tuple[int, float] | None]
) -> Iterator[Row]:
    for folder in sorted(path for path in data.iterdir() if path.is_dir()):
        paths = sorted(path for pattern in patterns for path in folder.rglob(pattern))
        results = [result for path in paths if (result := compare(path)) is not None]
        if results:
            refused = len(paths) - len(results)
            shape = f"{len(results)} files" + (f", {refused} refused" if refused else "")
            yield Row(folder.name, peer, shape, sum(n for n, _ in results), max(mm for _, mm in results))


def _beside_nibabel(path: Path) -> tuple[int, float] | None:
    try:
        volume = read_volume(path)
    except SegdeskError:
        return None
    image = load(path)
    expected = nibabel_array(image)
    if volume.array.size != expected.size:
        return volume.array.size, 0.0
    wrong = differing(volume.array, expected.reshape(volume.array.shape))
    if not volume.geometry.orientation_known or not isinstance(volume.geometry, Geometry):
        return wrong, 0.0  # where nibabel makes up an affine there is nothing to compare
    other = Geometry(volume.geometry.shape_kji, lps_affine(image))
    return wrong, float(np.abs(volume.geometry.corners_lps() - other.corners_lps()).max())


def _beside_simpleitk(path: Path) -> tuple[int, float] | None:
    try:
        volume = read_volume(path)
    except SegdeskError:
        return None
    image = SimpleITK.ReadImage(str(path))
    last = [n - 1 for n in image.GetSize()]
    there = np.array(image.TransformIndexToPhysicalPoint(last))
    off_mm = np.abs(volume.geometry.index_to_lps(last[::-1]) - there).max()
    return differing(volume.array, SimpleITK.GetArrayFromImage(image)), float(off_mm)


_SPACING = np.array([0.7, 1.1, 3.0])
_MARKER_IJK = (1, 2, 4)
_TURN = np.array([[0.96, -0.28, 0], [0.28, 0.96, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]])


def orientation_rows() -> Iterator[Row]:
    """Put a marker into all 48 signed axis permutations, turned, with programs we did not write."""
    array = np.random.default_rng(5).integers(0, 90, (7, 6, 5)).astype(np.int16)
    array[_MARKER_IJK[::-1]] = 999
    for name, save in (("NIfTI", _save_nifti), ("NRRD", _save_nrrd), ("DICOM", _save_dicom)):
        worst_mm, wrong = 0.0, 0
        for order, signs in product(permutations(range(3)), product((1.0, -1.0), repeat=3)):
            affine = np.eye(4)
            affine[:3, :3] = 0
            affine[list(order), range(3)] = signs
            affine[:3, :3] = _TURN @ affine[:3, :3] * _SPACING
            affine[:3, 3] = (-31.0, 17.5, 120.25)
            with tempfile.TemporaryDirectory() as folder:
                volume = read_volume(save(Path(folder), array, affine))
            found = np.unravel_index(int(volume.array.argmax()), volume.array.shape)
            off = volume.geometry.index_to_lps(found) - (affine @ [*_MARKER_IJK, 1.0])[:3]
            worst_mm = max(worst_mm, float(np.abs(off).max()))
            wrong += int(np.count_nonzero(np.sort(volume.array, axis=None) != np.sort(array, axis=None)))
        yield Row(f"marker in {name}", "affine", "48 orientations", wrong, worst_mm)


def _save_nifti(folder: Path, array: NDArray[np.int16], affine: NDArray[np.float64]) -> Path:
    nibabel.save(nibabel.Nifti1Image(array.T, LPS_FROM_RAS @ affine), folder / "a.nii.gz")
    return folder / "a.nii.gz"


def _save_nrrd(folder: Path, array: NDArray[np.int16], affine: NDArray[np.float64]) -> Path:
    image = SimpleITK.GetImageFromArray(array)
    image.SetSpacing(_SPACING.tolist())
    image.SetDirection((affine[:3, :3] / _SPACING).ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    SimpleITK.WriteImage(image, str(folder / "a.nrrd"))
    return folder / "a.nrrd"


def _save_dicom(folder: Path, array: NDArray[np.int16], affine: NDArray[np.float64]) -> Path:
    for k, pixels in enumerate(array):
        dataset = slice_dataset(pixels, (affine @ [0, 0, k, 1])[:3], k + 1)
        dataset.ImageOrientationPatient = [f"{x:.12f}" for x in (affine[:3, :3] / _SPACING)[:, :2].T.ravel()]
        dataset.ImagePositionPatient = [f"{x:.10f}" for x in dataset.ImagePositionPatient]
        dataset.PixelSpacing = [_SPACING[1], _SPACING[0]]
        dataset.save_as(folder / f"{k}.dcm", enforce_file_format=True)
    return folder


def _codes(entry: SeriesEntry) -> set[str]:
    return {warning.code for warning in entry.warnings}


def special_lines(data: Path, folders: Sequence[tuple[Path, list[SeriesEntry]]]) -> Iterator[list[str]]:
    """Return what is not one file a slice: refused, flagged, split, or taken apart."""
    for folder, entries in folders:
        what: dict[str, None] = {}
        if len(entries) > 1:
            what[f"split into {len(entries)}"] = None
        for entry in entries:
            slices = entry.shape_kji[0] * entry.time_points
            if entry.refusal is not None:
                what[f"refused as a volume, opens as slices: `{entry.refusal.code}`"] = None
            elif "gantry_tilt" in _codes(entry):
                what["shear kept, flagged: `gantry_tilt`"] = None
            elif slices > entry.files:
                what[f"{entry.files} file(s) taken apart into {slices} slices"] = None
        if what:
            yield [folder.relative_to(data).as_posix(), "; ".join(what)]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return a Markdown table."""
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def page(rows: Sequence[Row], special: Iterable[Sequence[str]]) -> str:
    """Return everything as Markdown."""
    head = ("series", "beside", "shape", "differing voxels", "corner error mm", "result")
    equal = sum(row.is_equal for row in rows)
    known = sum(not row.is_equal and bool(row.remark) for row in rows)
    lines = [
        "# Oracles",
        "",
        "Geometry and voxels beside programs nobody here wrote: dcm2niix with `-p n`, the reference files of the data,",
        "nibabel and SimpleITK. `python -m benchmarks.oracles --write docs/oracles.md` made this and fails on any new",
        "difference.",
        "",
        f"{versions()}, dcm2niix {importlib.metadata.version('dcm2niix')}.",
        "",
        f"{len(rows)} comparisons: {equal} equal; {known} differ where the data's own ground truth agrees with us and",
        f"the other program is known to do otherwise; {len(rows) - equal - known} differ otherwise. Corners may be",
        f"{CORNER_MM:g} mm apart ({TRUTH_CORNER_MM:g} mm for ground truths, whose affines were rounded); integers must",
        "be equal, scaled values within 1e-6.",
        "",
        *table(head, (row.cells() for row in rows)),
        "",
        "## What is not one file a slice",
        "",
        *table(("series", "what became of it"), special),
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    folders = list(series_folders(options.data))
    rows = [
        *dcm2niix_rows(options.data, folders),
        *truth_rows(options.data),
        *orientation_rows(),
        *file_rows(options.data),
    ]
    text = page(rows, special_lines(options.data, folders))
    print(text)
    bad = [row for row in rows if not row.is_equal and not row.remark]
    for row in bad:
        print("differs:", *row.cells(), file=sys.stderr)
    if options.write is not None and not bad:
        options.write.write_text(text, encoding="utf-8")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
