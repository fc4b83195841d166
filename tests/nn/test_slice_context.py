"""2.5D: a 2D network whose channels are a slice and its neighbours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from segdesk.core.box import Box
from segdesk.core.explanation import ExplainMethod, ExplainOptions
from segdesk.core.geometry import Geometry, SliceStackGeometry
from segdesk.core.inside import InsideOptions
from segdesk.core.prediction import Prediction, PredictOptions
from segdesk.core.progress import silent
from segdesk.core.volume import Volume
from segdesk.errors import ImportRefused, ModelError, UsageError
from segdesk.nn.augment import AugmentSettings
from segdesk.nn.explain import explain
from segdesk.nn.exporting_bundle import export_bundle
from segdesk.nn.exporting_onnx import export_onnx
from segdesk.nn.fit import Budget
from segdesk.nn.inside import look_inside
from segdesk.nn.loaded_model import load_model
from segdesk.nn.networks.classic_unet import ClassicUnet
from segdesk.nn.networks.registry import network_of
from segdesk.nn.predict import predict
from segdesk.nn.preprocess import preprocess
from segdesk.nn.recipe import PreprocessingChoice, Recipe
from segdesk.nn.recipe_file import parse_recipe
from segdesk.nn.sampler import PatchSampler, TrainingCase
from segdesk.nn.stitch import Engine
from segdesk.nn.train import TrainSettings, train
from segdesk.zoo.model_folder import ModelFolder
from segdesk.zoo.spec import Channel
from tests.nn.foreign import Import
from tests.nn.test_import_state_dict import CONTRACT
from tests.nn.toy_sets import nnunet_set
from tests.nn.toys import RAW, classic_model, save_model, toy_spec

_STILL = AugmentSettings(chance=0, rotate_degrees=0, scale=0, elastic_voxels=0)
_SHAPE = (5, 20, 18)

TWO_CHANNELS = (Channel(name="flair", normalisation=RAW), Channel(name="t1c", normalisation=RAW))


def _volumes(shape: tuple[int, int, int] = _SHAPE) -> dict[str, Volume]:
    rng, grid = np.random.default_rng(7), Geometry.from_spacing(shape)
    return {name: Volume(rng.normal(size=shape).astype(np.float32), grid) for name in ("flair", "t1c")}


def _run(model: ModelFolder, volumes: dict[str, Volume], **options: Any) -> Prediction:
    return predict(volumes, model.path, PredictOptions(device="cpu", **options), silent)


def _by_hand(model: ModelFolder, volumes: dict[str, Volume], context: int) -> np.ndarray:
    """Probabilities, slice by slice: neighbours taken by index, borders mirrored by numpy, no window."""
    network = load_model(model).network
    assert isinstance(network, ClassicUnet)
    margin = network.output_margin
    answers = []
    for k in range(_SHAPE[0]):
        near = np.clip(np.arange(k - context, k + context + 1), 0, _SHAPE[0] - 1)
        image = np.concatenate([volume.array[near] for volume in volumes.values()])
        image = np.pad(image, [(0, 0), (margin, margin), (margin, margin)], mode="reflect")
        with torch.inference_mode():
            answers.append(network(torch.from_numpy(image)[None]).softmax(dim=1)[0].numpy())
    return np.stack(answers, axis=1)


@pytest.mark.parametrize("context", [1, 2])
def test_a_model_sees_each_channel_with_its_neighbours_and_the_end_slices_repeat(context: int, tmp_path: Path) -> None:
    model = classic_model(tmp_path / "m", slice_context=context, channels=TWO_CHANNELS)
    volumes = _volumes()
    found = _run(model, volumes, probabilities=True).probabilities
    np.testing.assert_allclose(found, _by_hand(model, volumes, context), atol=1e-5)


def test_a_region_answers_as_the_whole_does_at_its_first_and_last_slice(tmp_path: Path) -> None:
    model = classic_model(tmp_path / "m", slice_context=1, channels=TWO_CHANNELS)
    whole = _run(model, _volumes(), probabilities=True).probabilities
    box = Box((2, 0, 0), (4, 20, 18))
    part = _run(model, _volumes(), probabilities=True, roi=box).probabilities
    np.testing.assert_allclose(part[:, 2:4], whole[:, 2:4], atol=1e-5)
    assert (part[0, :2] == 1).all()


def test_one_window_answers_as_it_does_in_a_batch(tmp_path: Path) -> None:
    model = load_model(classic_model(tmp_path / "m", slice_context=1, channels=TWO_CHANNELS))
    engine = Engine(model.network, 2, torch.device("cpu"), torch.device("cpu"))
    windows = torch.randn(4, 2, 3, 28, 28)
    torch.testing.assert_close(
        engine.logits(windows), torch.cat([engine.logits(each[None]) for each in windows]), atol=1e-5, rtol=0
    )


def test_mirrored_along_k_the_neighbours_change_places(tmp_path: Path) -> None:
    model = classic_model(tmp_path / "m", slice_context=1, flip_axes=("k",), channels=TWO_CHANNELS)
    volumes = _volumes()
    upside_down = {name: replace(volume, array=volume.array[::-1].copy()) for name, volume in volumes.items()}
    found = _run(model, volumes, probabilities=True, flips=True).probabilities
    turned = _run(model, upside_down, probabilities=True, flips=True).probabilities
    np.testing.assert_allclose(found, turned[:, ::-1], atol=1e-5)
    plain = _run(model, volumes, probabilities=True).probabilities
    assert np.abs(found - plain).max() > 1e-3


def test_a_single_slice_and_an_uneven_stack_are_drawn_with_a_remark(tmp_path: Path) -> None:
    model = classic_model(tmp_path / "m", slice_context=1)
    single = {"image": Volume(np.ones((1, 16, 16), np.float32), Geometry.from_spacing((1, 16, 16)))}
    found = _run(model, single)
    assert found.labels.array.shape == (1, 16, 16)
    assert any("single slice" in note for note in found.manifest["notes"])
    affines = np.zeros((3, 4, 3))
    affines[:, 3, 2] = affines[:, 1, 0] = affines[:, 0, 1] = 1
    affines[:, 2, 2] = (0.0, 5.0, 11.0)
    stack = SliceStackGeometry((3, 16, 16), affines, np.array([5.0, 5.5, 6.0]))
    assert any(
        "not evenly spaced" in note
        for note in _run(model, {"image": Volume(np.ones((3, 16, 16), np.float32), stack)}).manifest["notes"]
    )


def test_neighbours_are_as_far_away_as_in_the_training() -> None:
    grid = Geometry.from_spacing((6, 10, 10), (2.0, 1.0, 1.0))
    volume = {"image": Volume(np.zeros((6, 10, 10), np.float32), grid)}
    flat = toy_spec(dimensions=2, patch_kji=(1, 8, 8), spacing_kji_mm=(1.0, 1.0, 1.0))
    assert preprocess(volume, flat).array.shape == (1, 6, 10, 10)
    near = flat.model_copy(update={"slice_context": 1})
    assert preprocess(volume, near).array.shape == (1, 12, 10, 10)


def _counting_case(slices: int = 6) -> TrainingCase:
    labels = torch.arange(slices, dtype=torch.uint8)[:, None, None].expand(slices, 16, 16).contiguous()
    return TrainingCase("a", torch.stack([labels.float(), 10 * labels.float()]), labels)


def test_patches_hold_the_neighbours_of_the_slice_whose_labels_they_have() -> None:
    sampler = PatchSampler(
        [_counting_case()], (1, 8, 8), _STILL, 0, dimensions=2, slice_context=2, jitter=0, foreground=0
    )
    seen = set()
    for step in range(12):
        images, labels, _ = sampler.batch(step, 2)
        assert images.shape == (2, 10, 8, 8)
        for image, label in zip(images, labels, strict=True):
            k = int(label[0, 0])
            near = np.clip(np.arange(k - 2, k + 3), 0, 5)
            np.testing.assert_allclose(image[:, 0, 0].numpy(), [*near, *10 * near], atol=1e-4)
            torch.testing.assert_close(image, image[:, :1, :1].expand_as(image), atol=1e-4, rtol=0)
            seen.add(k)
    assert {0, 5} < seen


@pytest.mark.parametrize("spline", [False, True])
def test_neighbours_are_turned_bent_and_recoloured_alike(spline: bool) -> None:
    pattern = torch.randn(1, 1, 24, 24).expand(1, 7, 24, 24).contiguous()
    case = TrainingCase("a", pattern, torch.zeros(7, 24, 24, dtype=torch.uint8))
    settings = AugmentSettings(
        chance=1, turn_chance=1, elastic_voxels=3, elastic_spline=spline, shear_degrees=10, noise=0, erase=0.3,
        flip_axes=("j", "i"), quarter_turns=("k",),
    )  # fmt: skip
    sampler = PatchSampler([case], (1, 16, 16), settings, 1, dimensions=2, slice_context=1)
    images = sampler.batch(0, 4).images
    torch.testing.assert_close(images, images[:, 1:2].expand_as(images), atol=1e-4, rtol=0)
    assert images.std() > 0.1


def test_border_weights_are_those_of_the_middle_slice() -> None:
    case = replace(_counting_case(), border=_counting_case().labels.float())
    sampler = PatchSampler([case], (1, 8, 8), _STILL, 0, dimensions=2, slice_context=1, margin=2)
    images, labels, border = sampler.batch(0, 3)
    assert images.shape == (3, 6, 12, 12)
    assert border is not None
    torch.testing.assert_close(border, labels.float())


def test_onnx_takes_the_slices_as_channels_and_a_bundle_is_refused(tmp_path: Path) -> None:
    model = classic_model(tmp_path / "m", slice_context=1, channels=TWO_CHANNELS)
    export_onnx(model, tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape[1:] == [6, 28, 28]
    assert session.get_modelmeta().custom_metadata_map["segdesk.slice_context"] == "1"
    padded = save_model(tmp_path / "p", spec := _padded_spec(), network_of(spec))
    with pytest.raises(ModelError, match="neighbouring slices"):
        export_bundle(padded, tmp_path / "bundle")


def _padded_spec() -> Any:
    return toy_spec(dimensions=2, slice_context=1, patch_kji=(1, 8, 8))


def test_a_bare_state_dict_can_be_declared_as_one(tmp_path: Path, import_here: Import) -> None:
    torch.manual_seed(1)
    spec = _padded_spec()
    save_file(dict(network_of(spec).state_dict()), tmp_path / "w.safetensors")
    flat = {
        **CONTRACT, "dimensions": 2, "patch_kji": [1, 8, 8], "axis_order": "kji", "labels": CONTRACT["labels"][:1],
        "network": {"name": "residual_unet", "parameters": {"widths": [1]}},
    }  # fmt: skip
    made = import_here(tmp_path / "w.safetensors", "made", slice_context=1, **flat)
    assert load_model(made).margin == (1, 0, 0)
    with pytest.raises(ImportRefused, match="1 channel"):
        import_here(tmp_path / "w.safetensors", "flat", **flat)


@pytest.mark.parametrize("method", ExplainMethod)
def test_it_is_explained_on_the_image(method: ExplainMethod, tmp_path: Path) -> None:
    model = classic_model(tmp_path / "m", slice_context=1)
    volume = {"image": _volumes()["flair"]}
    drawn = _run(model, volume).labels.array == 7
    assert drawn.any()
    heat = explain(volume, model.path, ExplainOptions(label=7, method=method, device="cpu"), silent).heat
    assert heat.shape == _SHAPE
    assert np.abs(heat).max() == pytest.approx(1.0)


def test_one_can_look_inside(tmp_path: Path) -> None:
    model = classic_model(tmp_path / "m", slice_context=1)
    volumes = {"image": _volumes()["flair"]}
    where = InsideOptions(point_kji=(2, 10, 9), device="cpu")
    found = look_inside(volumes, model.path, where, silent)
    assert found.filters.shape[1] == 3
    flat = classic_model(tmp_path / "flat")
    assert np.array_equal(found.image, look_inside(volumes, flat.path, where, silent).image)


def test_a_recipe_trains_one(tmp_path: Path) -> None:
    data = nnunet_set(tmp_path / "data", range(4))
    recipe = tmp_path / "flat.toml"
    recipe.write_text(
        "[preprocessing]\ndimensions = 2\nslice_context = 1\npatch_kji = [1, 16, 16]\n"
        '[network]\nname = "residual_unet"\nwidths = [2, 4]\n[training]\nfold = 0\nbf16 = false\n'
    )
    events: list[Any] = []
    settings = TrainSettings(data, tmp_path / "out", Budget(steps=2), recipe=recipe, device="cpu", threads=1)
    train(settings, events.append, silent)
    spec = ModelFolder.load(tmp_path / "out").spec
    assert (spec.slice_context, spec.input_channels, spec.dimensions) == (1, 3, 2)
    plan = next(event["text"] for event in events if event["event"] == "plan")
    assert "2 nearest neighbours" in plan
    assert (tmp_path / "out" / "test_scores.csv").is_file()


def test_only_2d_models_have_neighbouring_slices() -> None:
    with pytest.raises(ValidationError, match="2D models"):
        toy_spec(slice_context=1)
    with pytest.raises(ValidationError, match="less than or equal to 8"):
        toy_spec(dimensions=2, patch_kji=(1, 8, 8), slice_context=9)
    assert parse_recipe("[preprocessing]\nslice_context = 2\n").preprocessing.slice_context == 2
    assert Recipe(preprocessing=PreprocessingChoice(slice_context=1)).preprocessing.views == ("k",)
    with pytest.raises(UsageError, match="slice_context is a whole number"):
        parse_recipe("[preprocessing]\nslice_context = 1.5\n")
