"""How labels are shown, and the table that colours a slice in one look-up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdesk.core.labels import Label, LabelTable

Packed = NDArray[np.uint32]
"""Colours as 0xFFRRGGBB."""

_OPAQUE = np.uint32(0xFF000000)
_GREY_STEP = np.uint32(0x010101)


@dataclass(frozen=True, slots=True)
class OverlayStyle:
    """What of the labels is shown.

    Parameters
    ----------
    visible : bool
        The whole overlay.
    opacity : float
        Of the fill, in [0, 1].
    outline : bool
        Lines around the labels.
    hidden : frozenset of int
        Label values not shown.
    """

    visible: bool = True
    opacity: float = 0.35
    outline: bool = True
    hidden: frozenset[int] = frozenset()

    def shows(self, value: int) -> bool:
        """Whether a label is shown."""
        return self.visible and value != 0 and value not in self.hidden


class ColourTable:
    """Blends grey values and labels: ``packed[label, grey]``, one look-up per voxel.

    Parameters
    ----------
    table : LabelTable
        Colours; values without a row get the palette's.
    style : OverlayStyle
        Opacity and what is hidden.
    """

    def __init__(self, table: LabelTable, style: OverlayStyle) -> None:
        self._ranks: NDArray[np.uint32] | None = None
        if table.values and table.values[-1] > 255:
            self._ranks = np.zeros(65536, np.uint32)
            self._ranks[list(table.values)] = np.arange(1, len(table) + 1, dtype=np.uint32)
            labels = list(table)
        else:
            labels = [table[v] if v in table else Label.default(v) for v in range(1, 256)]
        # Row 0 is background: no colour, no opacity.
        self._colours = np.array([(0, 0, 0), *(each.colour_rgb for each in labels)], np.float32)
        self._alpha = np.array([0.0, *(style.opacity * style.shows(each.value) for each in labels)], np.float32)
        self._packed = _blended(self._colours, self._alpha)

    def on_grey(self, grey: NDArray[np.uint8], labels: NDArray[Any]) -> Packed:
        """Return the colours of grey values under labels, C-contiguous, same shape."""
        colours: Packed = grey.astype(np.uint32)
        colours *= _GREY_STEP
        colours |= _OPAQUE
        columns = np.flatnonzero(labels.any(axis=0))
        if columns.size:
            # Only the columns that hold labels pay for the look-up, three times as slow as the plain grey.
            part = slice(int(columns[0]), int(columns[-1]) + 1)
            index = self._rows(labels[:, part]) << 8
            index |= grey[:, part]
            colours[:, part] = np.take(self._packed, index)
        return colours

    def on_rgb(self, rgb: NDArray[np.uint8], labels: NDArray[Any]) -> Packed:
        """Return the colours of an RGB slice, shape (rows, columns, 3), under labels."""
        shades = rgb
        if labels.any():
            rows = self._rows(labels)
            alpha = self._alpha[rows][..., None]
            shades = (rgb * (1 - alpha) + self._colours[rows] * alpha).astype(np.uint8)
        packed = shades.astype(np.uint32)
        return np.asarray(_OPAQUE | (packed[..., 0] << 16) | (packed[..., 1] << 8) | packed[..., 2], np.uint32)

    def _rows(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Return rows of the table; 16 bits hold row and grey while there are 256 rows at most."""
        if self._ranks is not None:
            return np.asarray(np.take(self._ranks, labels))
        # A 16-bit map whose table ends at 255 may still hold a stray larger value; it is drawn as the last row.
        rows = labels if labels.dtype == np.uint8 else np.minimum(labels, 255)
        return rows.astype(np.uint16)


def _blended(colours: NDArray[np.float32], alpha: NDArray[np.float32]) -> Packed:
    """Return the colours of every row over every grey, shape (rows * 256,)."""
    grey = np.arange(256, dtype=np.float32)
    packed = np.full((len(colours), 256), _OPAQUE, np.uint32)
    for channel, shift in enumerate((16, 8, 0)):
        mixed = np.outer(1 - alpha, grey) + (alpha * colours[:, channel])[:, None]
        packed |= mixed.astype(np.uint32) << np.uint32(shift)
    return packed.ravel()
