import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from segdesk.core.box import Box
from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap
from segdesk.edit.delta import LabelDelta

SHAPE = (3, 4, 5)
LABELS = hnp.arrays(st.sampled_from([np.uint8, np.uint16]), SHAPE, elements=st.integers(0, 3))


def _pair(old, new):
    labels = LabelMap((old.copy(),), Geometry.from_spacing(SHAPE), LabelMap.empty(Geometry.from_spacing(SHAPE)).table)
    return labels, LabelDelta.between(Box.whole(SHAPE), old, new.astype(old.dtype))


@given(LABELS, LABELS)
def test_apply_leads_to_the_new_values_and_revert_back(old, new):
    labels, delta = _pair(old, new)
    if delta is None:
        np.testing.assert_array_equal(old, new)
        return
    delta.apply(labels)
    np.testing.assert_array_equal(labels.array, new)
    delta.revert(labels)
    np.testing.assert_array_equal(labels.array, old)


@given(LABELS, LABELS)
def test_a_packed_delta_comes_back_the_same(old, new):
    _, delta = _pair(old, new)
    if delta is None:
        return
    again = delta.packed().unpacked()
    assert (again.box, again.layer) == (delta.box, delta.layer)
    assert again.before.dtype == delta.before.dtype
    np.testing.assert_array_equal(again.changed, delta.changed)
    np.testing.assert_array_equal(again.before, delta.before)
    np.testing.assert_array_equal(again.after, delta.after)


def test_the_box_is_tight_and_values_are_kept_only_where_they_change():
    old = np.zeros((2, 2, 2), np.uint8)
    new = old.copy()
    new[1, 0, 1] = 7
    delta = LabelDelta.between(Box((4, 5, 6), (6, 7, 8)), old, new)
    assert delta is not None
    assert delta.box == Box((5, 5, 7), (6, 6, 8))
    assert delta.nbytes == 3
    assert delta.packed().nbytes > 0


def test_equal_arrays_make_no_delta():
    zeros = np.zeros((2, 2, 2), np.uint8)
    assert LabelDelta.between(Box.whole((2, 2, 2)), zeros, zeros) is None
