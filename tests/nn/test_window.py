from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdesk.nn.window import WindowPlan


@given(
    st.tuples(*[st.integers(1, 40)] * 3),
    st.tuples(*[st.integers(1, 16)] * 3),
    st.tuples(*[st.integers(0, 3)] * 3),
    st.floats(0, 0.9),
    st.sampled_from([1, 2, 4, 8]),
)
def test_every_voxel_gets_weight_and_overlaps_and_steps_are_as_asked(
    shape: tuple[int, int, int],
    window: tuple[int, int, int],
    margin: tuple[int, int, int],
    overlap: float,
    divisor: int,
) -> None:
    plan = WindowPlan(shape, window, margin, overlap, (divisor,) * 3)
    for axis in range(3):
        starts = plan.starts[axis]
        assert plan.totals[axis].min() > 0
        assert starts[-1] + window[axis] == plan.padded_shape[axis] >= shape[axis]
        assert all(start % divisor == 0 or divisor > window[axis] for start in starts[: None if margin[axis] else -1])
        wanted = window[axis] * (1 - (0 if margin[axis] else overlap))
        assert max(np.diff(starts), default=0) <= max(wanted + 1e-6, min(divisor, window[axis]))
        assert all(np.diff(starts) > 0)
    assert sum(1 for _ in plan.windows()) == plan.count


def test_totals_are_a_product_of_the_sums_along_each_axis() -> None:
    plan = WindowPlan((9, 14, 11), (4, 6, 5), overlap=0.4)
    added = np.zeros(plan.padded_shape)
    for window in plan.windows():
        k, j, i = (slice(c, c + w) for c, w in zip(window.corner, plan.window, strict=True))
        a, b, c = window.profiles
        added[k, j, i] += a[:, None, None] * b[:, None] * c
    a, b, c = plan.totals
    assert np.allclose(added, a[:, None, None] * b[:, None] * c, rtol=1e-5)


def test_neighbours_overlap_at_least_as_much_as_asked() -> None:
    starts = WindowPlan((100, 1, 1), (32, 1, 1), overlap=0.5).starts[0]
    assert max(np.diff(starts)) <= 16
    assert starts[0] == 0
    assert starts[-1] == 68


def test_no_overlap_gives_the_fewest_windows() -> None:
    assert WindowPlan((64, 64, 64), (32, 32, 32), overlap=0.0).count == 8


@pytest.mark.parametrize("length", [1, 2, 5, 30])
def test_borders_of_a_network_with_a_margin_are_mirrored(length: int) -> None:
    image = np.arange(length, dtype=np.float32).reshape(1, 1, 1, length)
    plan = WindowPlan((1, 1, length), (1, 1, 4), margin=(0, 0, 3))
    padded = plan.pad(image)
    extra = max(0, 4 - length)
    widths = (extra // 2 + 3, extra - extra // 2 + 3)
    expected = np.pad(image[0, 0, 0], widths, mode="reflect" if length > 1 else "edge")
    assert np.array_equal(padded[0, 0, 0], expected)


def test_tiles_of_a_network_with_a_margin_do_not_overlap_more_than_needed() -> None:
    plan = WindowPlan((1, 8, 8), (1, 4, 4), margin=(0, 3, 3), overlap=0.5)
    assert plan.count == 4
    assert plan.view((0, 4, 4)).stop_kji == (1, 14, 14)
