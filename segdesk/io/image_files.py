"""Entries for files that are one thing each: all but DICOM images. One table, one row a format."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from segdesk.io.formats import Format
from segdesk.io.series import SeriesEntry, SeriesKind
from segdesk.io.suspects import looking_at


def entry_of_file(path: Path, kind: Format, uid: str) -> SeriesEntry:
    """Read the header of an image or mask file.

    Parameters
    ----------
    path : Path
    kind : Format
        As `segdesk.io.formats.sniff` said; not `DICOM`.
    uid : str
        What the entry is to be called, where the file has no series UID.

    Raises
    ------
    ReadError
        If the header is damaged or the content is no image.
    """
    with looking_at(path):
        return _OPENERS[kind](path, kind, uid)


def _nifti_entry(path: Path, kind: Format, uid: str) -> SeriesEntry:
    from segdesk.io.nifti import open_nifti, read_nifti, read_nifti_slice

    file = open_nifti(path)
    header = file.header
    return SeriesEntry(
        uid,
        _kind_of(header.time_points, header.geometry.shape_kji[0]),
        "",
        header.geometry,
        header.dtype.name,
        1,
        partial(read_nifti, file),
        header.warnings,
        path.name,
        header.time_points,
        paths=(path,),
        slice_reader=partial(read_nifti_slice, file) if file.has_open_slices else None,
    )


def _nrrd_entry(path: Path, kind: Format, uid: str) -> SeriesEntry:
    from segdesk.io.nrrd import open_nrrd, read_nrrd

    file = open_nrrd(path)
    header = file.header
    is_series = header.list_axis is not None and not header.is_rgb
    points = header.sizes[header.list_axis] if is_series and header.list_axis is not None else 1
    return SeriesEntry(
        uid,
        _kind_of(points, header.geometry.shape_kji[0]),
        "",
        header.geometry,
        header.dtype.newbyteorder("=").name,
        1,
        partial(read_nrrd, file),
        header.warnings,
        path.name,
        points,
        paths=(path,),
    )


def _meta_entry(path: Path, kind: Format, uid: str) -> SeriesEntry:
    from segdesk.io.meta_image import open_meta, read_meta

    file = open_meta(path)
    return SeriesEntry(
        uid,
        _kind_of(file.time_points, file.geometry.shape_kji[0]),
        "",
        file.geometry,
        file.dtype.name,
        1,
        partial(read_meta, file),
        file.warnings,
        path.name,
        file.time_points,
        paths=(path,),
    )


def _raster_entry(path: Path, kind: Format, uid: str) -> SeriesEntry:
    from segdesk.io.raster import RASTER_WARNINGS, open_raster, raster_geometry, read_raster

    header = open_raster(path, kind)
    return SeriesEntry(
        uid,
        SeriesKind.STACK if header.shape_kji[0] > 1 else SeriesKind.IMAGE2D,
        "",
        raster_geometry(header.shape_kji),
        header.dtype.name,
        1,
        partial(read_raster, path, kind),
        RASTER_WARNINGS,
        path.name,
        paths=(path,),
    )


def _seg_entry(path: Path, kind: Format, uid: str) -> SeriesEntry:
    from segdesk.io.dicom_seg.reader import seg_entry

    return seg_entry(path)


def _kind_of(time_points: int, slices: int) -> SeriesKind:
    if time_points > 1:
        return SeriesKind.SERIES4D
    return SeriesKind.VOLUME if slices > 1 else SeriesKind.IMAGE2D


_Opener = Callable[[Path, Format, str], SeriesEntry]

_OPENERS: dict[Format, _Opener] = {
    Format.NIFTI: _nifti_entry,
    Format.ANALYZE: _nifti_entry,
    Format.NRRD: _nrrd_entry,
    Format.META: _meta_entry,
    Format.PNG: _raster_entry,
    Format.JPEG: _raster_entry,
    Format.TIFF: _raster_entry,
    Format.DICOM_SEG: _seg_entry,
}
