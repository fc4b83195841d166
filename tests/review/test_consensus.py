"""The rules of merging: every row of the table of edge cases."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest

from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap, LabelTable
from segdesk.core.provenance import OriginKind
from segdesk.errors import ConsensusError, GeometryMismatch
from segdesk.review import consensus
from tests.review.reads import GRID, ball_reads, line, noise_reads, read

METHODS = ("majority", "quorum", "staple")


def codes(result):
    return [warn.code for warn in result.warnings]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("reads", [ball_reads(3), noise_reads(3, 4)], ids=["one label", "several"])
def test_the_order_of_raters_changes_nothing(method, reads):
    names = ["Ann", "Bob", "Cleo"]
    expected = consensus(reads, names=names, method=method)
    for order in itertools.permutations(range(3)):
        result = consensus([reads[n] for n in order], names=[names[n] for n in order], method=method)
        assert result.to_json() == expected.to_json()
        np.testing.assert_array_equal(result.labels.array, expected.labels.array)
        unnamed = consensus([reads[n] for n in order], method=method)
        np.testing.assert_array_equal(unnamed.labels.array, expected.labels.array)


@pytest.mark.parametrize("method", METHODS)
def test_a_rater_given_twice_counts_once_with_a_warning(method):
    first, second, third = ball_reads(3)
    once = consensus([first, second, third], names=["a", "b", "c"], method=method)
    twice = consensus([first, second, third, second.copy()], names=["a", "b", "c", "b"], method=method)
    np.testing.assert_array_equal(once.labels.array, twice.labels.array)
    assert [rater.name for rater in twice.raters] == ["a", "b", "c"]
    assert codes(twice) == ["rater_counted_once"]


def test_two_different_masks_under_one_name_are_refused():
    with pytest.raises(ConsensusError, match="Ann"):
        consensus(ball_reads(2), names=["Ann", "Ann"])


def test_a_rater_of_weight_0_is_recorded_and_not_counted():
    first, second, third = ball_reads(3)
    for method in METHODS:
        result = consensus([first, second, third], names=["a", "b", "c"], weights=[1, 1, 0], method=method, margin=0)
        without = consensus([first, second], names=["a", "b"], method=method, margin=0)
        np.testing.assert_array_equal(result.labels.array, without.labels.array)
        recorded = result.raters[2]
        assert (recorded.name, recorded.is_counted) == ("c", False)
        assert 0 < recorded.sensitivity[1] <= 1
        assert 0 < recorded.specificity[1] <= 1
        assert result.agreement.raters == ("a", "b")


@pytest.mark.parametrize("weight", [-1.0, -1e-9, math.nan, math.inf])
def test_a_weight_that_is_negative_or_no_number_is_refused(weight):
    with pytest.raises(ConsensusError) as caught:
        consensus(ball_reads(2), weights=[1.0, weight])
    assert caught.value.code == "bad_weight"


def test_weights_that_are_all_0_are_refused():
    with pytest.raises(ConsensusError, match="weight 0"):
        consensus(ball_reads(2), weights=[0, 0])


@pytest.mark.parametrize("method", METHODS)
def test_one_rater_is_no_consensus_and_says_so(method):
    (only,) = ball_reads(1)
    result = consensus([only], method=method)
    assert "one_rater" in codes(result)
    assert "no_consensus" not in codes(result)
    np.testing.assert_array_equal(result.labels.array, only.array)
    json.dumps(result.to_json(), allow_nan=False)


@pytest.mark.parametrize("method", METHODS)
def test_raters_who_all_drew_nothing_agree_on_empty(method):
    result = consensus([LabelMap.empty(GRID)] * 3, names=list("abc"), method=method)
    assert result.is_agreed_empty
    assert not result.labels.array.any()
    assert result.warnings == ()
    payload = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert payload["agreed_empty"] is True
    assert payload["voxels"] == {"consensus": 0, "disputed": 0, "undecided": 0}
    assert consensus([LabelMap.empty(GRID)] * 2, names=list("ab"), method=method, domain="whole").is_agreed_empty


@pytest.mark.parametrize("method", METHODS)
def test_two_disjoint_raters_have_no_consensus_whatever_em_says(method):
    result = consensus([line(1, 1, 1, 1, 0, 0, 0), line(0, 0, 0, 0, 1, 0, 0)], method=method)
    assert "no_consensus" in codes(result)
    assert not result.labels.array.any()
    assert result.undecided.array.ravel().tolist() == [1, 1, 1, 1, 1, 0, 0]


@pytest.mark.parametrize("others", [1, 2])
def test_what_one_rater_drew_alone_is_no_consensus_of_staple(others):
    empty = [line(0, 0, 0, 0)] * others
    result = consensus([line(0, 1, 1, 0), *empty], names=list("abc")[: others + 1], domain="whole")
    assert "no_consensus" in codes(result)
    assert not result.labels.array.any()


def test_a_stray_label_of_one_rater_leaves_a_shared_one_alone():
    reads = [line(1, 1, 1, 0, 0, 0)] * 2 + [line(1, 1, 2, 0, 0, 0)]
    result = consensus(reads, names=list("abc"), domain="whole")
    assert result.labels.array.ravel().tolist() == [1, 1, 1, 0, 0, 0]
    assert any("Label 2" in warn.message for warn in result.warnings)


def test_a_rater_whom_staple_distrusts_is_named():
    array = np.zeros((1, 30, 30), np.uint8)
    array[:, 5:20, 5:20] = 1
    other = np.zeros_like(array)
    other[:, 18:26, 18:26] = 1
    result = consensus([read(array), read(array), read(other)], names=["Ann", "Bob", "Cleo"])
    assert result.raters[2].sensitivity[1] < 0.5
    (doubt,) = (warn for warn in result.warnings if warn.code == "no_consensus")
    assert "Cleo" in doubt.message
    np.testing.assert_array_equal(result.labels.array, array)


def test_masks_on_different_grids_are_refused():
    first, second = ball_reads(2)
    moved = GRID.affine_kji_to_lps.copy()
    moved[0, 3] = 5.0
    with pytest.raises(GeometryMismatch, match="grids"):
        consensus([first, LabelMap.of(second.array, Geometry(GRID.shape_kji, moved))])


def test_overlapping_layers_are_refused():
    layer = np.zeros(GRID.shape_kji, np.uint8)
    with pytest.raises(ConsensusError, match="layers"):
        consensus([LabelMap((layer, layer), GRID, LabelTable())])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "loudest"}, "method"),
        ({"domain": "half"}, "domain"),
        ({"margin": -1}, "margin"),
        ({"names": ["a"]}, "names"),
        ({"weights": [1.0]}, "weights"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(options, message):
    with pytest.raises(ConsensusError, match=message):
        consensus(ball_reads(2), **options)


def test_no_masks_are_refused():
    with pytest.raises(ConsensusError, match="no masks"):
        consensus([])


def test_the_domain_is_the_union_box_and_a_margin_inside_the_grid():
    first, second = (np.zeros((5, 30, 30), np.uint8) for _ in range(2))
    first[1, 12:15, 3:6], second[2, 13:18, 4:8] = 1, 1
    result = consensus([read(first), read(second)], margin=4)
    assert result.to_json()["domain"] == {"name": "union", "box_kji": [[0, 8, 0], [5, 22, 12]], "margin": 4}
    whole = consensus([read(first), read(second)], domain="whole")
    assert whole.to_json()["domain"]["box_kji"] == [[0, 0, 0], [5, 30, 30]]


def test_votes_are_the_share_of_the_most_chosen_label():
    reads = [line(0, 1, 1, 1), line(0, 0, 1, 2), line(0, 0, 0, 1)]
    result = consensus(reads, method="majority", domain="whole")
    np.testing.assert_allclose(result.votes.array.ravel(), [0, 1 / 3, 2 / 3, 2 / 3])
    weighted = consensus(reads, method="majority", domain="whole", weights=[2, 1, 1])
    np.testing.assert_allclose(weighted.votes.array.ravel(), [0, 1 / 2, 3 / 4, 3 / 4])


def test_quality_after_a_vote_is_counted_against_the_consensus():
    result = consensus([line(1, 1, 0, 0), line(1, 1, 0, 0), line(1, 0, 1, 0)], method="majority", domain="whole")
    assert [rater.sensitivity[1] for rater in result.raters] == [1.0, 1.0, 0.5]
    assert [rater.specificity[1] for rater in result.raters] == [1.0, 1.0, 0.5]
    assert (result.iterations, result.converged) == (None, None)


def test_json_has_the_fields_of_the_contract_and_no_nan():
    payload = json.loads(json.dumps(consensus(noise_reads(3, 4)).to_json(), allow_nan=False))
    assert {"method", "domain", "raters", "voxels", "iterations", "converged", "warnings", "agreement"} <= set(payload)
    assert payload["raters"][0].keys() >= {"name", "sensitivity", "specificity"}
    assert payload["raters"][0]["sensitivity"].keys() == {"1", "2", "3"}


def test_the_result_says_what_it_was_made_from():
    result = consensus(ball_reads(3), names=["a", "b", "c"], method="quorum", quorum="2/3", margin=2)
    assert result.labels.origin.kind is OriginKind.CONSENSUS
    assert result.labels.origin.author == "quorum"
    assert result.labels.origin.parameters == {"raters": "a, b, c", "domain": "union", "margin": 2, "quorum": "2/3"}
    assert consensus(ball_reads(3)).labels.origin.parameters["quorum"] is None


def test_a_value_the_tables_do_not_name_keeps_its_number():
    array = np.zeros((1, 2, 3), np.uint16)
    array[0, 0] = 300
    unnamed = [LabelMap((array.copy(),), Geometry.from_spacing((1, 2, 3)), LabelTable()) for _ in range(2)]
    result = consensus(unnamed, method="majority")
    assert result.labels.values() == (300,)
    assert 300 in result.labels.table


def test_the_inputs_are_not_touched():
    reads = ball_reads(3)
    before = [each.array.copy() for each in reads]
    result = consensus(reads, method="majority")
    result.labels.array[...] = 9
    for mask, old in zip(reads, before, strict=True):
        np.testing.assert_array_equal(mask.array, old)
