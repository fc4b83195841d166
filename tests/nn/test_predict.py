from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save

from segdesk.core.box import Box
from segdesk.core.geometry import Geometry, SliceStackGeometry
from segdesk.core.prediction import Prediction, PredictOptions
from segdesk.core.progress import Cancelled, silent
from segdesk.core.provenance import OriginKind
from segdesk.core.volume import IntensityUnit, Volume
from segdesk.errors import BadModelFolder, GeometryMismatch, ModelError, OutOfMemory, UsageError
from segdesk.nn import predict as predict_module
from segdesk.nn.loaded_model import ModelCache, load_model
from segdesk.nn.predict import predict
from segdesk.nn.stitch import Engine
from segdesk.zoo.model_folder import ModelFolder
from segdesk.zoo.spec import Channel, PostRule
from segdesk.zoo.writer import write_model_folder
from tests.builders import ball_mask, oblique_geometry, sheared_geometry
from tests.nn.toys import RAW, classic_model, many_labels, threshold_model, toy_spec


def run(model: ModelFolder, volume: Volume, **options: Any) -> Prediction:
    return predict({"image": volume}, model.path, PredictOptions(device="cpu", **options), silent)


def blob(geometry: Geometry, centre_kji: tuple[int, int, int] = (3, 3, 6), radius_mm: float = 5.0) -> Volume:
    """A bright ball on noise, off the centre of the grid."""
    rng = np.random.default_rng(5)
    array = rng.uniform(0, 20, geometry.shape_kji).astype(np.float32)
    array[ball_mask(geometry.shape_kji, centre_kji, radius_mm, geometry)] += 100
    return Volume(array, geometry)


@pytest.mark.parametrize(
    "geometry",
    [
        Geometry.from_spacing((9, 20, 17), (3.0, 0.8, 0.8)),
        oblique_geometry((9, 20, 17)),
        sheared_geometry((9, 20, 17)),
    ],
)
@pytest.mark.parametrize("orientation", [None, "RAS", "LPS"])
def test_labels_lie_where_the_scan_is_bright_on_every_grid(
    geometry: Geometry, orientation: str | None, tmp_path: Path
) -> None:
    model = threshold_model(tmp_path / "m", orientation=orientation)
    volume = blob(geometry)
    labels = run(model, volume).labels
    assert labels.geometry is volume.geometry
    assert np.array_equal(labels.array == 7, volume.array > 50)


@pytest.mark.parametrize("permutation", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, 1), (1, -1, 1), (-1, -1, -1)])
def test_axes_in_any_order_and_direction_keep_the_place_in_the_patient(
    permutation: tuple[int, int, int], signs: tuple[int, int, int], tmp_path: Path
) -> None:
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, permutation] * np.array(signs) * np.array([2.0, 1.0, 0.5])
    affine[:3, 3] = (10, -20, 30)
    geometry = Geometry((10, 12, 14), affine)
    model = threshold_model(tmp_path / "m", orientation="RAS", spacing_kji_mm=(1.0, 1.0, 1.0), patch_kji=(8, 8, 8))
    volume = blob(geometry, (4, 5, 8), radius_mm=3.5)
    labels = run(model, volume).labels
    found = geometry.index_to_lps(np.argwhere(labels.array == 7)).mean(axis=0)
    bright = geometry.index_to_lps(np.argwhere(volume.array > 50)).mean(axis=0)
    assert np.abs(found - bright).max() < 0.5
    assert (labels.array == 7).sum() * geometry.voxel_volume_mm3 == pytest.approx(4 / 3 * math.pi * 3.5**3, rel=0.3)


def test_a_resampling_model_gives_labels_on_the_oblique_source_grid(tmp_path: Path) -> None:
    geometry = oblique_geometry((14, 40, 36))
    model = threshold_model(tmp_path / "m", orientation="LPS", spacing_kji_mm=(1.5, 1.5, 1.5), patch_kji=(8, 8, 8))
    volume = blob(geometry, (6, 22, 15), radius_mm=9.0)
    labels = run(model, volume).labels.array == 7
    truth = volume.array > 50
    assert 2 * (labels & truth).sum() / (labels.sum() + truth.sum()) > 0.9


def test_the_manifest_holds_what_the_contract_promises(tmp_path: Path) -> None:
    geometry = Geometry.from_spacing((9, 20, 17), (3.0, 0.8, 0.8))
    model = threshold_model(tmp_path / "m")
    prediction = run(model, blob(geometry))
    manifest = prediction.manifest
    assert set(manifest["seconds"]) == {"load", "preprocess", "network", "postprocess", "total"}
    assert manifest["model"] == "toy@1"
    assert manifest["model_sha256"] == model.sha256
    assert manifest["device"] == "cpu"
    assert manifest["windows"] > 1
    assert manifest["peak_memory_mib"] is None or manifest["peak_memory_mib"] > 0
    assert manifest["software"]["torch"] == str(torch.__version__)
    assert manifest["geometry_sha256"] == geometry.sha256()
    expected = (prediction.labels.array == 7).sum() * geometry.voxel_volume_mm3
    assert manifest["labels"]["7"] == {"name": "bright", "volume_mm3": pytest.approx(expected, abs=1e-3)}


def test_the_labels_know_which_weights_drew_them(tmp_path: Path) -> None:
    model = threshold_model(tmp_path / "m")
    origin = run(model, blob(oblique_geometry()), roi=Box((0, 0, 0), (3, 3, 3))).labels.origin
    assert (origin.kind, origin.author, origin.weights_sha256) == (OriginKind.MODEL, "toy@1", model.sha256)
    assert origin.parameters == {"overlap": 0.5, "flips": False, "engine": "torch-fp32", "roi": "0:3,0:3,0:3"}


@pytest.mark.parametrize("spacing", [None, (1.0, 1.0, 1.0)])
def test_a_region_of_interest_gives_the_same_labels_inside_and_none_outside(
    spacing: tuple[float, float, float] | None, tmp_path: Path
) -> None:
    geometry = oblique_geometry((12, 30, 26))
    model = threshold_model(tmp_path / "m", orientation="RAS", spacing_kji_mm=spacing)
    volume = blob(geometry, (6, 15, 13), radius_mm=8.0)
    box = Box((4, 9, 11), (8, 18, 40))
    whole, part = run(model, volume).labels.array, run(model, volume, roi=box).labels.array
    inside = np.zeros(geometry.shape_kji, bool)
    inside[box.clip(geometry.shape_kji).slices] = True
    assert not part[~inside].any()
    assert (whole[inside] == part[inside]).mean() > (0.999 if spacing is None else 0.95)


def test_probabilities_are_certain_background_outside_the_region(tmp_path: Path) -> None:
    geometry = oblique_geometry((12, 30, 26))
    box = Box((4, 9, 11), (8, 18, 20))
    prediction = run(threshold_model(tmp_path / "m"), blob(geometry), roi=box, probabilities=True)
    probabilities = prediction.probabilities
    assert probabilities.shape == (2, *geometry.shape_kji)
    assert np.allclose(probabilities.sum(axis=0), 1, atol=1e-5)
    assert probabilities[0, 0, 0, 0] == 1.0
    assert np.array_equal(probabilities.argmax(axis=0) == 1, prediction.labels.array == 7)


def test_asking_for_probabilities_does_not_change_the_labels(tmp_path: Path) -> None:
    model = threshold_model(tmp_path / "m", orientation="RAS")
    volume = blob(oblique_geometry((9, 20, 17)))
    assert np.array_equal(run(model, volume).labels.array, run(model, volume, probabilities=True).labels.array)


def test_large_probabilities_are_kept_in_half_precision_with_the_same_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = threshold_model(tmp_path / "m", spacing_kji_mm=(1.5, 1.5, 1.5), patch_kji=(8, 8, 8))
    volume = blob(oblique_geometry((14, 40, 36)), (6, 22, 15), radius_mm=9.0)
    exact = run(model, volume).labels.array
    monkeypatch.setattr(predict_module, "HALF_PRECISION_BYTES", 0)
    assert (run(model, volume).labels.array == exact).mean() > 0.9999


@pytest.mark.parametrize("shape", [(2, 1, 1), (2, 3, 3), (3, 40, 2)])
def test_a_volume_smaller_than_the_patch_is_padded(shape: tuple[int, int, int], tmp_path: Path) -> None:
    geometry = Geometry.from_spacing(shape, (3.0, 0.8, 0.8))
    array = np.zeros(shape, np.int16)
    array[1, 0, 0] = 400
    labels = run(threshold_model(tmp_path / "m"), Volume(array, geometry)).labels
    assert np.array_equal(labels.array == 7, array > 50)


def test_an_image_of_zeros_gives_an_empty_mask(tmp_path: Path) -> None:
    geometry = oblique_geometry()
    prediction = run(threshold_model(tmp_path / "m"), Volume(np.zeros(geometry.shape_kji, np.int16), geometry))
    assert not prediction.labels.array.any()
    assert prediction.manifest["labels"]["7"]["volume_mm3"] == 0


def test_flips_leave_a_network_without_reach_unchanged(tmp_path: Path) -> None:
    model = threshold_model(tmp_path / "m", flip_axes=("k", "j", "i"))
    volume = blob(oblique_geometry((9, 20, 17)))
    assert np.array_equal(run(model, volume, flips=True).labels.array, run(model, volume).labels.array)


def test_a_2d_model_reads_a_volume_slice_by_slice(tmp_path: Path) -> None:
    model = threshold_model(tmp_path / "m", dimensions=2, patch_kji=(1, 8, 8))
    volume = blob(oblique_geometry((9, 20, 17)))
    prediction = run(model, volume)
    assert np.array_equal(prediction.labels.array == 7, volume.array > 50)
    assert prediction.manifest["windows"] % 9 == 0


def test_the_classic_network_is_tiled_exactly_with_mirrored_borders(tmp_path: Path) -> None:
    model = classic_model(tmp_path / "m")
    array = np.random.default_rng(2).uniform(0, 1, (1, 41, 37)).astype(np.float32)
    prediction = run(model, Volume(array, Geometry.from_spacing((1, 41, 37))), probabilities=True)
    network = load_model(model).network
    margin = network.output_margin
    sizes = [network.valid_size(n + 2 * margin) for n in (41, 37)]
    widths = [(margin, size - n - margin) for size, n in zip(sizes, (41, 37), strict=True)]
    padded = np.pad(array[0], widths, mode="reflect")
    with torch.inference_mode():
        whole = network(torch.from_numpy(padded)[None, None]).softmax(dim=1)[0, :, :41, :37].numpy()
    assert prediction.manifest["windows"] > 9
    assert np.abs(prediction.probabilities[:, 0] - whole).max() < 1e-4


def test_the_classic_network_reads_every_slice_of_an_irregular_stack(tmp_path: Path) -> None:
    affines = np.zeros((3, 4, 3))
    affines[:, 3, 2] = 1
    affines[:, 1, 0] = affines[:, 0, 1] = 0.5
    affines[:, 2, 2] = (0.0, 5.0, 11.0)
    grid = SliceStackGeometry((3, 20, 24), affines, np.array([5.0, 5.5, 6.0]))
    array = np.zeros(grid.shape_kji, np.float32)
    array[2, 5:9, 6:9] = 100
    model = threshold_model(tmp_path / "m", dimensions=2, patch_kji=(1, 8, 8))
    prediction = predict(
        {"x": Volume(array, grid)}, model.path, PredictOptions(roi=Box((1, 6, 0), (3, 20, 24))), silent
    )
    expected = array > 50
    expected[:, :6] = False
    assert np.array_equal(prediction.labels.array == 7, expected)
    assert prediction.manifest["labels"]["7"]["volume_mm3"] == pytest.approx(9 * 6.0 * 0.25)


def test_channels_are_taken_by_name_whatever_their_order(tmp_path: Path) -> None:
    channels = (Channel(name="t1c", normalisation=RAW), Channel(name="flair", normalisation=RAW))
    spec = toy_spec(channels=channels, network={"name": "residual_unet", "parameters": {"widths": [2]}})
    from segdesk.nn.networks.registry import network_of

    network = network_of(spec)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.head.weight[1, 1] = 1.0
        network.head.bias[1] = -50.0
    model = write_model_folder(tmp_path / "m", spec, save(network.state_dict()), "")
    volume = blob(oblique_geometry((9, 20, 17)))
    dark = Volume(np.zeros_like(volume.array), volume.geometry)
    given = {"flair": volume, "t2": dark, "t1c": dark}
    labels = predict(given, model.path, PredictOptions(device="cpu"), silent).labels
    assert np.array_equal(labels.array == 7, volume.array > 50)
    with pytest.raises(ModelError, match="t1c is missing") as caught:
        predict({"flair": volume}, model.path, PredictOptions(), silent)
    assert caught.value.code == "wrong_channels"
    with pytest.raises(GeometryMismatch):
        predict({**given, "t1c": blob(oblique_geometry((9, 20, 18)))}, model.path, PredictOptions(), silent)


def test_a_time_axis_is_refused_with_what_to_do(tmp_path: Path) -> None:
    geometry = oblique_geometry()
    volume = Volume(np.zeros((2, *geometry.shape_kji)), geometry, time_points=2)
    with pytest.raises(ModelError, match="2 time points") as caught:
        run(threshold_model(tmp_path / "m"), volume)
    assert caught.value.code == "wrong_channels"


def test_colours_become_grey_and_the_manifest_says_so(tmp_path: Path) -> None:
    geometry = Geometry.from_spacing((1, 20, 22))
    array = np.zeros((1, 20, 22, 3), np.uint8)
    array[0, 4:8, 5:9] = (0, 255, 0)
    array[0, 12:16, 5:9] = (0, 0, 255)
    volume = Volume(array, geometry, unit=IntensityUnit.RGB)
    model = threshold_model(tmp_path / "m", dimensions=2, patch_kji=(1, 8, 8))
    prediction = run(model, volume)
    assert np.array_equal(prediction.labels.array == 7, array[..., 1] > 0)
    assert any("luminance" in note for note in prediction.manifest["notes"])


def test_another_modality_and_untrained_weights_are_noted(tmp_path: Path) -> None:
    channel = Channel(name="image", modality="CT", normalisation=RAW)
    model = threshold_model(tmp_path / "m", channels=(channel,), untrained=True)
    geometry = oblique_geometry()
    volume = Volume(np.zeros(geometry.shape_kji, np.float32), geometry, modality="MR")
    notes = " ".join(run(model, volume).manifest["notes"])
    assert "trained on CT" in notes
    assert "untrained" in notes


def test_lengths_are_not_invented_where_the_spacing_is_unknown(tmp_path: Path) -> None:
    geometry = Geometry((4, 8, 8), np.eye(4), spacing_known=False)
    prediction = run(threshold_model(tmp_path / "m"), Volume(np.full((4, 8, 8), 99.0), geometry))
    assert prediction.manifest["labels"]["7"]["volume_mm3"] is None


def test_a_3d_model_refuses_a_slice_and_an_irregular_stack(tmp_path: Path) -> None:
    model = threshold_model(tmp_path / "m")
    with pytest.raises(UsageError, match="choose a 2D model"):
        run(model, Volume(np.zeros((1, 9, 9)), Geometry.from_spacing((1, 9, 9))))
    affines = np.tile(np.vstack([np.eye(3), [0, 0, 1]]), (2, 1, 1))
    stack = SliceStackGeometry((2, 4, 4), affines, np.ones(2))
    with pytest.raises(UsageError) as caught:
        run(model, Volume(np.zeros((2, 4, 4)), stack))
    assert caught.value.code == "irregular_spacing"


@pytest.mark.parametrize(
    "options",
    [
        {"overlap": 0.95},
        {"overlap": math.nan},
        {"roi": Box((50, 0, 0), (60, 5, 5))},
        {"roi": Box((3, 3, 3), (3, 4, 4))},
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        run(threshold_model(tmp_path / "m"), blob(oblique_geometry()), **options)


def test_cancelling_between_windows_stops_at_once(tmp_path: Path) -> None:
    texts: list[str] = []

    def report(done: int, total: int, text: str = "") -> None:
        texts.append(text)
        if done == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        predict(
            {"x": blob(oblique_geometry((9, 20, 17)))}, threshold_model(tmp_path / "m").path, PredictOptions(), report
        )
    assert texts[-1].startswith("Window 2 of ")


def test_rules_keep_the_largest_piece_and_drop_specks(tmp_path: Path) -> None:
    geometry = Geometry.from_spacing((6, 20, 20), (2.0, 1.0, 1.0))
    array = np.zeros(geometry.shape_kji, np.float32)
    array[1:4, 2:6, 2:6] = 100
    array[4, 15:17, 15:17] = 100
    array[0, 19, 0] = 100
    volume = Volume(array, geometry)
    largest = threshold_model(tmp_path / "a", post_processing=(PostRule(label=7, largest_component=True),))
    specks = threshold_model(tmp_path / "b", post_processing=(PostRule(label=7, minimum_size_mm3=8.0),))
    assert (run(largest, volume).labels.array == 7).sum() == 48
    assert (run(specks, volume).labels.array == 7).sum() == 48 + 4
    none = threshold_model(tmp_path / "c", post_processing=(PostRule(label=7, minimum_size_mm3=1e6),))
    assert not run(none, volume).labels.array.any()


def test_large_label_values_are_kept(tmp_path: Path) -> None:
    model = threshold_model(tmp_path / "m", labels=many_labels([3000]))
    labels = run(model, blob(oblique_geometry((9, 20, 17)))).labels
    assert labels.array.dtype == np.uint16
    assert labels.values() == (3000,)


def starving(fits: Callable[[Engine], bool]) -> Callable[[Engine, torch.Tensor], torch.Tensor]:
    """A forward pass that runs out of memory where `fits` says so."""
    forward = Engine.logits

    def logits(self: Engine, windows: torch.Tensor) -> torch.Tensor:
        if not fits(self):
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return forward(self, windows)

    return logits


def test_running_out_of_memory_goes_on_with_a_smaller_batch_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = threshold_model(tmp_path / "m", dimensions=2, patch_kji=(1, 8, 8))
    volume = blob(oblique_geometry((9, 20, 17)))
    monkeypatch.setattr(Engine, "logits", starving(lambda engine: engine.batch == 1))
    prediction = run(model, volume)
    assert np.array_equal(prediction.labels.array == 7, volume.array > 50)
    assert "Memory ran out" in prediction.manifest["notes"][0]


def test_running_out_of_memory_everywhere_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "logits", starving(lambda engine: False))
    with pytest.raises(OutOfMemory, match="--roi"):
        run(threshold_model(tmp_path / "m"), blob(oblique_geometry()))


def test_other_failures_of_the_network_are_not_taken_for_lack_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Engine, windows: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr(Engine, "logits", broken)
    with pytest.raises(RuntimeError, match="multiplied"):
        run(threshold_model(tmp_path / "m"), blob(oblique_geometry()))


def test_weights_that_were_changed_are_refused(tmp_path: Path) -> None:
    model = threshold_model(tmp_path / "m")
    content = bytearray(model.weights_path.read_bytes())
    content[-1] ^= 1
    model.weights_path.write_bytes(content)
    with pytest.raises(BadModelFolder, match="sha256"):
        run(model, blob(oblique_geometry()))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    weights = threshold_model(tmp_path / "a").weights_path
    model = write_model_folder(
        tmp_path / "b", toy_spec(network={"name": "residual_unet", "parameters": {"widths": [2, 4]}}), weights, ""
    )
    with pytest.raises(BadModelFolder, match="do not fit"):
        run(model, blob(oblique_geometry()))


def test_weights_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    tensors = load_file(threshold_model(tmp_path / "a").weights_path)
    tensors["head.bias"] = tensors["head.bias"] * float("nan")
    model = write_model_folder(tmp_path / "b", toy_spec(), save(tensors), "")
    with pytest.raises(BadModelFolder, match="NaN"):
        run(model, blob(oblique_geometry()))


def test_the_cache_keeps_models_warm_and_sees_that_a_folder_changed(tmp_path: Path) -> None:
    cache = ModelCache(size=1)
    model = threshold_model(tmp_path / "m")
    first = cache.get(model.path)
    assert cache.get(model.path) is first
    threshold_model(tmp_path / "n")
    cache.get(tmp_path / "n")
    assert cache.get(model.path) is not first
    write_model_folder(model.path, toy_spec(title="Changed"), model.weights_path.read_bytes(), "", overwrite=True)
    assert cache.get(model.path).spec.title == "Changed"
