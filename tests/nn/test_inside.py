"""Filters and maps against the network run by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from segdesk.core.geometry import Geometry
from segdesk.core.inside import InsideOptions
from segdesk.core.prediction import PredictOptions
from segdesk.core.progress import silent
from segdesk.core.volume import Volume
from segdesk.errors import UsageError
from segdesk.nn.inside import look_inside
from segdesk.nn.loaded_model import load_model
from segdesk.nn.networks.registry import network_of
from segdesk.nn.predict import predict
from segdesk.nn.window_cost import window_cost
from segdesk.zoo.model_folder import ModelFolder
from segdesk.zoo.spec import NetworkSpec
from tests.nn.toys import classic_model, save_model, toy_spec

torch.set_num_threads(1)


def _image(shape: tuple[int, int, int]) -> Volume:
    array = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    return Volume(array, Geometry.from_spacing(shape))


def _residual(folder: Path, **changes: object) -> ModelFolder:
    spec = toy_spec(network=NetworkSpec(name="residual_unet", parameters={"widths": [4, 6]}), **changes)
    torch.manual_seed(1)
    return save_model(folder, spec, network_of(spec))


def _first(network: nn.Module) -> nn.Module:
    return next(module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Conv3d))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_maps_of_the_first_layer_are_its_output_in_the_slice(tmp_path: Path, axis: int) -> None:
    model, image = _residual(tmp_path / "m"), _image((4, 8, 8))
    found = look_inside({"image": image}, model.path, InsideOptions((1, 5, 6), axis, device="cpu"), silent)
    network = load_model(model).network
    with torch.no_grad():
        output = _first(network)(torch.from_numpy(image.array)[None, None])[0].numpy()
    place = (1, 5, 6)[axis]
    np.testing.assert_allclose(found.image, np.take(image.array, place, axis))
    np.testing.assert_allclose(found.maps, np.take(output, place, 1 + axis), atol=1e-6)
    np.testing.assert_array_equal(found.filters, _first(network).weight.numpy())
    assert found.filter_count == 4
    assert found.axis == axis


def test_a_turned_image_gives_maps_in_the_images_own_order(tmp_path: Path) -> None:
    image = _image((4, 8, 8))
    affine = image.geometry.affine_kji_to_lps.copy()
    affine[:, [0, 2]] = affine[:, [2, 0]]
    turned = Volume(np.ascontiguousarray(image.array.transpose(2, 1, 0)), Geometry((8, 8, 4), affine))
    model = _residual(tmp_path / "m", orientation="LPS")
    straight = look_inside({"image": image}, model.path, InsideOptions((1, 5, 6), 0, device="cpu"), silent)
    other = look_inside({"image": turned}, model.path, InsideOptions((6, 5, 1), 2, device="cpu"), silent)
    np.testing.assert_allclose(other.maps, straight.maps.transpose(0, 2, 1), atol=1e-6)
    np.testing.assert_allclose(other.image, straight.image.T)


def test_a_coarse_layer_is_cut_at_its_own_resolution(tmp_path: Path) -> None:
    model, image = _residual(tmp_path / "m"), _image((4, 8, 8))
    layers = look_inside({"image": image}, model.path, InsideOptions((0, 0, 0), device="cpu"), silent).layers
    coarse = next(layer for layer in layers if layer.size == (2, 4, 4))
    outputs: list[torch.Tensor] = []
    network = load_model(model).network
    network.get_submodule(coarse.name).register_forward_hook(lambda _, __, output: outputs.append(output))
    with torch.no_grad():
        network(torch.from_numpy(image.array)[None, None])
    for k in range(4):
        options = InsideOptions((k, 0, 0), layer=coarse.name, device="cpu")
        found = look_inside({"image": image}, model.path, options, silent)
        np.testing.assert_allclose(found.maps, outputs[0][0, :, k // 2], atol=1e-6)
        assert found.layer == coarse


def test_a_2d_model_shows_its_own_slices(tmp_path: Path) -> None:
    model = classic_model(tmp_path / "m")
    found = look_inside({"image": _image((6, 12, 12))}, model.path, InsideOptions((4, 6, 6), 2, device="cpu"), silent)
    assert found.axis == 0
    assert found.maps.ndim == 3
    assert found.filters.ndim == 4


def test_long_edges_are_thinned_out_and_many_windows_give_the_nearest(tmp_path: Path) -> None:
    model = _residual(tmp_path / "m", patch_kji=(4, 8, 8))
    image = _image((4, 24, 24))
    found = look_inside({"image": image}, model.path, InsideOptions((0, 20, 20), device="cpu"), silent)
    np.testing.assert_allclose(found.image, image.array[0, 16:, 16:])
    large = _residual(tmp_path / "large", patch_kji=(1, 8, 600), dimensions=2)
    found = look_inside({"image": _image((1, 8, 600))}, large.path, InsideOptions((0, 0, 0), device="cpu"), silent)
    assert max(found.maps.shape[1:]) <= 256


def test_a_layer_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no layer"):
        look_inside(
            {"image": _image((4, 8, 8))}, _residual(tmp_path / "m").path, InsideOptions((0, 0, 0), layer="no"), silent
        )


def test_windows_are_counted_as_a_prediction_runs_them(tmp_path: Path) -> None:
    model, channels = _residual(tmp_path / "m"), {"image": _image((9, 20, 17))}
    cost = window_cost(channels, model.path, PredictOptions("cpu"), silent, calibrate=True)
    assert cost.windows == predict(channels, model.path, PredictOptions("cpu"), silent).manifest["windows"]
    assert cost.seconds_per_window is not None
    assert window_cost(channels, model.path, PredictOptions("cpu"), silent, calibrate=False).seconds_per_window is None
