"""Bundles we write are loaded by MONAI's own tools, and come back as they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.bundle import ConfigParser

from segdesk.errors import ModelError, WriteError
from segdesk.nn import exporting_bundle
from segdesk.nn.exporting_bundle import export_bundle
from segdesk.nn.loaded_model import load_model
from segdesk.nn.networks.registry import network_of
from segdesk.zoo.foreign.literals import is_literal
from segdesk.zoo.model_folder import ModelFolder
from segdesk.zoo.spec import Channel, NetworkSpec, Normalisation, PostRule, TrainingRecord
from tests.nn.foreign import Import, turned, turned_back, unsettled
from tests.nn.toys import classic_model, save_model, toy_spec

_NETWORKS: dict[str, tuple[int, dict[str, Any]]] = {
    "unet": (3, {"widths": [2, 4], "strides": [[1, 2, 2]], "norm": "batch", "order": "nda"}),
    "segresnet": (3, {"init_filters": 8, "blocks_down": [1, 1], "blocks_up": [1], "norm": "group", "norm_groups": 4}),
    "basic_unet": (2, {"features": [2, 2, 4, 4, 4, 2]}),
    "residual_unet": (3, {"widths": [2, 4], "deep_supervision": 1}),
    "plain_conv_unet": (
        3,
        {"widths": [2, 4], "kernel_sizes": [[1, 3, 3], 3], "strides": [1, [1, 2, 2]], "blocks": [1, 1],
         "decoder_blocks": [1]},
    ),
}  # fmt: skip

_LICENCE = TrainingRecord(dataset="made", licence="CC0")


def _model(folder: Path, name: str, **changes: Any) -> ModelFolder:
    dims, numbers = _NETWORKS[name]
    window = Normalisation(kind="window", low=-100, high=300, mean=40, std=80)
    fields: dict[str, Any] = {
        "dimensions": dims,
        "network": NetworkSpec(name=name, parameters=numbers),
        "patch_kji": (8, 16, 32) if dims == 3 else (1, 16, 32),
        "channels": (Channel(name="ct", modality="CT", normalisation=window),),
        "spacing_kji_mm": (2.5, 0.75, 1.5),
        "orientation": "LPS",
        "post_processing": (PostRule(label=7, largest_component=True, minimum_size_mm3=12.0),),
        "training": _LICENCE,
    }
    spec = toy_spec(**{**fields, **changes})
    torch.manual_seed(4)
    return save_model(folder, spec, unsettled(network_of(spec)))


@pytest.mark.parametrize("name", _NETWORKS)
def test_monais_parser_builds_the_network_and_it_answers_the_same(name: str, tmp_path: Path) -> None:
    model = _model(tmp_path / "toy", name)
    export_bundle(model, tmp_path / "bundle")
    parser = ConfigParser()
    parser.read_config(str(tmp_path / "bundle" / "configs" / "inference.json"))
    parser.read_meta(str(tmp_path / "bundle" / "configs" / "metadata.json"))
    theirs = parser.get_parsed_content("network_def").eval()
    theirs.load_state_dict(torch.load(tmp_path / "bundle" / "models" / "model.pt", weights_only=True), strict=True)
    dims = model.spec.dimensions
    axes = tuple(reversed(range(dims)))
    image = torch.randn(1, 1, *(8, 16, 32)[3 - dims :])
    with torch.inference_mode():
        logits = turned_back(theirs(turned(image, axes)), axes)
        torch.testing.assert_close(logits, load_model(model).network(image), atol=1e-5, rtol=1e-5)


def test_monai_runs_preparation_window_and_answer_of_a_bundle(tmp_path: Path) -> None:
    export_bundle(_model(tmp_path / "toy", "unet"), tmp_path / "bundle")
    parser = ConfigParser()
    parser.read_config(str(tmp_path / "bundle" / "configs" / "inference.json"))
    names = [step["_target_"] for step in parser.config["preprocessing"]["transforms"]]
    scale = parser.get_parsed_content(f"preprocessing::transforms::{names.index('ScaleIntensityRanged')}")
    voxels = torch.tensor([-500.0, -100.0, 40.0, 300.0, 900.0])[None]
    expected = (voxels.clamp(-100, 300) - 40) / 80
    torch.testing.assert_close(scale({"image": voxels})["image"].as_tensor(), expected)
    network = parser.get_parsed_content("network_def").eval()
    with torch.inference_mode():
        answer = parser.get_parsed_content("inferer")(torch.randn(1, 1, 40, 20, 10), network)
    assert answer.shape == (1, 2, 40, 20, 10)
    assert parser.get_parsed_content("postprocessing") is not None


@pytest.mark.parametrize("name", _NETWORKS)
def test_a_bundle_comes_back_as_the_model_it_was(name: str, tmp_path: Path, import_here: Import) -> None:
    model = _model(tmp_path / "toy", name)
    export_bundle(model, tmp_path / "bundle")
    back = import_here(tmp_path / "bundle")
    same = ("name", "version", "title", "channels", "labels", "spacing_kji_mm", "patch_kji", "orientation",
            "post_processing", "dimensions")  # fmt: skip
    assert {field: getattr(back.spec, field) for field in same} == {field: getattr(model.spec, field) for field in same}
    ours, theirs = load_model(model).network.state_dict(), load_model(back).network.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_nothing_in_a_bundle_of_ours_is_an_expression(tmp_path: Path) -> None:
    export_bundle(_model(tmp_path / "toy", "unet"), tmp_path / "bundle")
    tables = [json.loads(path.read_text()) for path in (tmp_path / "bundle" / "configs").iterdir()]
    assert len(tables) == 2
    for table in tables:
        assert is_literal({key: str(value) for key, value in table.items()})
        assert "$" not in json.dumps(table)


def test_cases_of_the_training_stay_at_home(tmp_path: Path) -> None:
    cases = ({"image_sha256": "a" * 64, "patient_key": "secret-patient"},)
    record = TrainingRecord.model_validate({"dataset": "d", "licence": "l", "training_cases": cases})
    export_bundle(_model(tmp_path / "toy", "unet", training=record), tmp_path / "bundle")
    assert "secret" not in (tmp_path / "bundle" / "configs" / "metadata.json").read_text()


@pytest.mark.parametrize(
    "how",
    [
        Normalisation(kind="none"),
        Normalisation(kind="zscore"),
        Normalisation(kind="zscore", low=0.5, high=99.5),
        Normalisation(kind="zscore_inside"),
        Normalisation(kind="zscore_cropped"),
        Normalisation(kind="percentiles", low=1, high=99),
    ],
)
def test_every_normalisation_survives_the_round_trip(how: Normalisation, tmp_path: Path, import_here: Import) -> None:
    model = _model(tmp_path / "toy", "unet", channels=(Channel(name="mr", normalisation=how),))
    export_bundle(model, tmp_path / "bundle")
    assert import_here(tmp_path / "bundle").spec.channels[0].normalisation == how


def test_a_network_with_a_margin_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="less than it sees"):
        export_bundle(classic_model(tmp_path / "toy"), tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_nothing_is_overwritten_and_nothing_half_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = _model(tmp_path / "toy", "unet")
    (tmp_path / "there").mkdir()
    with pytest.raises(WriteError) as caught:
        export_bundle(model, tmp_path / "there")
    assert caught.value.code == "exists"

    def forgets(state: dict[str, torch.Tensor], path: Path) -> None:
        torch.serialization.save({name: tensor + 1 for name, tensor in state.items()}, path)

    monkeypatch.setattr(exporting_bundle.torch, "save", forgets)
    with pytest.raises(WriteError, match="reads back differently"):
        export_bundle(model, tmp_path / "bundle")
    assert {path.name for path in tmp_path.iterdir()} == {"toy", "there"}
