"""A 2D network along three orthogonal views: every figure is made a second time by transposing the volume by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

import segdesk
from segdesk.core.box import Box
from segdesk.core.geometry import Geometry, SliceStackGeometry
from segdesk.core.prediction import Prediction, PredictOptions, Uncertainty, ViewChoice
from segdesk.core.progress import Cancelled, silent
from segdesk.core.volume import Volume
from segdesk.errors import UsageError
from segdesk.nn import predict as predict_module
from segdesk.nn.augment import AugmentSettings
from segdesk.nn.dataset import Dataset
from segdesk.nn.fit import Budget
from segdesk.nn.loaded_model import load_model
from segdesk.nn.predict import predict
from segdesk.nn.preprocess import preprocess
from segdesk.nn.recipe import Recipe
from segdesk.nn.run import Material, Run, run_hash
from segdesk.nn.sampler import PatchSampler, TrainingCase
from segdesk.nn.train import TrainSettings, train
from segdesk.nn.validation import segment
from segdesk.nn.views import case_seen_across
from segdesk.nn.window_cost import window_cost
from segdesk.workers.messages import options_from_json, options_to_json
from segdesk.zoo.model_folder import ModelFolder
from tests.nn.toy_sets import nnunet_set
from tests.nn.toys import classic_model, threshold_model, toy_spec

_VIEWS = ("k", "j", "i")
_ORDERS = ((0, 1, 2), (1, 0, 2), (2, 0, 1))
_STILL = AugmentSettings(chance=0, rotate_degrees=0, scale=0, elastic_voxels=0)


def _noise(shape: tuple[int, int, int] = (9, 14, 11)) -> np.ndarray:
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


def _run(model: ModelFolder, array: np.ndarray, spacing: Any = (1.0, 1.0, 1.0), **options: Any) -> Prediction:
    volume = Volume(array, Geometry.from_spacing(array.shape, spacing))
    return predict({"image": volume}, model.path, PredictOptions(device="cpu", **options), silent)


def _three(model: ModelFolder, array: np.ndarray, **options: Any) -> Prediction:
    return _run(model, array, views=ViewChoice.THREE, **options)


def _mean_by_hand(models: list[ModelFolder], array: np.ndarray, **options: Any) -> np.ndarray:
    """The mean of three independent slice-by-slice runs on transposed volumes."""
    found = []
    for order, model in zip(_ORDERS, models, strict=True):
        answer = _run(model, np.ascontiguousarray(array.transpose(order)), probabilities=True, **options).probabilities
        found.append(answer.transpose(0, *(1 + order.index(axis) for axis in range(3))))
    return np.mean(found, axis=0)


@pytest.mark.parametrize("context", [0, 1])
def test_fusion_is_the_mean_of_three_runs_on_transposed_volumes(context: int, tmp_path: Path) -> None:
    model = classic_model(tmp_path / "m", views=_VIEWS, slice_context=context)
    array = _noise()
    fused = _three(model, array, probabilities=True)
    expected = _mean_by_hand([model] * 3, array)
    np.testing.assert_allclose(fused.probabilities, expected, atol=1e-5)
    assert np.array_equal(fused.labels.array == 7, expected[1] > expected[0])
    assert np.abs(fused.probabilities - _run(model, array, probabilities=True).probabilities).max() > 1e-2


def test_without_probabilities_the_labels_are_the_same(tmp_path: Path) -> None:
    model = classic_model(tmp_path / "m", views=_VIEWS)
    with_them = _three(model, _noise(), probabilities=True).labels.array
    assert np.array_equal(_three(model, _noise()).labels.array, with_them)
    assert 0 < (with_them == 7).mean() < 1


def test_the_models_grid_decides_where_slices_are_thick(tmp_path: Path) -> None:
    model = classic_model(tmp_path / "m", views=_VIEWS, spacing_kji_mm=(1.0, 1.0, 1.0))
    array = _noise((4, 14, 11))
    volume = Volume(array, Geometry.from_spacing(array.shape, (3.0, 1.0, 1.0)))
    prepared = preprocess({"image": volume}, model.spec)
    assert prepared.array.shape == (1, 12, 14, 11)
    plain = classic_model(tmp_path / "plain", views=_VIEWS)
    expected = prepared.to_source(_mean_by_hand([plain] * 3, prepared.array[0]))
    found = _three(model, array, spacing=(3.0, 1.0, 1.0), probabilities=True).probabilities
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_one_window_at_a_time_answers_as_many_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = classic_model(tmp_path / "m", views=_VIEWS)
    many = _three(model, _noise(), probabilities=True).probabilities
    monkeypatch.setattr(predict_module, "_BATCH", {"cpu": {2: 1, 3: 1}})
    np.testing.assert_allclose(_three(model, _noise(), probabilities=True).probabilities, many, atol=1e-5)


def test_large_means_are_kept_in_half_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = classic_model(tmp_path / "m", views=_VIEWS)
    exact = _three(model, _noise(), probabilities=True).probabilities
    monkeypatch.setattr(predict_module, "HALF_PRECISION_BYTES", 0)
    half = _three(model, _noise(), probabilities=True).probabilities
    np.testing.assert_allclose(half, exact, atol=2e-3)
    assert not np.array_equal(half, exact)


def test_a_single_slice_is_not_seen_from_the_side(tmp_path: Path) -> None:
    model = classic_model(tmp_path / "m", views=_VIEWS)
    array = _noise((1, 14, 11))
    fused, plain = _three(model, array, probabilities=True), _run(model, array, probabilities=True)
    np.testing.assert_allclose(fused.probabilities, plain.probabilities, atol=1e-6)
    assert any("not seen from the side" in note for note in fused.manifest["notes"])
    assert fused.manifest["windows"] == plain.manifest["windows"]


def test_mirrored_copies_follow_the_axes_of_the_grid(tmp_path: Path) -> None:
    fused = classic_model(tmp_path / "m", views=_VIEWS, flip_axes=("j",))
    # Across k, j is the rows; across j it is the slices themselves; across i it is the columns.
    seen = [classic_model(tmp_path / f"m{n}", flip_axes=axes) for n, axes in enumerate([("j",), (), ("i",)])]
    found = _three(fused, _noise(), probabilities=True, flips=True).probabilities
    np.testing.assert_allclose(found, _mean_by_hand(seen, _noise(), flips=True), atol=1e-5)


def test_uncertainty_is_that_of_the_mean_and_spread_the_mean_of_the_views(tmp_path: Path) -> None:
    model = classic_model(tmp_path / "m", views=_VIEWS, flip_axes=("k", "j", "i"))
    fused = _three(model, _noise(), probabilities=True, uncertainty=Uncertainty.ENTROPY)
    p = fused.probabilities
    np.testing.assert_allclose(fused.uncertainty, -(p * np.log(p)).sum(axis=0) / np.log(2), atol=1e-4)
    spread = _three(model, _noise(), flips=True, uncertainty=Uncertainty.FLIPS).uncertainty
    single = [
        _run(model, np.ascontiguousarray(_noise().transpose(order)), flips=True, uncertainty=Uncertainty.FLIPS)
        for order in _ORDERS
    ]
    back = [
        run.uncertainty.transpose([order.index(axis) for axis in range(3)])
        for run, order in zip(single, _ORDERS, strict=True)
    ]
    np.testing.assert_allclose(spread, np.mean(back, axis=0), atol=1e-5)


def test_a_region_grows_by_the_windows_of_all_views(tmp_path: Path) -> None:
    flat = {"dimensions": 2, "views": _VIEWS, "patch_kji": (1, 8, 8)}
    model = threshold_model(tmp_path / "m", 0.5, **flat)
    array, box = _noise((20, 20, 20)), Box((9, 9, 9), (11, 12, 11))
    found = _three(model, array, roi=box).labels.array
    expected = np.zeros(array.shape, bool)
    expected[box.slices] = array[box.slices] > 0.5
    assert np.array_equal(found == 7, expected)


def test_windows_of_all_views_are_counted_and_can_be_cancelled(tmp_path: Path) -> None:
    model = classic_model(tmp_path / "m", views=_VIEWS)
    volume = {"image": Volume(_noise(), Geometry.from_spacing((9, 14, 11)))}
    options = PredictOptions(device="cpu", views=ViewChoice.THREE)
    seen: list[tuple[int, int]] = []
    manifest = predict(volume, model.path, options, lambda done, total, text="": seen.append((done, total))).manifest
    # 9 slices of 2 x 1 windows, 14 of 1 x 1, 11 of 1 x 2.
    assert manifest["windows"] == 18 + 14 + 22
    assert manifest["parameters"]["views"] == "three"
    counted = [done for done, total in seen if total == 54]
    assert counted == sorted(counted)
    assert counted[-1] == 54
    assert window_cost(volume, model.path, options, silent, calibrate=False).windows == 54

    def stop(done: int, total: int, text: str = "") -> None:
        if done > 20:
            raise Cancelled

    with pytest.raises(Cancelled):
        predict(volume, model.path, options, stop)


def test_a_model_that_did_not_learn_them_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r'views = \["k", "j", "i"\]'):
        _three(classic_model(tmp_path / "flat"), _noise())
    with pytest.raises(UsageError, match="3D model"):
        _three(threshold_model(tmp_path / "deep"), _noise())
    affines = np.zeros((3, 4, 3))
    affines[:, 3, 2] = affines[:, 1, 0] = affines[:, 0, 1] = 1
    affines[:, 2, 2] = (0.0, 5.0, 11.0)
    stack = {"image": Volume(_noise((3, 8, 8)), SliceStackGeometry((3, 8, 8), affines, np.ones(3)))}
    model = classic_model(tmp_path / "three", views=_VIEWS)
    with pytest.raises(UsageError) as caught:
        predict(stack, model.path, PredictOptions(device="cpu", views=ViewChoice.THREE), silent)
    assert caught.value.code == "irregular_spacing"


def test_views_are_one_or_all_and_of_2d_models() -> None:
    for views in (("k", "j"), ("i",), ("i", "j", "k")):
        with pytest.raises(ValidationError, match="views is"):
            toy_spec(dimensions=2, patch_kji=(1, 8, 8), views=views)
    with pytest.raises(ValidationError, match="2D models"):
        toy_spec(views=_VIEWS)


def test_scripts_name_the_views(tmp_path: Path) -> None:
    model = classic_model(tmp_path / "m", views=_VIEWS)
    volume = Volume(_noise(), Geometry.from_spacing((9, 14, 11)))
    found = segdesk.predict(volume, model.path, device="cpu", views="three")
    assert np.array_equal(found.labels.array, _three(model, _noise()).labels.array)
    with pytest.raises(UsageError, match="slices or three"):
        segdesk.predict(volume, model.path, views="both")
    options = PredictOptions(views=ViewChoice.THREE)
    assert options_from_json(options_to_json(options)) == options


def test_cases_are_seen_across_each_axis_with_its_own_slices() -> None:
    labels = torch.zeros(6, 8, 10, dtype=torch.uint8)
    labels[1, 2, 3] = 1
    image = torch.arange(480.0).reshape(1, 6, 8, 10)
    for axis, order in enumerate(_ORDERS):
        case = case_seen_across(TrainingCase("a", image, labels), axis)
        assert np.array_equal(case.image[0].numpy(), image[0].numpy().transpose(order))
        assert case.places[1].tolist() == [[(1, 2, 3)[n] for n in order]]
        rows, columns = case.labels.shape[1:]
        sampler = PatchSampler([case], (1, rows, columns), _STILL, 0, dimensions=2, jitter=0, foreground=1)
        drawn = sampler.batch(0, 1)
        np.testing.assert_allclose(drawn.images[0, 0].numpy(), case.image[0, (1, 2, 3)[axis]].numpy(), atol=1e-3)
        assert int(drawn.labels.sum()) == 1


def test_patches_are_mirrored_along_the_axes_of_the_grid_in_every_view() -> None:
    settings = AugmentSettings(flip_axes=("i",), quarter_turns=("j",))
    seen = [settings.seen_across(axis) for axis in range(3)]
    assert [each.flip_axes for each in seen] == [("i",), ("i",), ("k",)]
    assert [each.quarter_turns for each in seen] == [("j",), ("k",), ("i",)]


def test_a_recipe_trains_one_on_all_views(tmp_path: Path) -> None:
    data = nnunet_set(tmp_path / "data", range(3))
    recipe = tmp_path / "flat.toml"
    recipe.write_text(
        '[preprocessing]\ndimensions = 2\nviews = ["k", "j", "i"]\nspacing_kji_mm = [2.0, 1.0, 1.0]\n'
        'patch_kji = [1, 16, 16]\n[network]\nname = "residual_unet"\nwidths = [2]\n'
        "[training]\nfold = 0\nbf16 = false\n[loss]\nborder_weight = 5.0\nborder_sigma_voxels = 1.0\n"
    )
    events: list[Any] = []
    settings = TrainSettings(data, tmp_path / "three", Budget(steps=1), recipe=recipe, device="cpu", threads=1)
    train(settings, events.append, silent)
    spec = ModelFolder.load(tmp_path / "three").spec
    assert spec.views == _VIEWS
    assert spec.orientation == "RAS"
    assert any("across all three axes" in event.get("text", "") for event in events)
    assert spec.metrics["test_three_views"]["cases"] == spec.metrics["test"]["cases"] > 0
    assert "three views averaged" in (tmp_path / "three" / "MODEL_CARD.md").read_text()


def test_scores_with_three_views_are_those_of_predict(tmp_path: Path) -> None:
    model = load_model(classic_model(tmp_path / "m", views=_VIEWS, spacing_kji_mm=(1.0, 1.0, 1.0)))
    for spacing in ((1.0, 1.0, 1.0), (2.0, 1.0, 1.0)):
        array = _noise()
        volume = Volume(array, Geometry.from_spacing(array.shape, spacing))
        prepared = preprocess({"image": volume}, model.spec)
        drawn = segment(model.network, model.spec, prepared, views=ViewChoice.THREE)
        found = predict({"image": volume}, model.folder.path, PredictOptions("cpu", views=ViewChoice.THREE), silent)
        assert np.array_equal(drawn, found.labels.array == 7)
        assert not np.array_equal(drawn, segment(model.network, model.spec, prepared))


@pytest.mark.parametrize("line", ["slice_context = 1", 'views = ["k", "j", "i"]'])
def test_a_3d_recipe_has_neither_neighbours_nor_views(line: str, tmp_path: Path) -> None:
    data = nnunet_set(tmp_path / "data", range(2))
    (tmp_path / "deep.toml").write_text(f"[preprocessing]\ndimensions = 3\n{line}\n")
    settings = TrainSettings(data, tmp_path / "deep", Budget(steps=1), recipe=tmp_path / "deep.toml")
    with pytest.raises(UsageError, match="dimensions = 2"):
        train(settings, lambda _: None, silent)


def test_a_run_resumes_only_with_the_same_views_and_neighbours() -> None:
    def hash_of(**changes: Any) -> str:
        spec = toy_spec(dimensions=2, patch_kji=(1, 8, 8), **changes)
        dataset = Dataset(Path(), "d", "CC0", ("image",), (), ())
        return run_hash(Run(spec, Recipe(), Material(dataset, [], [], [], ()), Budget(steps=1), 0, Path()))

    assert hash_of() == hash_of(views=("k",), slice_context=0)
    assert len({hash_of(), hash_of(views=_VIEWS), hash_of(slice_context=1)}) == 3
