"""Builders of the networks written after a paper, for comparison with the U-Nets."""

from __future__ import annotations

from typing import Any

from torch import nn

from segdesk.nn.networks.deeplab import DeepLab
from segdesk.nn.networks.fcn import Fcn
from segdesk.nn.networks.layers import Layers
from segdesk.nn.networks.novikov_unet import NovikovUnet
from segdesk.nn.networks.numbers import Parameters, only, whole_numbers
from segdesk.nn.networks.patch_cnn import PatchCnn, TwoPathCnn


def _fcn(dims: int, inputs: int, outputs: int, numbers: Parameters) -> nn.Module:
    widths = whole_numbers(numbers.get("widths", (16, 32, 64, 128, 128)), "widths")
    depths = whole_numbers(numbers.get("depths", (2, 2, 3, 3, 3)), "depths")
    rest = only(numbers, {"classifier", "stride", "dropout"}, {"widths", "depths", "norm"})
    return Fcn(_layers(dims, numbers), inputs, outputs, widths, depths, **rest)


def _deeplab(dims: int, inputs: int, outputs: int, numbers: Parameters) -> nn.Module:
    widths = whole_numbers(numbers.get("widths", (16, 32, 64, 96, 96)), "widths")
    rates = whole_numbers(numbers.get("rates", (6, 12, 18)), "rates")
    known = {"pyramid", "output_stride", "separable", "image_pooling"}
    rest = only(numbers, known, {"widths", "rates", "norm"})
    return DeepLab(_layers(dims, numbers), inputs, outputs, widths, rates=rates, **rest)


def _all_dropout(dims: int, inputs: int, outputs: int, numbers: Parameters) -> nn.Module:
    return _novikov(dims, inputs, outputs, numbers)


def _all_convolutional(dims: int, inputs: int, outputs: int, numbers: Parameters) -> nn.Module:
    return _novikov(dims, inputs, outputs, numbers, learned_pooling=True)


def _inverted_net(dims: int, inputs: int, outputs: int, numbers: Parameters) -> nn.Module:
    return _novikov(dims, inputs, outputs, numbers, delayed=True, up_convolution=False)


def _novikov(dims: int, inputs: int, outputs: int, numbers: Parameters, **variant: bool) -> nn.Module:
    widths = whole_numbers(numbers["widths"], "widths")
    rest = only(numbers, {"dropout"}, {"widths"})
    return NovikovUnet(Layers(dims, has_norm=False), inputs, outputs, widths, **rest, **variant)


def _two_path_cnn(dims: int, inputs: int, outputs: int, numbers: Parameters) -> nn.Module:
    _flat_only(dims, "the two-pathway network")
    return TwoPathCnn(inputs, outputs, **only(numbers, {"local_width", "global_width"}))


def _patch_cnn(dims: int, inputs: int, outputs: int, numbers: Parameters) -> nn.Module:
    _flat_only(dims, "the patch network")
    kernels = whole_numbers(numbers.get("kernels", (4, 5, 4, 4)), "kernels")
    return PatchCnn(inputs, outputs, kernels=kernels, **only(numbers, {"width", "hidden"}, {"kernels"}))


def _layers(dims: int, numbers: Parameters) -> Layers:
    has_norm = numbers.get("norm", True)
    if not isinstance(has_norm, bool):
        raise TypeError("norm is true or false")
    return Layers(dims, has_norm)


def _flat_only(dims: int, name: str) -> None:
    if dims != 2:
        raise ValueError(f"{name} is two-dimensional")


PUBLISHED = {
    "fcn": _fcn,
    "deeplab": _deeplab,
    "all_dropout": _all_dropout,
    "all_convolutional": _all_convolutional,
    "inverted_net": _inverted_net,
    "two_path_cnn": _two_path_cnn,
    "patch_cnn": _patch_cnn,
}
"""How each is built from dimensions, image channels, classes and its own numbers."""

PUBLISHED_DEFAULTS: dict[str, dict[str, Any]] = {
    "fcn": {"stride": 8},
    "deeplab": {"output_stride": 16},
    "all_dropout": {"widths": [64, 128, 256, 512, 1024]},
    "all_convolutional": {"widths": [64, 128, 256, 512, 1024]},
    "inverted_net": {"widths": [256, 128, 64, 32, 16]},
    "two_path_cnn": {},
    "patch_cnn": {},
}
"""Numbers where only the name is given: the paper's; FCN and DeepLab are narrower, so that a laptop can train them."""
