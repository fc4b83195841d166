from __future__ import annotations

import pytest
import torch
from monai.losses import DiceLoss

from segdesk.errors import UsageError
from segdesk.nn.losses import IGNORE, LossSettings, cross_entropy, deep_loss, dice_loss, segmentation_loss

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


@pytest.mark.parametrize("name", ["dice_ce", "ce", "dice"])
def test_ignored_voxels_change_nothing(name: str) -> None:
    logits, target = _pair()
    target[:, :2] = IGNORE
    other = logits.clone()
    other[:, :, :2] += 5 * torch.randn_like(other[:, :, :2])
    settings = LossSettings(name)
    torch.testing.assert_close(segmentation_loss(logits, target, settings), segmentation_loss(other, target, settings))


def test_a_batch_of_ignored_voxels_has_a_finite_loss_and_no_gradient() -> None:
    logits, target = _pair()
    logits.requires_grad_()
    loss = segmentation_loss(logits, torch.full_like(target, IGNORE), LossSettings())
    loss.backward()
    assert torch.isfinite(loss)
    assert float(logits.grad.abs().max()) < 1e-6


def test_a_perfect_answer_costs_nothing_also_when_a_class_is_absent() -> None:
    _, target = _pair(classes=2)
    logits = torch.nn.functional.one_hot(target, 3).movedim(-1, 1).float() * 50
    assert float(segmentation_loss(logits, target, LossSettings())) == pytest.approx(0, abs=1e-4)


def test_deep_supervision_weighs_each_coarser_head_by_half() -> None:
    logits, target = _pair()
    coarse = torch.nn.functional.avg_pool3d(logits, 2, ceil_mode=True)
    settings = LossSettings("ce")
    shrunk = torch.nn.functional.interpolate(target[:, None].float(), coarse.shape[2:], mode="nearest")[:, 0].long()
    expected = (cross_entropy(logits, target) + 0.5 * cross_entropy(coarse, shrunk)) / 1.5
    torch.testing.assert_close(deep_loss([logits, coarse], target, settings), expected)


def test_unknown_names_and_negative_weights_are_refused() -> None:
    with pytest.raises(UsageError, match="unknown"):
        LossSettings("focal")
    with pytest.raises(UsageError, match="weights"):
        LossSettings("ce", (-1.0,))
