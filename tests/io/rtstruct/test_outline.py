"""Polygons along voxel borders: read back by scikit-image, by either rule a reader may have."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.measure import points_in_poly

from segdesk.io.rtstruct.outline import outlines


def _centres(shape: tuple[int, int]) -> NDArray[np.float64]:
    return np.stack(np.mgrid[: shape[0], : shape[1]], axis=-1).reshape(-1, 2).astype(float)


def _even_odd_and_union(mask: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Fill each polygon with scikit-image; combine them the two ways readers do."""
    counts = np.zeros(mask.shape, int)
    centres = _centres(mask.shape[1:])
    for outline in outlines(mask):
        counts[outline.k] += points_in_poly(centres, outline.corners_ji).reshape(mask.shape[1:])
    return counts % 2 == 1, counts > 0


@pytest.mark.parametrize("density", [0.1, 0.4, 0.6, 0.9, 0.97])
@pytest.mark.parametrize("seed", range(4))
def test_every_voxel_comes_back_whether_a_reader_counts_or_adds(density: float, seed: int) -> None:
    mask = np.random.default_rng(seed).random((2, 11, 14)) < density
    even_odd, union = _even_odd_and_union(mask)
    assert np.array_equal(even_odd, mask)
    assert np.array_equal(union, mask)


@pytest.mark.parametrize("seed", range(4))
def test_the_area_of_the_polygons_is_that_of_the_voxels(seed: int) -> None:
    mask = np.random.default_rng(seed).random((1, 12, 12)) < 0.7
    area = 0.0
    for outline in outlines(mask):
        rows, columns = outline.corners_ji.T
        area += 0.5 * float(columns @ np.roll(rows, -1) - rows @ np.roll(columns, -1))
    assert area == mask.sum()


def test_one_voxel_is_a_square_around_its_centre() -> None:
    mask = np.zeros((3, 5, 6), np.bool_)
    mask[1, 2, 4] = True
    (outline,) = outlines(mask)
    assert outline.k == 1
    assert sorted(map(tuple, outline.corners_ji)) == [(1.5, 3.5), (1.5, 4.5), (2.5, 3.5), (2.5, 4.5)]


def test_straight_borders_have_corners_only_at_turns() -> None:
    mask = np.zeros((1, 50, 60), np.bool_)
    mask[0, 3:40, 5:50] = True
    assert len(outlines(mask)[0].corners_ji) == 4


def test_a_region_over_the_whole_slice_runs_along_its_border() -> None:
    (outline,) = outlines(np.ones((1, 4, 5), np.bool_))
    assert outline.corners_ji.min() == -0.5
    assert outline.corners_ji.max(axis=0).tolist() == [3.5, 4.5]


def test_a_hole_is_joined_to_the_outside_by_a_channel_of_no_width() -> None:
    mask = np.zeros((1, 9, 9), np.bool_)
    mask[0, 2:7, 2:7] = True
    mask[0, 4, 4] = False
    (outline,) = outlines(mask)
    assert len(outline.corners_ji) == 4 + 4 + 2
    corners = [tuple(corner) for corner in outline.corners_ji]
    assert corners.count((3.5, 1.5)) == 2  # where the channel leaves the outside, there and back
    assert {(3.5, 3.5), (3.5, 4.5), (4.5, 3.5), (4.5, 4.5)} <= set(corners)


def test_an_island_in_a_hole_is_a_polygon_of_its_own() -> None:
    mask = np.zeros((1, 11, 11), np.bool_)
    mask[0, 1:10, 1:10] = True
    mask[0, 3:8, 3:8] = False
    mask[0, 5, 5] = True
    assert len(outlines(mask)) == 2


def test_voxels_that_touch_at_a_corner_are_two_polygons() -> None:
    mask = np.zeros((1, 4, 4), np.bool_)
    mask[0, 1, 1] = mask[0, 2, 2] = True
    assert len(outlines(mask)) == 2


def test_an_empty_mask_has_no_outline() -> None:
    assert outlines(np.zeros((2, 3, 4), np.bool_)) == []
