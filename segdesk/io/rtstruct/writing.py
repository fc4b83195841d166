"""Writing a label map as an RT Structure Set on the DICOM series it belongs to."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segdesk.core.geometry import Grid
from segdesk.core.labels import Label, LabelMap, LabelTable, present_values
from segdesk.core.progress import Progress, silent
from segdesk.errors import SegdeskError, WriteError
from segdesk.io.atomic import replace_file
from segdesk.io.dicom.derived import on_dicom_image, source_series, with_frame_of_reference
from segdesk.io.rtstruct.dataset import DrawnRegion, structure_set_dataset
from segdesk.io.rtstruct.outline import outlines
from segdesk.io.rtstruct.rasterise import rasterise
from segdesk.io.rtstruct.structure_set import read_structure_set

_NAME_CHARACTERS = 64
"""Longest LO value (PS3.5 6.2)."""


def write_rtstruct(
    labels: LabelMap,
    path: Path | str,
    reference: Path | str,
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
        On the voxels of the image, or some of them, along any axes; a label without voxels
        becomes a region without contours.
    path : path-like
    reference : path-like
        The DICOM image, or a folder that holds it.
    overwrite : bool
    report : Progress

    Raises
    ------
    GeometryMismatch
        If the mask lies on no DICOM image there.
    WriteError
        ``write_failed`` when the mask has no label, a name is none that DICOM can hold, or the
        image lacks identifiers; ``exists``; ``verify_failed``.
    ReadError
        If the reference cannot be read, or is no DICOM image (``no_reference``).
    """
    path = Path(path)
    entry, laid = on_dicom_image(labels, Path(reference), report)
    table = laid.table.merged(LabelTable.for_values(laid.values()))
    laid = LabelMap(laid.layers, laid.geometry, table, laid.origin)
    _require_writable(laid.table, path)
    source = with_frame_of_reference(source_series(entry))
    with warnings.catch_warnings():
        # pydicom warns of identifiers that bend the standard; they are the source's and must stay what they are.
        warnings.simplefilter("ignore")
        regions = _regions(laid, report)
        dataset = structure_set_dataset(regions, source, laid.origin.kind, datetime.now().astimezone())

    def write(temporary: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset.save_as(temporary, enforce_file_format=True)

    def is_right(temporary: Path) -> bool:
        try:
            return _same(rasterise(read_structure_set(temporary), laid.geometry), laid)
        except SegdeskError:
            return False

    replace_file(path, write, is_right, overwrite=overwrite)


def _regions(labels: LabelMap, report: Progress) -> list[DrawnRegion]:
    voxels = _Voxels(labels)
    regions = []
    for number, label in enumerate(labels.table):
        report(number, len(labels.table), f"Outlining {label.name}")
        drawn = outlines(voxels.of(label))
        contours = [(each.k, _to_lps(each.k, each.corners_ji, labels.geometry)) for each in drawn]
        regions.append(DrawnRegion(label, contours))
    return regions


def _require_writable(table: LabelTable, path: Path) -> None:
    if not len(table):
        raise WriteError(f"{path.name}: a structure set needs at least one label, and the mask has none.", path=path)
    for label in table:
        is_plain = re.fullmatch(r"[^\\\x00-\x1f\x7f]*", label.name) is not None
        if not is_plain or not 1 <= len(label.name.strip()) <= _NAME_CHARACTERS:
            raise WriteError(
                f"{path.name}: the name of label {label.value} must have 1 to {_NAME_CHARACTERS} characters, "
                "no backslash and no control character; rename it.",
                path=path,
            )


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
