from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from segdesk.core.geometry import Geometry
from segdesk.core.prediction import PredictOptions
from segdesk.core.progress import silent
from segdesk.core.volume import Volume
from segdesk.errors import ModelError
from segdesk.nn.loaded_model import load_model
from segdesk.nn.networks.classic_unet import ClassicUnet
from segdesk.nn.networks.layers import Layers
from segdesk.nn.networks.patch_cnn import PatchCnn, TwoPathCnn
from segdesk.nn.networks.registry import build_network, network_named, network_of
from segdesk.nn.networks.residual_unet import ResidualUnet
from segdesk.nn.predict import predict
from segdesk.zoo.spec import NetworkSpec
from tests.nn.receptive_field import (
    Span,
    back_through,
    conv,
    linear,
    measured,
    nearest,
    transposed,
    union,
)
from tests.nn.toys import save_model, toy_spec

torch.set_num_threads(1)


def _build(name: str, dims: int = 2, channels: int = 1, classes: int = 3, **numbers: Any) -> nn.Module:
    spec = NetworkSpec.model_validate({"name": name, "parameters": numbers or network_named(name).parameters})
    return build_network(spec, dimensions=dims, in_channels=channels, out_channels=classes).eval()


_VGG = {"widths": [64, 128, 256, 512, 512], "classifier": 4096, "stride": 32, "norm": False}


@pytest.mark.parametrize(
    ("name", "dims", "channels", "classes", "numbers", "count"),
    [
        # Published: "134 M" parameters (Long 2015, table 1), InvertedNet's 3 140 771 (Novikov 2018).
        ("fcn", 2, 3, 21, _VGG, 134_346_581),
        ("inverted_net", 2, 1, 3, {}, 3_140_771),
        ("all_dropout", 2, 1, 4, {}, 34_512_388),
        ("all_convolutional", 2, 1, 4, {}, 37_646_788),
        # 48 maps: (16+1) 48 + (25*48+1) 48 + 2 (16*48+1) 48, then (9*48+1) 200 and (200+1) 2.
        ("patch_cnn", 2, 1, 2, {}, 816 + 57_648 + 2 * 36_912 + 86_600 + 402),
        # (7*7*4+1) 128 + (9*64+1) 128 + (13*13*4+1) 320 + (21*21*224+1) 5.
        ("two_path_cnn", 2, 4, 5, {}, 25_216 + 73_856 + 216_640 + 493_925),
        ("classic_unet", 2, 1, 2, {"width": 64, "depth": 4}, 31_030_658),
        ("fcn", 2, 1, 3, {}, 2_594_873),
        ("deeplab", 2, 1, 3, {}, 509_363),
        ("deeplab", 3, 1, 3, {}, 1_270_259),
        ("residual_unet", 3, 1, 3, {}, 2_761_062),
    ],
)
def test_networks_have_as_many_parameters_as_their_pages_say(
    name: str, dims: int, channels: int, classes: int, numbers: Mapping[str, Any], count: int
) -> None:
    with torch.device("meta"):
        network = _build(name, dims, channels, classes, **numbers)
    assert sum(parameter.numel() for parameter in network.parameters()) == count


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("fcn", {"widths": [2] * 5, "classifier": 4, "stride": 32}),
        ("fcn", {"widths": [2] * 5, "classifier": 4, "stride": 16}),
        ("fcn", {"widths": [2] * 5, "classifier": 4, "stride": 8}),
        ("deeplab", {"widths": [2] * 5, "pyramid": 4}),
        ("deeplab", {"widths": [2] * 5, "pyramid": 4, "output_stride": 8, "separable": False, "image_pooling": False}),
        ("all_dropout", {"widths": [2, 4, 6, 8, 10]}),
        ("all_convolutional", {"widths": [2, 4, 6]}),
        ("inverted_net", {"widths": [8, 6, 4, 2]}),
    ],
)
@pytest.mark.parametrize("dims", [2, 3])
def test_padded_networks_keep_the_size_and_can_be_trained(name: str, numbers: Mapping[str, Any], dims: int) -> None:
    network = _build(name, dims, channels=2, **numbers).train()
    size = [2 * network.size_divisor, *[network.size_divisor] * (dims - 1)]
    answer = network(torch.randn(1, 2, *size))
    assert answer.shape == (1, 3, *size)
    answer.square().mean().backward()
    gradients = [parameter.grad for parameter in network.parameters()]
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients)


def _stages(depths: tuple[int, ...]) -> list[list[Any]]:
    return [[conv(3)] * depth + [conv(2, 2, padding=0)] for depth in depths]


def _fcn_span(index: int, stride: int) -> Span:
    stages = _stages((2, 2, 3, 3, 3))
    upto = [[step for stage in stages[:n] for step in stage] for n in range(6)]
    score = (index, index)
    score = back_through(score, [linear(stride)])
    spans = []
    for level in ([3] if stride == 8 else []) + ([4] if stride <= 16 else []):
        spans.append(back_through(score, upto[level]))
        score = back_through(score, [transposed(4, 2, 1)])
    return union(back_through(score, [*upto[5], conv(7)]), *spans)


@pytest.mark.parametrize("stride", [32, 16, 8])
def test_fcn_sees_what_its_kernels_say(stride: int) -> None:
    network = _build("fcn", widths=[1] * 5, classifier=1, stride=stride, norm=False, dropout=0.0)
    for score in network.skip_scores:
        nn.init.ones_(score.weight)
    outputs = range(480, 512, 5)
    assert measured(network, outputs, 1024) == [_fcn_span(index, stride) for index in outputs]


def test_one_score_of_an_fcn_sees_404_pixels_and_one_output_pixel_436_as_published() -> None:
    steps = [step for stage in _stages((2, 2, 3, 3, 3)) for step in stage] + [conv(7)]
    first, last = back_through((20, 20), steps)
    assert last - first + 1 == 404
    assert max(b - a + 1 for a, b in (_fcn_span(index, 32) for index in range(480, 512))) == 436


def _deeplab_span(index: int, output_stride: int) -> Span:
    block = {(s, d): [conv(3, s, d), conv(3, 1, d)] for s in (1, 2) for d in (1, 2, 4)}
    kinds = {16: [(2, 1)] * 4 + [(1, 2)], 8: [(2, 1)] * 3 + [(1, 2), (1, 4)]}[output_stride]
    stages = [block[kind] for kind in kinds]
    quarter = back_through((index, index), [linear(4)])
    quarter = back_through(quarter, [conv(3), conv(3)])
    low = back_through(quarter, stages[0] + stages[1])
    coarse = back_through(quarter, [linear(output_stride // 4)])
    pyramid = back_through(coarse, [conv(3, 1, 18 * 16 // output_stride)])
    return union(low, back_through(pyramid, [step for stage in stages for step in stage]))


@pytest.mark.parametrize("output_stride", [16, 8])
def test_deeplab_sees_what_its_kernels_say(output_stride: int) -> None:
    network = _build("deeplab", widths=[1] * 5, pyramid=1, output_stride=output_stride, norm=False, image_pooling=False)
    outputs = range(600, 632, 7)
    assert measured(network, outputs, 1280) == [_deeplab_span(index, output_stride) for index in outputs]


def test_the_page_of_deeplab_tells_its_largest_receptive_field() -> None:
    assert max(b - a + 1 for a, b in (_deeplab_span(index, 16) for index in range(600, 616))) == 843


def _novikov_span(index: int, stages: int, *, learned: bool, delayed: bool, up_convolution: bool) -> Span:
    pair = [conv(3), conv(3)]
    strides = [1 if delayed and n == 0 else 2 for n in range(stages - 1)]
    pools = [conv(3, stride) if learned else conv(2, 2, padding=0) if stride == 2 else conv(3) for stride in strides]
    upto = [pair]
    for pool in pools:
        upto.append([*upto[-1], pool, *pair])
    span, spans = (index, index), []
    for level, stride in enumerate(strides):
        span = back_through(span, pair)
        spans.append(back_through(span, upto[level]))
        span = back_through(span, [nearest(stride)] + [conv(3)] * up_convolution)
    return union(*spans, back_through(span, upto[-1]))


_NOVIKOV = {
    "all_dropout": ({"learned": False, "delayed": False, "up_convolution": True}, 236),
    "all_convolutional": ({"learned": True, "delayed": False, "up_convolution": True}, 251),
    "inverted_net": ({"learned": False, "delayed": True, "up_convolution": False}, 106),
}


@pytest.mark.parametrize("name", list(_NOVIKOV))
def test_novikovs_networks_see_what_their_kernels_say(name: str) -> None:
    variant, published = _NOVIKOV[name]
    outputs = range(160, 176)
    spans = measured(_build(name, widths=[1] * 5), outputs, 336)
    assert spans == [_novikov_span(index, 5, **variant) for index in outputs]
    assert max(last - first + 1 for first, last in spans) == published


@pytest.mark.parametrize(
    ("name", "numbers", "size"),
    [("two_path_cnn", {"local_width": 1, "global_width": 1}, 33), ("patch_cnn", {"width": 1, "hidden": 1}, 95)],
)
def test_patch_networks_see_a_window_centred_on_the_pixel(name: str, numbers: dict[str, int], size: int) -> None:
    network = _build(name, **numbers)
    assert size == 2 * network.output_margin + 1
    assert network.valid_size(1) == size
    spans = measured(_square(network), [0, 1, 3], size + 3)
    assert spans == [(index, index + size - 1) for index in (0, 1, 3)]


def test_the_classic_network_sees_what_its_kernels_say_and_no_pixel_beyond_its_margin() -> None:
    network = _build("classic_unet", width=1, depth=4)
    margin = network.output_margin
    pair, pool = [conv(3, padding=0)] * 2, conv(2, 2, padding=0)
    upto = [pair]
    for _ in range(4):
        upto.append([*upto[-1], pool, *pair])
    deepest: list[Span] = []
    for index in range(16):
        span = (index, index)
        for _ in range(4):
            span = back_through(span, [transposed(2, 2), *pair])
        deepest.append(back_through(span, upto[-1]))
    spans = measured(_square(network), range(16), network.valid_size(2 * margin + 16))
    assert spans == deepest
    assert max(last - first + 1 for first, last in spans) == 204
    assert all(first <= index + margin <= last for index, (first, last) in enumerate(spans))


def test_a_residual_unet_without_norms_sees_what_its_kernels_say() -> None:
    pair = [conv(3), conv(3)]
    upto = [pair]
    for _ in range(3):
        upto.append([*upto[-1], conv(3, 2), conv(3)])
    deepest: list[Span] = []
    for index in range(64, 72):
        span = (index, index)
        spans = []
        for level in range(3):
            span = back_through(span, pair)
            spans.append(back_through(span, upto[level]))
            span = back_through(span, [transposed(2, 2)])
        deepest.append(union(*spans, back_through(span, upto[-1])))
    network = ResidualUnet(Layers(2, has_norm=False), 1, 2, (1, 1, 1, 1))
    assert measured(network, range(64, 72), 136) == deepest
    assert max(last - first + 1 for first, last in deepest) == 79


def _square(network: nn.Module) -> nn.Module:
    """Give a network an image as wide as it is high."""

    class Wide(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return self.network(image.mean(dim=3, keepdim=True).expand(-1, -1, -1, image.shape[2]))

    return Wide()


def test_the_patch_network_over_an_image_equals_the_network_on_every_patch() -> None:
    torch.manual_seed(0)
    network = PatchCnn(1, 2, width=3, hidden=5).eval()
    image = torch.randn(1, 1, 97, 96)
    whole = network(image)
    assert whole.shape == (1, 2, 3, 2)
    for j, i in ((0, 0), (1, 1), (2, 0)):
        x = image[..., j : j + 95, i : i + 95]
        for stage in network.encoder:
            convolution = stage[0]
            x = functional.max_pool2d(functional.relu(functional.conv2d(x, convolution.weight, convolution.bias)), 2)
        assert x.shape[-1] == 3
        full = network.full[0]
        hidden = functional.relu(functional.linear(x.flatten(1), full.weight.flatten(1), full.bias))
        scores = functional.linear(hidden, network.head.weight.flatten(1), network.head.bias)
        torch.testing.assert_close(whole[0, :, j, i], scores[0], atol=1e-5, rtol=1e-5)


def test_both_paths_of_the_two_path_network_leave_21_of_33_pixels() -> None:
    network = TwoPathCnn(4, 5, local_width=2, global_width=3)
    patch = torch.randn(1, 4, 33, 33)
    assert network.local_path(patch).shape == (1, 2, 21, 21)
    assert network.global_path(patch).shape == (1, 3, 21, 21)
    assert network(patch).shape == (1, 5, 1, 1)


def test_a_maxout_is_the_larger_of_its_two_convolutions() -> None:
    network = TwoPathCnn(1, 2, local_width=2, global_width=1)
    maxout = network.global_path
    image = torch.randn(1, 1, 20, 20)
    weight, bias = maxout.pieces.weight, maxout.pieces.bias
    both = [functional.conv2d(image, weight[n : n + 1], bias[n : n + 1]) for n in (0, 1)]
    torch.testing.assert_close(maxout(image), torch.maximum(*both))


def test_the_doubling_of_an_fcn_starts_as_linear_interpolation() -> None:
    network = _build("fcn", widths=[2] * 5, classifier=2, stride=16)
    scores = torch.randn(1, 3, 9, 9)
    doubled = network.doublings[0](scores)
    oracle = functional.interpolate(scores, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(doubled[..., 1:-1, 1:-1], oracle[..., 1:-1, 1:-1])


def test_a_fresh_fcn_8s_predicts_what_its_coarsest_scores_say() -> None:
    torch.manual_seed(0)
    network = _build("fcn", widths=[2] * 5, classifier=2, stride=8)
    image = torch.randn(1, 1, 64, 64)
    x = image
    for stage in network.encoder:
        x = network.pool(stage(x))
    scores = network.doublings[1](network.doublings[0](network.classifier(x)))
    oracle = functional.interpolate(scores, scale_factor=8, mode="bilinear", align_corners=False)
    torch.testing.assert_close(network(image), oracle)


@pytest.mark.parametrize(
    "build",
    [
        lambda: _build("fcn", widths=[1] * 4),
        lambda: _build("fcn", stride=4),
        lambda: _build("fcn", norm=3),
        lambda: _build("deeplab", widths=[1] * 4),
        lambda: _build("deeplab", output_stride=4),
        lambda: _build("deeplab", rates=[0]),
        lambda: _build("all_dropout", dropout=0.1),
        lambda: _build("inverted_net", widths=[4, 2], delayed=False),
        lambda: _build("two_path_cnn", dims=3),
        lambda: _build("patch_cnn", dims=3),
        lambda: _build("patch_cnn", kernels=[5]),
    ],
)
def test_numbers_that_make_no_network_are_refused(build: Callable[[], nn.Module]) -> None:
    with pytest.raises(ModelError, match="not valid"):
        build()


def test_the_classic_network_has_the_margin_of_the_paper() -> None:
    assert ClassicUnet(1, 2, width=1).output_margin == (572 - 388) // 2


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("two_path_cnn", {"local_width": 2, "global_width": 2}),
        ("patch_cnn", {"width": 2, "hidden": 2}),
        ("fcn", {"widths": [2] * 5, "classifier": 2}),
        ("deeplab", {"widths": [2] * 5, "pyramid": 2}),
        ("inverted_net", {"widths": [4, 3, 2]}),
    ],
)
def test_a_model_folder_may_hold_them_and_slices_are_predicted(
    tmp_path: Path, name: str, numbers: dict[str, Any]
) -> None:
    torch.manual_seed(2)
    network = NetworkSpec.model_validate({"name": name, "parameters": numbers})
    spec = toy_spec(dimensions=2, network=network, patch_kji=(1, 32, 32))
    folder = save_model(tmp_path / "m", spec, network_of(spec))
    image = np.random.default_rng(0).normal(size=(2, 45, 70)).astype(np.float32)
    volume = Volume(image, Geometry(image.shape, np.eye(4)))
    labels = predict({"image": volume}, folder.path, PredictOptions(device="cpu"), silent).labels
    assert labels.array.shape == image.shape
    if network_of(spec).output_margin:
        loaded = load_model(folder)
        margin = loaded.margin[1]
        padded = np.pad(image, ((0, 0), (margin, margin), (margin, margin)), mode="reflect")
        with torch.inference_mode():
            whole = loaded.network(torch.from_numpy(padded)[:, None]).argmax(dim=1)
        assert np.mean(labels.array != 7 * whole.numpy()) < 1e-3
