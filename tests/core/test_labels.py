"""Label tables and label maps."""

from __future__ import annotations

import numpy as np
import pytest

from segdesk.core.geometry import Geometry
from segdesk.core.labels import PALETTE, Label, LabelMap, LabelTable, as_labels, present_values
from segdesk.errors import InvalidMask, ShapeMismatch

_GRID = Geometry.from_spacing((2, 3, 4))


def test_a_table_is_sorted_and_names_every_value() -> None:
    table = LabelTable([Label(5, "tumour", (1, 2, 3)), Label(1, "kidney", (4, 5, 6))])
    assert table.values == (1, 5)
    assert table[5].name == "tumour"
    assert [table.name_of(v) for v in (0, 1, 7)] == ["background", "kidney", "Label 7"]
    assert 5 in table
    assert 7 not in table
    assert len(table) == 2
    assert "kidney" in repr(table)


@pytest.mark.parametrize("values", [(1, 1), (0,), (-3,)])
def test_values_twice_or_below_one_are_refused(values: tuple[int, ...]) -> None:
    with pytest.raises(InvalidMask):
        LabelTable(Label(v, "x", (0, 0, 0)) for v in values)


def test_merging_keeps_the_own_names() -> None:
    own = LabelTable([Label(1, "mine", (0, 0, 0))])
    other = LabelTable([Label(1, "theirs", (0, 0, 0)), Label(2, "two", (0, 0, 0))])
    merged = own.merged(other)
    assert [label.name for label in merged] == ["mine", "two"]
    assert own.with_label(Label(1, "new", (0, 0, 0)))[1].name == "new"
    assert own != other
    assert own != 3


def test_default_colours_repeat_after_the_palette() -> None:
    assert Label.default(len(PALETTE) + 1).colour_rgb == PALETTE[0]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int64, np.float32, np.float64, np.bool_])
def test_whole_numbers_of_any_type_are_labels(dtype: type) -> None:
    array = np.zeros((2, 3, 4), dtype)
    array[1, 1, 1] = 1
    labels = LabelMap.of(array, _GRID)
    assert labels.values() == (1,)
    assert labels.array.dtype in (np.uint8, np.uint16)


def test_scaled_integers_are_rounded_not_cut() -> None:
    # BraTS's brain mask reads 0.9999999702; truncation would empty it.
    assert LabelMap.of(np.full((2, 3, 4), 0.9999999702), _GRID).values() == (1,)


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf, -1, 70000])
def test_fractions_nan_negative_and_huge_values_are_no_labels(value: float) -> None:
    array = np.zeros((2, 3, 4))
    array[0, 0, 0] = value
    with pytest.raises(InvalidMask):
        as_labels(array)


def test_complex_numbers_are_no_labels() -> None:
    with pytest.raises(InvalidMask, match="whole numbers"):
        as_labels(np.zeros((2, 3, 4), np.complex64))


def test_an_empty_array_holds_no_labels() -> None:
    assert present_values(as_labels(np.zeros((0, 3, 4)))) == ()


def test_labels_above_255_take_sixteen_bits() -> None:
    assert as_labels(np.full((1, 1, 2), 300)).dtype == np.uint16
    assert LabelMap.empty(_GRID, LabelTable([Label(300, "x", (0, 0, 0))])).array.dtype == np.uint16
    assert LabelMap.empty(_GRID).array.dtype == np.uint8


def test_a_non_contiguous_mask_becomes_contiguous() -> None:
    turned = np.zeros((4, 3, 2), np.uint8).transpose(2, 1, 0)
    assert as_labels(turned).flags.c_contiguous


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(ShapeMismatch):
        LabelMap((np.zeros((2, 3, 5), np.uint8),), _GRID, LabelTable())


def test_a_layer_of_a_wide_type_is_refused() -> None:
    with pytest.raises(InvalidMask, match="uint8 or uint16"):
        LabelMap((np.zeros((2, 3, 4), np.int32),), _GRID, LabelTable())  # type: ignore[arg-type]


def test_values_and_copies_cover_every_layer() -> None:
    first, second = np.zeros((2, 3, 4), np.uint8), np.zeros((2, 3, 4), np.uint8)
    first[0], second[0] = 1, 2
    labels = LabelMap((first, second), _GRID, LabelTable.for_values((1, 2)))
    copy = labels.copy()
    copy.layers[1][:] = 0
    assert labels.values() == (1, 2)
    assert copy.values() == (1,)


def test_a_widened_map_keeps_its_labels_in_sixteen_bits() -> None:
    labels = LabelMap.of(np.full((1, 2, 3), 7, np.uint8), Geometry.from_spacing((1, 2, 3)))
    labels.widen()
    assert labels.array.dtype == np.uint16
    assert labels.values() == (7,)
