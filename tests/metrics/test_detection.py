from __future__ import annotations

import math

import numpy as np
import pytest

from segdesk.errors import ShapeMismatch
from segdesk.metrics import Detection, detect


def squares(*places, shape=(1, 20, 20)):
    mask = np.zeros(shape, bool)
    for j, i, size in places:
        mask[:, j : j + size, i : i + size] = True
    return mask


def test_found_missed_and_made_up_lesions_are_counted():
    reference = squares((0, 0, 3), (0, 10, 3), (10, 0, 3))
    candidate = squares((1, 1, 3), (10, 10, 2))
    found = detect(reference, candidate)
    assert found == Detection(found=1, missed=2, matched=1, false_positive=1)
    assert found.sensitivity == pytest.approx(1 / 3)
    assert found.precision == pytest.approx(1 / 2)
    assert found.f1 == pytest.approx(2 / 5)


def test_one_candidate_over_two_lesions_finds_both():
    assert detect(squares((0, 0, 2), (0, 4, 2)), squares((0, 0, 8))) == Detection(2, 0, 1, 0)


def test_two_candidates_in_one_lesion_find_it_once():
    assert detect(squares((0, 0, 8)), squares((0, 0, 2), (4, 4, 2))) == Detection(1, 0, 2, 0)


def test_touching_too_little_is_a_miss_and_a_false_positive():
    reference, candidate = squares((0, 0, 4)), squares((3, 3, 4))
    assert detect(reference, candidate) == Detection(1, 0, 1, 0)
    assert detect(reference, candidate, min_overlap=0.5) == Detection(0, 1, 0, 1)
    assert detect(reference, reference, min_overlap=1.0) == Detection(1, 0, 1, 0)


def test_voxels_that_touch_at_a_corner_are_one_lesion():
    mask = np.zeros((3, 3, 3), bool)
    mask[0, 0, 0] = mask[1, 1, 1] = True
    assert detect(mask, mask).found == 1


def test_nothing_on_both_sides_is_undefined():
    nothing = detect(squares(), squares())
    assert nothing == Detection(0, 0, 0, 0)
    assert all(math.isnan(x) for x in (nothing.f1, nothing.sensitivity, nothing.precision))


def test_one_empty_side_gives_f1_0():
    assert detect(squares((0, 0, 3)), squares()) == Detection(0, 1, 0, 0)
    assert detect(squares(), squares((0, 0, 3))) == Detection(0, 0, 0, 1)
    assert detect(squares((0, 0, 3)), squares()).f1 == 0.0


def test_different_shapes_are_refused():
    with pytest.raises(ShapeMismatch):
        detect(squares(), squares(shape=(1, 20, 21)))
