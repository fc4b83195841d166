import numpy as np
import pytest

from segdesk.core.box import Box
from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap
from segdesk.edit.paint import DrawOver, Overwrite, paint, replace_values
from segdesk.edit.region import Region
from segdesk.errors import EditError, ShapeMismatch

SHAPE = (2, 3, 4)
BOX = Box.whole(SHAPE)


def _labels(dtype=np.uint8):
    """Columns of background, 1, 2 and 3 along i."""
    array = np.broadcast_to(np.arange(4, dtype=dtype), SHAPE).copy()
    return LabelMap.of(array, Geometry.from_spacing(SHAPE))


def _everywhere():
    return Region(BOX, np.ones(SHAPE, np.bool_))


def _columns(labels):
    return labels.array[0, 0].tolist()


def test_all_overwrites_every_label():
    labels = _labels()
    delta = paint(labels, _everywhere(), 2, DrawOver())
    assert _columns(labels) == [2, 2, 2, 2]
    assert delta is not None
    assert delta.before.size == 18


def test_background_only_leaves_other_labels():
    labels = _labels()
    paint(labels, _everywhere(), 2, DrawOver(Overwrite.BACKGROUND_ONLY))
    assert _columns(labels) == [2, 1, 2, 3]


def test_only_one_label_is_drawn_over():
    labels = _labels()
    paint(labels, _everywhere(), 2, DrawOver.only(3))
    assert _columns(labels) == [0, 1, 2, 2]


def test_locked_labels_are_not_overwritten():
    labels = _labels()
    paint(labels, _everywhere(), 2, DrawOver(locked=frozenset({1})))
    assert _columns(labels) == [2, 1, 2, 2]


def test_drawing_with_a_locked_label_is_refused():
    labels = _labels()
    with pytest.raises(EditError, match="locked"):
        paint(labels, _everywhere(), 1, DrawOver(locked=frozenset({1})))
    assert _columns(labels) == [0, 1, 2, 3]


def test_only_the_mask_of_the_region_is_written():
    labels = _labels()
    mask = np.zeros((1, 1, 2), np.bool_)
    mask[0, 0, 1] = True
    paint(labels, Region(Box((1, 2, 0), (2, 3, 2)), mask), 3, DrawOver())
    assert labels.array[1, 2].tolist() == [0, 3, 2, 3]
    assert (labels.array[0] == [0, 1, 2, 3]).all()


def test_an_edit_that_changes_nothing_is_none():
    labels = _labels()
    assert paint(labels, Region(BOX, np.zeros(SHAPE, np.bool_)), 1, DrawOver()) is None


def test_a_value_too_large_for_uint8_is_refused_and_never_widens_silently():
    labels = _labels()
    with pytest.raises(EditError, match="16 bit"):
        paint(labels, _everywhere(), 256, DrawOver())
    assert labels.array.dtype == np.uint8


def test_a_value_above_255_is_written_to_a_16_bit_mask():
    labels = _labels(np.uint16)
    paint(labels, _everywhere(), 300, DrawOver())
    assert _columns(labels) == [300] * 4


def test_a_second_layer_is_written_alone():
    first = _labels()
    two = LabelMap((first.array, np.zeros(SHAPE, np.uint8)), first.geometry, first.table)
    delta = paint(two, _everywhere(), 5, DrawOver(), layer=1)
    assert _columns(two) == [0, 1, 2, 3]
    assert (two.layers[1] == 5).all()
    delta.revert(two)
    assert not two.layers[1].any()


def test_a_layer_that_is_not_there_is_refused():
    with pytest.raises(EditError, match="layer"):
        paint(_labels(), _everywhere(), 1, DrawOver(), layer=1)


def test_a_region_outside_the_grid_is_refused():
    region = Region(Box((0, 0, 3), (1, 1, 5)), np.ones((1, 1, 2), np.bool_))
    with pytest.raises(EditError, match="leaves the grid"):
        paint(_labels(), region, 1, DrawOver())


def test_a_mask_that_does_not_fill_its_box_is_refused():
    with pytest.raises(ShapeMismatch):
        Region(BOX, np.ones((1, 1, 1), np.bool_))


def test_drawing_over_one_label_needs_the_label():
    with pytest.raises(EditError):
        DrawOver(Overwrite.ONLY_LABEL)


def test_replacing_values_keeps_locked_labels_where_they_are_and_adds_none():
    labels = _labels()
    new = np.broadcast_to(np.array([1, 0, 3, 2], np.uint8), SHAPE)
    replace_values(labels, BOX, new, DrawOver(locked=frozenset({1})))
    assert _columns(labels) == [0, 1, 3, 2]


def test_replacing_values_returns_what_changed():
    labels = _labels()
    new = labels.array.copy()
    new[0, 0, 0] = 3
    delta = replace_values(labels, BOX, new, DrawOver())
    assert delta.box == Box((0, 0, 0), (1, 1, 1))


def test_new_values_of_another_shape_are_refused():
    with pytest.raises(EditError, match="do not fit"):
        replace_values(_labels(), BOX, np.zeros((1, 1, 1), np.uint8), DrawOver())
