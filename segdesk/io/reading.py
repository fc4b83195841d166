"""Opening one image or one mask by path."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segdesk.core.geometry import Grid
from segdesk.core.labels import LabelMap
from segdesk.core.placement import lay_on
from segdesk.core.progress import Progress, silent
from segdesk.core.volume import Volume
from segdesk.errors import GeometryMismatch, InconsistentSeries, InvalidMask, NotFound, ReadError, UsageError
from segdesk.io.formats import Format, sniff
from segdesk.io.reference import Reference, ReferenceGrid, one_that_fits, references_of
from segdesk.io.scan import header_file_of, scan
from segdesk.io.series import ScanResult, SeriesEntry, SeriesKind

_SPATIAL = (SeriesKind.VOLUME, SeriesKind.SERIES4D, SeriesKind.STACK)


def read_volume(
    path: Path | str, *, series_uid: str | None = None, as_stack: bool = False, report: Progress = silent
) -> Volume:
    """Read an image file, or the one series of a folder.

    Parameters
    ----------
    path : path-like
        A file means that file; a folder the one series in it.
    series_uid : str, optional
        Which series, where there are several (`SeriesEntry.uid`).
    as_stack : bool
        Accept a series that is no regular volume, as slices with a place and thickness
        each (`SliceStackGeometry`), or without a place.
    report : Progress

    Returns
    -------
    Volume

    Raises
    ------
    ReadError
        If nothing can be opened; `InconsistentSeries` with the gate's code when the series
        is no volume and `as_stack` is False; code ``several_series`` when one must be named.
    """
    path = Path(path)
    entry = choose_series(scan(path, report), series_uid)
    return (entry if as_stack else entry.require_volume()).read(report)


def read_labels(
    path: Path | str,
    *,
    series_uid: str | None = None,
    reference: Reference | None = None,
    report: Progress = silent,
) -> LabelMap:
    """Read a mask.

    Parameters
    ----------
    path : path-like
        NIfTI, NRRD, .seg.nrrd, MetaImage, PNG, TIFF, DICOM Segmentation, RT Structure Set, or
        DICOM images with whole numbers. A folder means the one mask in it, or else its one image.
    series_uid : str, optional
        Which mask (or image) of a folder, where there are several.
    reference : path-like or Geometry or SliceStackGeometry, optional
        The image the mask belongs to, or its grid: the mask comes back on the whole of that
        grid, matched by places in the patient. Without it, on the mask's own grid; the
        contours of an RT Structure Set, which has none, on the image in the same folder.
    report : Progress

    Returns
    -------
    LabelMap
        With the names, colours and codes of the file, default ones for other values;
        .seg.nrrd and DICOM Segmentation keep overlapping segments in layers. `warnings`
        says what the user must know.

    Raises
    ------
    ReadError
        If the file cannot be read.
    InvalidMask
        If its values are no whole numbers from 0 to 65535.
    GeometryMismatch
        If its voxels are not the reference's.
    """
    path = header_file_of(Path(path))
    references = references_of(reference, report)
    if path.is_dir():
        found = scan(path, report)
        entry = choose_series(found, series_uid) if series_uid or not found.masks else _one_mask(found)
        if not entry.is_mask:
            return _laid(_as_labels(entry.require_volume().read(report), path), references)
        path = entry.paths[0]
    kind = sniff(path)
    if kind is Format.DICOM_SEG:
        from segdesk.io.dicom_seg.reader import read_seg

        return read_seg(path, references, report)
    if kind is Format.RTSTRUCT:
        from segdesk.io.rtstruct.reading import read_rtstruct

        return read_rtstruct(path, references, report)
    return _laid(_read_array_mask(path, kind), references)


def require_same_grid(candidate: Grid, reference: Grid) -> None:
    """Raise GeometryMismatch unless both grids agree at every corner in the patient.

    Equal shapes are not enough: a mask is never laid over an image by index.
    """
    if candidate.matches(reference):
        return
    if candidate.shape_kji == reference.shape_kji:
        raise GeometryMismatch("The mask has the image's shape but lies elsewhere in the patient; resample it first.")
    raise GeometryMismatch(
        f"The mask's grid {candidate.shape_kji} is not the image's {reference.shape_kji}; resample it first."
    )


def choose_series(found: ScanResult, series_uid: str | None) -> SeriesEntry:
    """Return the series of that name, or the one that there is.

    Raises
    ------
    ReadError, UsageError
        As `read_volume`.
    """
    if series_uid is not None:
        for entry in found.series:
            if entry.uid == series_uid:
                return entry
        raise NotFound(f"{found.path.name} has no series {series_uid!r}; see segdesk info.", path=found.path)
    spatial = [entry for entry in found.images if entry.kind in _SPATIAL]
    candidates = spatial or list(found.images)
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise UsageError(_several(candidates), code="several_series", path=found.path)
    if found.refused:
        first = found.refused[0]
        raise InconsistentSeries(first.message, code=first.code, path=found.path)
    if found.masks or found.structure_sets:
        message = f"{found.path.name} holds masks but no image; open the image they belong to."
        raise ReadError(message, code="not_an_image", path=found.path)
    raise ReadError(f"{found.path.name} holds no image segdesk can open.", code="empty", path=found.path)


def _one_mask(found: ScanResult) -> SeriesEntry:
    if len(found.masks) > 1:
        raise UsageError(_several(list(found.masks)), code="several_series", path=found.path)
    return found.masks[0]


def _laid(labels: LabelMap, references: Sequence[ReferenceGrid]) -> LabelMap:
    """Bring a mask onto the one reference that it fits; there may be none."""
    if not references:
        return labels
    return one_that_fits(references, lambda each: lay_on(labels, each.grid))[1]


def _read_array_mask(path: Path, kind: Format) -> LabelMap:
    if kind is Format.NRRD:
        from segdesk.io.nrrd import open_nrrd
        from segdesk.io.seg_nrrd import read_nrrd_labels

        return read_nrrd_labels(open_nrrd(path))
    if kind in (Format.PNG, Format.JPEG, Format.TIFF):
        from segdesk.io.raster import raster_geometry, read_raster_indices

        pixels = read_raster_indices(path, kind)
        return LabelMap.of(pixels, raster_geometry((pixels.shape[0], pixels.shape[1], pixels.shape[2])))
    if kind in (Format.NIFTI, Format.ANALYZE):
        return _nifti_labels(path)
    return _as_labels(read_volume(path), path)


def _several(entries: list[SeriesEntry]) -> str:
    lines = [f"{entry.uid} ({entry.kind}, {'x'.join(map(str, entry.shape_kji))})" for entry in entries[:8]]
    more = f" and {len(entries) - 8} more" if len(entries) > 8 else ""
    return f"There are {len(entries)} series; name one with --series: {'; '.join(lines)}{more}."


def _nifti_labels(path: Path) -> LabelMap:
    from segdesk.io.nifti import open_nifti, read_nifti

    file = open_nifti(path)
    labels = _as_labels(read_nifti(file), path)
    if file.table is not None:
        labels.table = file.table.merged(labels.table)
    return labels


def _as_labels(volume: Volume, path: Path) -> LabelMap:
    if volume.is_rgb or volume.time_points > 1:
        what = "a colour image" if volume.is_rgb else f"a series of {volume.time_points} time points"
        raise InvalidMask(f"{path.name} is {what}, not a mask; export one mask a time point.", path=path)
    try:
        return LabelMap.of(volume.array, volume.geometry)
    except InvalidMask as error:
        raise InvalidMask(f"{path.name}: {error.message}", path=path) from None
