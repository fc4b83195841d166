"""The networks a model folder may name, built from plain numbers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from segdesk.errors import ModelError
from segdesk.nn.networks.classic_unet import ClassicUnet
from segdesk.nn.networks.ensemble import Ensemble
from segdesk.nn.networks.layers import Layers
from segdesk.nn.networks.monai_networks import build_monai_network
from segdesk.nn.networks.nnunet import NnUnet, Stages
from segdesk.nn.networks.numbers import Parameters, only, whole_numbers
from segdesk.nn.networks.published import PUBLISHED, PUBLISHED_DEFAULTS
from segdesk.nn.networks.residual_unet import ResidualUnet
from segdesk.zoo.monai_networks import MONAI_NETWORKS
from segdesk.zoo.spec import ModelSpec, NetworkSpec

Builder = Callable[[int, int, int, Parameters], nn.Module]


def build_network(network: NetworkSpec, *, dimensions: int, in_channels: int, out_channels: int) -> nn.Module:
    """Build an untrained network.

    Parameters
    ----------
    network : NetworkSpec
        Allow-listed name and plain numbers.
    dimensions : int
        2 or 3.
    in_channels, out_channels : int
        Image channels; classes including background.

    Returns
    -------
    torch.nn.Module
        Takes (N, in_channels, [k,] j, i), gives logits (N, out_channels, ...). Its attributes
        `size_divisor` (every input length must be a multiple) and `output_margin` (voxels lost
        on each side; 0 when padded) say how to cut windows; a network with a margin has
        ``valid_size(at_least)``.

    Raises
    ------
    ModelError
        If the name is unknown or the numbers do not make a network.
    """
    builder = _BUILDERS.get(network.name)
    if builder is None:
        raise ModelError(f"Network {network.name!r} is unknown; known are {', '.join(sorted(_BUILDERS))}.")
    try:
        return builder(dimensions, in_channels, out_channels, network.parameters)
    except (TypeError, ValueError, KeyError, IndexError, RuntimeError, NotImplementedError) as exc:
        raise ModelError(f"The parameters of network {network.name!r} are not valid: {str(exc)[:200]}.") from exc


def network_of(spec: ModelSpec) -> nn.Module:
    """Build the untrained network of a model; an `Ensemble` where it has several members."""
    members = [
        build_network(
            spec.network,
            dimensions=spec.dimensions,
            in_channels=spec.input_channels,
            out_channels=len(spec.label_values),
        )
        for _ in range(spec.members)
    ]
    return Ensemble(members) if len(members) > 1 else members[0]


def network_named(name: str) -> NetworkSpec:
    """Return a network by name with default numbers.

    Raises
    ------
    ModelError
        If there is none.
    """
    if name not in _DEFAULTS:
        raise ModelError(f"Network {name[:40]!r} is unknown; known are {', '.join(sorted(_DEFAULTS))}.", code="usage")
    return NetworkSpec(name=name, parameters=_DEFAULTS[name])


def network_names() -> tuple[str, ...]:
    """Return the names that can be built."""
    return tuple(sorted(_BUILDERS))


def _residual_unet(dims: int, inputs: int, outputs: int, numbers: Parameters) -> nn.Module:
    widths = whole_numbers(numbers.get("widths", (32, 64, 128)), "widths")
    return ResidualUnet(Layers(dims), inputs, outputs, widths, **only(numbers, {"deep_supervision"}, {"widths"}))


def _classic_unet(dims: int, inputs: int, outputs: int, numbers: Parameters) -> nn.Module:
    if dims != 2:
        raise ValueError("the classic U-Net is two-dimensional")
    return ClassicUnet(inputs, outputs, **only(numbers, {"width", "depth"}))


def _monai(name: str) -> Builder:
    return partial(build_monai_network, name)


def _nnunet(residual: bool) -> Builder:
    def build(dims: int, inputs: int, outputs: int, numbers: Parameters) -> nn.Module:
        deep = {name: numbers[name] for name in ("deep_supervision",) if name in numbers}
        return NnUnet(dims, inputs, outputs, Stages.of(dims, numbers), residual=residual, **deep)

    return build


_BUILDERS: dict[str, Builder] = {
    "residual_unet": _residual_unet,
    "classic_unet": _classic_unet,
    **{name: _monai(name) for name in MONAI_NETWORKS},
    "plain_conv_unet": _nnunet(residual=False),
    "residual_encoder_unet": _nnunet(residual=True),
    **PUBLISHED,
}

_SMALL_NNUNET: dict[str, Any] = {
    "widths": [32, 64, 128],
    "kernel_sizes": [3, 3, 3],
    "strides": [1, 2, 2],
    "blocks": [2, 2, 2],
    "decoder_blocks": [2, 2],
}

_DEFAULTS: dict[str, dict[str, Any]] = {
    "residual_unet": {"widths": [32, 64, 96, 128], "deep_supervision": 1},
    "classic_unet": {"width": 32, "depth": 4},
    "unet": {"widths": [32, 64, 96, 128], "num_res_units": 2},
    "basic_unet": {},
    "dyn_unet": {"kernel_size": [3, 3, 3, 3], "strides": [1, 2, 2, 2], "res_block": True},
    "segresnet": {"init_filters": 16},
    "plain_conv_unet": _SMALL_NNUNET,
    "residual_encoder_unet": _SMALL_NNUNET | {"blocks": [1, 2, 2]},
    **PUBLISHED_DEFAULTS,
}
