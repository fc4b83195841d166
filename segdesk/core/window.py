"""Window centre and width: from grey values to what a screen shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdesk.core.volume import IntensityUnit, Volume, Window

CT_PRESETS: tuple[Window, ...] = (
    Window(40.0, 400.0, "Soft tissue"),
    Window(-600.0, 1500.0, "Lung"),
    Window(400.0, 1800.0, "Bone"),
    Window(40.0, 80.0, "Brain"),
    Window(60.0, 160.0, "Liver"),
    Window(50.0, 350.0, "Mediastinum"),
    Window(300.0, 600.0, "Angiography"),
)
"""Hounsfield windows in everyday use; values as in the textbooks' tables (Radiopaedia, "Windowing (CT)")."""

AUTO_PERCENTILES = (0.1, 99.9)
"""Percentiles of the automatic window: as ITK-SNAP's, not thrown off by a hot pixel."""

_LEAST_SPREAD = 0.2
"""An image squeezed into less than a fifth of the grey scale is black, white or fog."""

_AIR_HU, _METAL_HU = -800.0, 32767.0
"""Air is -1000 HU and whatever is brighter than metal in 16 bits is no CT."""

_AUTO = "Auto"

_SAMPLES = 200_000
"""Voxels looked at by the automatic window; the percentiles of 200,000 samples are good to 0.01 %."""


def auto_window(volume: Volume) -> Window:
    """Return a window from the 0.1 and 99.9 percentiles of a sample of the voxels.

    Parameters
    ----------
    volume : Volume
        Padding values and non-finite voxels are left out.

    Returns
    -------
    Window
        Named "Auto"; the width is never below the smallest step that can be shown. A
        constant, empty or all-padding image gives centre 0 or its value, width 1.
    """
    if volume.is_rgb:
        return Window(127.5, 255.0, _AUTO)
    values = _sample(volume)
    if values.size == 0:
        return Window(0.0, 1.0, _AUTO)
    ranks = [round(percent / 100 * (values.size - 1)) for percent in AUTO_PERCENTILES]
    # Not np.percentile: its first call imports numpy.ma, 30 ms while the first image waits to be shown.
    dark, bright = (float(x) for x in np.partition(values, ranks)[ranks])
    if bright <= dark:
        dark, bright = float(values.min()), float(values.max())
    width = bright - dark if bright > dark else 1.0
    return Window((dark + bright) / 2, width, _AUTO)


def _shows(window: Window, present: Window) -> bool:
    """Whether the values that are there spread over enough of a window to be told apart."""
    overlap = min(window.high, present.high) - max(window.low, present.low)
    return overlap >= _LEAST_SPREAD * window.width


def _sample(volume: Volume) -> NDArray[Any]:
    flat = volume.array.reshape(-1)
    values = flat[:: max(1, flat.size // _SAMPLES)]
    if volume.padding_range is not None:
        low, high = volume.padding_range
        values = values[(values < low) | (values > high)]
    finite: NDArray[Any] = values[np.isfinite(values)]
    return finite


def _looks_like_ct(volume: Volume) -> bool:
    if volume.modality or volume.is_rgb or volume.array.dtype.kind == "u":
        return False
    values = _sample(volume)
    return values.size > 0 and -2048 <= float(values.min()) <= _AIR_HU and float(values.max()) <= _METAL_HU


def presets_for(volume: Volume) -> tuple[Window, ...]:
    """Return the windows on offer: the file's own first, then the automatic one, then CT's.

    CT's are also on offer for images of unknown modality whose darkest voxels are those
    of air in HU: NIfTI does not say that it holds CT.
    """
    named = tuple(
        window if window.name else Window(window.centre, window.width, f"From the file {number}")
        for number, window in enumerate(volume.windows, 1)
        if window.width > 0
    )
    automatic = (auto_window(volume),)
    return named + automatic + (CT_PRESETS if volume.unit is IntensityUnit.HU or _looks_like_ct(volume) else ())


def start_window(volume: Volume, presets: Sequence[Window] = ()) -> Window:
    """Return the window an image is first shown with, one of its `presets` (found anew when none are given).

    The file's own if anything can be seen with it (crops and derived images often carry
    the window of another image), else soft tissue for CT, else the automatic one.
    """
    choice = presets or presets_for(volume)
    automatic = next(window for window in choice if window.name == _AUTO)
    if choice[0] != automatic and _shows(choice[0], automatic):
        return choice[0]
    return CT_PRESETS[0] if volume.unit is IntensityUnit.HU else automatic


def to_grey8(values: NDArray[Any], window: Window, *, inverted: bool = False) -> NDArray[np.uint8]:
    """Map grey values linearly to 0..255; below the window black, above it white.

    Parameters
    ----------
    values : ndarray of any real dtype
        A slice, any shape.
    window : Window
        A width of 0 or less counts as a threshold at the centre.
    inverted : bool
        Low values white (MONOCHROME1).

    Returns
    -------
    ndarray of uint8, same shape
        NaN counts as the lowest value.
    """
    width = max(float(window.width), 1e-9)
    with np.errstate(over="ignore"):
        grey = np.subtract(values, np.float32(window.low), dtype=np.float32, casting="unsafe")
        grey *= np.float32(255.0 / width)
    if values.dtype.kind == "f":
        # fmax answers 0 for NaN, which clip would let through to an undefined cast.
        np.fmax(grey, np.float32(0.0), out=grey)
        np.fmin(grey, np.float32(255.0), out=grey)
    else:
        np.clip(grey, np.float32(0.0), np.float32(255.0), out=grey)
    grey8: NDArray[np.uint8] = grey.astype(np.uint8)
    return np.invert(grey8) if inverted else grey8
