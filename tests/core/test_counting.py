from __future__ import annotations

import numpy as np
import pytest

from segdesk.core.counting import value_counts


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, (1 << 18) + 13])
def test_counts_equal_numpys_bincount_for_noise(dtype, size):
    labels = np.random.default_rng(1).integers(0, 256, size).astype(dtype)
    counts = value_counts(labels)
    assert counts.dtype == np.int64
    np.testing.assert_array_equal(counts, np.bincount(labels, minlength=counts.size))


def test_flat_regions_and_their_borders_are_counted_exactly():
    labels = np.zeros((9, 33, 41), np.uint16)
    labels[2:7, 3:30, 5:40] = 65535
    labels[4, 4, 7] = 258
    counts = value_counts(labels)
    assert counts[65535] == 5 * 27 * 35 - 1
    assert counts[258] == 1
    assert counts.sum() == labels.size


def test_a_strided_view_is_counted_like_its_copy():
    labels = np.random.default_rng(2).integers(0, 5, (6, 20, 30)).astype(np.uint8)
    view = labels[1:5:2, ::3, 7:19]
    np.testing.assert_array_equal(value_counts(view), value_counts(view.copy()))
