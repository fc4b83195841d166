"""The networks a model folder may name, built from plain numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from segdesk.errors import ModelError
from segdesk.nn.networks.classic_unet import ClassicUnet
from segdesk.nn.networks.layers import Layers
from segdesk.nn.networks.residual_unet import ResidualUnet
from segdesk.zoo.spec import ModelSpec, NetworkSpec

Parameters = Mapping[str, Any]
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
    """Build the untrained network of a model."""
    return build_network(
        spec.network,
        dimensions=spec.dimensions,
        in_channels=len(spec.channels),
        out_channels=len(spec.label_values),
    )


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
    widths = _whole_numbers(numbers.get("widths", (32, 64, 128)), "widths")
    return ResidualUnet(Layers(dims), inputs, outputs, widths, **_only(numbers, {"deep_supervision"}, {"widths"}))


def _classic_unet(dims: int, inputs: int, outputs: int, numbers: Parameters) -> nn.Module:
    if dims != 2:
        raise ValueError("the classic U-Net is two-dimensional")
    return ClassicUnet(inputs, outputs, **_only(numbers, {"width", "depth"}))


def _unet(dims: int, inputs: int, outputs: int, numbers: Parameters) -> nn.Module:
    # Here and below: MONAI takes 2 s to import, which a model that does not need it shall not pay.
    from monai.networks.nets import UNet

    widths = _whole_numbers(numbers["widths"], "widths")
    strides = _whole_numbers(numbers.get("strides", [2] * (len(widths) - 1)), "strides")
    rest = _only(numbers, {"num_res_units"}, {"widths", "strides"})
    network = UNet(dims, inputs, outputs, channels=widths, strides=strides, **rest)
    return _sized(network, _product(strides))


def _basic_unet(dims: int, inputs: int, outputs: int, numbers: Parameters) -> nn.Module:
    from monai.networks.nets import BasicUNet

    features = _whole_numbers(numbers.get("features", (32, 32, 64, 128, 256, 32)), "features")
    _only(numbers, set(), {"features"})
    return _sized(BasicUNet(dims, inputs, outputs, features=features), 16)


def _dyn_unet(dims: int, inputs: int, outputs: int, numbers: Parameters) -> nn.Module:
    from monai.networks.nets import DynUNet

    kernels, strides = numbers["kernel_size"], numbers["strides"]
    rest = _only(numbers, {"filters", "res_block"}, {"kernel_size", "strides"})
    network = DynUNet(dims, inputs, outputs, kernels, strides, upsample_kernel_size=strides[1:], **rest)
    return _sized(network, _product([max(s) if isinstance(s, list | tuple) else s for s in strides]))


def _segresnet(dims: int, inputs: int, outputs: int, numbers: Parameters) -> nn.Module:
    from monai.networks.nets import SegResNet

    rest = _only(numbers, {"init_filters", "blocks_down", "blocks_up"})
    downs = rest.get("blocks_down", (1, 2, 2, 4))
    return _sized(SegResNet(dims, in_channels=inputs, out_channels=outputs, **rest), 2 ** (len(downs) - 1))


def _sized(network: nn.Module, divisor: int) -> nn.Module:
    """Give a padded network of MONAI the two numbers that windows need."""
    vars(network).update(size_divisor=divisor, output_margin=0)
    return network


def _only(numbers: Parameters, allowed: set[str], handled: set[str] = frozenset()) -> dict[str, Any]:  # type: ignore[assignment]
    unknown = set(numbers) - allowed - handled
    if unknown:
        raise ValueError(f"unknown parameter {sorted(unknown)[0]!r}")
    return {name: numbers[name] for name in numbers if name in allowed}


def _whole_numbers(value: object, name: str) -> tuple[int, ...]:
    values = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []
    if not values or not all(isinstance(n, int) and 0 < n <= 4096 for n in values):
        raise ValueError(f"{name} is a list of whole numbers in 1..4096")
    return tuple(values)


def _product(values: Sequence[int]) -> int:
    result = 1
    for value in values:
        result *= value
    return result


_BUILDERS: dict[str, Builder] = {
    "residual_unet": _residual_unet,
    "classic_unet": _classic_unet,
    "unet": _unet,
    "basic_unet": _basic_unet,
    "dyn_unet": _dyn_unet,
    "segresnet": _segresnet,
}

_DEFAULTS: dict[str, dict[str, Any]] = {
    "residual_unet": {"widths": [32, 64, 96, 128], "deep_supervision": 1},
    "classic_unet": {"width": 32, "depth": 4},
    "unet": {"widths": [32, 64, 96, 128], "num_res_units": 2},
    "basic_unet": {},
    "dyn_unet": {"kernel_size": [3, 3, 3, 3], "strides": [1, 2, 2, 2], "res_block": True},
    "segresnet": {"init_filters": 16},
}
