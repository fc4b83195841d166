from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import SimpleITK

from segdesk.errors import ConsensusError
from segdesk.review import consensus
from segdesk.review.voting import parse_quorum
from tests.review.reads import line, noise_reads


def merged(*reads, **options):
    return consensus(list(reads), domain="whole", **options)


def values(result):
    return result.labels.array.ravel().tolist(), result.undecided.array.ravel().tolist()


@pytest.mark.parametrize("count", [3, 4, 5])
def test_majority_equals_simpleitk_wherever_one_label_has_more_than_half(count):
    reads = noise_reads(count, classes=3)
    result = merged(*reads, method="majority")
    voted = SimpleITK.LabelVoting([SimpleITK.GetImageFromArray(read.array) for read in reads], 99)
    plurality = SimpleITK.GetArrayFromImage(voted)
    decided = result.undecided.array == 0
    np.testing.assert_array_equal(result.labels.array[decided], plurality[decided])
    votes = np.stack([(np.stack([read.array for read in reads]) == value).sum(0) for value in range(3)])
    np.testing.assert_array_equal(decided, votes.max(0) * 2 > count)


def test_a_tie_is_undecided_and_background_and_never_a_label_nobody_drew():
    result = merged(line(1, 1, 0), line(1, 1, 0), line(2, 1, 0), line(2, 0, 1), method="majority")
    assert values(result) == ([0, 1, 0], [1, 0, 0])
    assert result.disputed.array.ravel().tolist() == [1, 1, 1]


def test_three_opinions_without_a_majority_are_undecided():
    assert values(merged(line(1), line(2), line(3), method="majority")) == ([0], [1])


def test_background_wins_like_any_class():
    assert values(merged(line(1), line(0), line(0), method="majority")) == ([0], [0])


@pytest.mark.parametrize(
    ("quorum", "expected"),
    [
        ("2/3", ([1, 1, 0], [0, 0, 0])),
        ("1", ([1, 0, 0], [0, 1, 1])),
        (3, ([1, 0, 0], [0, 1, 1])),
        ("3/3", ([1, 0, 0], [0, 1, 1])),
        ("0.34", ([1, 1, 0], [0, 0, 0])),
        (Fraction(1, 3), ([1, 0, 0], [0, 1, 1])),
        (None, ([1, 1, 0], [0, 0, 0])),
    ],
)
def test_a_quorum_is_reached_in_exact_arithmetic_by_one_class_alone(quorum, expected):
    reads = (line(1, 1, 1), line(1, 1, 0), line(1, 0, 0))
    assert values(merged(*reads, method="quorum", quorum=quorum)) == expected


def test_a_third_of_three_is_exactly_one_vote():
    assert parse_quorum("1/3", Fraction(3)) == 1
    assert parse_quorum("2/3", Fraction(6)) == 4


@pytest.mark.parametrize("quorum", ["4/3", "0", 0, "-1", "x", "1/0", "", 4, "4", 1.5, float("nan"), float("inf")])
def test_a_quorum_that_is_no_fraction_or_count_is_refused(quorum):
    with pytest.raises(ConsensusError) as caught:
        merged(line(1), line(1), line(0), method="quorum", quorum=quorum)
    assert caught.value.code == "bad_quorum"


def test_weights_count_as_so_many_votes():
    reads = (line(1), line(0), line(0))
    assert values(merged(*reads, method="majority", weights=[3, 1, 1])) == ([1], [0])
    assert values(merged(*reads, method="majority", weights=[2, 1, 1])) == ([0], [1])
    assert values(merged(*reads, method="majority", weights=[0.1, 0.1, 0.1])) == ([0], [0])


def test_tenths_add_up_exactly_whatever_their_order():
    weights = [0.1, 0.2, 0.3]
    reads = [line(1), line(1), line(0)]
    forwards = values(merged(*reads, method="majority", weights=weights))
    assert forwards == values(merged(*reads[::-1], method="majority", weights=weights[::-1]))
