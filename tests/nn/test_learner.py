from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from segdesk.core.progress import silent
from segdesk.errors import UsageError
from segdesk.nn import learner as learner_module
from segdesk.nn.augment import AugmentSettings
from segdesk.nn.fit import Budget, Fit, Place
from segdesk.nn.learner import Learner, half_precision
from segdesk.nn.losses import LossSettings
from segdesk.nn.networks.registry import network_of
from segdesk.nn.recipe import TrainingNumbers
from segdesk.nn.sampler import PatchSampler, TrainingCase
from segdesk.nn.validation import FoldScore
from segdesk.zoo.spec import NetworkSpec
from tests.nn.toys import toy_spec

torch.set_num_threads(1)

_SPEC = toy_spec(patch_kji=(8, 8, 8), network=NetworkSpec(name="residual_unet", parameters={"widths": [4, 8]}))
_DROPPING = NetworkSpec(name="inverted_net", parameters={"widths": [4, 3, 2], "dropout": 0.3})


def _case(name: str = "a", seed: int = 0) -> TrainingCase:
    labels = torch.zeros(12, 12, 12, dtype=torch.uint8)
    labels[3:8, 4:9, 4:9] = 1
    generator = torch.Generator().manual_seed(seed)
    return TrainingCase(name, labels[None] + 0.3 * torch.randn(1, 12, 12, 12, generator=generator), labels)


def _learner(network: NetworkSpec = _SPEC.network, loss: LossSettings | None = None, **numbers: Any) -> Learner:
    torch.manual_seed(1)
    built = network_of(_SPEC.model_copy(update={"network": network}))
    sampler = PatchSampler([_case()], (8, 8, 8), AugmentSettings(), seed=3)
    values: dict[str, Any] = {"bf16": False, "ema": 0.5, "learning_rate": 1e-2}
    return Learner(built, sampler, TrainingNumbers(**(values | numbers)), loss or LossSettings())


def _weights(learner: Learner) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in learner.average.parameters()]


@pytest.mark.parametrize("network", [_SPEC.network, _DROPPING], ids=["residual", "dropout"])
def test_a_restored_learner_goes_on_bit_by_bit_also_with_dropout(network: NetworkSpec) -> None:
    whole = _learner(network)
    for step in range(4):
        whole.step(step, step / 10)
    first = _learner(network)
    for step in range(2):
        first.step(step, step / 10)
    kept = first.tensors()
    second = _learner(network)
    torch.rand(7)
    second.restore(kept)
    for step in range(2, 4):
        second.step(step, step / 10)
    assert all(torch.equal(a, b) for a, b in zip(_weights(whole), _weights(second), strict=True))


def test_dropout_differs_from_step_to_step() -> None:
    learner = _learner(_DROPPING, learning_rate=1e-12)
    constant = learner._sampler.batch(0, 2)
    learner._sampler = type("Same", (), {"seed": 3, "batch": lambda self, step, size: constant})()  # type: ignore[assignment]
    assert len({learner.step(step, 0.0) for step in range(4)}) == 4


@pytest.mark.parametrize("loss", ["dice_ce", "ce", "dice", "focal", "tversky"])
def test_every_loss_falls(loss: str) -> None:
    learner = _learner(loss=LossSettings(loss))
    losses = [learner.step(step, 0.0) for step in range(25)]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_the_learning_rate_falls_to_nothing_as_a_power() -> None:
    learner = _learner(optimizer="sgd")
    rates = []
    for progress in (0.0, 0.5, 0.99):
        learner.step(0, progress)
        rates.append(learner._optimizer.param_groups[0]["lr"])
    np.testing.assert_allclose(rates, 1e-2 * (1 - np.array([0.0, 0.5, 0.99])) ** 0.9)


def test_averaged_weights_follow_the_formula_and_without_averaging_they_are_the_networks() -> None:
    learner = _learner(ema=0.0)
    learner.step(0, 0.0)
    assert all(
        torch.equal(a, b) for a, b in zip(learner.network.parameters(), learner.average.parameters(), strict=True)
    )
    averaged = _learner(ema=0.9)
    before = _weights(averaged)
    averaged.step(100, 0.0)
    for old, new, now in zip(before, averaged.network.parameters(), averaged.average.parameters(), strict=True):
        torch.testing.assert_close(now, 0.9 * old + 0.1 * new)


def test_float16_is_for_cuda_alone() -> None:
    cuda, cpu = torch.device("cuda"), torch.device("cpu")
    assert half_precision(cuda, TrainingNumbers(fp16=True)) is torch.float16
    assert half_precision(cpu, TrainingNumbers(fp16=True)) is torch.bfloat16
    assert half_precision(cpu, TrainingNumbers(fp16=True, bf16=False)) is None
    assert half_precision(cuda, TrainingNumbers()) is torch.bfloat16
    a, b = _learner(fp16=True), _learner()
    assert [a.step(step, 0.0) for step in range(2)] == [b.step(step, 0.0) for step in range(2)]


def _scaled(monkeypatch: pytest.MonkeyPatch, start: float) -> None:
    """Scale the loss on the CPU as on CUDA; the network stays in float32."""
    monkeypatch.setattr(
        learner_module, "_scaler", lambda device, half: torch.amp.GradScaler("cpu", init_scale=start, growth_interval=2)
    )


def test_a_scaled_loss_gives_the_same_steps_and_its_scale_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = _learner()
    _scaled(monkeypatch, 1024.0)
    scaled = _learner()
    for step in range(3):
        assert plain.step(step, 0.0) == pytest.approx(scaled.step(step, 0.0), rel=1e-4)
    kept = scaled.tensors()
    assert float(kept["scaler.scale"]) == 2048.0
    other = _learner()
    other.restore(kept)
    assert other._scaler.state_dict() == scaled._scaler.state_dict()


def test_a_gradient_beyond_the_scale_skips_the_step_and_halves_the_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    _scaled(monkeypatch, 1024.0)
    learner = _learner()
    next(learner.network.parameters()).register_hook(lambda gradient: gradient * np.inf)
    before = [parameter.clone() for parameter in learner.network.parameters()]
    assert np.isfinite(learner.step(0, 0.0))
    assert all(torch.equal(a, b) for a, b in zip(before, learner.network.parameters(), strict=True))
    assert float(learner.tensors()["scaler.scale"]) == 512.0


def _fit(tmp_path: Any, steps: int, patience: int, emit: Callable[..., None]) -> Any:
    learner = _learner()
    numbers = TrainingNumbers(bf16=False, validations=8, patience=patience)
    fit = Fit(learner, [_case("f", 5)], _SPEC, Budget(steps=steps), Place(tmp_path / "run", "id"))
    return fit.run(numbers, emit, silent)


def test_a_run_that_no_longer_improves_ends_early_and_so_does_its_resumption(tmp_path: Any) -> None:
    events: list[Any] = []
    worse = iter([0.5, 0.4, 0.3, 0.2, 0.1])

    def falling(*_: Any, **__: Any) -> FoldScore:
        value = next(worse)
        return FoldScore({1: value}, value, 1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("segdesk.nn.fit.score_fold", falling)
        fitted = _fit(tmp_path, 200, 2, events.append)
        assert fitted.stopped_early
        assert fitted.steps == 75
        assert fitted.history.best_step == 25
        assert "no better state since step 25" in events[-1]["text"]
        again = _fit(tmp_path, 200, 2, events.append)
        assert again.stopped_early
        assert again.steps == 75
        assert all(torch.equal(fitted.weights[name], again.weights[name]) for name in fitted.weights)


def test_patience_of_zero_uses_the_whole_budget(tmp_path: Any) -> None:
    fitted = _fit(tmp_path, 50, 0, lambda event: None)
    assert not fitted.stopped_early
    assert fitted.steps == 50


@pytest.mark.parametrize(
    "wrong", [{"patience": -1}, {"validations": 0}, {"clip_norm": 0.0}, {"foreground": 1.5}, {"weight_decay": -1.0}]
)
def test_numbers_that_cannot_train_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="needed"):
        TrainingNumbers(**wrong)
