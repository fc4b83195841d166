"""nnU-Net's recorded models (`tests.nn.golden.make_nnunet`), imported, give nnU-Net's own logits."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from segdesk.errors import ImportRefused, ModelError, UsageError
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


def _checkpoint(folder: Path, fold: str) -> Path:
    return folder / f"fold_{fold}" / "checkpoint_final.pth"


def _read(path: Path) -> dict[str, Any]:
    scalar = np.float64(0).__reduce__()[0]
    with torch.serialization.safe_globals([scalar, np.dtype, np.dtypes.Float64DType, np.dtypes.Float32DType]):
        return torch.load(path, weights_only=True)


def _add_fold(folder: Path, fold: str, shift: torch.Tensor, **words: Any) -> None:
    """A fold whose network answers as that of fold 0, with every class's logit moved."""
    content = _read(_checkpoint(folder, "0"))
    content["network_weights"] = {
        name: tensor + shift if name == "decoder.seg_layers.1.bias" else tensor
        for name, tensor in content["network_weights"].items()
    }
    _checkpoint(folder, fold).parent.mkdir()
    torch.save({**content, **words}, _checkpoint(folder, fold))


_SHIFTS = {
    "1": torch.tensor([0.0, 2.0, -1.0]),
    "3": torch.tensor([-3.0, 0.0, 1.0]),
    "all": torch.tensor([1.0, 1.0, -4]),
}


@pytest.fixture
def folds(folder: Path) -> Path:
    """Folds 0, 1, 3 and all."""
    for name, shift in _SHIFTS.items():
        _add_fold(folder, name, shift)
    return folder


def _probabilities(folds: Sequence[str]) -> torch.Tensor:
    """The mean over folds, from nnU-Net's own recorded logits."""
    recorded = load_file(_FOLDERS["plain"] / "answer.safetensors")["logits"]
    shifts = [_SHIFTS.get(name, torch.zeros(3)) for name in folds]
    return torch.stack([(recorded + each[:, None, None, None]).softmax(dim=1) for each in shifts]).mean(dim=0)


@pytest.mark.parametrize(
    ("asked", "taken"),
    [(None, ["0", "1", "3", "all"]), ("0,3", ["0", "3"]), ("all, 1, 1", ["all", "1"]), ("all", ["all"])],
)
def test_folds_answer_together_with_their_mean(
    asked: str | None, taken: list[str], folds: Path, import_here: Import
) -> None:
    made = import_here(folds, "made", **({} if asked is None else {"fold": asked}))
    assert made.spec.members == len(taken)
    image = turned_back(load_file(_FOLDERS["plain"] / "answer.safetensors")["image"], _AXES["plain"])
    with torch.inference_mode():
        found = turned(load_model(made).network(image), _AXES["plain"]).softmax(dim=1)
    torch.testing.assert_close(found, _probabilities(taken), atol=1e-5, rtol=1e-5)


def test_it_is_told_which_folds_were_taken(folds: Path, import_here: Import) -> None:
    _checkpoint(folds, "3").rename(folds / "fold_3" / "checkpoint_best.pth")
    every = import_here(folds, "every").spec.imported
    assert every is not None
    assert any("All folds were taken (0, 1, 3, all): 4 networks" in note for note in every.notes)
    assert any("averages the logits" in note for note in every.notes)
    assert any("weights of fold_3 are checkpoint_best.pth" in note for note in every.notes)
    assert every.source.startswith("fold_0/checkpoint_final.pth, fold_1/")
    paths = [_checkpoint(folds, "0"), _checkpoint(folds, "1"), folds / "fold_3" / "checkpoint_best.pth"]
    content = b"".join(path.read_bytes() for path in [*paths, _checkpoint(folds, "all")])
    assert every.source_sha256 == hashlib.sha256(content).hexdigest()
    some = import_here(folds, "some", fold="0,1").spec.imported
    assert some is not None
    assert any("2 of 4 folds were taken (0, 1)" in note for note in some.notes)
    one = import_here(folds, "one", fold="3").spec.imported
    assert one is not None
    assert one.source == "checkpoint_best.pth"
    assert any("Of 4 folds, fold_3 alone" in note for note in one.notes)


def test_folds_that_are_not_there_or_too_many_are_refused(folds: Path, import_here: Import) -> None:
    with pytest.raises(ImportRefused, match="no fold_4 here; there are fold_0, fold_1, fold_3, fold_all") as caught:
        import_here(folds, "none", fold="1,4")
    assert caught.value.code == "not_found"
    for number in range(20, 34):
        shutil.copytree(folds / "fold_1", folds / f"fold_{number}")
    with pytest.raises(ImportRefused, match="18 folds are more than"):
        import_here(folds, "many")
    for text in ("0;1", "0,", "best", "-1"):
        with pytest.raises(UsageError, match="fold"):
            import_here(folds, "odd", fold=text)


def test_one_damaged_fold_refuses_all(folds: Path, import_here: Import, tmp_path: Path) -> None:
    torch.save({"network_weights": {"a": torch.ones(1)}}, _checkpoint(folds, "3"))
    with pytest.raises(ImportRefused, match="no place"):
        import_here(folds, "made")
    torch.save({"network_weights": Path("a")}, _checkpoint(folds, "1"))
    with pytest.raises(ImportRefused, match="refers to"):
        import_here(folds, "made")
    assert not (tmp_path / "imported" / "made").exists()


@pytest.mark.parametrize("axes", [(0, 2), (1,)])
def test_mirrored_along_the_axes_all_folds_know(axes: tuple[int, ...], folder: Path, import_here: Import) -> None:
    _add_fold(folder, "1", torch.zeros(3), inference_allowed_mirroring_axes=axes)
    first = import_here(folder, "first", fold="0").spec.flip_axes
    other = import_here(folder, "other", fold="1").spec.flip_axes
    both = import_here(folder, "both").spec.flip_axes
    assert first is not None
    assert other is not None
    assert both is not None
    assert set(both) == set(first) & set(other)
    assert len(other) == len(axes)


def test_a_fold_that_does_not_say_how_it_was_mirrored_leaves_it_open(folder: Path, import_here: Import) -> None:
    _add_fold(folder, "1", torch.zeros(3), inference_allowed_mirroring_axes=None)
    assert import_here(folder, "both").spec.flip_axes is None


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
    path = _checkpoint(folder, "0")
    content = _read(path)
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
