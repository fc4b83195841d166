"""ONNX files we write give our logits in ONNX Runtime."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from segdesk.errors import MissingExtra, WriteError
from segdesk.nn import exporting_onnx
from segdesk.nn.exporting_onnx import export_onnx
from segdesk.nn.loaded_model import load_model
from segdesk.nn.networks.registry import network_of
from segdesk.zoo.model_folder import ModelFolder
from segdesk.zoo.spec import NetworkSpec
from tests.nn.foreign import unsettled
from tests.nn.toys import classic_model, save_model, threshold_model, toy_spec


@dataclass(frozen=True)
class Exported:
    """A model and its file; writing one takes seconds."""

    model: ModelFolder
    path: Path
    difference: float


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("onnx")
    spec = toy_spec(network=NetworkSpec(name="residual_unet", parameters={"widths": [2, 4]}), orientation="RAS")
    torch.manual_seed(2)
    model = save_model(folder / "toy", spec, unsettled(network_of(spec)))
    return Exported(model, folder / "toy.onnx", export_onnx(model, folder / "toy.onnx"))


def test_any_batch_of_windows_gets_our_answer(exported: Exported) -> None:
    assert exported.difference <= 1e-4
    onnx.checker.check_model(str(exported.path))
    session = onnxruntime.InferenceSession(str(exported.path), providers=["CPUExecutionProvider"])
    network = load_model(exported.model).network
    for batch in (1, 3):
        image = torch.randn(batch, 1, 4, 8, 8)
        (logits,) = session.run(["logits"], {"image": image.numpy()})
        np.testing.assert_allclose(logits, network(image).numpy(), atol=1e-4)


def test_the_file_says_what_a_program_must_know_and_no_case(exported: Exported) -> None:
    words = {each.key: each.value for each in onnx.load(str(exported.path)).metadata_props}
    assert words["segdesk.model"] == "toy@1"
    assert words["segdesk.axes"] == "batch, channel, k, j, i"
    assert json.loads(words["segdesk.labels"])[0]["value"] == 7
    assert json.loads(words["segdesk.channels"])[0]["normalisation"]["kind"] == "none"
    assert json.loads(words["segdesk.orientation"]) == "RAS"
    assert not any("case" in key for key in words)


def test_a_network_with_a_margin_takes_its_whole_view(tmp_path: Path) -> None:
    export_onnx(classic_model(tmp_path / "toy"), tmp_path / "toy.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "toy.onnx"), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape[2:] == [28, 28]


def test_a_file_that_answers_differently_never_appears(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = threshold_model(tmp_path / "other", patch_kji=(4, 8, 8))
    monkeypatch.setattr(exporting_onnx, "as_onnx", lambda _model: exported.path.read_bytes())
    with pytest.raises(WriteError) as caught:
        export_onnx(other, tmp_path / "toy.onnx")
    assert caught.value.code == "verify_failed"
    assert {path.name for path in tmp_path.iterdir()} == {"other"}


def test_without_its_packages_the_extra_is_named(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting_onnx, "find_spec", lambda name: None if name == "onnxruntime" else object())
    with pytest.raises(MissingExtra, match=r"onnxruntime.*segdesk\[onnx\]"):
        export_onnx(exported.model, tmp_path / "toy.onnx")
