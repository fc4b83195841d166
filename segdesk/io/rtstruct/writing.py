"""Writing a label map as an RT Structure Set on the DICOM series it belongs to."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray

from segdesk.core.geometry import Grid
from segdesk.core.labels import Label, LabelMap, present_values
from segdesk.core.progress import Progress, silent
from segdesk.errors import GeometryMismatch, ReadError, SegdeskError, WriteError
from segdesk.io.atomic import replace_file
from segdesk.io.dicom.values import DAMAGED_FILE
from segdesk.io.dicom.volume import DicomVolume
from segdesk.io.rtstruct.dataset import DrawnRegion, ImageReference, SeriesReference, structure_set_dataset
from segdesk.io.rtstruct.outline import outlines
from segdesk.io.rtstruct.rasterise import rasterise
from segdesk.io.rtstruct.structure_set import read_structure_set
from segdesk.io.scan import scan
from segdesk.io.series import SeriesEntry

_NAME_CHARACTERS = 64
"""Longest LO value (PS3.5 6.2)."""


def write_rtstruct(
    labels: LabelMap,
    path: Path | str,
    reference: Path | str | SeriesEntry,
    *,
    overwrite: bool = False,
    report: Progress = silent,
) -> None:
    """Write a mask as an RT Structure Set; it is read back and compared before it appears.

    Contours run along the borders of the voxels, holes are joined in by keyholes
    (`segdesk.io.rtstruct.outline`), so that a reader that asks for voxel centres gets
    every voxel back. Region numbers are the label values. Layers are not flattened:
    regions may overlap.

    Parameters
    ----------
    labels : LabelMap
        On the grid of the reference; a label without voxels becomes a region without contours.
    path : path-like
    reference : path-like or SeriesEntry
        The DICOM series, or a folder that holds it.
    overwrite : bool
    report : Progress

    Raises
    ------
    GeometryMismatch
        If no DICOM series there has the mask's grid.
    WriteError
        ``write_failed`` when the mask has no label, a name is none that DICOM can hold, or the
        series has no frame of reference; ``exists``; ``verify_failed``.
    ReadError
        If the reference cannot be read.
    """
    path = Path(path)
    _require_writable(labels, path)
    entry = reference if isinstance(reference, SeriesEntry) else _series_on(labels.geometry, Path(reference), report)
    series = _series_reference(entry)
    regions = []
    voxels = _Voxels(labels)
    for number, label in enumerate(labels.table):
        report(number, len(labels.table), f"Outlining {label.name}")
        drawn = outlines(voxels.of(label))
        regions.append(
            DrawnRegion(label, [(each.k, _to_lps(each.k, each.corners_ji, entry.geometry)) for each in drawn])
        )
    dataset = structure_set_dataset(regions, series, labels.origin.kind, datetime.now().astimezone())

    def write(temporary: Path) -> None:
        dataset.save_as(temporary, enforce_file_format=True)

    def is_right(temporary: Path) -> bool:
        try:
            return _same(rasterise(read_structure_set(temporary), entry.geometry), labels)
        except SegdeskError:
            return False

    replace_file(path, write, is_right, overwrite=overwrite)


def _require_writable(labels: LabelMap, path: Path) -> None:
    if not len(labels.table):
        raise WriteError(f"{path.name}: a structure set needs at least one label, and the mask has none.", path=path)
    for label in labels.table:
        is_plain = re.fullmatch(r"[^\\\x00-\x1f\x7f]*", label.name) is not None
        if not is_plain or not 1 <= len(label.name.strip()) <= _NAME_CHARACTERS:
            raise WriteError(
                f"{path.name}: the name of label {label.value} must have 1 to {_NAME_CHARACTERS} characters, "
                "no backslash and no control character; rename it.",
                path=path,
            )


def _series_on(grid: Grid, reference: Path, report: Progress) -> SeriesEntry:
    """Find the DICOM series with the mask's grid."""
    found = [entry for entry in scan(reference, report).series if isinstance(entry.reader, DicomVolume)]
    for entry in found:
        if entry.geometry.matches(grid):
            return entry
    if not found:
        raise ReadError(
            f"{reference.name} holds no DICOM series; a structure set refers to the one it was drawn on.",
            code="no_reference",
            path=reference,
        )
    raise GeometryMismatch(f"{reference.name} holds no series with the mask's grid; resample the mask first.")


def _series_reference(entry: SeriesEntry) -> SeriesReference:
    if not isinstance(entry.reader, DicomVolume):
        raise ReadError("A structure set refers to a DICOM series; this image is none.", code="no_reference")
    slices = entry.reader.points[0]
    path = slices[0].instance.path
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
            header.decode()
    except DAMAGED_FILE as error:
        raise ReadError(f"{path.name} is a damaged DICOM file; copy it again.", path=path) from error
    frame_of_reference_uid = entry.geometry.frame_of_reference_uid
    missing = [name for name in ("StudyInstanceUID", "SOPClassUID") if not header.get(name)]
    if missing or not frame_of_reference_uid:
        what = missing[0] if missing else "FrameOfReferenceUID"
        raise WriteError(f"{path.name} has no {what}, to which a structure set must refer.", path=path)
    references = [
        ImageReference(
            str(header.SOPClassUID),
            each.instance.sop_uid,
            each.frame.number + 1 if each.instance.layout.frames > 1 else None,
        )
        for each in slices
    ]
    return SeriesReference(header, slices[0].instance.series_uid, frame_of_reference_uid, tuple(references))


class _Voxels:
    """The mask of each label, from whichever layers hold it."""

    def __init__(self, labels: LabelMap) -> None:
        self._shape_kji = labels.geometry.shape_kji
        self._layers = [(layer, frozenset(present_values(layer))) for layer in labels.layers]

    def of(self, label: Label) -> NDArray[np.bool_]:
        """Return the mask of a label, shape (K, J, I)."""
        mask = np.zeros(self._shape_kji, np.bool_)
        for layer, values in self._layers:
            if label.value in values:
                mask |= layer == label.value
        return mask


def _to_lps(k: int, corners_ji: NDArray[np.float64], grid: Grid) -> NDArray[np.float64]:
    index_kji = np.column_stack([np.full(len(corners_ji), float(k)), corners_ji])
    return grid.index_to_lps(index_kji)


def _same(back: LabelMap, labels: LabelMap) -> bool:
    """Compare numbers, names, colours, and every voxel of every label."""
    rows, wanted = (
        [replace(label, name=label.name.strip(), concept=None) for label in each.table] for each in (back, labels)
    )
    one, other = _Voxels(back), _Voxels(labels)
    return rows == wanted and all(np.array_equal(one.of(label), other.of(label)) for label in labels.table)
