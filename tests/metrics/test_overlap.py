from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sklearn_metrics

from segdesk.errors import ShapeMismatch
from segdesk.metrics import LabelCounts, confusion, dice, mask_counts, overlap


@pytest.fixture
def maps():
    rng = np.random.default_rng(5)
    reference = rng.integers(0, 6, (7, 23, 31)).astype(np.uint8)
    candidate = np.where(rng.random(reference.shape) < 0.7, reference, rng.integers(0, 6, reference.shape))
    return reference, candidate.astype(np.uint8)


def test_dice_and_jaccard_of_every_label_equal_simpleitk(maps):
    counts = confusion(*maps)
    oracle = SimpleITK.LabelOverlapMeasuresImageFilter()
    oracle.Execute(*(SimpleITK.GetImageFromArray(array) for array in (maps[1], maps[0])))
    for value in range(1, 6):
        assert counts.of(value).dice == pytest.approx(oracle.GetDiceCoefficient(value), abs=1e-12)
        assert counts.of(value).iou == pytest.approx(oracle.GetJaccardCoefficient(value), abs=1e-12)


def test_the_table_of_pairs_equals_scikit_learn(maps, monkeypatch):
    monkeypatch.setattr(overlap, "_CHUNK", 100)
    counts = confusion(*maps)
    table = sklearn_metrics.confusion_matrix(maps[0].ravel(), maps[1].ravel())
    assert [[counts.pairs.get((a, b), 0) for b in range(6)] for a in range(6)] == table.tolist()
    assert counts.pixel_accuracy == pytest.approx(sklearn_metrics.accuracy_score(maps[0].ravel(), maps[1].ravel()))


def test_ratios_of_a_mask_equal_scikit_learn(maps):
    reference, candidate = maps[0] == 2, maps[1] == 2
    counts = mask_counts(reference, candidate)
    truth, said = reference.ravel(), candidate.ravel()
    assert counts.precision == pytest.approx(sklearn_metrics.precision_score(truth, said))
    assert counts.recall == pytest.approx(sklearn_metrics.recall_score(truth, said))
    assert counts.specificity == pytest.approx(sklearn_metrics.recall_score(~truth, ~said))
    assert counts.f1 == pytest.approx(sklearn_metrics.f1_score(truth, said))
    assert counts.accuracy == pytest.approx(sklearn_metrics.accuracy_score(truth, said))


def test_uint8_and_uint16_maps_with_large_values_are_compared():
    reference = np.array([0, 3, 65535, 300, 300], np.uint16)
    candidate = np.array([0, 3, 255, 44, 7], np.uint8)
    counts = confusion(reference, candidate)
    assert counts.values == (3, 7, 44, 255, 300, 65535)
    assert counts.of(3).dice == 1.0
    assert counts.of(44) == LabelCounts(0, 1, 0, 4)
    assert counts.of(300) == LabelCounts(0, 0, 2, 3)


def test_label_2_against_itself_is_exactly_1(maps):
    assert confusion(maps[0], maps[0]).of(2).dice == 1.0


def test_two_empty_masks_are_undefined_and_not_1():
    counts = mask_counts(np.zeros((2, 3, 4), bool), np.zeros((2, 3, 4), bool))
    assert all(math.isnan(x) for x in (counts.dice, counts.iou, counts.precision, counts.recall))
    assert counts.specificity == 1.0


def test_one_empty_mask_gives_0_and_not_undefined():
    empty, full = np.zeros((2, 3, 4), bool), np.ones((2, 3, 4), bool)
    assert dice(full, empty) == dice(empty, full) == 0.0
    assert math.isnan(mask_counts(full, empty).specificity)


def test_an_array_without_voxels_has_no_accuracy():
    nothing = np.zeros((0, 3, 4), np.uint8)
    assert math.isnan(confusion(nothing, nothing).pixel_accuracy)
    assert math.isnan(LabelCounts(0, 0, 0, 0).accuracy)


def test_counts_of_more_than_2_to_the_31_voxels_do_not_overflow():
    half = LabelCounts(3 << 31, 1 << 32, 5, 7 << 33)
    both = half + half
    assert both.reference == (3 << 32) + 10
    assert both.dice == pytest.approx(2 * (3 << 32) / ((3 << 32) * 2 + (1 << 33) + 10))


def test_different_shapes_are_refused():
    with pytest.raises(ShapeMismatch, match=r"\(2, 3, 5\)"):
        dice(np.zeros((2, 3, 4), bool), np.zeros((2, 3, 5), bool))


masks = arrays(np.bool_, (3, 4, 5))


@given(masks, masks)
def test_dice_is_symmetric_and_follows_from_jaccard(first, second):
    counts, back = mask_counts(first, second), mask_counts(second, first)
    assert counts.dice == back.dice or (math.isnan(counts.dice) and math.isnan(back.dice))
    if not math.isnan(counts.dice):
        assert counts.dice == pytest.approx(2 * counts.iou / (1 + counts.iou))
    assert counts.true_positive + counts.false_positive + counts.false_negative + counts.true_negative == 60
    assert counts.true_positive == int((first & second).sum())


@given(st.integers(0, 300), st.integers(1, 40))
def test_non_contiguous_views_are_counted_like_copies(seed, step):
    array = np.random.default_rng(seed).integers(0, 3, (2, 40, 9)).astype(np.uint8)
    view = array[:, ::step, 1:8]
    assert confusion(view, view[:, ::-1]).pairs == confusion(view.copy(), view[:, ::-1].copy()).pairs
