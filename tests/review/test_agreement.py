from __future__ import annotations

import json
import math

import numpy as np
import pytest
from sklearn.metrics import f1_score
from statsmodels.stats import inter_rater

from segdesk.core.labels import LabelMap
from segdesk.review import agreement
from segdesk.review.agreement import fleiss_kappa, krippendorff_alpha
from tests.review.reads import GRID, ball_reads, line, noise_reads

NAN = math.nan
KRIPPENDORFF_2011 = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
)
"""Four observers, twelve units, missing reads: Krippendorff, Computing Krippendorff's alpha-reliability, 2011, C."""

FLEISS_1971 = np.array(
    [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
)
"""Fourteen raters, ten subjects, five classes: the worked example of the encyclopedia's article on Fleiss' kappa."""


def ones(table):
    return np.ones(len(table), np.int64)


def test_alpha_of_the_published_example_with_missing_reads():
    table = np.stack([(value == KRIPPENDORFF_2011).sum(axis=0) for value in range(1, 6)], axis=1)
    assert krippendorff_alpha(table, ones(table)) == pytest.approx(0.743, abs=5e-4)


def test_kappa_of_the_published_example():
    assert fleiss_kappa(FLEISS_1971, ones(FLEISS_1971)) == pytest.approx(0.210, abs=5e-4)


def test_kappa_and_alpha_of_noise_equal_statsmodels():
    reads = noise_reads(4, 3)
    votes = np.stack([read.array.ravel() for read in reads], axis=1)
    table = inter_rater.aggregate_raters(votes)[0]
    result = agreement(reads, domain="whole")
    assert result.fleiss_kappa == pytest.approx(inter_rater.fleiss_kappa(table))
    # Without missing reads alpha is kappa with a correction for small samples (Krippendorff 2011).
    kappa, n = inter_rater.fleiss_kappa(table), votes.size
    assert result.krippendorff_alpha == pytest.approx(kappa + (1 - kappa) / n, abs=1e-9)


def test_counting_a_unit_twice_equals_writing_it_twice():
    twice = np.repeat(FLEISS_1971, 2, axis=0)
    counts = np.full(len(FLEISS_1971), 2)
    assert fleiss_kappa(FLEISS_1971, counts) == pytest.approx(fleiss_kappa(twice, ones(twice)))
    assert krippendorff_alpha(FLEISS_1971, counts) == pytest.approx(krippendorff_alpha(twice, ones(twice)))


def test_agreement_that_chance_explains_wholly_is_undefined():
    table = np.array([[3, 0], [3, 0]])
    assert math.isnan(fleiss_kappa(table, ones(table)))
    assert math.isnan(krippendorff_alpha(table, ones(table)))
    nothing = np.zeros((0, 2), int)
    assert math.isnan(fleiss_kappa(nothing, ones(nothing)))
    assert math.isnan(krippendorff_alpha(np.array([[1, 0], [0, 1]]), np.ones(2, int)))


def test_pairwise_dice_equals_scikit_learn():
    reads = noise_reads(3, 4)
    result = agreement(reads, domain="whole")
    for label in result.labels:
        masks = [(read.array == label.value).ravel() for read in reads]
        expected = [[f1_score(a, b) for b in masks] for a in masks]
        np.testing.assert_allclose(label.dice, expected)
        pairs = [expected[0][1], expected[0][2], expected[1][2]]
        assert label.mean_dice == pytest.approx(np.mean(pairs))
        assert label.least_dice == pytest.approx(min(pairs))


def test_the_conformity_index_is_intersections_over_unions_of_all_pairs():
    result = agreement([line(1, 1, 1, 0), line(1, 1, 0, 0), line(0, 1, 0, 1)])
    assert result.labels[0].gci == pytest.approx((2 + 1 + 1) / (3 + 4 + 3))


def test_every_reader_is_compared_with_the_majority_of_the_others():
    label = agreement([line(1, 1, 1, 0), line(1, 1, 0, 0), line(0, 1, 0, 1)]).labels[0]
    # Of two others both must agree: a tie is background.
    assert label.leave_one_out_dice == (pytest.approx(2 / 4), pytest.approx(2 / 3), pytest.approx(2 * 1 / 4))


def test_two_readers_have_nobody_left_to_agree():
    label = agreement([line(1, 0), line(1, 1)]).labels[0]
    assert all(math.isnan(x) for x in label.leave_one_out_dice)


def test_a_label_only_some_drew_has_undefined_pairs_outside_the_mean():
    result = agreement([line(1, 2), line(1, 0), line(1, 0)])
    label = result.labels[1]
    assert label.mean_dice == 0.0
    payload = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert payload["labels"]["2"]["pairwise_dice"]["matrix"][1][2] is None
    assert payload["labels"]["2"]["leave_one_out_dice"] == [0.0, None, None]


def test_nobody_drew_anything_is_undefined_and_not_1():
    result = agreement([LabelMap.empty(GRID)] * 2, names=["a", "b"])
    assert result.labels == ()
    assert math.isnan(result.krippendorff_alpha)
    json.dumps(result.to_json(), allow_nan=False)


def test_one_reader_agrees_with_nobody():
    result = agreement(ball_reads(1))
    assert math.isnan(result.labels[0].mean_dice)
    assert math.isnan(result.labels[0].least_dice)
    assert math.isnan(result.labels[0].gci)
    assert math.isnan(result.fleiss_kappa)
    assert [warn.code for warn in result.warnings] == ["one_rater"]


def test_the_whole_volume_inflates_kappa_and_leaves_dice_alone():
    reads = ball_reads(3)
    union, whole = agreement(reads, margin=0), agreement(reads, domain="whole")
    assert whole.fleiss_kappa > union.fleiss_kappa
    assert whole.labels[0].mean_dice == union.labels[0].mean_dice


def test_json_has_the_fields_of_the_contract():
    payload = agreement(ball_reads(3), names=["c", "a", "b"]).to_json()
    assert payload.keys() >= {"raters", "labels", "krippendorff_alpha", "fleiss_kappa", "domain"}
    assert payload["raters"] == ["a", "b", "c"]
    assert payload["labels"]["1"].keys() >= {"pairwise_dice", "gci", "leave_one_out_dice"}
