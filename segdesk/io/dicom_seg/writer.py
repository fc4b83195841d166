"""Writing a label map as a DICOM Segmentation of the image it was drawn on."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import FileDataset

from segdesk.core.geometry import Geometry
from segdesk.core.labels import Concept, Label, LabelArray, LabelMap, LabelTable, present_values
from segdesk.core.progress import Progress, silent
from segdesk.errors import SegdeskError, WriteError
from segdesk.io.atomic import replace_file
from segdesk.io.dicom.derived import SourceSeries, on_dicom_image, source_series, with_frame_of_reference
from segdesk.io.dicom_seg.codes import TISSUE
from segdesk.io.dicom_seg.dataset import add_pixels, binary_segments, label_map_segments, seg_dataset
from segdesk.io.dicom_seg.frames import FramePlan, add_frames
from segdesk.io.dicom_seg.model import SegmentationType
from segdesk.io.dicom_seg.packing import BitPacker, ValuePacker
from segdesk.io.dicom_seg.reader import read_seg
from segdesk.io.dicom_seg.segments import written_name
from segdesk.io.reference import ReferenceGrid

_MOST_BYTES = (1 << 32) - 2
"""Longest pixel element of a file (PS3.5 7.1.1)."""


def write_seg(
    labels: LabelMap,
    path: Path,
    reference: Path,
    kind: SegmentationType = SegmentationType.BINARY,
    *,
    overwrite: bool = False,
    report: Progress = silent,
) -> None:
    """Write a mask as a DICOM Segmentation; it is read back and compared before it appears.

    Parameters
    ----------
    labels : LabelMap
        On the voxels of the image, or some of them, along any axes. An empty mask is valid:
        its frames are all zero. The first and the last slice of the image always have a
        frame, so that the file tells the whole grid without the image.
    path : Path
    reference : Path
        The DICOM image, or a folder that holds it.
    kind : SegmentationType
        BINARY keeps overlaps; LABELMAP (Supplement 243) does not.
    overwrite : bool
    report : Progress

    Raises
    ------
    GeometryMismatch
        If the mask lies on no DICOM image there.
    WriteError
        When segments overlap in a label map, the object would be too large, or the image lacks
        identifiers; ``exists``; ``verify_failed``.
    ReadError
        If the reference cannot be read, or is no DICOM image (``no_reference``).
    """
    entry, laid = on_dicom_image(labels, reference, report)
    source = with_frame_of_reference(source_series(entry))
    _require_different_places(source, path)
    table = laid.table.merged(LabelTable.for_values(laid.values()))
    laid = LabelMap(laid.layers, laid.geometry, table, laid.origin)
    with warnings.catch_warnings():
        # pydicom warns of identifiers that bend the standard; they are the source's and must stay what they are.
        warnings.simplefilter("ignore")
        dataset = seg_dataset(kind, source, datetime.now().astimezone())
        if kind is SegmentationType.LABELMAP:
            _add_label_map(dataset, laid, source, path)
        else:
            _add_binary(dataset, laid, source, path, report)
    exact = ReferenceGrid(laid.geometry, series_uid=source.series_uid)

    def write(temporary: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset.save_as(temporary, enforce_file_format=True)

    def is_right(temporary: Path) -> bool:
        try:
            return _is_same(read_seg(temporary, (exact,)), laid)
        except SegdeskError:
            return False

    replace_file(path, write, is_right, overwrite=overwrite)


def _require_different_places(source: SourceSeries, path: Path) -> None:
    places = [each.frame.place.position_lps for each in source.slices if each.frame.place is not None]
    if len(set(places)) < len(places):
        message = f"{path.name}: several slices of the image lie at one position, where a segmentation has but one."
        raise WriteError(message, path=path)


def _add_binary(dataset: FileDataset, labels: LabelMap, source: SourceSeries, path: Path, report: Progress) -> None:
    rows = tuple(labels.table)
    dataset.SegmentSequence = binary_segments(rows, labels.origin)
    dataset.SegmentsOverlap = "YES" if _overlaps(labels) else "NO"
    plans = _binary_plans(labels, rows)
    _require_size(len(plans), labels, 1, path)
    add_frames(dataset, plans, source, labels.geometry)
    packer = BitPacker()
    for number, plan in enumerate(plans):
        report(number, len(plans), "Packing frames")
        value = rows[(plan.segment or 1) - 1].value if rows else 0
        frame = np.zeros(labels.geometry.shape_kji[1:], np.bool_)
        for layer in labels.layers:
            if value:
                frame |= layer[plan.k] == value
        packer.add(frame)
    add_pixels(dataset, 1, labels.geometry.shape_kji[1:], packer.to_bytes())


def _add_label_map(dataset: FileDataset, labels: LabelMap, source: SourceSeries, path: Path) -> None:
    if _overlaps(labels):
        raise WriteError(f"{path.name}: segments overlap, which a label map cannot hold; write BINARY.", path=path)
    rows = tuple(labels.table)
    bits = 16 if rows and rows[-1].value > 255 else 8
    dataset.SegmentSequence = label_map_segments(rows, labels.origin)
    dataset.SegmentsOverlap = "NO"
    dataset.PixelPaddingValue = 0
    slices = _needed(labels, {k for k in range(labels.geometry.shape_kji[0]) if any(x[k].any() for x in labels.layers)})
    plans = [FramePlan(k, None) for k in slices]
    _require_size(len(plans), labels, bits, path)
    add_frames(dataset, plans, source, labels.geometry)
    packer = ValuePacker(bits)
    for plan in plans:
        packer.add(_merged([layer[plan.k] for layer in labels.layers]))
    add_pixels(dataset, bits, labels.geometry.shape_kji[1:], packer.to_bytes())


def _binary_plans(labels: LabelMap, rows: Sequence[Label]) -> list[FramePlan]:
    """Return the frames: each segment on the slices it has pixels on, and the slices that tell the grid."""
    slices: dict[int, set[int]] = defaultdict(set)
    for layer in labels.layers:
        for k, plane in enumerate(layer):
            for value in present_values(plane):
                slices[value].add(k)
    drawn = set().union(*slices.values())
    numbers = {label.value: number for number, label in enumerate(rows, 1)}
    first = rows[0].value if rows else 0
    slices[first] |= set(_needed(labels, drawn)) - drawn
    return [FramePlan(k, numbers.get(value, 1)) for value in sorted(slices) for k in sorted(slices[value])]


def _needed(labels: LabelMap, drawn: set[int]) -> list[int]:
    """Return the slices that need a frame: drawn ones, and those without which the grid could not be told."""
    count = labels.geometry.shape_kji[0]
    if not isinstance(labels.geometry, Geometry):
        return list(range(count))
    return sorted(drawn | {0, count - 1})


def _overlaps(labels: LabelMap) -> bool:
    return any(
        (np.count_nonzero([layer[k] != 0 for layer in labels.layers], axis=0) > 1).any()
        for k in range(labels.geometry.shape_kji[0])
        if len(labels.layers) > 1
    )


def _merged(planes: Sequence[LabelArray]) -> NDArray[Any]:
    return np.asarray(np.maximum.reduce([plane.astype(np.uint16, copy=False) for plane in planes]))


def _require_size(frames: int, labels: LabelMap, bits: int, path: Path) -> None:
    _, rows, columns = labels.geometry.shape_kji
    if frames * rows * columns * bits // 8 > _MOST_BYTES:
        raise WriteError(
            f"{path.name}: {frames} frames exceed the 4 GiB a DICOM file holds; split the mask.", path=path
        )


def _is_same(back: LabelMap, labels: LabelMap) -> bool:
    """Compare place, numbers, names, colours, codes, and every voxel of every label."""
    if not back.geometry.matches(labels.geometry):
        return False
    return _rows(back.table) == _rows(labels.table) and all(
        _same_plane([x[k] for x in back.layers], [x[k] for x in labels.layers])
        for k in range(labels.geometry.shape_kji[0])
    )


def _rows(table: LabelTable) -> list[tuple[object, ...]]:
    return [(each.value, written_name(each), each.colour_rgb, _codes(each.concept)) for each in table]


def _codes(concept: Concept | None) -> list[tuple[str, str] | None]:
    known = concept or Concept(TISSUE)
    codes = (known.type, known.category or TISSUE, known.modifier, known.region)
    return [None if code is None else (code.value, code.scheme) for code in codes]


def _same_plane(back: Sequence[LabelArray], labels: Sequence[LabelArray]) -> bool:
    if len(back) == len(labels) == 1:
        return bool(np.array_equal(back[0], labels[0]))
    values = {value for plane in (*back, *labels) for value in present_values(plane)}
    return all(
        np.array_equal(np.any([x == value for x in back], axis=0), np.any([x == value for x in labels], axis=0))
        for value in values
    )
