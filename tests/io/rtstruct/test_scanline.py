"""Filling against scikit-image's point-in-polygon, where the rule is not in doubt, and by hand where it is."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.measure import points_in_poly

from segdesk.io.rtstruct.scanline import fill
from tests.io.rtstruct.structure_sets import square

_SHAPE = (28, 33)


def _filled(*polygons: object, shape: tuple[int, int] = _SHAPE) -> NDArray[np.bool_]:
    mask = np.zeros(shape, np.bool_)
    box = fill([np.asarray(polygon, float) for polygon in polygons], shape)
    mask[box.window] = box.mask
    return mask


def _centres() -> NDArray[np.float64]:
    return np.stack(np.mgrid[: _SHAPE[0], : _SHAPE[1]], axis=-1).reshape(-1, 2).astype(float)


def _distance_to_edges(polygon: NDArray[np.float64]) -> NDArray[np.float64]:
    points, start, end = _centres()[:, None], polygon[None], np.roll(polygon, -1, axis=0)[None]
    along = end - start
    part = np.clip(((points - start) * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-12), 0, 1)
    return np.linalg.norm(points - start - part[..., None] * along, axis=-1).min(axis=1).reshape(_SHAPE)


@pytest.mark.parametrize("seed", range(40))
def test_random_polygons_are_filled_as_scikit_image_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    polygon = rng.uniform(-8, 40, (int(rng.integers(3, 15)), 2))
    expected = points_in_poly(_centres(), polygon).reshape(_SHAPE)
    clear = _distance_to_edges(polygon) > 0.02
    assert np.array_equal(_filled(polygon)[clear], expected[clear])


@pytest.mark.parametrize("seed", range(10))
def test_several_contours_count_even_odd(seed: int) -> None:
    rng = np.random.default_rng(seed)
    polygons = [rng.uniform(0, 30, (6, 2)) for _ in range(3)]
    expected = sum(points_in_poly(_centres(), polygon).astype(int) for polygon in polygons).reshape(_SHAPE) % 2 == 1
    clear = np.min([_distance_to_edges(polygon) for polygon in polygons], axis=0) > 0.02
    assert np.array_equal(_filled(*polygons)[clear], expected[clear])


def test_a_contour_in_a_contour_is_a_hole_and_one_in_that_an_island() -> None:
    mask = _filled(square(0.5, 0.5, 20.5, 20.5), square(4.5, 4.5, 16.5, 16.5), square(8.5, 8.5, 10.5, 10.5))
    assert mask.sum() == 20 * 20 - 12 * 12 + 2 * 2
    assert mask[9, 9]
    assert not mask[6, 6]


def test_the_direction_of_turn_does_not_matter() -> None:
    outer, inner = square(0.5, 0.5, 20.5, 20.5), square(4.5, 4.5, 16.5, 16.5)
    assert np.array_equal(_filled(outer, inner), _filled(outer[::-1], inner))


def test_a_keyhole_cuts_the_hole_out() -> None:
    keyhole = [(2, 2), (2, 12), (12, 12), (12, 2), (7, 2), (7, 5), (9, 5), (9, 9), (5, 9), (5, 5), (7, 5), (7, 2)]
    inside = _filled(keyhole)
    assert inside[7, 3]  # on the channel
    assert not inside[7, 7]
    assert inside[2:13, 2:13].sum() == 121 - 9


def test_a_centre_on_the_outline_belongs() -> None:
    assert _filled(square(2, 3, 5, 7)).sum() == 4 * 5
    assert _filled([(5, 5), (9, 9), (13, 5), (9, 1)])[[5, 9, 13, 9], [5, 9, 5, 1]].all()


def test_the_border_of_a_hole_belongs_to_the_region() -> None:
    mask = _filled(square(2, 2, 12, 12), square(5, 5, 9, 9))
    assert mask.sum() == 121 - 9


def test_rounding_to_a_hundredth_does_not_take_a_centre_off_the_outline() -> None:
    shifted = np.array(square(2, 3, 5, 7)) + 0.004
    assert np.array_equal(_filled(shifted), _filled(square(2, 3, 5, 7)))


def test_a_line_of_one_voxel_drawn_there_and_back_is_its_voxels() -> None:
    assert np.argwhere(_filled([(3, 3), (3, 9)])).tolist() == [[3, column] for column in range(3, 10)]
    assert np.argwhere(_filled([(3, 3), (6, 6)])).tolist() == [[n, n] for n in range(3, 7)]
    assert np.argwhere(_filled([(4, 7)])).tolist() == [[4, 7]]


def test_a_repeated_or_closing_point_changes_nothing() -> None:
    corners = square(2.3, 3.1, 9.7, 12.2)
    assert np.array_equal(_filled(corners), _filled([corners[0], *corners, corners[0]]))


def test_what_lies_outside_the_slice_is_cut_off() -> None:
    assert np.array_equal(_filled(square(-9.5, -9.5, 40.5, 4.5)), _filled(square(-0.5, -0.5, 27.5, 4.5)))
    assert not _filled(square(-9, -9, -2, -2)).any()
    assert not _filled(square(50, 50, 60, 60)).any()


def test_a_contour_of_very_many_points_is_filled_in_parts() -> None:
    angles = np.linspace(0, 2 * np.pi, 300_000, endpoint=False)
    circle = np.column_stack([14 + 9.7 * np.sin(angles), 16 + 9.7 * np.cos(angles)])
    expected = (np.linalg.norm(_centres() - [14, 16], axis=1) < 9.7).reshape(_SHAPE)
    assert np.array_equal(_filled(circle), expected)


def test_what_lies_between_the_centres_is_no_voxel() -> None:
    assert not _filled([(3.5, 3.5)]).any()
    assert not _filled(square(3.1, 3.1, 3.9, 3.9)).any()
