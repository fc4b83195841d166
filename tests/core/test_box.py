"""Half-open boxes of voxels."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from segdesk.core.box import Box

_corner = st.tuples(*[st.integers(-5, 12)] * 3)
_boxes = st.builds(Box, _corner, _corner)


def _mask(box: Box) -> np.ndarray:
    mask = np.zeros((20, 20, 20), bool)
    mask[tuple(slice(max(0, a + 5), max(0, b + 5)) for a, b in zip(box.start_kji, box.stop_kji, strict=True))] = True
    return mask


@given(_boxes, _boxes)
def test_intersection_holds_exactly_the_common_voxels(a: Box, b: Box) -> None:
    assert np.array_equal(_mask(a.intersection(b)), _mask(a) & _mask(b))


@given(_boxes, _boxes)
def test_union_is_the_tight_box_around_both(a: Box, b: Box) -> None:
    both = _mask(a) | _mask(b)
    union = a.union(b)
    assert union.is_empty == (not both.any())
    if both.any():
        assert Box.around(both) == union.shifted((5, 5, 5))


def test_around_an_empty_mask_is_none() -> None:
    assert Box.around(np.zeros((3, 4, 5), bool)) is None


def test_around_finds_the_tight_box() -> None:
    mask = np.zeros((4, 5, 6), bool)
    mask[1, 2, 3] = mask[3, 2, 5] = True
    assert Box.around(mask) == Box((1, 2, 3), (4, 3, 6))


def test_growing_and_clipping_keep_the_grid() -> None:
    box = Box((0, 1, 2), (2, 3, 4)).grow(2)
    assert box == Box((-2, -1, 0), (4, 5, 6))
    assert box.clip((3, 9, 5)) == Box((0, 0, 0), (3, 5, 5))


def test_slices_of_a_clipped_box_outside_the_grid_are_empty() -> None:
    box = Box((10, 10, 10), (12, 12, 12)).clip((4, 4, 4))
    assert box.is_empty
    assert np.zeros((4, 4, 4))[box.slices].size == 0


def test_contains_is_half_open() -> None:
    box = Box((0, 0, 0), (2, 2, 2))
    assert box.contains((0, 1, 1))
    assert not box.contains((2, 1, 1))
    assert Box.whole((2, 2, 2)) == box


def test_an_empty_box_has_no_negative_size() -> None:
    box = Box((3, 3, 3), (1, 5, 5))
    assert box.is_empty
    assert box.shape_kji == (0, 2, 2)
    assert box.union(Box.whole((1, 1, 1))) == Box.whole((1, 1, 1)).union(box) == Box.whole((1, 1, 1))
