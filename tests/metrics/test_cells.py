from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import label
from skimage.metrics import adapted_rand_error

from segdesk.errors import ShapeMismatch
from segdesk.metrics import cell_scores


def _walls(seed: int, shape: tuple[int, int, int] = (1, 60, 70)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.normal(size=shape), (0, 3, 3))
    return np.abs(field) < 0.02


def _oracle(candidate: np.ndarray, reference: np.ndarray) -> tuple[float, float, float]:
    """scikit-image's score of one slice; candidate walls become cells of one pixel first, as the challenge counts."""
    cells = label(~candidate, connectivity=1)
    cells[candidate] = cells.max() + 1 + np.arange(int(candidate.sum()))
    # Its docstring divides "prec" by the test image's pairs; its code divides by those of the true image.
    error, split, merge = adapted_rand_error(label(~reference, connectivity=1), cells)
    return 1 - error, merge, split


@pytest.mark.parametrize("seed", range(6))
def test_equals_scikit_image(seed: int) -> None:
    candidate, reference = _walls(seed), _walls(seed) ^ (np.random.default_rng(seed + 50).random((1, 60, 70)) < 0.03)
    scores = cell_scores(candidate, reference)
    rand, merge, split = _oracle(candidate[0], reference[0])
    assert (scores.rand, scores.merge, scores.split) == pytest.approx((rand, merge, split), abs=1e-12)
    assert 0 < scores.rand < 1


def test_slices_are_scored_apart_and_pooled() -> None:
    candidate, reference = _walls(1, (3, 40, 40)), _walls(2, (3, 40, 40))
    pooled = cell_scores(candidate, reference)
    alone = [cell_scores(candidate[k : k + 1], reference[k : k + 1]) for k in range(3)]
    assert pooled == alone[0] + alone[1] + alone[2]


def test_one_hole_in_a_wall_merges_two_cells() -> None:
    reference = np.zeros((1, 9, 9), bool)
    reference[0, 4] = True
    candidate = reference.copy()
    candidate[0, 4, 4] = False
    scores = cell_scores(candidate, reference)
    assert scores.split == 1
    assert scores.merge == pytest.approx((2 * 36 * 35) / (72 * 71))
    assert cell_scores(reference, reference).rand == 1


def test_a_diagonal_wall_separates() -> None:
    wall = np.eye(8, dtype=bool)[None]
    scores = cell_scores(wall, wall)
    assert scores.pairs_reference == 2 * 28 * 27


def test_without_cells_nothing_is_defined() -> None:
    wall = np.ones((1, 3, 3), bool)
    scores = cell_scores(wall, wall)
    assert math.isnan(scores.rand)
    assert math.isnan(scores.merge)
    assert math.isnan(scores.split)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ShapeMismatch):
        cell_scores(np.zeros((1, 3, 3), bool), np.zeros((1, 3, 4), bool))
