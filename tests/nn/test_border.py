from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from segdesk.nn.border import border_map, border_maps, separate_objects


def _brute_force(objects: np.ndarray, spacing: np.ndarray, weight: float, sigma: float) -> np.ndarray:
    """Equation 2 voxel by voxel: every distance to every voxel of every object."""
    result = np.zeros(objects.shape)
    places = [np.argwhere(objects == n) * spacing for n in range(1, objects.max() + 1)]
    for index in np.argwhere(objects == 0):
        nearest = sorted(np.linalg.norm(place - index * spacing, axis=1).min() for place in places)
        if len(nearest) > 1:
            result[tuple(index)] = weight * np.exp(-((nearest[0] + nearest[1]) ** 2) / (2 * sigma**2))
    return result


def _scattered(shape: tuple[int, ...], seed: int) -> np.ndarray:
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.5)
    return separate_objects((field > 0.12).astype(np.uint8), [1])


@pytest.mark.parametrize(
    ("shape", "spacing"), [((40, 44), (1, 1, 1)), ((10, 16, 18), (1, 1, 1)), ((8, 16, 14), (3, 1, 0.5))]
)
def test_the_map_equals_the_formula_voxel_by_voxel(shape: tuple[int, ...], spacing: tuple[float, ...]) -> None:
    objects = _scattered(shape, 3)
    assert objects.max() > 2
    steps = np.array(spacing[-len(shape) :]) / min(spacing[-len(shape) :])
    oracle = _brute_force(objects, steps, 10.0, 5.0)
    np.testing.assert_allclose(border_map(objects, 10.0, 5.0, spacing), oracle, atol=2e-6)


def test_distances_beyond_the_reach_weigh_nothing() -> None:
    objects = np.zeros((1, 200), np.int32)
    objects[0, :3], objects[0, -3:] = 1, 2
    np.testing.assert_allclose(border_map(objects, 10.0, 2.0), 0, atol=1e-6)


def test_a_gap_of_one_pixel_weighs_what_the_paper_says_and_objects_nothing() -> None:
    objects = np.ones((5, 9), np.int32)
    objects[:, 4] = 0
    objects[:, 5:] = 2
    weights = border_map(objects)
    np.testing.assert_allclose(weights[:, 4], 10 * np.exp(-(2**2) / 50), rtol=1e-5)
    assert not weights[:, :4].any()
    assert not weights[:, 5:].any()


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_objects_have_no_border_between_them(count: int) -> None:
    objects = np.zeros((6, 8), np.int32)
    objects[2:4, 2:4] = count
    assert not border_map(objects).any()


def test_pieces_that_share_a_face_are_one_object_and_classes_are_apart() -> None:
    classes = np.array([[1, 1, 0, 2], [0, 0, 1, 2], [2, 0, 1, 1]], np.uint8)
    objects = separate_objects(classes, [1, 2])
    assert objects.max() == 4
    assert objects[0, 0] == objects[0, 1] != objects[1, 2]
    assert objects[1, 2] == objects[2, 3]
    assert objects[0, 3] not in (objects[2, 0], objects[1, 2])
    assert not objects[classes == 0].any()


def test_cells_between_membranes_are_the_pieces_of_the_background() -> None:
    classes = np.zeros((1, 6, 9), np.uint8)
    classes[0, :, 4] = 1
    weights = border_maps(classes, [0], 10.0, 5.0, (1, 1, 1), 2)
    assert (weights[0, :, 4] > 9).all()
    assert not weights[classes == 0].any()


def test_two_dimensional_models_see_each_slice_by_itself() -> None:
    classes = np.zeros((2, 5, 9), np.uint8)
    classes[0, :, :4], classes[1, :, 5:] = 1, 1
    assert not border_maps(classes, [1], 10.0, 5.0, (1, 1, 1), 2).any()
    assert border_maps(classes, [1], 10.0, 5.0, (1, 1, 1), 3).any()
