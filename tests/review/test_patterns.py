from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdesk.review import patterns as module
from segdesk.review.patterns import vote_patterns


def masks_of(seed, count, classes, shape=(3, 5, 7)):
    rng = np.random.default_rng(seed)
    return [rng.choice(classes, shape).astype(np.uint16) for _ in range(count)]


def tuples(masks):
    return np.stack([mask.ravel() for mask in masks], axis=1)


@given(st.integers(0, 99), st.integers(1, 5), st.sampled_from([[0, 1], [0, 3, 65535], [1, 2, 4, 700]]))
def test_patterns_and_counts_are_the_distinct_tuples_of_votes(seed, count, classes):
    masks = masks_of(seed, count, classes)
    found = vote_patterns(masks)
    rows, counts = np.unique(tuples(masks), axis=0, return_counts=True)
    ours = {tuple(found.values[row]): int(n) for row, n in zip(found.votes, found.counts, strict=True)}
    assert ours == {tuple(row): int(n) for row, n in zip(rows, counts, strict=True)}


@given(st.integers(0, 99), st.integers(1, 4), st.sampled_from([np.uint8, np.uint16, np.float32]))
def test_a_number_per_pattern_reaches_every_voxel(seed, count, dtype):
    masks = masks_of(seed, count, [0, 2, 5])
    found = vote_patterns(masks)
    numbers = np.random.default_rng(seed).integers(0, 9, len(found.votes)).astype(dtype)
    out = np.zeros(masks[0].shape, dtype)
    found.spread(numbers, out)
    lookup = {tuple(found.values[row]): number for row, number in zip(found.votes, numbers, strict=True)}
    np.testing.assert_array_equal(out.ravel(), [lookup[tuple(row)] for row in tuples(masks)])


@pytest.mark.parametrize("slab", [1, 40])
@pytest.mark.parametrize("dense", [1, 30])
def test_neither_slabs_nor_sorted_codes_change_anything(monkeypatch, slab, dense):
    masks = masks_of(3, 6, list(range(9)), (4, 9, 11))
    whole = vote_patterns(masks)
    monkeypatch.setattr(module, "_SLAB", slab)
    monkeypatch.setattr(module, "_DENSE", dense)
    part = vote_patterns(masks)
    for name in ("values", "votes", "counts", "disputed_index", "disputed_pattern", "unanimous_pattern"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(part, name))


def test_more_codes_than_64_bits_hold_are_told_apart():
    masks = [np.arange(600, dtype=np.uint16).reshape(1, 20, 30), *masks_of(5, 9, list(range(600)), (1, 20, 30))]
    found = vote_patterns(masks)
    assert len(found.counts) == 600
    assert found.counts.sum() == 600


def test_flags_and_shares_of_unanimous_regions_are_written():
    masks = [np.zeros((2, 3, 4), np.uint8) for _ in range(3)]
    for mask in masks:
        mask[0] = 7
    masks[0][1, 1, 1] = 7
    found = vote_patterns(masks)
    shares = (found.votes == 1).mean(axis=1).astype(np.float32)
    out = np.zeros((2, 3, 4), np.float32)
    found.spread(shares, out)
    assert (out[0] == 1).all()
    assert out[1, 1, 1] == pytest.approx(1 / 3)
    assert np.count_nonzero(out) == 13


def test_views_into_a_box_are_voted_on_without_a_copy_of_the_rest():
    masks = masks_of(8, 3, [0, 1, 2], (6, 9, 11))
    views = [mask[1:5, 2:8, 3:10] for mask in masks]
    copies = [view.copy() for view in views]
    np.testing.assert_array_equal(vote_patterns(views).counts, vote_patterns(copies).counts)


def test_an_empty_box_has_no_patterns():
    found = vote_patterns([np.zeros((0, 4, 5), np.uint8)] * 2)
    assert len(found.counts) == 0
    assert found.values.tolist() == [0]
