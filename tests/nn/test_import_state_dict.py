"""Bare state dicts with a declared contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from segdesk.errors import ImportRefused
from segdesk.nn.loaded_model import load_model
from tests.nn.foreign import Import, small_unet, turned, turned_back

CONTRACT: dict[str, Any] = {
    "dimensions": 3,
    "network": {
        "name": "unet",
        "parameters": {
            "widths": [2, 4, 6], "strides": [[2, 1, 2], [2, 2, 1]], "num_res_units": 1, "norm": "batch",
            "norm_affine": True, "kernel_size": [1, 3, 3],
        },
    },
    "channels": [{"name": "ct", "normalisation": {"kind": "none"}}],
    "labels": [
        {"value": 4, "name": "spleen", "colour_rgb": [1, 2, 3]},
        {"value": 9, "name": "lesion", "colour_rgb": [3, 2, 1]},
    ],
    "spacing_kji_mm": None,
    "patch_kji": [8, 8, 8],
    "orientation": None,
    "axis_order": "ijk",
    "training": {"dataset": "ours", "licence": "CC0"},
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_declared_weights_give_their_networks_logits(suffix: str, tmp_path: Path, import_here: Import) -> None:
    network = small_unet()
    path = tmp_path / f"my weights{suffix}"
    if suffix == ".safetensors":
        save_file({name: tensor.clone() for name, tensor in network.state_dict().items()}, path)
    else:
        torch.save(network.state_dict(), path)
    made = import_here(path, **CONTRACT)
    assert made.spec.name == "my-weights"
    assert made.spec.label_values == (0, 4, 9)
    theirs = torch.randn(1, 1, 16, 8, 12)
    with torch.inference_mode():
        logits = turned(load_model(made).network(turned_back(theirs, (2, 1, 0))), (2, 1, 0))
        torch.testing.assert_close(logits, network(theirs), atol=1e-6, rtol=1e-5)


def test_the_axes_are_never_guessed(tmp_path: Path, import_here: Import) -> None:
    torch.save(small_unet().state_dict(), tmp_path / "w.pt")
    with pytest.raises(ImportRefused, match="axis_order") as caught:
        import_here(tmp_path / "w.pt", **{key: value for key, value in CONTRACT.items() if key != "axis_order"})
    assert caught.value.code == "contract_incomplete"
    with pytest.raises(ImportRefused, match="shape"):
        import_here(tmp_path / "w.pt", **{**CONTRACT, "axis_order": "kji"})


def test_place_and_prefix_may_be_declared(tmp_path: Path, import_here: Import) -> None:
    state = {f"backbone.{name}": tensor for name, tensor in small_unet().state_dict().items()}
    torch.save({"ema": state, "other": {"x": torch.zeros(1)}}, tmp_path / "w.pt")
    with pytest.raises(ImportRefused, match="no state dict at a usual place"):
        import_here(tmp_path / "w.pt", **CONTRACT)
    with pytest.raises(ImportRefused, match="left over"):
        import_here(tmp_path / "w.pt", **CONTRACT, state_dict="ema")
    with pytest.raises(ImportRefused, match="declared prefix"):
        import_here(tmp_path / "w.pt", **CONTRACT, state_dict="ema", prefix="module.")
    assert import_here(tmp_path / "w.pt", **CONTRACT, state_dict="ema", prefix="backbone.").parameter_count > 0
    with pytest.raises(ImportRefused, match="no state dict under"):
        import_here(tmp_path / "w.pt", "again", **CONTRACT, state_dict="nowhere")


def test_a_network_too_large_for_its_words_is_refused_before_it_is_built(tmp_path: Path, import_here: Import) -> None:
    torch.save(small_unet().state_dict(), tmp_path / "w.pt")
    giant = {"name": "unet", "parameters": {"widths": [4096, 4096, 4096], "strides": [2, 2], "kernel_size": 15}}
    with pytest.raises(ImportRefused, match="GiB of weights"):
        import_here(tmp_path / "w.pt", **{**CONTRACT, "network": giant})
