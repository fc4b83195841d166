from __future__ import annotations

import math

import pytest

from segdesk.ui.models import number_text


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(0.87654, 3, "0.877"), (math.nan, 3, "-"), (math.inf, 2, "-"), (-0.0001, 2, "0.00"), (-1.25, 2, "-1.25")],
)
def test_a_number_has_fixed_decimals_and_undefined_is_a_dash(value: float, digits: int, text: str) -> None:
    assert number_text.fixed(value, digits) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1.5, "+1.5"), (-1.5, "-1.5"), (0.0, "0.0"), (math.nan, "-"), (0.04, "0.0")]
)
def test_a_signed_number_carries_a_plus_only_when_it_is_positive(value: float, text: str) -> None:
    assert number_text.signed(value) == text


@pytest.mark.parametrize(
    ("mm3", "text"), [(12.4, "12 mm³"), (4321.0, "4.32 mL"), (-4321.0, "-4.32 mL"), (math.nan, "-")]
)
def test_a_volume_takes_the_unit_that_reads_best(mm3: float, text: str) -> None:
    assert number_text.volume(mm3) == text


def test_a_mean_says_what_it_rests_on() -> None:
    assert number_text.mean_with_counts(0.8731, 4, 1) == "0.873 (n 4, 1 undefined)"
    assert number_text.mean_with_counts(math.nan, 0, 3) == "- (n 0, 3 undefined)"
    assert number_text.mean_with_counts(0.5, 2, 0) == "0.500 (n 2)"


@pytest.mark.parametrize(
    ("seconds", "text"), [(8, "0:08"), (754, "12:34"), (3723, "1:02:03"), (math.nan, "-"), (-4, "0:00")]
)
def test_a_duration_reads_like_a_clock(seconds: float, text: str) -> None:
    assert number_text.duration(seconds) == text


def test_counting_knows_singular_plural_and_thousands() -> None:
    assert number_text.count(1, "case") == "1 case"
    assert number_text.count(12345, "voxel") == "12 345 voxels"
    assert number_text.count(2, "study", "studies") == "2 studies"


def test_a_share_reads_as_a_percentage() -> None:
    assert number_text.percent(0.256) == "26 %"
    assert number_text.percent(math.nan) == "-"


def test_a_size_is_told_columns_first() -> None:
    assert number_text.size_kji((30, 40, 50), None) == "50 × 40 × 30"
    assert number_text.size_kji((30, 40, 50), (3.0, 0.75, 0.75)) == "50 × 40 × 30 · 0.75 × 0.75 × 3 mm"
