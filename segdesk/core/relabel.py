"""Other numbers for the same labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from segdesk.core.labels import LabelArray, LabelMap, LabelTable


def relabel(labels: LabelMap, values: Mapping[int, int]) -> LabelMap:
    """Give labels other values; 0 is background and may become a label, or a label background.

    Parameters
    ----------
    labels : LabelMap
        Not changed.
    values : mapping of int to int
        Old value to new value, 0 to 65535 each; values that it does not name stay.

    Returns
    -------
    LabelMap
        With default names for the new values; two values that become one are one label.
    """
    layers = tuple(_mapped(layer, values) for layer in labels.layers)
    kept = (label for label in labels.table if label.value not in values)
    present = {int(value) for layer in layers for value in np.unique(layer)}
    return replace(labels, layers=layers, table=LabelTable(kept).merged(LabelTable.for_values(present)))


def _mapped(layer: LabelArray, values: Mapping[int, int]) -> LabelArray:
    table = np.arange(max(int(layer.max(initial=0)), *values, 0) + 1)
    for old, new in values.items():
        table[old] = new
    if table.max() <= np.iinfo(np.uint8).max:
        return table.astype(np.uint8)[layer]
    return table.astype(np.uint16)[layer]
