"""nnU-Net's recorded models (`tests.nn.golden.make_nnunet`), imported, give nnU-Net's own logits."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from segdesk.errors import ImportRefused, ModelError
from segdesk.nn.loaded_model import load_model
from segdesk.nn.networks.registry import build_network, network_named
from segdesk.zoo.spec import NetworkSpec
from tests.nn.foreign import GOLDEN, Import, turned, turned_back

_FOLDERS = {
    "plain": GOLDEN / "plain" / "nnUNetTrainer__nnUNetPlans__3d_fullres",
    "residual": GOLDEN / "residual" / "nnUNetTrainer__nnUNetPlans__3d_fullres",
    "flat": GOLDEN / "flat" / "nnUNetTrainer__nnUNetPlans__2d",
}
_AXES = {"plain": (1, 0, 2), "residual": (2, 0, 1), "flat": (1, 0)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy to break."""
    copy = tmp_path / _FOLDERS["plain"].name
    shutil.copytree(_FOLDERS["plain"], copy)
    return copy


def _edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    table = json.loads(path.read_text())
    change(table)
    path.write_text(json.dumps(table))


def _plan(table: dict[str, Any]) -> dict[str, Any]:
    return table["configurations"]["3d_fullres"]


@pytest.mark.parametrize("kind", _FOLDERS)
def test_the_logits_are_those_of_nnunets_network(kind: str, import_here: Import) -> None:
    model = load_model(import_here(_FOLDERS[kind], "made"))
    recorded = load_file(_FOLDERS[kind] / "answer.safetensors")
    image = turned_back(recorded["image"], _AXES[kind])
    with torch.inference_mode():
        logits = turned(model.network(image), _AXES[kind])
    torch.testing.assert_close(logits, recorded["logits"], atol=1e-5, rtol=1e-5)


def test_a_plan_is_read_into_our_axes(import_here: Import) -> None:
    spec = import_here(_FOLDERS["plain"], "made").spec
    assert spec.spacing_kji_mm == (2.5, 1.0, 0.8)
    assert spec.patch_kji == (16, 8, 16)
    assert spec.network.parameters["kernel_sizes"][0] == [3, 1, 3]
    assert [(label.value, label.name) for label in spec.labels] == [(1, "organ"), (2, "lesion")]
    window = spec.channels[0].normalisation
    assert (window.kind, window.low, window.high, window.mean, window.std) == ("window", -17.0, 201.0, 99.5, 37.0)
    assert spec.orientation is None
    assert spec.flip_axes == ("k", "j", "i")
    assert spec.training is not None
    assert spec.training.licence == "CC0"


def test_windows_need_only_be_multiples_of_what_each_axis_is_pooled_by(import_here: Import) -> None:
    model = load_model(import_here(_FOLDERS["plain"], "made"))
    assert model.divisor == (4, 2, 4)
    assert model.window == (16, 8, 16)


def test_a_flat_model_keeps_its_slices(import_here: Import) -> None:
    spec = import_here(_FOLDERS["flat"], "made").spec
    assert spec.dimensions == 2
    assert spec.patch_kji == (1, 24, 16)
    assert spec.spacing_kji_mm == (3.0, 0.9, 0.7)
    assert spec.flip_axes == ("j", "i")


def test_the_card_says_what_differs_from_nnunet(import_here: Import) -> None:
    card = import_here(_FOLDERS["plain"], "made").card_path.read_text()
    for word in ("cubic splines", "non-zero part", "mirrors the image", "nnUNetTrainer", "CC0"):
        assert word in card


@pytest.mark.parametrize(
    ("scheme", "masked", "kind"),
    [
        ("ZScoreNormalization", False, "zscore_cropped"),
        ("ZScoreNormalization", True, "zscore_inside"),
        ("NoNormalization", False, "none"),
        ("RescaleTo01Normalization", False, "percentiles"),
        ("RGBTo01Normalization", False, "window"),
    ],
)
def test_each_normalisation_of_nnunet_has_one_of_ours(
    scheme: str,
    masked: bool,
    kind: str,
    folder: Path,
    import_here: Import,
) -> None:
    change = {"normalization_schemes": [scheme], "use_mask_for_norm": [masked]}
    _edit(folder / "plans.json", lambda table: _plan(table).update(change))
    assert import_here(folder, "made").spec.channels[0].normalisation.kind == kind


def test_plans_from_before_the_architecture_was_named_are_read(folder: Path, import_here: Import) -> None:
    def to_old(table: dict[str, Any]) -> None:
        plan = _plan(table)
        arguments = plan.pop("architecture")["arch_kwargs"]
        plan |= {
            "UNet_class_name": "PlainConvUNet", "UNet_base_num_features": 2, "unet_max_num_features": 320,
            "conv_kernel_sizes": arguments["kernel_sizes"], "pool_op_kernel_sizes": arguments["strides"],
            "n_conv_per_stage_encoder": [2, 2, 2], "n_conv_per_stage_decoder": [1, 2],
        }  # fmt: skip

    _edit(folder / "plans.json", to_old)
    with pytest.raises(ImportRefused, match=r"has the shape \(6, .* instead of \(8,"):
        import_here(folder, "made")


def test_a_configuration_may_inherit(folder: Path, import_here: Import) -> None:
    def split(table: dict[str, Any]) -> None:
        full = table["configurations"].pop("3d_fullres")
        table["configurations"] = {"base": full, "3d_fullres": {"inherits_from": "base", "spacing": [2.0, 2.0, 2.0]}}

    _edit(folder / "plans.json", split)
    assert import_here(folder, "made").spec.spacing_kji_mm == (2.0, 2.0, 2.0)


def test_one_of_several_folds_is_taken_and_said(folder: Path, import_here: Import) -> None:
    shutil.copytree(folder / "fold_0", folder / "fold_3")
    (folder / "fold_3" / "checkpoint_final.pth").rename(folder / "fold_3" / "checkpoint_best.pth")
    first = import_here(folder, "first").spec.imported
    other = import_here(folder, "other", fold="3").spec.imported
    assert first is not None
    assert other is not None
    assert any("Of 2 folds, fold_0 alone" in note for note in first.notes)
    assert other.source == "checkpoint_best.pth"
    with pytest.raises(ImportRefused, match="no fold_4"):
        import_here(folder, "none", fold="4")


def test_a_folder_of_another_name_needs_its_configuration_only_where_there_is_a_choice(
    folder: Path,
    import_here: Import,
) -> None:
    plain = folder.rename(folder.with_name("results"))
    assert import_here(plain, "alone").spec.dimensions == 3
    _edit(plain / "plans.json", lambda table: table["configurations"].update({"2d": {}}))
    with pytest.raises(ImportRefused, match="3d_fullres, 2d") as caught:
        import_here(plain, "several")
    assert caught.value.code == "contract_incomplete"
    assert import_here(plain, "chosen", configuration="3d_fullres").spec.dimensions == 3


def test_a_checkpoint_of_another_configuration_is_refused(folder: Path, import_here: Import) -> None:
    _edit(
        folder / "plans.json",
        lambda table: table["configurations"].update({"3d_lowres": {"inherits_from": "3d_fullres"}}),
    )
    with pytest.raises(ImportRefused, match="configuration '3d_fullres', the folder says '3d_lowres'"):
        import_here(folder, "made", configuration="3d_lowres")


def test_twins_in_the_checkpoint_must_be_equal(folder: Path, import_here: Import) -> None:
    path = folder / "fold_0" / "checkpoint_final.pth"
    scalar = np.float64(0).__reduce__()[0]
    with torch.serialization.safe_globals([scalar, np.dtype, np.dtypes.Float64DType, np.dtypes.Float32DType]):
        content = torch.load(path, weights_only=True)
    name = "decoder.encoder.stages.0.0.convs.0.conv.weight"
    content["network_weights"][name] = content["network_weights"][name] + 1
    torch.save(content, path)
    with pytest.raises(ImportRefused, match="twin differ"):
        import_here(folder, "made")


def _architecture(table: dict[str, Any]) -> dict[str, Any]:
    return _plan(table)["architecture"]


_BAD_PLANS: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "other network": (
        lambda t: _architecture(t).update(network_class_name="os.system"),
        "none segdesk builds",
    ),
    "batch norm": (
        lambda t: _architecture(t)["arch_kwargs"].update(norm_op="torch.nn.BatchNorm3d"),
        "only InstanceNorm3d",
    ),
    "dropout": (
        lambda t: _architecture(t)["arch_kwargs"].update(dropout_op="torch.nn.Dropout3d"),
        "dropout_op",
    ),
    "unknown option": (lambda t: _architecture(t)["arch_kwargs"].update(squeeze=True), "squeeze"),
    "cascade": (lambda t: _plan(t).update(previous_stage="3d_lowres"), "cascade"),
    "own normalisation": (lambda t: _plan(t).update(normalization_schemes=["Evil"]), "Evil"),
    "no patch": (lambda t: _plan(t).pop("patch_size"), "damaged"),
    "odd transpose": (lambda t: t.update(transpose_forward=[0, 0, 1]), "damaged"),
    "huge patch": (lambda t: _plan(t).update(patch_size=[10**9] * 3), "damaged"),
    "no statistics": (lambda t: t.pop("foreground_intensity_properties_per_channel"), "damaged"),
}


@pytest.mark.parametrize("kind", _BAD_PLANS)
def test_plans_that_cannot_be_expressed_are_refused(kind: str, folder: Path, import_here: Import) -> None:
    change, words = _BAD_PLANS[kind]
    _edit(folder / "plans.json", change)
    with pytest.raises(ImportRefused, match=words):
        import_here(folder, "made")


def test_regions_are_refused(folder: Path, import_here: Import) -> None:
    _edit(
        folder / "dataset.json", lambda t: t.update(labels={"background": 0, "whole": [1, 2]}, regions_class_order=[1])
    )
    with pytest.raises(ImportRefused, match="regions"):
        import_here(folder, "made")


def test_a_model_without_a_licence_asks_for_it(folder: Path, import_here: Import) -> None:
    _edit(folder / "dataset.json", lambda t: t.pop("licence"))
    with pytest.raises(ImportRefused, match="training") as caught:
        import_here(folder, "made")
    assert caught.value.code == "contract_incomplete"
    known = import_here(folder, "made", training={"dataset": "ours", "licence": "CC0"})
    assert known.spec.training is not None


def test_a_folder_without_checkpoints_is_refused(folder: Path, import_here: Import) -> None:
    shutil.rmtree(folder / "fold_0")
    with pytest.raises(ImportRefused, match="no fold_"):
        import_here(folder, "made")


def test_coarse_heads_answer_in_training_finest_first(import_here: Import) -> None:
    network = load_model(import_here(_FOLDERS["plain"], "made")).network
    image = torch.randn(1, 1, 16, 8, 16)
    fine, coarse = network.forward_deep(image)
    torch.testing.assert_close(fine, network(image))
    assert coarse.shape == (1, 3, 8, 8, 8)


@pytest.mark.parametrize(
    "numbers",
    [{"colour": 1}, {"widths": [4]}, {"blocks": [1, 1]}, {"kernel_sizes": [2, 2, 2]}, {"strides": [[1, 1], 2, 2]}],
)
def test_numbers_that_make_no_nnunet_are_refused(numbers: dict[str, Any]) -> None:
    parameters = {**network_named("plain_conv_unet").parameters, **numbers}
    network = NetworkSpec.model_validate({"name": "plain_conv_unet", "parameters": parameters})
    with pytest.raises(ModelError, match="not valid"):
        build_network(network, dimensions=3, in_channels=1, out_channels=2)
