"""How large the pixels of a picture without a place are: films and ultrasound."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segdesk.errors import Warn
from segdesk.io.dicom.model import PixelSize
from segdesk.io.dicom.quick_header import Header
from segdesk.io.dicom.values import items_of, number_of, numbers_of, text_of, whole_of

_PLANE = 1
"""RegionSpatialFormat of a 2D image; the others are traces over time, spectra and graphics (PS3.3 C.8.5.5.1.1)."""

_CENTIMETRES = 3
"""PhysicalUnitsXDirection (PS3.3 C.8.5.5.1.15)."""

_SAME_RTOL = 1e-4
"""Regions whose scales agree within this show one scale."""

_NO_SIZE = PixelSize(None, "none", Warn("spacing_unknown", "The file gives no pixel size; lengths are in pixels."))


def pixel_size_of(dataset: Header, rows: int, columns: int) -> PixelSize:
    """Return the pixel size of a film or an ultrasound image.

    Parameters
    ----------
    dataset : Header
        Header of the file.
    rows, columns : int
        Of the stored image: a region that leaves it was measured before the image was resized.
    """
    planes = [
        region
        for region in items_of(dataset, "SequenceOfUltrasoundRegions")
        if whole_of(region, "RegionSpatialFormat") == _PLANE
    ]
    return _ultrasound_size(planes, rows, columns) if planes else _film_size(dataset)


def _ultrasound_size(planes: Sequence[Header], rows: int, columns: int) -> PixelSize:
    """Return the one scale of all 2D regions, or none when they differ or one has no scale."""
    sizes = [_region_size(region, rows, columns) for region in planes]
    known = [size for size in sizes if size is not None]
    if not known or len(known) < len(sizes):
        return _without_size("The ultrasound region is not calibrated for this image; lengths are in pixels.")
    if np.abs(np.array(known) / known[0] - 1).max() > _SAME_RTOL:
        return _without_size(f"The image shows {len(known)} ultrasound regions of different scale; lengths are off.")
    warning = Warn("region_spacing", "The pixel size holds inside the ultrasound region; measure nowhere else.")
    covers_all = len(planes) == 1 and _box(planes[0]) in ((0, 0, columns, rows), (0, 0, columns - 1, rows - 1))
    return PixelSize(known[0], "ultrasound region calibration", None if covers_all else warning)


def _without_size(text: str) -> PixelSize:
    return PixelSize(None, "none", Warn("spacing_unknown", text))


def _region_size(region: Header, rows: int, columns: int) -> tuple[float, float] | None:
    """Return rows apart and columns apart in mm; None when not in cm or not of this image."""
    units = whole_of(region, "PhysicalUnitsXDirection"), whole_of(region, "PhysicalUnitsYDirection")
    across_cm, down_cm = number_of(region, "PhysicalDeltaX"), number_of(region, "PhysicalDeltaY")
    box = _box(region)
    if units != (_CENTIMETRES, _CENTIMETRES) or not across_cm or not down_cm or box is None:
        return None
    left, top, right, bottom = box
    if left < 0 or top < 0 or right > columns or bottom > rows:
        return None
    return abs(down_cm) * 10.0, abs(across_cm) * 10.0


def _box(region: Header) -> tuple[int, int, int, int] | None:
    keywords = ("RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1", "RegionLocationMaxY1")
    ends = [whole_of(region, keyword) for keyword in keywords]
    left, top, right, bottom = ends
    if left is None or top is None or right is None or bottom is None:
        return None
    return left, top, right, bottom


def _film_size(dataset: Header) -> PixelSize:
    """Return the size of a film's pixels and whether it holds at the detector only.

    PixelSpacing that equals ImagerPixelSpacing, uncalibrated, is the detector's
    (DICOM PS3.3 10.7.1.3).
    """
    pixel, imager = numbers_of(dataset, "PixelSpacing"), numbers_of(dataset, "ImagerPixelSpacing")
    chosen = pixel or imager
    if chosen is None or len(chosen) < 2 or min(chosen[:2]) <= 0:
        return _NO_SIZE
    magnification = number_of(dataset, "EstimatedRadiographicMagnificationFactor")
    if pixel is None and magnification is not None and magnification >= 1:
        size = chosen[0] / magnification, chosen[1] / magnification
        return PixelSize(size, "DICOM ImagerPixelSpacing and magnification")
    is_calibrated = bool(text_of(dataset, "PixelSpacingCalibrationType"))
    if pixel is None or (imager is not None and pixel == imager and not is_calibrated):
        warning = Warn("detector_spacing", "The pixel size holds at the detector; lengths are magnified.")
        return PixelSize((chosen[0], chosen[1]), "detector mm", warning)
    return PixelSize((chosen[0], chosen[1]), "DICOM PixelSpacing")
