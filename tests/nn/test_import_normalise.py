"""The two normalisations that foreign models brought, against those of their makers."""

from __future__ import annotations

import numpy as np
import torch
from monai.transforms import NormalizeIntensity

from segdesk.core.geometry import Geometry
from segdesk.core.volume import Volume
from segdesk.nn.normalise import FloatArray, normalise
from segdesk.zoo.spec import Normalisation


def _head() -> FloatArray:
    """Tissue in a frame of zeros, with a hole of zeros in it."""
    array = np.zeros((9, 10, 11), np.float32)
    array[2:7, 3:9, 1:8] = np.random.default_rng(0).normal(300, 40, (5, 6, 7))
    array[4, 5, 3:5] = 0
    return array


def _normalised(array: FloatArray, kind: str) -> FloatArray:
    volume = Volume(array, Geometry.from_spacing((9, 10, 11)))
    return normalise(volume, Normalisation.model_validate({"kind": kind}))


def test_inside_is_monais_nonzero() -> None:
    array = _head()
    theirs = NormalizeIntensity(nonzero=True)(torch.from_numpy(array.copy())[None])[0]
    np.testing.assert_allclose(_normalised(array, "zscore_inside"), np.asarray(theirs), atol=1e-5)


def test_cropped_takes_its_numbers_from_the_box_around_the_tissue() -> None:
    # nnU-Net crops to the non-zero part, and takes mean and deviation of all that is left.
    array = _head()
    box = array[2:7, 3:9, 1:8].astype(np.float64)
    np.testing.assert_allclose(_normalised(array, "zscore_cropped"), (array - box.mean()) / box.std(), atol=1e-5)


def test_an_empty_image_stays_empty() -> None:
    empty = np.zeros((9, 10, 11), np.float32)
    for kind in ("zscore_inside", "zscore_cropped"):
        np.testing.assert_array_equal(_normalised(empty, kind), 0)
