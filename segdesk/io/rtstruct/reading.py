"""Reading an RT Structure Set as a label map on the image it was drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from segdesk.core.labels import LabelMap
from segdesk.core.progress import Progress, silent
from segdesk.errors import ReadError, Warn
from segdesk.io.formats import Format, sniff
from segdesk.io.reference import ReferenceGrid, one_that_fits
from segdesk.io.rtstruct.rasterise import rasterise
from segdesk.io.rtstruct.structure_set import StructureSet, read_structure_set


def read_rtstruct(path: Path, references: Sequence[ReferenceGrid] = (), report: Progress = silent) -> LabelMap:
    """Read an RT Structure Set.

    Parameters
    ----------
    path : Path
    references : sequence of ReferenceGrid
        Images it may belong to: the one it names, else the one in its frame of reference, else
        the one on which it can be laid. None given: the images in the file's own folder.
    report : Progress

    Returns
    -------
    LabelMap
        As `segdesk.io.rtstruct.rasterise.rasterise`; with a warning when the image is not
        the one the contours were drawn on, or its frame of reference cannot be compared.

    Raises
    ------
    ReadError
        As `read_structure_set`; ``no_reference`` when there is no image.
    GeometryMismatch, UsageError
        As `rasterise` and `one_that_fits`.
    """
    structures = read_structure_set(path)
    candidates = _candidates(structures, references or _beside(path, report))
    chosen, labels = one_that_fits(candidates, lambda each: rasterise(structures, each.grid, report))
    return replace(labels, warnings=(*_provenance(structures, chosen), *labels.warnings))


def _beside(path: Path, report: Progress) -> tuple[ReferenceGrid, ...]:
    """Return the images in the folder of the file, not below it."""
    from segdesk.io.dicom.series import find_series

    files = [file for file in sorted(path.parent.iterdir()) if _is_image(file)]
    return tuple(ReferenceGrid(entry.geometry, None, entry.uid) for entry in find_series(files, report).series)


def _is_image(file: Path) -> bool:
    try:
        return file.is_file() and sniff(file) is Format.DICOM
    except ReadError:
        return False


def _candidates(structures: StructureSet, references: Sequence[ReferenceGrid]) -> Sequence[ReferenceGrid]:
    """Return the images it names, or else those in its frame of reference, or else all."""
    if not references:
        raise ReadError(
            f"{structures.path.name} holds contours; name the image they were drawn on (--reference).",
            code="no_reference",
            path=structures.path,
        )
    named = [each for each in references if _series_of(each) in structures.series_uids]
    frames = structures.frame_of_reference_uids
    return named or [each for each in references if each.grid.frame_of_reference_uid in frames] or references


def _series_of(reference: ReferenceGrid) -> str:
    """Return the series; a number after a slash tells the parts of a split one."""
    return reference.series_uid.split("/")[0]


def _provenance(structures: StructureSet, chosen: ReferenceGrid) -> list[Warn]:
    if not chosen.series_uid or _series_of(chosen) in structures.series_uids:
        return []
    if chosen.grid.frame_of_reference_uid in structures.frame_of_reference_uids:
        return [Warn("other_series", "The contours were drawn on another series in the same frame of reference.")]
    return [
        Warn("other_series", "Image and contours name no common series or frame of reference; check that they fit.")
    ]
