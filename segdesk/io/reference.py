"""The image a mask belongs to: what its grid is, and which of several it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from segdesk.core.geometry import Geometry, Grid, SliceStackGeometry
from segdesk.core.progress import Progress
from segdesk.errors import GeometryMismatch, ReadError, UsageError
from segdesk.io.scan import scan
from segdesk.io.series import SeriesEntry

Reference = Path | str | Grid
"""An image file or folder, or a grid."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ReferenceGrid:
    """The grid of an image a mask may belong to.

    Parameters
    ----------
    grid : Geometry or SliceStackGeometry
    slices : SliceStackGeometry, optional
        The exact place of each slice, where DICOM headers gave it: they round, so a slice
        may lie up to 0.01 mm beside the regular grid.
    series_uid : str
    """

    grid: Grid
    slices: SliceStackGeometry | None = None
    series_uid: str = ""


def references_of(reference: Reference | None, report: Progress) -> tuple[ReferenceGrid, ...]:
    """Return the grids that a reference means: one, or one for each series of a folder.

    Raises
    ------
    ReadError
        If nothing there is an image.
    """
    if reference is None:
        return ()
    if isinstance(reference, Geometry | SliceStackGeometry):
        return (ReferenceGrid(reference),)
    path = Path(reference)
    images = scan(path, report).images
    if not images:
        raise ReadError(f"{path.name} holds no image; name the image the mask belongs to.", code="empty", path=path)
    return tuple(ReferenceGrid(entry.geometry, _exact_slices(entry), entry.uid) for entry in images)


def one_that_fits(
    references: Sequence[ReferenceGrid], lay: Callable[[ReferenceGrid], T], referenced_uid: str = ""
) -> tuple[ReferenceGrid, T]:
    """Find the reference on which something can be laid.

    Parameters
    ----------
    references : sequence of ReferenceGrid
        At least one.
    lay : callable
        Lays it on a reference, or raises GeometryMismatch.
    referenced_uid : str
        The series it says it belongs to; taken first.

    Raises
    ------
    GeometryMismatch
        If it fits none: the reason, when there is but one.
    UsageError
        ``several_series`` if it fits several that are not one grid, and says of none that it
        belongs to it.
    """
    fitting: list[tuple[ReferenceGrid, T]] = []
    mismatches: list[GeometryMismatch] = []
    for each in references:
        try:
            fitting.append((each, lay(each)))
        except GeometryMismatch as error:
            mismatches.append(error)
    named = [fit for fit in fitting if referenced_uid and fit[0].series_uid.split("/")[0] == referenced_uid]
    if len(named) == 1:
        return named[0]
    if not fitting and len(references) == 1:
        raise mismatches[0]
    if not fitting:
        raise GeometryMismatch(f"The mask lies on none of the {len(references)} images; name the one it belongs to.")
    if any(not fit[0].grid.matches(fitting[0][0].grid) for fit in fitting[1:]):
        raise UsageError("The mask fits several images there; name one of them as reference.", code="several_series")
    return fitting[0]


def _exact_slices(entry: SeriesEntry) -> SliceStackGeometry | None:
    from segdesk.io.dicom.geometry_gate import stack_geometry
    from segdesk.io.dicom.volume import DicomVolume

    if not isinstance(entry.reader, DicomVolume) or not entry.geometry.orientation_known:
        return None
    frames = [each.frame for each in entry.reader.points[0]]
    return stack_geometry(frames, entry.geometry.frame_of_reference_uid)
