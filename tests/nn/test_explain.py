from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.visualize import GradCAM, GuidedBackpropGrad
from torch import nn

from segdesk.core.box import Box
from segdesk.core.explanation import ExplainMethod, ExplainOptions
from segdesk.core.geometry import Geometry
from segdesk.core.progress import Cancelled, silent
from segdesk.core.volume import Volume
from segdesk.errors import UsageError
from segdesk.nn.explain import explain, grad_cam, guided_backpropagation, guided_grad_cam
from segdesk.nn.explained_case import ExplainedCase
from segdesk.nn.loaded_model import LoadedModel
from segdesk.nn.networks.registry import network_of
from segdesk.nn.preprocess import preprocess
from segdesk.nn.watched_layer import Watched, coarsest_layer
from segdesk.zoo.model_folder import ModelFolder
from segdesk.zoo.spec import Channel, NetworkSpec, Normalisation
from tests.nn.toys import classic_model, save_model, threshold_model, toy_spec

torch.set_num_threads(1)


class _Net(nn.Module):
    """Pools once; its names suit MONAI, which replaces modules called relu."""

    def __init__(self, inputs: int = 1) -> None:
        super().__init__()
        self.conv1, self.relu1 = nn.Conv3d(inputs, 4, 3, padding=1), nn.ReLU()
        self.conv2, self.relu2 = nn.Conv3d(4, 5, 3, stride=2, padding=1), nn.ReLU()
        self.up, self.head = nn.ConvTranspose3d(5, 4, 2, stride=2), nn.Conv3d(4, 3, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(self.up(self.relu2(self.conv2(self.relu1(self.conv1(image))))))


def _case(folder: Path, window: tuple[int, int, int], shape: tuple[int, int, int] = (8, 12, 10)) -> ExplainedCase:
    torch.manual_seed(4)
    network = _Net().eval()
    spec = toy_spec(patch_kji=window)
    model = LoadedModel(ModelFolder(folder, spec, ()), network, window, (0, 0, 0), (2, 2, 2))
    array = np.random.default_rng(5).normal(size=shape).astype(np.float32)
    image = preprocess({"image": Volume(array, Geometry.from_spacing(shape))}, spec)
    return ExplainedCase(network, model, image, 1, silent)


def test_grad_cam_equals_monai_where_every_voxel_counts(tmp_path: Path) -> None:
    case = _case(tmp_path, (8, 12, 10))
    ours = grad_cam(case, "conv2", np.ones((8, 12, 10), bool))
    theirs = GradCAM(case.network, "conv2", postprocessing=lambda x: x)(torch.from_numpy(case.image.array)[None], 1)
    np.testing.assert_allclose(ours, theirs[0, 0].detach().numpy(), atol=1e-5 * float(theirs.detach().max()))
    assert ours.max() > 0


def test_guided_backpropagation_equals_monai_and_the_product_is_one(tmp_path: Path) -> None:
    case, everywhere = _case(tmp_path, (8, 12, 10)), np.ones((8, 12, 10), bool)
    ours = guided_backpropagation(case, "", everywhere)
    theirs = GuidedBackpropGrad(case.network)(torch.from_numpy(case.image.array)[None], 1)
    np.testing.assert_allclose(ours, theirs[0, 0].numpy(), atol=1e-5 * float(theirs.abs().max()))
    np.testing.assert_allclose(guided_grad_cam(case, "conv2", everywhere), ours * grad_cam(case, "conv2", everywhere))


def test_windows_add_up_to_the_gradient_of_the_stitched_score(tmp_path: Path) -> None:
    """The reference: one backward pass through a stitching written out by hand."""
    case = _case(tmp_path, (4, 6, 6))
    wanted = np.random.default_rng(6).random((8, 12, 10)) < 0.4
    image = torch.from_numpy(case.plan.pad(case.image.array)).requires_grad_()
    total, weight = torch.zeros(case.plan.padded_shape), torch.zeros(case.plan.padded_shape)
    network = case.network
    for window in case.plan.windows():
        k, j, i = (torch.from_numpy(profile) for profile in window.profiles)
        product = k[:, None, None] * j[:, None] * i
        place = case.plan.view(window.corner).slices
        total = total.clone()
        total[place] += network(image[(slice(None), *place)][None])[0, 1] * product
        weight[place] += product
    (total / weight)[torch.from_numpy(wanted)].sum().backward()
    gates = case.gradients(_plain_gradients(case, wanted))
    np.testing.assert_allclose(gates, image.grad.numpy(), atol=1e-5)


def _plain_gradients(case: ExplainedCase, wanted: np.ndarray):
    for window, view in case.windows("test"):
        view.requires_grad_()
        score = case.score(case.network(view), window, case.placed(wanted))
        yield window, torch.autograd.grad(score, view)[0]


def test_the_coarsest_layer_is_the_last_one_of_the_smallest_output() -> None:
    assert coarsest_layer(_Net(), torch.zeros(1, 1, 8, 8, 8)) == "relu2"


@pytest.mark.parametrize("layer", ["", "nothing", "relu9"])
def test_a_layer_that_is_none_is_named_with_those_that_are(layer: str) -> None:
    with pytest.raises(UsageError, match="conv1, conv2, up, head"):
        Watched(_Net(), layer)


def test_a_layer_without_an_image_is_refused() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(8, 2))
    with Watched(network, "1") as watched:
        network(torch.zeros(1, 1, 2, 2, 2))
        with pytest.raises(UsageError, match="no image"):
            _ = watched.output


def _bright_ball(shape: tuple[int, int, int]) -> np.ndarray:
    grid = np.indices(shape) - (np.array(shape) // 2)[:, None, None, None]
    return np.where((grid**2).sum(axis=0) <= 9, 100, 0).astype(np.float32)


def _options(**changes: object) -> ExplainOptions:
    return replace(ExplainOptions(7, device="cpu"), **changes)


@pytest.mark.parametrize("method", list(ExplainMethod))
def test_heat_lies_where_the_label_is_on_the_source_grid(tmp_path: Path, method: ExplainMethod) -> None:
    grid = Geometry.from_spacing((9, 20, 22), (2.0, 1.0, 1.0))
    model, array = threshold_model(tmp_path / "m"), _bright_ball(grid.shape_kji)
    explanation = explain({"image": Volume(array, grid)}, model.path, _options(method=method), silent)
    assert explanation.heat.shape == grid.shape_kji
    assert np.abs(explanation.heat).max() == 1
    # No voxel of this network sees another.
    assert (explanation.heat[array > 0] > 0).all()
    assert explanation.geometry is grid
    assert explanation.manifest["voxels_explained"] == int((array > 0).sum())


def test_a_region_explains_what_was_drawn_inside_it(tmp_path: Path) -> None:
    grid = Geometry.from_spacing((8, 16, 32))
    array = np.zeros(grid.shape_kji, np.float32)
    array[4, 8, 6] = array[4, 8, 26] = 100
    model, box = threshold_model(tmp_path / "m"), Box((0, 0, 0), (8, 16, 12))
    options = _options(method=ExplainMethod.GUIDED_BACKPROP, roi=box)
    heat = explain({"image": Volume(array, grid)}, model.path, options, silent).heat
    assert heat[4, 8, 6] == 1
    assert heat[4, 8, 26] == 0


def test_a_flat_model_with_valid_convolutions_explains_volumes_slice_by_slice(tmp_path: Path) -> None:
    model = classic_model(tmp_path / "m")
    array = np.random.default_rng(2).normal(size=(3, 30, 34)).astype(np.float32)
    for method in ExplainMethod:
        heat = explain(
            {"image": Volume(array, Geometry.from_spacing(array.shape))}, model.path, _options(method=method), silent
        ).heat
        assert heat.shape == array.shape
        assert np.isfinite(heat).all()
        assert np.abs(heat).max() == 1


def test_a_map_of_a_valid_network_sits_in_the_middle_of_what_it_looked_at(tmp_path: Path) -> None:
    """At depth 1, 12 pixels are answered from 28; the pooled layer's 10 x 10 pixels cover the middle 20."""
    model = classic_model(tmp_path / "m")
    network = network_of(model.spec)
    image = preprocess(
        {"image": Volume(np.zeros((1, 12, 12), np.float32), Geometry.from_spacing((1, 12, 12)))}, model.spec
    )
    case = ExplainedCase(network, LoadedModel(model, network, (1, 12, 12), (0, 8, 8), (1, 2, 2)), image, 1, silent)
    coarse = torch.zeros(1, 1, 10, 10)
    coarse[0, 0, 4:6, 4:6] = 1
    fine = case.on_window(coarse, torch.zeros(1, 1, 28, 28))
    assert fine.shape == (1, 12, 12)
    np.testing.assert_allclose(fine[0].numpy(), fine[0].numpy()[::-1, ::-1], atol=1e-6)
    assert float(fine[0, 4:8, 4:8].min()) > 0.5 > float(fine[0, 0, 0])


def test_the_strongest_of_several_channels_is_kept(tmp_path: Path) -> None:
    raw = Normalisation(kind="none")
    spec = toy_spec(
        network=NetworkSpec(name="residual_unet", parameters={"widths": [2]}),
        channels=(Channel(name="a", normalisation=raw), Channel(name="b", normalisation=raw)),
    )
    torch.manual_seed(1)
    model = save_model(tmp_path / "m", spec, network_of(spec))
    grid = Geometry.from_spacing((8, 10, 10))
    volumes = {name: Volume(_bright_ball(grid.shape_kji) * sign, grid) for name, sign in (("a", 1), ("b", -1))}
    options = _options(method=ExplainMethod.GUIDED_BACKPROP)
    assert np.abs(explain(volumes, model.path, options, silent).heat).max() == 1


def test_what_cannot_be_explained_is_refused(tmp_path: Path) -> None:
    model = threshold_model(tmp_path / "m")
    dark = {"image": Volume(np.zeros((8, 10, 10), np.float32), Geometry.from_spacing((8, 10, 10)))}
    with pytest.raises(UsageError, match="no label 3; it has 7"):
        explain(dark, model.path, ExplainOptions(3, device="cpu"), silent)
    with pytest.raises(UsageError, match="draws no bright"):
        explain(dark, model.path, _options(), silent)
    bright = {"image": Volume(_bright_ball((8, 10, 10)), Geometry.from_spacing((8, 10, 10)))}
    with pytest.raises(UsageError, match="no layer 'x'"):
        explain(bright, model.path, _options(layer="x"), silent)


def test_it_can_be_cancelled(tmp_path: Path) -> None:
    model = threshold_model(tmp_path / "m")
    bright = {"image": Volume(_bright_ball((8, 10, 10)), Geometry.from_spacing((8, 10, 10)))}

    def stop(done: int, total: int, text: str) -> None:
        if text.startswith("Gradients"):
            raise Cancelled

    with pytest.raises(Cancelled):
        explain(bright, model.path, _options(), stop)
