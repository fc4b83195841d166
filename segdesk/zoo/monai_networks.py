"""The networks we share with MONAI: our words and numbers, and MONAI's arguments, in one table.

It serves three ways: to build (`segdesk.nn.networks.monai_networks`), to read a bundle's
``network_def`` and to write one. No MONAI is imported, and nothing in a config is executed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from segdesk.errors import BadModelFolder
from segdesk.zoo.spec import NetworkSpec

Plain = Mapping[str, Any]

NORMS = frozenset({"instance", "batch", "group"})
ACTIVATIONS = frozenset({"relu", "relu6", "prelu", "leakyrelu", "elu", "gelu", "selu", "swish", "mish", "sigmoid"})

_IN, _OUT, _DIMENSIONS = "in_channels", "out_channels", "spatial_dims"
_OPTIONS_OF_NORM = {"norm_affine": "affine", "norm_groups": "num_groups", "norm_eps": "eps"}
_OPTIONS_OF_ACTIVATION = {"act_slope": "negative_slope"}
_WITHOUT_EFFECT = {"inplace"}
"""Options that change how a result is computed, not what it is."""


@dataclass(frozen=True, slots=True)
class MonaiNetwork:
    """One class of MONAI and what it is called here.

    Parameters
    ----------
    name : str
        Our name.
    class_name : str
        In ``monai.networks.nets``.
    arguments : mapping of str to str
        Our parameter to MONAI's argument, for those that are plain numbers, flags, words or lists.
    norm, act : str
        MONAI's arguments for the norm and the activation.
    computed : callable, optional
        Arguments that follow from the parameters where these do not give them.
    upper : frozenset of str
        Our parameters whose words MONAI writes in capitals.
    """

    name: str
    class_name: str
    arguments: Mapping[str, str]
    norm: str = "norm"
    act: str = "act"
    computed: Callable[[Plain], dict[str, Any]] = lambda _: {}
    upper: frozenset[str] = frozenset()


def _strides_by_two(numbers: Plain) -> dict[str, Any]:
    widths = numbers.get("widths")
    return {"strides": [2] * (len(widths) - 1)} if isinstance(widths, Sequence) else {}


def _ups_of_strides(numbers: Plain) -> dict[str, Any]:
    strides = numbers.get("strides")
    return {"up_kernel_size": list(strides[1:])} if isinstance(strides, Sequence) else {}


def _default_features(_: Plain) -> dict[str, Any]:
    return {"features": [32, 32, 64, 128, 256, 32]}


_TABLE = (
    MonaiNetwork(
        "unet",
        "UNet",
        {
            "widths": "channels", "strides": "strides", "num_res_units": "num_res_units", "kernel_size": "kernel_size",
            "up_kernel_size": "up_kernel_size", "dropout": "dropout", "bias": "bias", "order": "adn_ordering",
        },
        computed=_strides_by_two,
        upper=frozenset({"order"}),
    ),
    MonaiNetwork(
        "basic_unet",
        "BasicUNet",
        {"features": "features", "dropout": "dropout", "bias": "bias", "upsample": "upsample"},
        computed=_default_features,
    ),
    MonaiNetwork(
        "dyn_unet",
        "DynUNet",
        {
            "kernel_size": "kernel_size", "strides": "strides", "up_kernel_size": "upsample_kernel_size",
            "filters": "filters", "res_block": "res_block", "trans_bias": "trans_bias", "dropout": "dropout",
        },
        norm="norm_name",
        act="act_name",
        computed=_ups_of_strides,
    ),
    MonaiNetwork(
        "segresnet",
        "SegResNet",
        {
            "init_filters": "init_filters", "blocks_down": "blocks_down", "blocks_up": "blocks_up",
            "dropout": "dropout_prob", "final": "use_conv_final", "upsample": "upsample_mode",
        },
    ),
)  # fmt: skip

MONAI_NETWORKS: Mapping[str, MonaiNetwork] = {row.name: row for row in _TABLE}
"""By our name."""

_BY_CLASS = {row.class_name: row for row in _TABLE}
_PREFIXES = ("", "monai.networks.nets.", *(f"monai.networks.nets.{m}." for m in ("unet", "basic_unet", "dynunet")))
_TRAINING_ONLY = {"deep_supervision", "deep_supr_num"}
"""Arguments of DynUNet that change what the training sees; its heads are left out on import."""


def monai_arguments(network: NetworkSpec, *, dimensions: int, in_channels: int, out_channels: int) -> dict[str, Any]:
    """Return the keyword arguments of MONAI's class for a network, as plain JSON values.

    Raises
    ------
    ValueError
        If a parameter is unknown, or a norm or activation is not allow-listed.
    """
    row = MONAI_NETWORKS[network.name]
    numbers = {**row.computed(network.parameters), **network.parameters}
    done: dict[str, Any] = {_DIMENSIONS: dimensions, _IN: in_channels, _OUT: out_channels}
    _collect_layer(done, numbers, row.norm, "norm", NORMS, _OPTIONS_OF_NORM)
    _collect_layer(done, numbers, row.act, "act", ACTIVATIONS, _OPTIONS_OF_ACTIVATION)
    for name, value in numbers.items():
        if name not in row.arguments:
            raise ValueError(f"unknown parameter {name!r}")
        _check_sizes(name, value)
        done[row.arguments[name]] = value.upper() if name in row.upper else value
    return done


def network_of_arguments(class_name: str, arguments: Plain) -> tuple[NetworkSpec, dict[str, int]]:
    """Read a bundle's ``network_def``.

    Parameters
    ----------
    class_name : str
        Its ``_target_``: "UNet" or "monai.networks.nets.UNet".
    arguments : mapping
        The rest of it; literals only.

    Returns
    -------
    NetworkSpec
        Ours.
    dict of str to int
        ``dimensions``, ``in_channels``, ``out_channels`` as far as they are given.

    Raises
    ------
    BadModelFolder
        If the class or an argument is not one of the table, or a value is no plain number, flag, word or list.
    """
    row = _row_of(class_name)
    left = {name: value for name, value in arguments.items() if name not in _TRAINING_ONLY}
    sizes = _take_sizes(left)
    parameters = {**_read_layer(left.pop(row.norm, None), "norm", NORMS, _OPTIONS_OF_NORM)}
    parameters |= _read_layer(left.pop(row.act, None), "act", ACTIVATIONS, _OPTIONS_OF_ACTIVATION)
    if "num_groups" in left and row.name == "segresnet":
        # The older spelling of norm=("GROUP", {"num_groups": n}); MONAI reads it only where norm_name is given, too.
        left.pop("num_groups")
    ours = {argument: name for name, argument in row.arguments.items()}
    for argument, value in left.items():
        if argument not in ours:
            raise _refused(f"argument {argument[:40]!r} of {row.class_name} is not known here")
        if value is not None:
            parameters[ours[argument]] = _plain(value, argument)
    try:
        network = NetworkSpec(name=row.name, parameters=parameters)
        monai_arguments(network, dimensions=3, in_channels=1, out_channels=2)
    except ValueError as exc:
        raise _refused(f"the numbers of {row.class_name} are not valid here") from exc
    return network, sizes


def _row_of(class_name: str) -> MonaiNetwork:
    for prefix in _PREFIXES:
        row = _BY_CLASS.get(class_name.removeprefix(prefix)) if class_name.startswith(prefix) else None
        if row is not None:
            return row
    known = ", ".join(sorted(_BY_CLASS))
    raise _refused(f"{class_name[:60]!r} is no network segdesk builds (known are {known})")


def _take_sizes(arguments: dict[str, Any]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for argument, name in ((_DIMENSIONS, "dimensions"), (_IN, "in_channels"), (_OUT, "out_channels")):
        value = arguments.pop(argument, None)
        if value is None:
            continue
        if type(value) is not int or not 0 < value <= 1024:
            raise _refused(f"{argument} must be a whole number")
        sizes[name] = value
    return sizes


def _collect_layer(
    done: dict[str, Any],
    numbers: dict[str, Any],
    argument: str,
    name: str,
    known: frozenset[str],
    options: Mapping[str, str],
) -> None:
    """Move a norm or an activation with its options from `numbers` to MONAI's pair of name and options."""
    kind = numbers.pop(name, None)
    given = {theirs: numbers.pop(ours) for ours, theirs in options.items() if ours in numbers}
    if kind is None:
        if given:
            raise ValueError(f"options of {name!r} without {name!r}")
        return
    if kind not in known:
        raise ValueError(f"{name} {kind!r} is unknown; known are {', '.join(sorted(known))}")
    done[argument] = [kind, given] if given else kind


def _read_layer(value: Any, name: str, known: frozenset[str], options: Mapping[str, str]) -> dict[str, Any]:
    """Return our parameters for MONAI's "name" or [name, options]."""
    if value is None:
        return {}
    kind, given = (value, {}) if isinstance(value, str) else _pair(value, name)
    if not isinstance(kind, str) or kind.lower() not in known:
        raise _refused(f"{name} {str(kind)[:40]!r} is not known here")
    ours = {theirs: parameter for parameter, theirs in options.items()}
    done: dict[str, Any] = {name: kind.lower()}
    for option, number in given.items():
        if option in _WITHOUT_EFFECT:
            continue
        if option not in ours:
            raise _refused(f"option {str(option)[:40]!r} of {name} {kind!r} is not known here")
        done[ours[option]] = _plain(number, option)
    return done


def _pair(value: Any, name: str) -> tuple[Any, Plain]:
    if isinstance(value, list | tuple) and len(value) == 2 and isinstance(value[1], Mapping):
        return value[0], value[1]
    raise _refused(f"{name} is neither a name nor a name with options")


def _plain(value: Any, name: str) -> Any:
    """Return a number, flag, word or list of them; words in lower case."""
    if isinstance(value, str):
        return value.lower()
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_plain(each, name) for each in value]
    raise _refused(f"{name[:40]} is no number, flag, word or list")


def _check_sizes(name: str, value: Any) -> None:
    """Refuse whole numbers that no network has, and negative ones."""
    if isinstance(value, list | tuple):
        for each in value:
            _check_sizes(name, each)
    elif isinstance(value, int | float) and not isinstance(value, bool) and not 0 <= value <= 4096:
        raise ValueError(f"{name} must lie in 0..4096")


def _refused(why: str) -> BadModelFolder:
    return BadModelFolder(
        f"The network of this bundle cannot be built: {why}. Declare the network in a contract file (--contract)."
    )
