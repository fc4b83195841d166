"""Display colours of segments: sRGB and the scaled CIELab of DICOM.

The encoding is PS3.3 C.10.7.1.1. The white point is D65 as in DCMTK, dcmqi, Slicer, highdicom and
PixelMed, so that a colour is the same in all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from segdesk.core.labels import Colour

_WHITE = np.array([0.95047, 1.0, 1.08883])
_XYZ_FROM_RGB = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
"""IEC 61966-2-1 (sRGB), linear components to XYZ of D65."""

_FULL = np.array([65535 / 100, 65535 / 255, 65535 / 255])
_ZERO = np.array([0.0, 128.0, 128.0])
_KNEE = 6 / 29
"""Where the cube root of CIE 1976 L*a*b* becomes a straight line."""


def lab_of_rgb(colour_rgb: Colour) -> tuple[int, int, int]:
    """Return RecommendedDisplayCIELabValue of an sRGB colour of 8 bits."""
    rgb = np.array(colour_rgb) / 255
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    x, y, z = _compressed(_XYZ_FROM_RGB @ linear / _WHITE)
    lab = np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])
    lightness, a, b = (int(value) for value in np.clip(np.rint((lab + _ZERO) * _FULL), 0, 65535))
    return lightness, a, b


def rgb_of_lab(encoded: Sequence[float]) -> Colour:
    """Return the nearest sRGB colour of 8 bits; colours outside of sRGB are clipped."""
    lightness, a, b = np.array(encoded, dtype=np.float64) / _FULL - _ZERO
    y = (lightness + 16) / 116
    xyz = _expanded(np.array([y + a / 500, y, y - b / 200])) * _WHITE
    linear = np.clip(np.linalg.solve(_XYZ_FROM_RGB, xyz), 0, 1)
    rgb = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, linear * 12.92)
    red, green, blue = (int(value) for value in np.rint(rgb * 255))
    return red, green, blue


def _compressed(ratio: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.where(ratio > _KNEE**3, np.cbrt(ratio), ratio / (3 * _KNEE**2) + 4 / 29))


def _expanded(value: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.where(value > _KNEE, value**3, 3 * _KNEE**2 * (value - 4 / 29)))
