"""Which formats can hold what is to be exported, and why the others cannot."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from segdesk.core.geometry import Geometry, Grid


class ExportFormat(StrEnum):
    """The formats, by their extension."""

    NIFTI = ".nii.gz"
    SEG_NRRD = ".seg.nrrd"
    NRRD = ".nrrd"
    META = ".mha"
    TIFF = ".tif"
    PNG = ".png"


FORMAT_NAMES = {
    ExportFormat.NIFTI: "NIfTI",
    ExportFormat.SEG_NRRD: "Slicer segmentation",
    ExportFormat.NRRD: "NRRD",
    ExportFormat.META: "MetaImage",
    ExportFormat.TIFF: "TIFF stack",
    ExportFormat.PNG: "PNG",
}

_PICTURES = (ExportFormat.PNG, ExportFormat.TIFF)
_NAMED = (ExportFormat.NIFTI, ExportFormat.NRRD, ExportFormat.SEG_NRRD)
_LAYERED = (ExportFormat.NRRD, ExportFormat.SEG_NRRD)
_SHEARED = (ExportFormat.NIFTI, *_PICTURES)
_TIMED = (ExportFormat.NIFTI, ExportFormat.NRRD)

IRREGULAR = "The slices are irregular or have no place; this format holds regular grids only."
TILTED = "The grid is tilted, and readers of this format refuse shear. Straighten it, or use NIfTI."
SIDES_UNKNOWN = "Left and right are not known, and this format cannot say so."
OVERLAPPING = "Some segments overlap; this format holds one label a voxel. Use the Slicer segmentation."
ONE_SLICE = "A PNG holds one slice."
NO_TIME = "This format holds no time axis."
NO_DEPTH = "PNG holds whole numbers from 0 to 65535."
MASKS_ONLY = "For masks only."

SHEAR_IN_SFORM = "The tilt is kept exactly, in the sform alone. Programs built on ITK refuse that: straighten for them."
NO_PLACE = "The file will not say where it lies in the patient, how large a voxel is, or what the labels are called."
NO_PLACE_IMAGE = "The file will not say where it lies in the patient or how large a voxel is."
NO_NAMES = "The file will not hold the names and colours of the labels."
SIDES_UNKNOWN_KEPT = "Left and right are not known; the file will say so."


@dataclass(frozen=True, slots=True)
class FormatOffer:
    """One row of the export dialog.

    Parameters
    ----------
    format : ExportFormat
        What would be written.
    refusal : str
        Why it cannot be written, "" when it can.
    remarks : tuple of str
        What the format does not hold, or holds in a special way.
    """

    format: ExportFormat
    refusal: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """In words."""
        return FORMAT_NAMES[self.format]

    @property
    def is_possible(self) -> bool:
        """Whether it can be written."""
        return not self.refusal


def mask_offers(grid: Grid, layers: int) -> tuple[FormatOffer, ...]:
    """Return an offer per format for a mask of so many layers."""
    return tuple(_mask_offer(grid, layers, each) for each in ExportFormat)


def image_offers(grid: Grid, time_points: int, dtype: np.dtype[Any]) -> tuple[FormatOffer, ...]:
    """Return an offer per format for an image."""
    return tuple(_image_offer(grid, time_points, dtype, each) for each in ExportFormat)


def _mask_offer(grid: Grid, layers: int, wanted: ExportFormat) -> FormatOffer:
    refusal = _grid_refusal(grid, wanted)
    if not refusal and layers > 1 and wanted not in _LAYERED:
        refusal = OVERLAPPING
    if refusal:
        return FormatOffer(wanted, refusal)
    if wanted in _PICTURES:
        return FormatOffer(wanted, "", (NO_PLACE,))
    names = () if wanted in _NAMED else (NO_NAMES,)
    return FormatOffer(wanted, "", (*_grid_remarks(grid, wanted), *names))


def _image_offer(grid: Grid, time_points: int, dtype: np.dtype[Any], wanted: ExportFormat) -> FormatOffer:
    refusal = MASKS_ONLY if wanted is ExportFormat.SEG_NRRD else _grid_refusal(grid, wanted)
    if not refusal and time_points > 1 and wanted not in _TIMED:
        refusal = NO_TIME
    if not refusal and wanted is ExportFormat.PNG and dtype not in (np.uint8, np.uint16):
        refusal = NO_DEPTH
    if refusal:
        return FormatOffer(wanted, refusal)
    return FormatOffer(wanted, "", (NO_PLACE_IMAGE,) if wanted in _PICTURES else _grid_remarks(grid, wanted))


def _grid_refusal(grid: Grid, wanted: ExportFormat) -> str:
    if not isinstance(grid, Geometry):
        return IRREGULAR
    if wanted is ExportFormat.PNG and grid.shape_kji[0] > 1:
        return ONE_SLICE
    if grid.is_sheared and wanted not in _SHEARED:
        return TILTED
    if wanted is ExportFormat.META and not grid.orientation_known and grid.shape_kji[0] > 1:
        return SIDES_UNKNOWN
    return ""


def _grid_remarks(grid: Grid, wanted: ExportFormat) -> tuple[str, ...]:
    if not isinstance(grid, Geometry):
        return ()
    remarks = (SHEAR_IN_SFORM,) if grid.is_sheared and wanted is ExportFormat.NIFTI else ()
    return remarks if grid.orientation_known else (*remarks, SIDES_UNKNOWN_KEPT)
