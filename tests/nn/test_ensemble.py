from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save

from segdesk.core.geometry import Geometry
from segdesk.core.prediction import PredictOptions
from segdesk.core.progress import silent
from segdesk.core.volume import Volume
from segdesk.errors import BadModelFolder
from segdesk.nn.loaded_model import load_model
from segdesk.nn.networks.ensemble import Ensemble, first_member, joined_weights
from segdesk.nn.networks.registry import network_of
from segdesk.nn.predict import predict
from segdesk.zoo.model_folder import ModelFolder
from segdesk.zoo.spec import NetworkSpec
from segdesk.zoo.writer import write_model_folder
from tests.nn.toys import toy_spec

torch.set_num_threads(1)

_CLASSIC = NetworkSpec(name="classic_unet", parameters={"width": 2, "depth": 1})


def _three(folder: Path) -> tuple[ModelFolder, list[torch.nn.Module]]:
    spec = toy_spec(dimensions=2, network=_CLASSIC, patch_kji=(1, 12, 12))
    members = []
    for seed in range(3):
        torch.manual_seed(seed)
        members.append(network_of(spec).eval())
    weights = joined_weights([member.state_dict() for member in members])
    return write_model_folder(folder, spec.model_copy(update={"members": 3}), save(weights), "# Three\n"), members


def test_the_softmax_of_an_ensemble_is_the_mean_of_its_members() -> None:
    members = [torch.nn.Conv2d(1, 4, 1) for _ in range(3)]
    image = 30 * torch.randn(2, 1, 5, 6)
    mean = torch.stack([member(image).softmax(dim=1) for member in members]).mean(dim=0)
    torch.testing.assert_close(Ensemble(members)(image).softmax(dim=1), mean, atol=1e-6, rtol=1e-5)


def test_a_member_that_is_certain_leaves_finite_logits() -> None:
    certain = torch.nn.Conv2d(1, 2, 1)
    with torch.no_grad():
        certain.weight[:, 0, 0, 0] = torch.tensor([1e4, -1e4])
    assert torch.isfinite(Ensemble([certain, certain])(torch.ones(1, 1, 2, 2))).all()


def test_a_model_folder_with_members_predicts_their_mean(tmp_path: Path) -> None:
    folder, members = _three(tmp_path / "m")
    loaded = load_model(ModelFolder.load(folder.path))
    assert loaded.margin == (0, first_member(loaded.network).output_margin, first_member(loaded.network).output_margin)
    image = np.random.default_rng(1).normal(size=(2, 30, 25)).astype(np.float32)
    volume = Volume(image, Geometry(image.shape, np.eye(4)))
    options = PredictOptions(device="cpu", probabilities=True)
    prediction = predict({"image": volume}, folder.path, options, silent)
    margin = loaded.margin[1]
    size = members[0].valid_size(32 + 2 * margin) - 2 * margin
    padded = np.pad(image, ((0, 0), (margin, margin + size - 30), (margin, margin + size - 25)), mode="reflect")
    with torch.inference_mode():
        window = torch.from_numpy(padded)[:, None]
        mean = torch.stack([member(window).softmax(dim=1) for member in members]).mean(dim=0)
    np.testing.assert_allclose(prediction.probabilities, mean.movedim(1, 0)[:, :, :30, :25], atol=1e-4)


def test_weights_of_one_network_do_not_pass_for_several(tmp_path: Path) -> None:
    spec = toy_spec(members=2)
    folder = write_model_folder(tmp_path / "m", spec, save(network_of(toy_spec()).state_dict()), "# One\n")
    with pytest.raises(BadModelFolder, match="do not fit"):
        load_model(folder)


@pytest.mark.parametrize("members", [0, 17])
def test_the_number_of_members_is_bounded(members: int) -> None:
    with pytest.raises(ValidationError, match="members"):
        toy_spec(members=members)


def test_a_single_network_keeps_its_names() -> None:
    state = torch.nn.Conv2d(1, 1, 1).state_dict()
    assert set(joined_weights([state])) == set(state)
    assert first_member(module := torch.nn.Identity()) is module
