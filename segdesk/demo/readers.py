"""Simulated readers: they correct a draft with the real brush, each in a habit of their own.

Nobody read anything here. The habits are those that panels show in practice
(a generous or a tight hand on the boundary, an end that is missed, another idea
of where the head of the hippocampus stops) and every stroke goes through the
editor, so that what follows - votes, consensus, disputes - is the real thing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelArray
from segdesk.edit.editor import Editor
from segdesk.edit.paint import DrawOver, Overwrite

_CORONAL = 1
"""Index axis of the slices the readers work in; j runs along the hippocampus in the template."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A simulated reader.

    Parameters
    ----------
    name : str
        Says that the reader is simulated.
    seed : int
        The same strokes every time.
    boundary_mm : float
        Radius of the brush along the boundary: positive adds tissue, negative takes it away.
    boundary_share : float
        Share of the slices whose boundary is corrected.
    missed_end_mm : float
        How much of the posterior end is not drawn.
    smooths : bool
        Rubs out thin ridges that one label leaves.
    border_shift_mm : float
        How far forward the border between the two labels is put.
    confidence : float
        What the reader says with the vote, in [0, 1].
    """

    name: str
    seed: int
    boundary_mm: float = 0.0
    boundary_share: float = 0.0
    missed_end_mm: float = 0.0
    smooths: bool = False
    border_shift_mm: float = 0.0
    confidence: float = 0.8


READERS = (
    Reader("Reader A (simulated)", 11, boundary_mm=0.8, boundary_share=0.55, confidence=0.9),
    Reader("Reader B (simulated)", 23, boundary_mm=-0.6, boundary_share=0.3, missed_end_mm=4.0, confidence=0.7),
    Reader("Reader C (simulated)", 37, smooths=True, border_shift_mm=2.0),
)
"""The panel of the demo."""


def correct(reader: Reader, editor: Editor) -> int:
    """Correct the editor's labels in the reader's habit.

    Parameters
    ----------
    reader : Reader
        Who.
    editor : Editor
        Attached to the mask; every correction is one of its strokes.

    Returns
    -------
    int
        Number of strokes that changed something: steps one could undo.
    """
    labels = editor.labels
    if labels is None or not isinstance(labels.geometry, Geometry):
        return 0
    hand = _Hand(editor, labels.array, labels.geometry)
    rng = np.random.default_rng(reader.seed)
    for value in labels.values():
        editor.active_value.value = value
        if reader.boundary_share:
            hand.follow_boundary(value, reader.boundary_mm, reader.boundary_share, rng)
        if reader.smooths:
            hand.rub_out_ridges(value)
    if reader.missed_end_mm:
        hand.drop_posterior_end(reader.missed_end_mm)
    if reader.border_shift_mm:
        hand.shift_border(reader.border_shift_mm)
    editor.draw_over.value = DrawOver()
    return hand.strokes


class _Hand:
    """Moves the brush."""

    def __init__(self, editor: Editor, array: LabelArray, geometry: Geometry) -> None:
        self._editor = editor
        self._array = array
        self._spacing = geometry.spacing_kji_mm
        self.strokes = 0

    def follow_boundary(self, value: int, radius_mm: float, share: float, rng: np.random.Generator) -> None:
        """Draw along half of the outline, in some of the slices."""
        erase = radius_mm < 0
        self._editor.draw_over.value = DrawOver(Overwrite.BACKGROUND_ONLY)
        for j, pieces in list(self._outlines(value)):
            for outline in pieces:
                if rng.random() < share:
                    start = int(rng.integers(len(outline)))
                    arc = [outline[(start + n) % len(outline)] for n in range(max(2, len(outline) // 2))]
                    self._stroke("Brush", [(k, j, i) for k, i in arc], abs(radius_mm), erase=erase)

    def rub_out_ridges(self, value: int) -> None:
        """Erase voxels that stick out: fewer than a third of the 26 neighbours are of the same label or another one."""
        mask = self._array > 0
        neighbours = ndimage.convolve(mask.astype(np.uint8), np.ones((3, 3, 3), np.uint8), mode="constant")
        for point in np.argwhere((self._array == value) & (neighbours < 10)):
            k, j, i = (int(n) for n in point)
            self._stroke("Eraser", [(k, j, i)], 0.4, erase=True)

    def drop_posterior_end(self, length_mm: float) -> None:
        """Erase the last slices of each side, one dab a slice."""
        sides, count = ndimage.label(self._array > 0)
        self._editor.erases_any_label.value = True
        for side in range(1, count + 1):
            voxels = np.argwhere(sides == side)
            first = int(voxels[:, _CORONAL].min())  # j runs to anterior in the template (RAS)
            for j in range(first, first + round(length_mm / self._spacing[_CORONAL])):
                here = voxels[voxels[:, _CORONAL] == j]
                if len(here):
                    self._stroke("Eraser", [_centre(here)], _reach_mm(here, self._spacing), erase=True)
        self._editor.erases_any_label.value = False

    def shift_border(self, length_mm: float) -> None:
        """Give the first slices of the front label to the one behind it."""
        values = sorted({int(v) for v in np.unique(self._array)} - {0})
        if len(values) < 2:
            return
        front, back = values[0], values[1]
        self._editor.active_value.value = back
        self._editor.draw_over.value = DrawOver.only(front)
        sides, count = ndimage.label(self._array == front)
        for side in range(1, count + 1):
            voxels = np.argwhere(sides == side)
            first = int(voxels[:, _CORONAL].min())
            for j in range(first, first + round(length_mm / self._spacing[_CORONAL])):
                here = voxels[voxels[:, _CORONAL] == j]
                if len(here):
                    self._stroke("Brush", [_centre(here)], _reach_mm(here, self._spacing))

    def _outlines(self, value: int) -> Iterator[tuple[int, list[list[tuple[int, int]]]]]:
        """Yield each coronal slice with the ordered outlines of its pieces, as (k, i)."""
        for j in np.flatnonzero((self._array == value).any(axis=(0, 2))):
            pieces, count = ndimage.label(self._array[:, j, :] == value)
            yield int(j), [_outline(pieces == piece) for piece in range(1, count + 1)]

    def _stroke(
        self, name: str, path: Sequence[tuple[int, int, int]], radius_mm: float, *, erase: bool = False
    ) -> None:
        self._editor.brush_radius_mm.value = radius_mm
        self._editor.begin_stroke(name)
        for start, stop in zip(path, path[1:] or path, strict=False):
            self._editor.paint(start, stop, _CORONAL, erase=erase)
        self.strokes += self._editor.commit_stroke()


def _outline(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the boundary pixels in order of their angle about the middle."""
    border = np.argwhere(mask & ~ndimage.binary_erosion(mask))
    offset = border - border.mean(axis=0)
    order = np.argsort(np.arctan2(offset[:, 0], offset[:, 1]), kind="stable")
    return [(int(k), int(i)) for k, i in border[order]]


def _centre(voxels: NDArray[np.intp]) -> tuple[int, int, int]:
    k, j, i = (round(float(x)) for x in voxels.mean(axis=0))
    return k, j, i


def _reach_mm(voxels: NDArray[np.intp], spacing_kji_mm: tuple[float, float, float]) -> float:
    """Return a brush radius in mm that covers the voxels from their middle."""
    offsets = (voxels - np.array(_centre(voxels))) * np.array(spacing_kji_mm)
    return float(np.linalg.norm(offsets, axis=1).max()) + 0.5
