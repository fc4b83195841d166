"""The network that a plan of nnU-Net v2 describes, in our words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segdesk.errors import ImportRefused
from segdesk.zoo.spec import NetworkSpec

_CLASSES = {"PlainConvUNet": "plain_conv_unet", "ResidualEncoderUNet": "residual_encoder_unet"}
_PACKAGES = ("", "dynamic_network_architectures.architectures.unet.")

_SLOPE = 0.01
"""Of torch's LeakyReLU, and of nnU-Net's plans."""

_NORM_EPS = 1e-5
_WITHOUT_EFFECT = {"deep_supervision", "n_stages"}
_ABSENT = {"dropout_op", "dropout_op_kwargs", "nonlin_first", "stem_channels", "block", "bottleneck_channels"}
"""Arguments that the plans of nnU-Net leave empty; a model that uses them is another network."""


def network_of_plan(plan: Mapping[str, Any], dims: int) -> NetworkSpec:
    """Return the network of one configuration, axes in nnU-Net's order.

    Parameters
    ----------
    plan : mapping
        A configuration of ``plans.json``, of before (``UNet_class_name``) or since
        nnU-Net 2.3 (``architecture``).
    dims : int
        2 or 3.

    Raises
    ------
    ImportRefused
        If the network is neither of nnU-Net's two, or uses an option they do not share.
    KeyError, TypeError, ValueError
        If the plan is damaged.
    """
    name, arguments = _new_style(plan["architecture"]) if "architecture" in plan else _old_style(plan)
    stages = len(arguments["features_per_stage"])
    _check_operations(arguments, dims)
    blocks = arguments.get("n_conv_per_stage", arguments.get("n_blocks_per_stage"))
    parameters: dict[str, Any] = {
        "widths": list(arguments["features_per_stage"]),
        "kernel_sizes": [_per_axis(each, dims) for each in arguments["kernel_sizes"]],
        "strides": [_per_axis(each, dims) for each in arguments["strides"]],
        "blocks": _per_stage(blocks, stages),
        "decoder_blocks": _per_stage(arguments["n_conv_per_stage_decoder"], stages - 1),
        "bias": bool(arguments["conv_bias"]),
        "norm_eps": float(arguments["norm_op_kwargs"].get("eps", _NORM_EPS)),
        "slope": float((arguments.get("nonlin_kwargs") or {}).get("negative_slope", _SLOPE)),
    }
    return NetworkSpec(name=name, parameters=parameters)


def _new_style(architecture: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    return _name_of(str(architecture["network_class_name"])), dict(architecture["arch_kwargs"])


def _old_style(plan: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Complete the numbers of an old plan with what nnU-Net fixed in its code then."""
    name = _name_of(str(plan["UNet_class_name"]))
    count, dims = len(plan["conv_kernel_sizes"]), len(plan["patch_size"])
    base, most = int(plan["UNet_base_num_features"]), int(plan["unet_max_num_features"])
    return name, {
        "features_per_stage": [min(base * 2**n, most) for n in range(count)],
        "conv_op": f"torch.nn.modules.conv.Conv{dims}d",
        "kernel_sizes": plan["conv_kernel_sizes"],
        "strides": plan["pool_op_kernel_sizes"],
        "n_conv_per_stage": plan["n_conv_per_stage_encoder"],
        "n_conv_per_stage_decoder": plan["n_conv_per_stage_decoder"],
        "conv_bias": True,
        "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dims}d",
        "norm_op_kwargs": {"eps": _NORM_EPS, "affine": True},
        "nonlin": "torch.nn.LeakyReLU",
    }


def _name_of(class_name: str) -> str:
    for package in _PACKAGES:
        short = class_name.removeprefix(package)
        if class_name.startswith(package) and short in _CLASSES:
            return _CLASSES[short]
    raise ImportRefused(
        f"The network {class_name[:80]!r} is none segdesk builds (known are {', '.join(_CLASSES)} of nnU-Net)."
    )


def _check_operations(arguments: Mapping[str, Any], dims: int) -> None:
    """Refuse operations other than those of nnU-Net's own plans; they are names here, never imported."""
    wanted = {"conv_op": f"Conv{dims}d", "norm_op": f"InstanceNorm{dims}d", "nonlin": "LeakyReLU"}
    for argument, operation in wanted.items():
        if str(arguments[argument]).rpartition(".")[2] != operation:
            raise ImportRefused(f"The network uses {str(arguments[argument])[:60]!r}; only {operation} is known here.")
    used = [name for name in _ABSENT if arguments.get(name) not in (None, {}, False)]
    known = {
        *wanted, *_WITHOUT_EFFECT, *_ABSENT, "features_per_stage", "kernel_sizes", "strides", "n_conv_per_stage",
        "n_blocks_per_stage", "n_conv_per_stage_decoder", "conv_bias", "norm_op_kwargs", "nonlin_kwargs",
    }  # fmt: skip
    odd = used or sorted(set(arguments) - known)
    if odd or arguments["norm_op_kwargs"].get("affine") is not True:
        what = odd[0] if odd else "a norm without scale and shift"
        raise ImportRefused(f"The network uses {str(what)[:60]!r}, which nnU-Net's own plans do not.")


def _per_axis(value: Any, dims: int) -> list[int]:
    return [int(value)] * dims if isinstance(value, int) else [int(each) for each in value]


def _per_stage(value: Any, stages: int) -> list[int]:
    return [int(value)] * stages if isinstance(value, int) else [int(each) for each in value]
