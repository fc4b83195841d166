"""Overlapping labels on one screen: every layer of a mask is shown."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdesk.ui.models.outline import Runs, outlines


def composed(layers: Sequence[NDArray[Any]], hidden: Collection[int] = ()) -> NDArray[Any]:
    """Return the labels that are filled: where some overlap, the one furthest down the label list.

    Parameters
    ----------
    layers : sequence of ndarray of uint8 or uint16, equal shapes
        The same slice of each layer.
    hidden : collection of int
        Labels that cover nothing.

    Returns
    -------
    ndarray of the same shape
        The layer itself where there is only one.
    """
    if len(layers) == 1:
        return layers[0]
    top = np.zeros(layers[0].shape, np.result_type(*layers))
    for layer in layers:
        np.maximum(top, np.where(np.isin(layer, list(hidden)), 0, layer) if hidden else layer, out=top)
    return top


def outlines_of_layers(layers: Sequence[NDArray[Any]], hidden: Collection[int] = ()) -> dict[int, Runs]:
    """Return the outlines of the labels of all layers: also what is covered keeps its line all round."""
    lines: dict[int, Runs] = {}
    for layer in layers:
        for value, runs in outlines(layer, hidden).items():
            lines[value] = np.concatenate([lines[value], runs]) if value in lines else runs
    return lines


def layers_text(layers: int) -> str:
    """Return what one must know of a mask with so many layers, "" for one."""
    if layers == 1:
        return ""
    more = "a second layer" if layers == 2 else f"{layers - 1} more layers"
    return f"Some labels overlap and lie in {more}. All are shown and saved; tools change the first layer only."
