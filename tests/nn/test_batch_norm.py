from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from torch import nn

from segdesk.core.prediction import PredictOptions
from segdesk.core.progress import silent
from segdesk.errors import UsageError
from segdesk.io import read_volume
from segdesk.nn.adapt import tuning_recipe
from segdesk.nn.augment import AugmentSettings
from segdesk.nn.batch_norm import add_batch_norm, fold_batch_norm
from segdesk.nn.fit import Budget
from segdesk.nn.learner import Learner
from segdesk.nn.losses import LossSettings
from segdesk.nn.networks.registry import build_network, network_named
from segdesk.nn.output import as_stored
from segdesk.nn.predict import predict
from segdesk.nn.recipe import Recipe, TrainingNumbers
from segdesk.nn.recipe_file import parse_recipe
from segdesk.nn.sampler import PatchSampler, TrainingCase
from segdesk.nn.train import TrainSettings, train
from segdesk.zoo.model_folder import ModelFolder
from segdesk.zoo.spec import NetworkSpec
from tests.nn.toy_sets import nnunet_set

torch.set_num_threads(1)

_RECIPE = """
[model]
half_precision = true
[preprocessing]
dimensions = 2
patch_kji = [1, 12, 12]
[network]
name = "classic_unet"
width = 4
depth = 1
[training]
batch_norm = true
learning_rate = 1e-2
bf16 = false
fold = 0.3
"""


def _build(name: str, **numbers: Any) -> nn.Module:
    torch.manual_seed(0)
    spec = NetworkSpec(name=name, parameters=numbers)
    return build_network(spec, dimensions=2, in_channels=1, out_channels=2)


def _shaken(network: nn.Module) -> nn.Module:
    """Give every norm statistics and factors of its own, as a training would."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.weight.data, module.bias.data, module.running_mean):
                torch.as_tensor(values).normal_()
            torch.as_tensor(module.running_var).uniform_(0.2, 3.0)
    return network.eval()


@pytest.mark.parametrize(
    ("name", "numbers", "size"),
    [("classic_unet", {"width": 3, "depth": 2}, 60), ("all_convolutional", {"widths": [4, 6, 8]}, 32)],
)
@torch.no_grad()
def test_the_folded_network_is_the_published_one_and_answers_as_before(name: str, numbers: Any, size: int) -> None:
    network = _build(name, **numbers)
    plain = {key: value.shape for key, value in network.state_dict().items()}
    add_batch_norm(network)
    _shaken(network)
    image = torch.randn(2, 1, size, size)
    wanted = network(image)
    weights = fold_batch_norm(network, network.state_dict())
    assert {key: value.shape for key, value in weights.items()} == plain
    again = _build(name, **numbers)
    again.load_state_dict(weights)
    torch.testing.assert_close(again.eval()(image), wanted, rtol=1e-4, atol=1e-4)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@pytest.mark.parametrize("name", ["residual_unet", "plain_conv_unet"])
def test_a_network_with_norms_of_its_own_gets_no_other(name: str) -> None:
    network = network_named(name)
    with pytest.raises(UsageError, match="without norms"):
        add_batch_norm(_build(name, **network.parameters))


def _learner() -> Learner:
    labels = torch.zeros(1, 20, 20, dtype=torch.uint8)
    labels[:, 5:12, 6:14] = 1
    case = TrainingCase("a", labels[None] * 2.0 + 3.0, labels)
    network = _build("classic_unet", width=2, depth=1)
    add_batch_norm(network)
    sampler = PatchSampler([case], (1, 8, 8), AugmentSettings(), seed=3, dimensions=2, margin=8)
    return Learner(network, sampler, TrainingNumbers(bf16=False, ema=0.9, learning_rate=1e-2), LossSettings())


def test_the_averaged_network_has_averaged_statistics() -> None:
    learner = _learner()
    before = [value.clone() for value in learner.average.buffers()]
    learner.step(100, 0.0)
    pairs = zip(before, learner.network.buffers(), learner.average.buffers(), strict=True)
    for old, own, averaged in pairs:
        wanted = 0.9 * old + 0.1 * own if own.is_floating_point() else own
        torch.testing.assert_close(averaged, wanted)


def test_a_restored_learner_goes_on_bit_by_bit_with_its_statistics() -> None:
    whole, first, second = _learner(), _learner(), _learner()
    for step in range(4):
        whole.step(step, 0.0)
    for step in range(2):
        first.step(step, 0.0)
    second.restore(first.tensors())
    for step in range(2, 4):
        second.step(step, 0.0)
    a, b = whole.tensors(), second.tensors()
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_a_model_trained_with_norms_ships_without_them_and_in_half_precision(tmp_path: Path) -> None:
    data = nnunet_set(tmp_path / "balls", range(6))
    recipe = tmp_path / "flat.toml"
    recipe.write_text(_RECIPE)
    settings = TrainSettings(data, tmp_path / "m", Budget(steps=8), recipe=recipe, device="cpu", threads=1)
    train(settings, lambda event: None, silent)
    folder = ModelFolder.load(tmp_path / "m")
    weights = load_file(folder.weights_path)
    assert weights.keys() == _build("classic_unet", width=4, depth=1).state_dict().keys()
    assert {value.dtype for value in weights.values()} == {np.dtype(np.float16)}
    image = read_volume(next((data / "imagesTr").glob("*.nii.gz")))
    predict({"t1": image}, folder.path, PredictOptions(device="cpu"), silent)
    assert parse_recipe((folder.path / "recipe.toml").read_text()).training.batch_norm
    assert not tuning_recipe(None, folder).training.batch_norm
    with pytest.raises(UsageError, match="leave it out to fine-tune"):
        tuning_recipe(recipe, folder)


def test_half_precision_rounds_what_fits_and_leaves_the_rest() -> None:
    weights = {"fits": torch.tensor([1.0, 1e-3]), "large": torch.tensor([1e6]), "count": torch.tensor(3)}
    stored = as_stored(weights, Recipe(half_precision=True))
    assert [stored[name].dtype for name in weights] == [torch.float16, torch.float32, torch.int64]
    assert as_stored(weights, Recipe()) == weights


def test_half_precision_is_a_yes_or_no() -> None:
    with pytest.raises(UsageError, match="true or false"):
        parse_recipe('[model]\nhalf_precision = "yes"')
