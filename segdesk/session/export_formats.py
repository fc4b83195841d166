"""Which formats can hold what is to be exported, and why the others cannot."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from segdesk.core.geometry import Geometry, Grid
from segdesk.core.volume import Volume
from segdesk.io.kept import NO_NAMES, NO_PLACE


class ExportFormat(StrEnum):
    """The formats; `suffix` is the extension of their files."""

    NIFTI = "nifti"
    DICOM_SEG = "dicom-seg"
    RTSTRUCT = "rtstruct"
    SEG_NRRD = "seg-nrrd"
    NRRD = "nrrd"
    META = "meta"
    TIFF = "tiff"
    PNG = "png"
    DICOM_LABELMAP = "dicom-labelmap"

    @property
    def suffix(self) -> str:
        """Extension of the file, with the dot."""
        return _ROWS[self][1]

    @property
    def words(self) -> str:
        """Name in words."""
        return _ROWS[self][0]

    @property
    def is_dicom(self) -> bool:
        """Whether the file refers to the DICOM image it was drawn on."""
        return self.suffix == ".dcm"


_ROWS = {
    ExportFormat.NIFTI: ("NIfTI", ".nii.gz"),
    ExportFormat.DICOM_SEG: ("DICOM segmentation", ".dcm"),
    ExportFormat.RTSTRUCT: ("RT structure set", ".dcm"),
    ExportFormat.SEG_NRRD: ("Slicer segmentation", ".seg.nrrd"),
    ExportFormat.NRRD: ("NRRD", ".nrrd"),
    ExportFormat.META: ("MetaImage", ".mha"),
    ExportFormat.TIFF: ("TIFF stack", ".tif"),
    ExportFormat.PNG: ("PNG", ".png"),
    ExportFormat.DICOM_LABELMAP: ("DICOM label map", ".dcm"),
}

_PICTURES = (ExportFormat.PNG, ExportFormat.TIFF)
_NAMED = (ExportFormat.NIFTI, ExportFormat.NRRD, ExportFormat.SEG_NRRD)
_LAYERED = (ExportFormat.NRRD, ExportFormat.SEG_NRRD, ExportFormat.DICOM_SEG, ExportFormat.RTSTRUCT)
_SHEARED = (ExportFormat.NIFTI, *_PICTURES)
_TIMED = (ExportFormat.NIFTI, ExportFormat.NRRD)
_MASKS_ONLY = (ExportFormat.SEG_NRRD, ExportFormat.DICOM_SEG, ExportFormat.DICOM_LABELMAP, ExportFormat.RTSTRUCT)

IRREGULAR = "For regular grids only; these slices are not."
NOT_DICOM = "Only for masks drawn on DICOM images."
NOWHERE = "Contours have places in the patient; the image has none."
TILTED = "Its readers refuse the tilt; straighten it first."
SIDES_UNKNOWN = "It cannot say that left and right are not known."
OVERLAPPING = "It holds one label a voxel; some segments overlap."
ONE_SLICE = "A PNG holds one slice."
NO_TIME = "This format holds no time axis."
NO_COLOUR_IN_TIME = "NRRD holds colours or a time axis, not both."
NO_DEPTH = "PNG holds whole numbers from 0 to 65535."
MASKS_ONLY = "For masks only."

SHEAR_IN_SFORM = "The tilt is kept exactly, in the sform alone. Programs built on ITK refuse that: straighten for them."
FEW_READ_IT = "New in the standard (Supplement 243); few programs read it yet."
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
    def is_possible(self) -> bool:
        """Whether it can be written."""
        return not self.refusal


def mask_offers(grid: Grid, layers: int, *, is_on_dicom: bool) -> tuple[FormatOffer, ...]:
    """Return an offer per format for a mask of so many layers.

    Parameters
    ----------
    grid : Geometry or SliceStackGeometry
        Of the file.
    layers : int
        More than one for overlapping segments.
    is_on_dicom : bool
        Whether the grid is that of a DICOM image.
    """
    return tuple(_mask_offer(grid, layers, each, is_on_dicom=is_on_dicom) for each in ExportFormat)


def image_offers(volume: Volume, grid: Grid) -> tuple[FormatOffer, ...]:
    """Return an offer per format for an image, on the grid it is to have in the file."""
    return tuple(_image_offer(volume, grid, each) for each in ExportFormat)


def _mask_offer(grid: Grid, layers: int, wanted: ExportFormat, *, is_on_dicom: bool) -> FormatOffer:
    refusal = _dicom_refusal(grid, wanted, is_on_dicom) if wanted.is_dicom else _grid_refusal(grid, wanted)
    if not refusal and layers > 1 and wanted not in _LAYERED:
        refusal = OVERLAPPING
    if refusal:
        return FormatOffer(wanted, refusal)
    if wanted.is_dicom:
        return FormatOffer(wanted, "", (FEW_READ_IT,) if wanted is ExportFormat.DICOM_LABELMAP else ())
    if wanted in _PICTURES:
        return FormatOffer(wanted, "", (NO_PLACE, NO_NAMES))
    names = () if wanted in _NAMED else (NO_NAMES,)
    return FormatOffer(wanted, "", (*_grid_remarks(grid, wanted), *names))


def _dicom_refusal(grid: Grid, wanted: ExportFormat, is_on_dicom: bool) -> str:
    if not is_on_dicom:
        return NOT_DICOM
    return NOWHERE if wanted is ExportFormat.RTSTRUCT and not grid.orientation_known else ""


def _image_offer(volume: Volume, grid: Grid, wanted: ExportFormat) -> FormatOffer:
    refusal = MASKS_ONLY if wanted in _MASKS_ONLY else _grid_refusal(grid, wanted)
    if not refusal and volume.time_points > 1 and wanted not in _TIMED:
        refusal = NO_TIME
    if not refusal and volume.time_points > 1 and volume.is_rgb and wanted is ExportFormat.NRRD:
        refusal = NO_COLOUR_IN_TIME
    if not refusal and wanted is ExportFormat.PNG and volume.array.dtype not in (np.uint8, np.uint16):
        refusal = NO_DEPTH
    if refusal:
        return FormatOffer(wanted, refusal)
    return FormatOffer(wanted, "", (NO_PLACE,) if wanted in _PICTURES else _grid_remarks(grid, wanted))


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
