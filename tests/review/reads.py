"""Reads of simulated readers, for tests."""

from __future__ import annotations

import numpy as np

from segdesk.core.geometry import Geometry
from segdesk.core.labels import LabelMap
from tests.builders import ball_mask

GRID = Geometry.from_spacing((12, 40, 44), (2.5, 0.8, 0.8))


def read(array, geometry=None):
    array = np.asarray(array)
    return LabelMap.of(array, geometry or Geometry.from_spacing(array.shape))


def line(*values):
    """A read of a row of voxels: (1, 1, n)."""
    return read(np.array([[values]], np.uint8))


def ball_reads(count=4, seed=0, values=(1,)):
    """Balls that every reader draws a little elsewhere."""
    rng = np.random.default_rng(seed)
    reads = []
    for _ in range(count):
        array = np.zeros(GRID.shape_kji, np.uint8)
        for number, value in enumerate(values):
            centre = np.array([6, 14 + 9 * number, 20]) + rng.normal(0, 0.8, 3)
            array[ball_mask(GRID.shape_kji, tuple(centre), rng.uniform(5.0, 7.5), GRID)] = value
        reads.append(LabelMap.of(array, GRID))
    return reads


def noise_reads(count=3, classes=4, seed=1, shape=(4, 15, 17)):
    """Reads that agree on three voxels of four and guess on the rest."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, shape)
    guesses = [np.where(rng.random(shape) < 0.75, truth, rng.integers(0, classes, shape)) for _ in range(count)]
    return [read(guess.astype(np.uint8)) for guess in guesses]
