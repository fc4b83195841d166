"""What a format does not hold, in words that the user is shown."""

from __future__ import annotations

from pathlib import Path

from segdesk.core.geometry import Grid
from segdesk.core.labels import Label, LabelTable
from segdesk.errors import Warn
from segdesk.io.atomic import name_suffix

NO_PLACE = "The file will not say where it lies in the patient or how large a voxel is."
NO_NAMES = "The file will not hold the names and colours of the labels."

_PICTURES = (".png", ".tif", ".tiff")
_UNNAMED = (*_PICTURES, ".mha")


def not_kept(path: Path, grid: Grid, table: LabelTable | None = None) -> tuple[Warn, ...]:
    """Tell what is lost in a file of the format that a name says.

    Parameters
    ----------
    path : Path
    grid : Geometry or SliceStackGeometry
        Of what is written.
    table : LabelTable, optional
        Of a mask; default names are no loss.
    """
    suffix = name_suffix(path).lower()
    lost = []
    if suffix in _PICTURES and (grid.orientation_known or grid.spacing_known):
        lost.append(NO_PLACE)
    if suffix in _UNNAMED and table is not None and any(each != Label.default(each.value) for each in table):
        lost.append(NO_NAMES)
    return tuple(Warn("not_kept", text) for text in lost)
