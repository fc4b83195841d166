"""Reading a DICOM Segmentation: on the grid its frames span, or on that of its image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap, LabelTable
from segdesk.core.progress import Progress, silent
from segdesk.core.volume import Volume
from segdesk.errors import InvalidMask, Warn
from segdesk.io.dicom_seg.header import read_seg_header
from segdesk.io.dicom_seg.layers import read_layers
from segdesk.io.dicom_seg.model import SegHeader, SegmentationType
from segdesk.io.dicom_seg.planes import Planes, SegGrid, grid_on, own_grid, planes_of
from segdesk.io.limits import require_size
from segdesk.io.reference import ReferenceGrid, one_that_fits
from segdesk.io.series import MaskSummary, Refusal, SeriesEntry, SeriesKind


def read_seg(path: Path, references: Sequence[ReferenceGrid] = (), report: Progress = silent) -> LabelMap:
    """Read a DICOM Segmentation of any type.

    Parameters
    ----------
    path : Path
    references : sequence of ReferenceGrid
        Grids the mask may belong to: it is laid on the one on which all its frames have a
        place. None given: the grid its frames span.
    report : Progress

    Returns
    -------
    LabelMap
        Label values are segment numbers, or those segdesk noted when it wrote the file.
        Overlapping segments are in layers. Fractions are cut at one half, with a warning.

    Raises
    ------
    ReadError
        If the file is damaged, of a kind that cannot be read, or spans too large a grid.
    GeometryMismatch
        If the mask lies on none of the references.
    """
    header = read_seg_header(path)
    planes = planes_of(header)
    target = _target(header, planes, references)
    itemsize = 2 if any(label.value > 255 for label in header.labels.values()) else 1
    require_size(path, math.prod(target.grid.shape_kji) * itemsize, path.stat().st_size)
    layers = read_layers(header, planes, target, report)
    present = LabelMap(layers, target.grid, LabelTable()).values()
    table = LabelTable(header.labels.values()).merged(LabelTable.for_values(present))
    return LabelMap(layers, target.grid, table, warnings=(*target.warnings, *_warnings(header)))


def seg_entry(path: Path) -> SeriesEntry:
    """Describe a DICOM Segmentation for the series browser, from its header.

    Raises
    ------
    ReadError
        As `read_seg`, of the header.
    """
    header = read_seg_header(path)
    own = own_grid(header, planes_of(header))
    refusal = Refusal(own.refusal_code, own.refusal, 1) if own.refusal_code else None
    warnings = [*own.warnings, *_warnings(header)]
    if refusal is not None:
        warnings.append(Warn(refusal.code, refusal.message))
    labels = tuple(header.labels.values())
    return SeriesEntry(
        header.series_uid or path.name,
        _kind(own),
        "SEG",
        own.grid,
        "uint16" if any(label.value > 255 for label in labels) else "uint8",
        1,
        partial(_no_image, path),
        tuple(warnings),
        header.description,
        refusal=refusal,
        paths=(path,),
        mask=MaskSummary(header.kind.value, labels, header.referenced_series_uid),
        mask_reader=partial(_read_own, path),
    )


def _read_own(path: Path, report: Progress) -> LabelMap:
    return read_seg(path, (), report)


def _no_image(path: Path, report: Progress) -> Volume:
    raise InvalidMask(f"{path.name} is a mask, not an image; open the image and add the mask to it.", path=path)


def _target(header: SegHeader, planes: Planes, references: Sequence[ReferenceGrid]) -> SegGrid:
    if not references:
        return own_grid(header, planes)
    _, target = one_that_fits(references, lambda each: grid_on(header, planes, each), header.referenced_series_uid)
    return target


def _kind(own: SegGrid) -> SeriesKind:
    if not isinstance(own.grid, Geometry):
        return SeriesKind.STACK
    return SeriesKind.VOLUME if own.grid.shape_kji[0] > 1 else SeriesKind.IMAGE2D


def _warnings(header: SegHeader) -> list[Warn]:
    if header.kind is not SegmentationType.FRACTIONAL:
        return []
    what = "probabilities" if header.fractional_type == "PROBABILITY" else "fractions of a voxel"
    half = f"at least half of the stated maximum ({header.maximum_fraction})"
    return [Warn("thresholded", f"The segmentation holds {what}; voxels with {half} belong to their segment.")]
