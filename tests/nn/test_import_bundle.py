"""MONAI bundles, imported, give the logits of MONAI's own network."""

from __future__ import annotations

import copy
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from monai.networks import nets
from safetensors.torch import save_file
from torch import nn

from segdesk.errors import ImportRefused
from segdesk.nn.loaded_model import load_model
from tests.nn.foreign import (
    METADATA,
    PREPARATION,
    Import,
    bundle,
    inference,
    small_unet,
    turned,
    turned_back,
    unsettled,
)

_IJK, _IJ = (2, 1, 0), (1, 0)

_NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "unet": ("UNet", {"channels": [2, 4, 6], "strides": [2, 2], "act": ["leakyrelu", {"negative_slope": 0.2}]}),
    "unet per axis": (
        "monai.networks.nets.UNet",
        {
            "channels": [2, 4, 6], "strides": [[2, 1, 2], [1, 2, 2]], "num_res_units": 2, "norm": "BATCH",
            "kernel_size": [3, 1, 5], "up_kernel_size": [3, 3, 1], "bias": False, "adn_ordering": "NA",
        },
    ),
    "basic unet": ("BasicUNet", {"features": [4, 4, 4, 6, 6, 4], "norm": ["group", {"num_groups": 2}]}),
    "dyn unet": (
        "DynUNet",
        {
            "kernel_size": [[3, 3, 1], 3, 3], "strides": [[1, 1, 1], [2, 2, 1], 2],
            "upsample_kernel_size": [[2, 2, 1], 2], "filters": [2, 4, 6],
            "res_block": True, "deep_supervision": True, "deep_supr_num": 1,
        },
    ),
    "segresnet": ("SegResNet", {"init_filters": 8, "blocks_down": [1, 1, 2], "blocks_up": [1, 1], "dropout_prob": 0.2}),
}  # fmt: skip


def _made(kind: str, dims: int = 3) -> tuple[dict[str, Any], nn.Module]:
    target, numbers = _NETWORKS[kind]
    arguments = {"spatial_dims": dims, "in_channels": 1, "out_channels": 3, **numbers}
    torch.manual_seed(1)
    return {"_target_": target, **arguments}, unsettled(getattr(nets, target.rpartition(".")[2])(**arguments))


@pytest.mark.parametrize("kind", _NETWORKS)
def test_the_logits_are_those_of_monais_network(kind: str, tmp_path: Path, import_here: Import) -> None:
    definition, network = _made(kind)
    source = bundle(tmp_path / "b", network.state_dict(), config=inference(network_def=definition))
    model = load_model(import_here(source))
    theirs = torch.randn(1, 1, 32, 16, 16)
    with torch.inference_mode():
        logits = turned(model.network(turned_back(theirs, _IJK)), _IJK)
        torch.testing.assert_close(logits, network(theirs), atol=1e-6, rtol=1e-5)


def test_a_flat_network_is_turned_as_well(tmp_path: Path, import_here: Import) -> None:
    definition, network = _made("unet", dims=2)
    inferer = {"_target_": "SlidingWindowInferer", "roi_size": [32, 16]}
    source = bundle(tmp_path / "b", network.state_dict(), config=inference(network_def=definition, inferer=inferer))
    model = load_model(import_here(source))
    assert model.spec.patch_kji == (1, 16, 32)
    theirs = torch.randn(1, 1, 32, 16)
    with torch.inference_mode():
        logits = turned(model.network(turned_back(theirs, _IJ)), _IJ)
        torch.testing.assert_close(logits, network(theirs), atol=1e-6, rtol=1e-5)


def test_descriptions_are_read_into_our_axes(tmp_path: Path, import_here: Import) -> None:
    spec = import_here(bundle(tmp_path / "b")).spec
    assert (spec.name, spec.title) == ("Spleen-friends", "Spleen & friends")
    assert spec.spacing_kji_mm == (2.0, 1.25, 1.5)
    assert spec.patch_kji == (16, 24, 32)
    assert spec.orientation == "RAS"
    assert [label.name for label in spec.labels] == ["spleen", "lesion"]
    assert spec.channels[0].modality == "CT"
    window = spec.channels[0].normalisation
    assert (window.kind, window.low, window.high, window.mean, window.std) == ("window", -57.0, 164.0, -57.0, 221.0)
    assert spec.training is not None
    assert spec.training.licence == "CC BY-SA 4.0"
    assert spec.imported is not None
    assert any("expressions" in note for note in spec.imported.notes)


def test_safetensors_are_preferred_to_a_pickle(tmp_path: Path, import_here: Import) -> None:
    source = bundle(tmp_path / "b", {"not": "weights"})
    save_file({k: v.clone() for k, v in small_unet().state_dict().items()}, source / "models" / "model.safetensors")
    assert import_here(source).spec.imported.source == "model.safetensors"  # type: ignore[union-attr]


@pytest.mark.parametrize("wrap", ["model", "state_dict", "module."])
def test_weights_may_lie_deeper(wrap: str, tmp_path: Path, import_here: Import) -> None:
    state = small_unet().state_dict()
    wrapped = {f"{wrap}{k}": v for k, v in state.items()} if wrap.endswith(".") else {wrap: state, "epoch": 3}
    assert import_here(bundle(tmp_path / "b", wrapped)).parameter_count > 0


def test_half_precision_weights_are_widened(tmp_path: Path, import_here: Import) -> None:
    network = small_unet().half()
    made = import_here(bundle(tmp_path / "b", network.state_dict()))
    assert {tensor.dtype for tensor in made.tensors} == {"F32", "I64"}


def test_a_zip_of_a_bundle_is_imported(tmp_path: Path, import_here: Import) -> None:
    source = bundle(tmp_path / "spleen")
    with zipfile.ZipFile(tmp_path / "spleen.zip", "w") as archive:
        for path in source.rglob("*"):
            archive.write(path, path.relative_to(tmp_path))
    assert import_here(tmp_path / "spleen.zip").spec.name == "Spleen-friends"


_UNKNOWN_STEPS: dict[str, list[dict[str, Any]]] = {
    "an expression": [{"_target_": "Spacingd", "keys": "image", "pixdim": "$[1, 2, 3]"}],
    "a step of its own": [{"_target_": "scripts.MyTransform"}],
    "a lambda": [{"_target_": "Lambdad", "keys": "image", "func": "$lambda x: x / 2"}],
}


@pytest.mark.parametrize("kind", _UNKNOWN_STEPS)
def test_what_a_step_does_is_asked_for_where_it_is_not_known(kind: str, tmp_path: Path, import_here: Import) -> None:
    steps = {"_target_": "Compose", "transforms": [*PREPARATION, *_UNKNOWN_STEPS[kind]]}
    source = bundle(tmp_path / "b", config=inference(preprocessing=steps))
    with pytest.raises(ImportRefused) as caught:
        import_here(source)
    assert caught.value.code == "contract_incomplete"
    for field in ("channels", "spacing_kji_mm", "orientation"):
        assert field in caught.value.message
    answered = {
        "channels": [{"name": "ct", "normalisation": {"kind": "none"}}],
        "spacing_kji_mm": None,
        "orientation": "LPS",
    }
    assert import_here(source, **answered).spec.orientation == "LPS"


_UNIT = {"b_min": 0, "b_max": 1}
_RANGE = {"_target_": "ScaleIntensityRanged", "a_min": 0, **_UNIT}
_PERCENTILES = {"_target_": "ScaleIntensityRangePercentilesd", "lower": 1, "upper": 99, **_UNIT}


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], ("none", None, None)),
        ([{"_target_": "NormalizeIntensityd"}], ("zscore", None, None)),
        ([{"_target_": "NormalizeIntensityd", "nonzero": True}], ("zscore_inside", None, None)),
        ([{"_target_": "NormalizeIntensityd", "subtrahend": 10, "divisor": 4}], ("window", -1e9, 1e9)),
        ([{"_target_": "NormalizeIntensityd", "subtrahend": [1, 2]}], None),
        ([{"_target_": "ScaleIntensityd"}], ("percentiles", 0.0, 100.0)),
        ([{"_target_": "ScaleIntensityd", "minv": -1.0}], None),
        ([{**_PERCENTILES, "clip": True}], ("percentiles", 1.0, 99.0)),
        ([_PERCENTILES], None),
        ([{"_target_": "ClipIntensityPercentilesd", "lower": 1, "upper": 99, "channel_wise": True},
          {"_target_": "NormalizeIntensityd", "channel_wise": True}], ("zscore", 1.0, 99.0)),
        ([{"_target_": "ClipIntensityPercentilesd", "lower": 1, "upper": 99, "channel_wise": True}], None),
        ([{**_RANGE, "a_max": 10}], ("window", -1e9, 1e9)),
        ([{**_RANGE, "a_max": 0}], None),
        ([{"_target_": "ScaleIntensityd", "_disabled_": True}], ("none", None, None)),
        ([{"_target_": "ScaleIntensityd"}, {"_target_": "NormalizeIntensityd"}], None),
    ],
)  # fmt: skip
def test_intensity_steps_become_one_normalisation_or_are_asked_for(
    steps: list[dict[str, Any]], expected: tuple[str, float, float] | None, tmp_path: Path, import_here: Import
) -> None:
    config = inference(preprocessing={"_target_": "Compose", "transforms": [PREPARATION[0], *steps]})
    source = bundle(tmp_path / "b", config=config)
    if expected is None:
        with pytest.raises(ImportRefused, match="channels"):
            import_here(source)
        return
    how = import_here(source).spec.channels[0].normalisation
    assert (how.kind, how.low, how.high) == expected


def test_a_normalisation_over_all_channels_is_asked_for(tmp_path: Path, import_here: Import) -> None:
    metadata = copy.deepcopy(METADATA)
    metadata["network_data_format"]["inputs"]["image"] = {"num_channels": 2}
    network = small_unet(in_channels=2)
    steps = {"transforms": [{"_target_": "NormalizeIntensityd", "keys": "image"}]}
    config = inference(preprocessing=steps)
    config["network_def"] = {**config["network_def"], "in_channels": 2}
    source = bundle(tmp_path / "b", network.state_dict(), metadata=metadata, config=config)
    with pytest.raises(ImportRefused, match="channels"):
        import_here(source)
    steps["transforms"][0]["channel_wise"] = True  # type: ignore[assignment]
    (source / "configs" / "inference.json").write_text(json.dumps(config))
    assert import_here(source).spec.channel_names == ("channel-0", "channel-1")


def test_largest_components_are_kept_as_a_rule(tmp_path: Path, import_here: Import) -> None:
    after = {"transforms": [{"_target_": "KeepLargestConnectedComponentd", "keys": "pred", "applied_labels": [1, 9]}]}
    (rule,) = import_here(bundle(tmp_path / "b", config=inference(postprocessing=after))).spec.post_processing
    assert (rule.label, rule.largest_component) == (1, True)


def test_overlapping_answers_are_refused(tmp_path: Path, import_here: Import) -> None:
    after = {"transforms": [{"_target_": "Activationsd", "keys": "pred", "sigmoid": True}]}
    with pytest.raises(ImportRefused, match="sigmoid"):
        import_here(bundle(tmp_path / "b", config=inference(postprocessing=after)))


def test_a_bundle_without_inference_json_asks_for_nearly_everything(tmp_path: Path, import_here: Import) -> None:
    source = bundle(tmp_path / "b")
    (source / "configs" / "inference.json").unlink()
    with pytest.raises(ImportRefused, match=r"network.*channels.*spacing_kji_mm.*patch_kji.*orientation"):
        import_here(source)


def test_a_declared_network_takes_the_place_of_an_expression(tmp_path: Path, import_here: Import) -> None:
    config = inference(network_def="$scripts.build()")
    source = bundle(tmp_path / "b", config=config)
    network = {
        "name": "unet",
        "parameters": {
            "widths": [2, 4, 6], "strides": [[2, 1, 2], [2, 2, 1]], "num_res_units": 1, "norm": "batch",
            "norm_affine": True, "kernel_size": [1, 3, 3],
        },
    }  # fmt: skip
    assert import_here(source, dimensions=3, network=network).spec.network.name == "unet"
