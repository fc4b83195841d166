"""Where readers agree and where they do not, as a label map that views can colour."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segdesk.core.box import Box
from segdesk.core.labels import Colour, Label, LabelMap, LabelTable, present_values
from segdesk.errors import ShapeMismatch

_UNANIMOUS_COLOUR: Colour = (58, 110, 165)
_RAMP: tuple[Colour, ...] = ((254, 224, 144), (253, 174, 97), (244, 109, 67), (215, 48, 39))
"""From one deviating reader to many: the warm half of ColorBrewer's RdYlBu, readable for the colour-blind."""


def agreement_map(reads: Sequence[LabelMap]) -> LabelMap:
    """Count at each voxel how many readers deviate from the label most readers chose.

    Parameters
    ----------
    reads : sequence of LabelMap
        On one grid; one or more.

    Returns
    -------
    LabelMap
        0: all say background; 1..n-1: so many of n readers deviate; n: all drew the same label.
        Its table names the values that occur.

    Raises
    ------
    ShapeMismatch
        If there are no reads or their grids differ in shape.
    """
    if not reads or any(read.array.shape != reads[0].array.shape for read in reads):
        raise ShapeMismatch("An agreement map needs reads on one grid.")
    n = len(reads)
    result = np.zeros(reads[0].array.shape, np.uint8 if n < 256 else np.uint16)
    box = _union_box(reads)
    if box is not None:
        # Most of an image is background to everybody; only the box around what was drawn is counted.
        stack = np.stack([read.array[box.slices] for read in reads])
        top = np.zeros(stack.shape[1:], np.int32)
        for value in np.unique(stack):
            np.maximum(top, np.count_nonzero(stack == value, axis=0), out=top)
        deviating = n - top
        unanimous = (deviating == 0) & (stack[0] != 0)
        result[box.slices] = np.where(unanimous, n, deviating)
    names = agreement_table(n)
    table = LabelTable(names[value] for value in present_values(result))
    return LabelMap((result,), reads[0].geometry, table)


def agreement_table(n_readers: int) -> LabelTable:
    """Return names and colours of the values of an agreement map."""
    labels = [
        Label(deviating, f"{deviating} of {n_readers} deviate", _ramp((deviating - 1) / max(1, n_readers // 2 - 1)))
        for deviating in range(1, n_readers)
    ]
    return LabelTable([*labels, Label(n_readers, f"all {n_readers} agree", _UNANIMOUS_COLOUR)])


def _union_box(reads: Sequence[LabelMap]) -> Box | None:
    boxes = [box for read in reads if (box := Box.around(read.array != 0)) is not None]
    if not boxes:
        return None
    union = boxes[0]
    for box in boxes[1:]:
        union = union.union(box)
    return union


def _ramp(share: float) -> Colour:
    return _RAMP[min(len(_RAMP) - 1, round(share * (len(_RAMP) - 1)))]
