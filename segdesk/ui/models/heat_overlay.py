"""How a heat map is coloured over a slice; without Qt."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segdesk.core.box import Index3
from segdesk.core.explanation import ExplainMethod
from segdesk.core.prediction import Uncertainty
from segdesk.session import HeatMap
from segdesk.session.heat import HeatKind
from segdesk.ui.models.overlay import Packed

_LEVELS = 256

_MAGMA = (
    (0, 0, 4), (10, 8, 34), (29, 17, 71), (54, 16, 107), (81, 18, 124), (106, 28, 129), (131, 38, 129), (156, 46, 127),
    (183, 55, 121), (208, 65, 111), (231, 82, 99), (245, 107, 92), (252, 137, 97), (254, 167, 114), (254, 196, 136),
    (253, 226, 163), (252, 253, 191),
)  # fmt: skip
"""17 points of matplotlib's "magma" (van der Walt and Smith 2015, CC0): perceptually uniform, and in order of lightness
for any kind of colour vision; no label of the palette has its purples."""

_COOLWARM = (
    (59, 76, 192), (78, 104, 216), (98, 130, 234), (119, 154, 247), (141, 176, 254), (163, 194, 254), (185, 208, 249),
    (204, 217, 237), (221, 220, 220), (236, 211, 197), (245, 196, 172), (247, 176, 147), (244, 152, 122),
    (235, 125, 98), (221, 95, 75), (202, 59, 55), (180, 4, 38),
)  # fmt: skip
"""17 points of Moreland's diverging map (ISVC 2009), made to be told apart by colour-blind readers."""

_END_WORDS: dict[HeatKind, tuple[str, str]] = {
    Uncertainty.ENTROPY: ("sure", "unsure"),
    Uncertainty.FLIPS: ("copies agree", "copies differ"),
    ExplainMethod.GRADCAM: ("", "strongest"),
    ExplainMethod.GUIDED_BACKPROP: ("darker", "brighter"),
    ExplainMethod.GUIDED_GRADCAM: ("darker", "brighter"),
}
"""What the lowest and the highest number mean, in a word or two: a legend lies over the image."""

FULL_SCALE_FROM = 0.5
"""Maps that reach this far are shown on the scale to 1; fainter ones on one of their own, which the legend tells."""


@dataclass(frozen=True, slots=True)
class HeatStyle:
    """What of a heat map is shown.

    Parameters
    ----------
    visible : bool
        All of it.
    opacity : float
        Of the colours, in [0, 1].
    threshold : float
        Part of the scale, in [0, 1); what lies below in magnitude is not coloured.
    """

    visible: bool = True
    opacity: float = 0.6
    threshold: float = 0.1


class HeatOverlay:
    """Colours one heat map.

    Parameters
    ----------
    heat_map : HeatMap
        Of the open case.
    style : HeatStyle
        Opacity and threshold.
    """

    def __init__(self, heat_map: HeatMap, style: HeatStyle) -> None:
        self.heat_map = heat_map
        self.style = style
        self.top = scale_top(heat_map.largest)
        self.colours = colour_rows(is_signed=heat_map.is_signed)

    def restyled(self, style: HeatStyle) -> HeatOverlay:
        """Return the same heat in another style."""
        return HeatOverlay(self.heat_map, style)

    @property
    def numbers(self) -> tuple[float, ...]:
        """The ends of the scale, and where colour begins, ascending."""
        threshold = self.top * self.style.threshold
        if self.heat_map.is_signed:
            return -self.top, -threshold, threshold, self.top
        return 0.0, threshold, self.top

    @property
    def legend(self) -> tuple[tuple[float, str], ...]:
        """Numbers and what is written beside them, the two ends first.

        On a signed scale the threshold is written once, in the middle, for both signs.
        """
        low, high = self.numbers[0], self.numbers[-1]
        ends = tuple(
            (number, f"{_number_text(number)} {words}".strip())
            for number, words in zip((low, high), _END_WORDS[self.heat_map.kind], strict=True)
        )
        threshold = _number_text(self.top * self.style.threshold)
        return *ends, (0.0, f"±{threshold}") if self.heat_map.is_signed else (self.numbers[1], threshold)

    def text_at(self, index_kji: Index3) -> str:
        """Return what a voxel has, with the name of the map."""
        return f"{self.heat_map.title} {_number_text(float(self.heat_map.heat[index_kji]))}"

    def blend(self, packed: Packed, heat: NDArray[np.float32]) -> None:
        """Colour a composed slice in place.

        Parameters
        ----------
        packed : ndarray of uint32, shape (rows, columns)
            0xFFRRGGBB.
        heat : ndarray of float32, same shape
            Cut from the heat map.
        """
        shown = np.abs(heat) >= max(self.style.threshold * self.top, np.finfo(np.float32).tiny)
        if not shown.any():
            return
        wanted = self.colours[self._levels(heat[shown])]
        opacity = round(self.style.opacity * _LEVELS)
        under = packed[shown]
        mixed = np.full(len(under), 0xFF000000, np.uint32)
        for channel, shift in enumerate((16, 8, 0)):
            below = (under >> np.uint32(shift)) & np.uint32(0xFF)
            blended = (below * np.uint32(_LEVELS - opacity) + wanted[:, channel] * np.uint32(opacity)) // _LEVELS
            mixed |= blended.astype(np.uint32) << np.uint32(shift)
        packed[shown] = mixed

    def bar(self, rows: int) -> Packed:
        """Return the colour bar, the largest number on top; what is below the threshold is transparent.

        Returns
        -------
        ndarray of uint32, shape (rows, 1)
            0xAARRGGBB.
        """
        low = -1.0 if self.heat_map.is_signed else 0.0
        values = np.linspace(1.0, low, rows)
        red, green, blue = self.colours[self._levels((values * self.top).astype(np.float32))].T
        alpha = np.where(np.abs(values) >= self.style.threshold, np.uint32(0xFF), np.uint32(0))
        return np.ascontiguousarray(((alpha << 24) | (red << 16) | (green << 8) | blue)[:, None], dtype=np.uint32)

    def _levels(self, heat: NDArray[np.float32]) -> NDArray[np.intp]:
        part = heat / self.top
        if self.heat_map.is_signed:
            part = (part + 1) / 2
        return np.asarray(np.clip(part, 0, 1) * (_LEVELS - 1) + 0.5, dtype=np.intp)


def _number_text(number: float) -> str:
    return f"{number:.3g}".replace("-", "\N{MINUS SIGN}")


def scale_top(largest: float) -> float:
    """Return the end of the scale: 1, or for faint maps the next of 1, 2, 5 times a power of ten."""
    if largest > FULL_SCALE_FROM or largest <= 0:
        return 1.0
    decade = 10.0 ** math.floor(math.log10(largest))
    return next(step * decade for step in (1.0, 2.0, 5.0, 10.0) if step * decade >= largest)


def colour_rows(*, is_signed: bool) -> NDArray[np.uint32]:
    """Return the colours from the lowest to the highest number, shape (256, 3)."""
    points = np.array(_COOLWARM if is_signed else _MAGMA, np.float64)
    places = np.linspace(0, 1, len(points))
    fine = np.linspace(0, 1, _LEVELS)
    rows = np.stack([np.interp(fine, places, points[:, channel]) for channel in range(3)], axis=1)
    return np.asarray(np.rint(rows), dtype=np.uint32)
