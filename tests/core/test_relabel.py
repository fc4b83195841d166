from __future__ import annotations

import numpy as np

from segdesk.core.geometry import Geometry
from segdesk.core.labels import Label, LabelMap, LabelTable
from segdesk.core.relabel import relabel

_GRID = Geometry((1, 2, 3), np.eye(4))


def test_background_and_label_change_places() -> None:
    labels = LabelMap.of(np.array([[[0, 255, 0], [255, 0, 3]]], np.uint8), _GRID)
    changed = relabel(labels, {0: 1, 255: 0})
    np.testing.assert_array_equal(changed.array, [[[1, 0, 1], [0, 1, 3]]])
    assert changed.table.values == (1, 3)
    np.testing.assert_array_equal(labels.array, [[[0, 255, 0], [255, 0, 3]]])


def test_names_stay_with_the_values_that_stay() -> None:
    table = LabelTable([Label(1, "wall", (1, 2, 3)), Label(2, "cell", (4, 5, 6))])
    labels = LabelMap((np.array([[[1, 2, 0], [0, 0, 0]]], np.uint8),), _GRID, table)
    changed = relabel(labels, {2: 300})
    assert changed.array.dtype == np.uint16
    assert changed.table.name_of(1) == "wall"
    assert changed.table.name_of(300) == "Label 300"
    assert 2 not in changed.table


def test_every_layer_is_mapped_and_nothing_asked_changes_nothing() -> None:
    first = np.array([[[1, 0, 0], [0, 0, 0]]], np.uint8)
    labels = LabelMap((first, first * 2), _GRID, LabelTable.for_values([1, 2]))
    assert [int(layer.max()) for layer in relabel(labels, {1: 7, 2: 7}).layers] == [7, 7]
    np.testing.assert_array_equal(relabel(labels, {}).layers[1], first * 2)
