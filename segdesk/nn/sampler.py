"""Which patch is trained on next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segdesk.core.box import Index3
from segdesk.nn.augment import AugmentSettings, sample
from segdesk.nn.losses import IGNORE
from segdesk.nn.variant import cut, recolour

_KEPT_VOXELS = 4000
"""Voxels remembered per class and case: enough places to centre a patch on."""


@dataclass(frozen=True, slots=True)
class TrainingCase:
    """A preprocessed case in memory.

    Parameters
    ----------
    name : str
        Case id.
    image : Tensor of float32, shape (C, k, j, i)
        On the model's grid.
    labels : Tensor of uint8, shape (k, j, i)
        Class indices; `IGNORE` does not train.
    border : Tensor of float32, shape (k, j, i), optional
        Extra weight of each voxel in the loss; see `segdesk.nn.border`.
    view : int
        Axis of the model's grid that comes first here; the others keep their order.
    """

    name: str
    image: Tensor
    labels: Tensor
    border: Tensor | None = None
    view: int = 0
    places: dict[int, NDArray[np.int64]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """Remember where each foreground class is."""
        array = self.labels.numpy()
        for value in np.unique(array):
            if value not in (0, IGNORE):
                where = np.argwhere(array == value)
                self.places[int(value)] = where[:: max(1, len(where) // _KEPT_VOXELS)]


class Batch(NamedTuple):
    """Patches of one step.

    Parameters
    ----------
    images : Tensor of float32, shape (N, inputs, [k,] j, i)
        Larger than the rest by the sampler's margin; with a slice context each channel has its slices in a row.
    labels : Tensor of int64, shape (N, [k,] j, i)
        Class indices.
    border : Tensor of float32, shape (N, [k,] j, i), optional
        Extra weights; None unless every case has them.
    """

    images: Tensor
    labels: Tensor
    border: Tensor | None = None


@dataclass(frozen=True, slots=True)
class PatchSampler:
    """Draws batches; the same seed and step give the same batch, whatever came before.

    Parameters
    ----------
    cases : sequence of TrainingCase
        At least one.
    patch_kji : tuple of int
        Size of a patch; (1, J, I) for 2D.
    augment : AugmentSettings
        Variants.
    seed : int
        Seed of the run.
    dimensions : int
        2 or 3; 2D batches have no k axis.
    foreground : float
        Fraction of patches centred on a foreground voxel, each class equally often.
    jitter : float
        Random shift of the centre as a fraction of the patch.
    margin : int
        Pixels a network with valid convolutions loses on each side: images are cut larger by it.
    slice_context : int
        Neighbouring slices on each side that go with a 2D patch; turned, bent and recoloured as it is.
    """

    cases: Sequence[TrainingCase]
    patch_kji: Index3
    augment: AugmentSettings
    seed: int
    dimensions: int = 3
    foreground: float = 0.67
    jitter: float = 0.15
    margin: int = 0
    slice_context: int = 0

    def batch(self, step: int, size: int) -> Batch:
        """Return the patches of a step."""
        patches = [self._one(np.random.default_rng([self.seed, step, item])) for item in range(size)]
        images = self._flat(torch.stack([patch.images for patch in patches]))
        labels = self._flat(torch.stack([patch.labels for patch in patches]).long())
        borders = [patch.border for patch in patches if patch.border is not None]
        return Batch(images, labels, self._flat(torch.stack(borders)) if len(borders) == size else None)

    def _one(self, rng: np.random.Generator) -> Batch:
        case = self.cases[int(rng.integers(len(self.cases)))]
        centre = self._centre(rng, case)
        variant = sample(rng, self.augment.seen_across(case.view), self.dimensions)
        channels = len(case.image)
        # The weights move with the image, as one more channel that is not recoloured.
        layers = case.image if case.border is None else torch.cat([case.image, case.border[None]])
        # A valid network is given mirrored borders when it predicts, so it learns with them.
        picked, labels = cut(
            layers,
            case.labels,
            centre,
            self._cut_size(),
            variant,
            mirror=self.margin > 0,
            slices_together=self.slice_context > 0,
        )
        image = picked[:channels]
        if self.dimensions == 2:
            # Slices become channels before they are recoloured, so that nothing is blurred across them.
            image = image.flatten(0, 1)[:, None]
        border = None if case.border is None else self._middle(picked[channels])
        return Batch(recolour(image, variant), self._middle(labels), border)

    def _flat(self, patches: Tensor) -> Tensor:
        """Drop the k axis of 2D batches."""
        return patches.select(-3, 0) if self.dimensions == 2 else patches

    def _middle(self, patch: Tensor) -> Tensor:
        """Return what the network answers for of a patch (k, j, i): without margin and neighbouring slices."""
        kept = (
            slice(lost, length - lost)
            for lost, length in zip((self.slice_context, self.margin, self.margin), patch.shape, strict=True)
        )
        return patch[tuple(kept)]

    def _cut_size(self) -> Index3:
        k, j, i = self.patch_kji
        return k + 2 * self.slice_context, j + 2 * self.margin, i + 2 * self.margin

    def _centre(self, rng: np.random.Generator, case: TrainingCase) -> NDArray[np.float64]:
        """Draw a centre; where the image is smaller than the patch, its own centre, shifted a little."""
        shape = np.array(case.labels.shape, dtype=np.float64)
        patch = np.array(self.patch_kji, dtype=np.float64)
        anywhere = rng.uniform(0, shape) - 0.5
        on_class, which, where = rng.random() < self.foreground, rng.random(), rng.random()
        if on_class and case.places:
            voxels = case.places[list(case.places)[int(which * len(case.places))]]
            anywhere = voxels[int(where * len(voxels))].astype(np.float64)
        low, high = patch / 2 - 0.5, shape - patch / 2 - 0.5
        inside = np.where(low <= high, np.clip(anywhere, low, high), (shape - 1) / 2)
        moved = inside + rng.uniform(-1, 1, 3) * self.jitter * patch * (patch > 1)
        # On the voxel grid, so that a patch that is not turned is cut and not interpolated.
        return np.asarray(np.rint(moved - low) + low)
