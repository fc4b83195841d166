from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from monai.losses import DiceLoss, FocalLoss, TverskyLoss
from sklearn.utils.class_weight import compute_class_weight

from segdesk.errors import UsageError
from segdesk.nn.losses import (
    IGNORE,
    LossSettings,
    cross_entropy,
    deep_loss,
    dice_loss,
    focal_loss,
    inverse_frequency,
    segmentation_loss,
    tversky_loss,
)

torch.set_num_threads(1)


def _pair(seed: int = 0, classes: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, classes, 4, 5, 6, generator=generator)
    return logits, torch.randint(0, classes, (2, 4, 5, 6), generator=generator)


def test_dice_loss_equals_monai() -> None:
    logits, target = _pair()
    oracle = DiceLoss(
        include_background=False, to_onehot_y=True, softmax=True, batch=True, smooth_nr=1e-5, smooth_dr=1e-5
    )
    torch.testing.assert_close(dice_loss(logits, target), oracle(logits, target[:, None]), atol=1e-5, rtol=1e-5)


def test_cross_entropy_with_weights_equals_torch() -> None:
    logits, target = _pair()
    oracle = torch.nn.CrossEntropyLoss(weight=torch.tensor([0.2, 1.0, 3.0]))
    torch.testing.assert_close(cross_entropy(logits, target, (0.2, 1.0, 3.0)), oracle(logits, target))


def test_sum_of_both_is_the_default() -> None:
    logits, target = _pair()
    expected = dice_loss(logits, target) + cross_entropy(logits, target)
    torch.testing.assert_close(segmentation_loss(logits, target, LossSettings()), expected)


_NAMES = ["dice_ce", "ce", "dice", "focal", "tversky"]


@pytest.mark.parametrize("name", _NAMES)
def test_ignored_voxels_change_nothing(name: str) -> None:
    logits, target = _pair()
    target[:, :2] = IGNORE
    other = logits.clone()
    other[:, :, :2] += 5 * torch.randn_like(other[:, :, :2])
    settings = LossSettings(name)
    torch.testing.assert_close(segmentation_loss(logits, target, settings), segmentation_loss(other, target, settings))


@pytest.mark.parametrize("name", _NAMES)
@pytest.mark.parametrize("weights", [(), (0.5, 1.0, 2.0)])
def test_a_batch_of_ignored_voxels_has_a_finite_loss_and_no_gradient(name: str, weights: tuple[float, ...]) -> None:
    logits, target = _pair()
    logits.requires_grad_()
    loss = segmentation_loss(logits, torch.full_like(target, IGNORE), LossSettings(name, weights))
    loss.backward()
    assert torch.isfinite(loss)
    assert float(logits.grad.abs().max()) < 1e-6


@pytest.mark.parametrize("name", _NAMES)
@pytest.mark.parametrize("value", [0, 1, 2])
def test_patches_of_one_class_have_finite_losses_and_gradients(name: str, value: int) -> None:
    logits, target = _pair()
    for scale in (1.0, 1e4):
        pushed = (logits * scale).requires_grad_()
        loss = segmentation_loss(pushed, torch.full_like(target, value), LossSettings(name))
        loss.backward()
        assert torch.isfinite(loss)
        assert pushed.grad is not None
        assert torch.isfinite(pushed.grad).all()


@pytest.mark.parametrize("name", _NAMES)
def test_a_perfect_answer_costs_nothing_also_when_a_class_is_absent(name: str) -> None:
    _, target = _pair(classes=2)
    logits = torch.nn.functional.one_hot(target, 3).movedim(-1, 1).float() * 50
    assert float(segmentation_loss(logits, target, LossSettings(name))) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_focal_loss_equals_monai(gamma: float) -> None:
    logits, target = _pair()
    # MONAI divides by the classes as well as by the voxels.
    oracle = FocalLoss(to_onehot_y=True, use_softmax=True, gamma=gamma)
    torch.testing.assert_close(focal_loss(logits, target, gamma), oracle(logits, target[:, None]) * 3)


def test_focal_loss_of_two_voxels_is_that_of_the_formula() -> None:
    logits = torch.log(torch.tensor([[[0.9, 0.3]], [[0.1, 0.7]]])).movedim(0, 1)
    target = torch.tensor([[0, 0]])
    expected = (0.5 * 0.1**2 * -np.log(0.9) + 0.5 * 0.7**2 * -np.log(0.3)) / 2
    assert float(focal_loss(logits, target, 2.0, (0.5, 3.0))) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("alpha", "beta"), [(0.3, 0.7), (0.7, 0.3), (1.0, 0.0)])
def test_tversky_loss_equals_monai(alpha: float, beta: float) -> None:
    logits, target = _pair()
    oracle = TverskyLoss(
        include_background=False, to_onehot_y=True, softmax=True, alpha=alpha, beta=beta, batch=True,
        smooth_nr=1e-5, smooth_dr=1e-5,
    )  # fmt: skip
    torch.testing.assert_close(
        tversky_loss(logits, target, alpha, beta), oracle(logits, target[:, None]), atol=1e-5, rtol=1e-5
    )


def test_tversky_with_equal_halves_is_the_dice_and_beta_is_the_cost_of_a_miss() -> None:
    logits, target = _pair()
    torch.testing.assert_close(tversky_loss(logits, target, 0.5, 0.5), dice_loss(logits, target), atol=1e-5, rtol=0)
    wanted = torch.tensor([[1, 1, 1, 1]])
    half = torch.tensor([[[-30.0, -30, 30, 30], [30.0, 30, -30, -30]]])
    # Two of four found: 2 / (2 + beta 2).
    assert float(tversky_loss(half, wanted, 0.3, 0.7)) == pytest.approx(1 - 2 / (2 + 0.7 * 2), abs=1e-4)


def test_classes_weigh_the_inverse_of_their_frequency_as_in_scikit_learn() -> None:
    _, target = _pair()
    target[0] = 0
    oracle = compute_class_weight("balanced", classes=np.arange(3), y=target.numpy().ravel())
    np.testing.assert_allclose(inverse_frequency([target[0], target[1]], 3), oracle)


def test_a_class_that_is_nowhere_and_ignored_voxels_do_not_count() -> None:
    target = torch.tensor([0, 0, 0, 2, IGNORE])
    assert inverse_frequency([target], 4) == (4 / (2 * 3), 0.0, 4 / (2 * 1), 0.0)


def test_border_weights_add_to_the_class_weights_of_each_voxel() -> None:
    logits, target = _pair()
    border = torch.rand(target.shape, generator=torch.Generator().manual_seed(1)) * 10
    target[0, 0] = IGNORE
    weights = np.array([0.2, 1.0, 3.0])
    log_p = logits.log_softmax(dim=1).numpy()
    total = norm = 0.0
    for index in np.ndindex(*target.shape):
        if target[index] == IGNORE:
            continue
        weight = weights[target[index]] + float(border[index])
        total -= weight * log_p[(index[0], int(target[index]), *index[1:])]
        norm += weight
    measured = cross_entropy(logits, target, (0.2, 1.0, 3.0), border)
    assert float(measured) == pytest.approx(total / norm, rel=1e-5)


def test_border_weights_of_zero_change_nothing_and_reach_every_head() -> None:
    logits, target = _pair()
    nothing = torch.zeros(target.shape)
    torch.testing.assert_close(cross_entropy(logits, target, (), nothing), cross_entropy(logits, target))
    coarse = torch.nn.functional.avg_pool3d(logits, 2, ceil_mode=True)
    settings = LossSettings("dice_ce", border_weight=10.0)
    plain = deep_loss([logits, coarse], target, settings)
    weighted = deep_loss([logits, coarse], target, settings, nothing + torch.arange(6) * 2.0)
    assert float(plain) != pytest.approx(float(weighted))


def test_deep_supervision_weighs_each_coarser_head_by_half() -> None:
    logits, target = _pair()
    coarse = torch.nn.functional.avg_pool3d(logits, 2, ceil_mode=True)
    settings = LossSettings("ce")
    shrunk = torch.nn.functional.interpolate(target[:, None].float(), coarse.shape[2:], mode="nearest")[:, 0].long()
    expected = (cross_entropy(logits, target) + 0.5 * cross_entropy(coarse, shrunk)) / 1.5
    torch.testing.assert_close(deep_loss([logits, coarse], target, settings), expected)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"name": "hinge"}, "unknown"), ({"class_weights": (-1.0,)}, "weights"), ({"gamma": -1.0}, "gamma"),
        ({"alpha": 0.0, "beta": 0.0}, "not both 0"), ({"border_sigma_voxels": 0.0}, "above 0"),
        ({"balance": True, "class_weights": (1.0, 2.0)}, "not both"),
        ({"name": "dice", "border_weight": 10.0}, "needs a cross-entropy"),
    ],
)  # fmt: skip
def test_settings_that_make_no_loss_are_refused(wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        LossSettings(**wrong)
