"""Training data: which files, which patients, which part; frozen before anything is learned."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segdesk.core.labels import LabelArray, LabelMap
from segdesk.core.progress import Progress, silent
from segdesk.core.volume import Volume
from segdesk.errors import SegdeskError, Warn
from segdesk.io import read_labels, read_volume
from segdesk.nn.losses import IGNORE
from segdesk.nn.recipe import RecipeLabel
from segdesk.zoo.spec import CaseHash


@dataclass(frozen=True, slots=True)
class CaseFiles:
    """A case of a data set, on disk.

    Parameters
    ----------
    name : str
        Case id, unique in the data set.
    images : tuple of Path
        One file per channel, in the data set's order.
    label : Path
        The reference mask.
    patient : str
        Patient key; the case name where nothing better is known.
    part : str
        "train", "test" (kept for the final score) or "" (not decided by the data set).
    drafted_by : tuple of str
        Hashes of the weights whose drafts the reference began as; scores on it flatter those models.
    """

    name: str
    images: tuple[Path, ...]
    label: Path
    patient: str
    part: str = ""
    drafted_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set as its description gives it, nothing read yet.

    Parameters
    ----------
    root : Path
        Its folder.
    name, licence : str
        For the model's record.
    channels : tuple of str
        Names in the network's order.
    labels : tuple of RecipeLabel
        Ascending values.
    cases : tuple of CaseFiles
        Sorted by name.
    threshold : float, optional
        Label files are grey; above it is the only label.
    ignore : int, optional
        Value in the label files that does not train.
    background : tuple of int
        Values in the label files that mean no label, besides 0.
    warnings : tuple of Warn
        Files that are no cases, patients that are not known.
    """

    root: Path
    name: str
    licence: str
    channels: tuple[str, ...]
    labels: tuple[RecipeLabel, ...]
    cases: tuple[CaseFiles, ...]
    threshold: float | None = None
    ignore: int | None = None
    background: tuple[int, ...] = ()
    warnings: tuple[Warn, ...] = ()


@dataclass(frozen=True, slots=True)
class LoadedCase:
    """A case in memory, on its own grid.

    Parameters
    ----------
    files : CaseFiles
        Where it came from.
    channels : mapping of str to Volume
        The images.
    classes : ndarray of uint8, shape (K, J, I)
        Class index per voxel: 0 background, c the c-th label, `IGNORE`.
    image_sha256 : str
        Hash of the pixels of all channels.
    """

    files: CaseFiles
    channels: Mapping[str, Volume]
    classes: LabelArray
    image_sha256: str

    @property
    def seen(self) -> CaseHash:
        """The case as a model folder records it."""
        return CaseHash(image_sha256=self.image_sha256, patient_key=self.files.patient[:300])


def bad_dataset(message: str, path: Path | None = None) -> SegdeskError:
    """Return the error for training data that cannot be used."""
    return SegdeskError(message, code="bad_dataset", path=path)


def load_cases(
    dataset: Dataset, cases: Sequence[CaseFiles], report: Progress = silent
) -> tuple[list[LoadedCase], list[Warn]]:
    """Read cases into memory; a case that cannot be used is left out with a warning that says why.

    Two cases with the same pixels count once: the second could sit in another part.

    Raises
    ------
    SegdeskError
        If no case is left (code ``bad_dataset``).
    """
    loaded: list[LoadedCase] = []
    warnings: list[Warn] = []
    first_with: dict[str, str] = {}
    for done, files in enumerate(cases):
        report(done, len(cases), f"Reading {files.name}")
        try:
            case = load_case(dataset, files)
        except SegdeskError as exc:
            warnings.append(Warn("case_excluded", f"{files.name}: {exc.message}"))
            continue
        twin = first_with.setdefault(case.image_sha256, files.name)
        if twin != files.name:
            warnings.append(Warn("case_excluded", f"{files.name}: the same pixels as {twin}."))
            continue
        loaded.append(case)
    if not loaded:
        reason = f" First problem: {warnings[0].message}" if warnings else ""
        raise bad_dataset(f"No case of {dataset.root.name!r} can be used.{reason}", dataset.root)
    return loaded, warnings


def load_case(dataset: Dataset, files: CaseFiles) -> LoadedCase:
    """Read one case and check that image and mask belong together; SegdeskError if not."""
    volumes = {name: read_volume(path) for name, path in zip(dataset.channels, files.images, strict=True)}
    first = next(iter(volumes.values()))
    labels = _read_mask(files.label, dataset.threshold)
    for grid in (*(volume.geometry for volume in volumes.values()), labels.geometry):
        if grid.shape_kji != first.geometry.shape_kji:
            raise bad_dataset(
                f"image {first.geometry.shape_kji} and mask {grid.shape_kji} have different shapes.", files.label
            )
        if not grid.matches(first.geometry):
            raise bad_dataset("image and mask have the same shape but lie at different places.", files.label)
    return LoadedCase(files, volumes, class_indices(labels.array, dataset), pixel_sha256(list(volumes.values())))


def class_indices(values: LabelArray, dataset: Dataset) -> LabelArray:
    """Map the values of a label file to class indices.

    Raises
    ------
    SegdeskError
        If a value is none of the data set's (code ``bad_dataset``).
    """
    top = max(256, int(values.max(initial=0)) + 1)
    table = np.full(top, -1, np.int16)
    table[[value for value in (0, *dataset.background) if value < top]] = 0
    for index, label in enumerate(dataset.labels, start=1):
        for value in label.source or (label.value,):
            if value < top:
                table[value] = index
    if dataset.ignore is not None and dataset.ignore < top:
        table[dataset.ignore] = IGNORE
    classes = table[values]
    if classes.min(initial=0) < 0:
        strange = int(values[classes < 0][0])
        raise bad_dataset(f"the mask holds the value {strange}, which is none of the data set's labels.")
    return np.asarray(classes, dtype=np.uint8)


def pixel_sha256(volumes: Sequence[Volume]) -> str:
    """Hash shape and pixels of all channels; the same for every file format and byte order."""
    digest = hashlib.sha256()
    for volume in volumes:
        digest.update(repr(volume.array.shape).encode())
        digest.update(np.ascontiguousarray(volume.array, dtype="<f4").tobytes())
    return digest.hexdigest()


def _read_mask(path: Path, threshold: float | None) -> LabelMap:
    if threshold is None:
        return read_labels(path)
    grey = read_volume(path)
    # Grey saved as colour is a mask; real colours are refused where masks are read.
    values = read_labels(path).array if grey.is_rgb else grey.array
    return LabelMap.of(np.asarray(values > threshold), grey.geometry)
