from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from segdesk.nn.augment import AugmentSettings
from segdesk.nn.losses import IGNORE
from segdesk.nn.sampler import PatchSampler, TrainingCase

torch.set_num_threads(1)

_STILL = AugmentSettings(chance=0, rotate_degrees=0, scale=0, elastic_voxels=0)


def _case(shape: tuple[int, int, int] = (20, 24, 28)) -> TrainingCase:
    labels = torch.zeros(shape, dtype=torch.uint8)
    labels[2, 3, 4] = 1
    labels[10:18, 10:20, 10:20] = 2
    labels[0, 0, 0] = IGNORE
    return TrainingCase("a", labels[None].float(), labels)


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    sampler = PatchSampler([_case()], (8, 8, 8), AugmentSettings(), seed=3)
    first = sampler.batch(5, 2)
    sampler.batch(6, 2)
    again = sampler.batch(5, 2)
    other = PatchSampler([_case()], (8, 8, 8), AugmentSettings(), seed=4).batch(5, 2)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_rare_and_common_classes_are_centred_on_equally_often() -> None:
    sampler = PatchSampler([_case()], (8, 8, 8), _STILL, seed=0, foreground=1.0, jitter=0.0)
    hits = [set(sampler.batch(step, 1)[1].unique().tolist()) for step in range(60)]
    rare = sum(1 in seen for seen in hits)
    assert 18 < rare < 42
    assert all(seen & {1, 2} for seen in hits)


def test_ignored_voxels_are_no_place_to_centre_on() -> None:
    assert set(_case().places) == {1, 2}


def test_images_smaller_than_the_patch_are_centred() -> None:
    case = _case((6, 24, 28))
    sampler = PatchSampler([case], (10, 24, 28), _STILL, seed=0, jitter=0.0)
    image, labels, _ = sampler.batch(0, 1)
    assert image.shape == (1, 1, 10, 24, 28)
    assert torch.equal(labels[0, 2:8], case.labels.long())


def test_a_case_without_labels_can_be_trained_on() -> None:
    empty = TrainingCase("e", torch.zeros(1, 9, 9, 9), torch.zeros(9, 9, 9, dtype=torch.uint8))
    image, labels, border = PatchSampler([empty], (8, 8, 8), AugmentSettings(), seed=0).batch(0, 2)
    assert image.shape == (2, 1, 8, 8, 8)
    assert not labels.any()
    assert border is None


def test_two_dimensional_batches_have_no_slices_and_a_margin_enlarges_the_image_only() -> None:
    sampler = PatchSampler([_case()], (1, 12, 12), AugmentSettings(), seed=0, dimensions=2, margin=4)
    image, labels, _ = sampler.batch(0, 3)
    assert image.shape == (3, 1, 20, 20)
    assert labels.shape == (3, 12, 12)


def test_two_dimensional_patches_are_cut_from_whole_slices() -> None:
    labels = torch.arange(5, dtype=torch.uint8)[:, None, None].expand(5, 16, 16).contiguous()
    sampler = PatchSampler([TrainingCase("a", labels[None].float(), labels)], (1, 8, 8), _STILL, 0, dimensions=2)
    image = sampler.batch(1, 8).images
    np.testing.assert_allclose(image.numpy(), np.rint(image.numpy()), atol=1e-5)


def test_border_weights_move_with_the_labels_and_are_not_recoloured() -> None:
    case = _case()
    marked = replace(case, border=3.0 * case.labels)
    settings = AugmentSettings(chance=1.0, elastic_voxels=0, flip_axes=("i",), quarter_turns=("k",), turn_chance=0)
    sampler = PatchSampler([marked], (8, 12, 12), settings, seed=1)
    images, labels, border = sampler.batch(0, 4)
    assert border is not None
    torch.testing.assert_close(border, 3.0 * labels.float(), atol=1e-4, rtol=0)
    plain = PatchSampler([case], (8, 12, 12), settings, seed=1).batch(0, 4)
    assert torch.equal(images, plain.images)
    assert torch.equal(labels, plain.labels)


def test_border_weights_of_flat_patches_leave_the_margin_out() -> None:
    case = _case()
    sampler = PatchSampler(
        [replace(case, border=case.labels.float())], (1, 12, 12), _STILL, seed=0, dimensions=2, margin=4
    )
    images, labels, border = sampler.batch(0, 2)
    assert border is not None
    assert (images.shape[-1], labels.shape, border.shape) == (20, (2, 12, 12), (2, 12, 12))
    torch.testing.assert_close(border, labels.float(), atol=1e-5, rtol=0)
