from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from segdesk.errors import UsageError
from segdesk.nn.augment import IDENTITY, AugmentSettings, Variant, cut, recolour, sample
from segdesk.nn.losses import IGNORE

torch.set_num_threads(1)

_STILL = AugmentSettings(
    chance=0, rotate_degrees=0, scale=0, elastic_voxels=0, gain=0, offset=0, noise=0, blur_voxels=0, bias=0, gamma=1
)


def _blob(shape: tuple[int, int, int] = (12, 16, 20)) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(5)
    image = ndimage.gaussian_filter(rng.normal(size=shape), 2).astype(np.float32)
    return torch.from_numpy(image[None]), torch.from_numpy((image > 0.02).astype(np.uint8))


def _middle(shape: tuple[int, ...]) -> np.ndarray:
    return (np.array(shape) - 1) / 2


def test_the_identity_cuts_exactly() -> None:
    image, labels = _blob()
    patch, mask = cut(image, labels, np.array([4.5, 7.5, 9.5]), (6, 8, 10), IDENTITY)
    torch.testing.assert_close(patch, image[:, 2:8, 4:12, 5:15], atol=1e-5, rtol=0)
    assert torch.equal(mask, labels[2:8, 4:12, 5:15])


def test_outside_the_image_is_the_mean_and_background() -> None:
    image, labels = _blob((4, 4, 4))
    patch, mask = cut(image + 3, torch.ones_like(labels), _middle((4, 4, 4)), (8, 8, 8), IDENTITY)
    assert float(patch[0, 0, 0, 0]) == 0
    assert int(mask[0, 0, 0]) == 0
    assert int(mask.sum()) == 64


def test_outside_a_mirrored_image_follow_its_own_voxels_in_reverse() -> None:
    image, labels = _blob((1, 6, 6))
    for kinds in (labels, labels * 9):
        many = torch.where(kinds == 0, torch.arange(36).reshape(1, 6, 6) % 11, kinds).to(torch.uint8)
        for mask in (labels, many):
            patch, cut_mask = cut(image, mask, _middle((1, 6, 6)), (1, 12, 12), IDENTITY, mirror=True)
            expected = np.pad(image.numpy(), ((0, 0), (0, 0), (3, 3), (3, 3)), mode="symmetric")
            torch.testing.assert_close(patch, torch.from_numpy(expected), atol=1e-5, rtol=0)
            assert np.array_equal(cut_mask.numpy(), np.pad(mask.numpy(), ((0, 0), (3, 3), (3, 3)), mode="symmetric"))


def test_flips_mirror_only_the_axes_that_may_be_mirrored() -> None:
    settings = replace(_STILL, flip_axes=("i",))
    seen = {tuple(np.diag(sample(np.random.default_rng(seed), settings).matrix).round(6)) for seed in range(20)}
    assert seen == {(1.0, 1.0, 1.0), (1.0, 1.0, -1.0)}
    image, labels = _blob()
    patch, mask = cut(image, labels, _middle(labels.shape), tuple(labels.shape), Variant(np.diag([1.0, 1.0, -1.0])))
    torch.testing.assert_close(patch, image.flip(-1), atol=1e-5, rtol=0)
    assert torch.equal(mask, labels.flip(-1))


def test_rotation_equals_scipy() -> None:
    image, labels = _blob()
    matrix = sample(np.random.default_rng(3), replace(_STILL, rotate_degrees=20, turn_chance=1)).matrix
    centre = _middle(labels.shape)
    patch, _ = cut(image, labels, centre, tuple(labels.shape), Variant(matrix))
    oracle = ndimage.affine_transform(image[0].numpy(), matrix, centre - matrix @ centre, order=1, mode="constant")
    inside = (slice(None), slice(3, -3), slice(3, -3), slice(3, -3))
    np.testing.assert_allclose(patch[inside].numpy(), oracle[None][inside], atol=1e-4)


def test_image_and_labels_move_together() -> None:
    _, labels = _blob((20, 20, 20))
    variant = sample(np.random.default_rng(9), AugmentSettings(chance=1.0))
    patch, mask = cut(labels[None].float(), labels, _middle(labels.shape), (20, 20, 20), variant)
    assert float(((patch[0] > 0.5) == (mask == 1)).float().mean()) > 0.995


def test_the_ignore_class_survives_a_turn() -> None:
    _, labels = _blob()
    labels[3:9, 4:12, 5:15] = IGNORE
    _, mask = cut(labels[None].float(), labels, _middle(labels.shape), tuple(labels.shape), Variant(np.eye(3)))
    assert torch.equal(mask, labels)


def test_many_classes_take_the_nearest_voxel() -> None:
    labels = torch.arange(12 * 4 * 4, dtype=torch.uint8).reshape(12, 4, 4) % 20
    _, mask = cut(labels[None].float(), labels, _middle(labels.shape), tuple(labels.shape), IDENTITY)
    assert torch.equal(mask, labels)


def test_two_dimensional_variants_leave_slices_alone() -> None:
    for seed in range(10):
        variant = sample(np.random.default_rng(seed), AugmentSettings(chance=1.0), dimensions=2)
        np.testing.assert_allclose(variant.matrix[0], [1, 0, 0], atol=1e-12)
        np.testing.assert_allclose(variant.matrix[:, 0], [1, 0, 0], atol=1e-12)
        assert variant.elastic is not None
        assert not variant.elastic[0].any()


def test_the_same_draw_gives_the_same_patch() -> None:
    image, labels = _blob()
    patches = []
    for _ in range(2):
        variant = sample(np.random.default_rng([1, 2, 3]), AugmentSettings(chance=1.0))
        patch, _ = cut(image, labels, _middle(labels.shape), (8, 8, 8), variant)
        patches.append(recolour(patch, variant))
    assert torch.equal(*patches)


def test_nothing_drawn_changes_nothing() -> None:
    image, _ = _blob()
    assert torch.equal(recolour(image, sample(np.random.default_rng(0), _STILL)), image)


def test_blur_equals_a_truncated_gaussian() -> None:
    image, _ = _blob()
    blurred = recolour(image, Variant(np.eye(3), blur_voxels=0.7))
    oracle = ndimage.gaussian_filter(image[0].numpy(), 0.7, mode="nearest", radius=2)
    np.testing.assert_allclose(blurred[0].numpy(), oracle, atol=1e-5)


def test_gamma_keeps_the_range_and_noise_has_the_asked_spread() -> None:
    image, _ = _blob()
    bright = recolour(image, Variant(np.eye(3), gamma=1.4))
    assert float(bright.min()) == pytest.approx(float(image.min()), abs=1e-5)
    assert float(bright.max()) == pytest.approx(float(image.max()), abs=1e-5)
    noisy = recolour(torch.zeros(1, 20, 20, 20), Variant(np.eye(3), noise=0.3, noise_seed=4))
    assert float(noisy.std()) == pytest.approx(0.3, rel=0.05)


def test_bias_gain_and_offset_are_finite_and_do_something() -> None:
    image, _ = _blob()
    bias = np.random.default_rng(0).normal(0, 0.3, (3, 3, 3)).astype(np.float32)
    changed = recolour(image, Variant(np.eye(3), bias=bias, gain=1.2, offset=-0.1))
    assert torch.isfinite(changed).all()
    assert not torch.allclose(changed, image)


@pytest.mark.parametrize("wrong", [{"flip_axes": ("x",)}, {"noise": -1.0}, {"gamma": 0.5}, {"chance": 2.0}])
def test_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        AugmentSettings(**wrong)  # type: ignore[arg-type]
