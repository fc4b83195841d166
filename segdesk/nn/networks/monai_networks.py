"""MONAI's networks, built from our plain numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import nn

from segdesk.zoo.monai_networks import MONAI_NETWORKS, monai_arguments
from segdesk.zoo.spec import NetworkSpec


def build_monai_network(name: str, dims: int, inputs: int, outputs: int, numbers: Mapping[str, Any]) -> nn.Module:
    """Build a network of MONAI.

    Parameters
    ----------
    name : str
        A name of `segdesk.zoo.monai_networks.MONAI_NETWORKS`.
    dims, inputs, outputs : int
        2 or 3; image channels; classes including background.
    numbers : mapping
        The parameters of the table.

    Raises
    ------
    ValueError, KeyError
        If a parameter is unknown or missing.
    """
    # MONAI takes 2 s to import, which a model that does not need it shall not pay.
    from monai.networks import nets

    spec = NetworkSpec.model_construct(name=name, parameters=dict(numbers))
    arguments = monai_arguments(spec, dimensions=dims, in_channels=inputs, out_channels=outputs)
    network: nn.Module = getattr(nets, MONAI_NETWORKS[name].class_name)(**arguments)
    # What windows need to know of a padded network.
    vars(network).update(size_divisor=_divisor(name, arguments), output_margin=0)
    return network


def _divisor(name: str, arguments: Mapping[str, Any]) -> int:
    """Return the number every input length must be a multiple of."""
    if name == "basic_unet":
        return 16
    if name == "segresnet":
        return int(2 ** (len(arguments.get("blocks_down", (1, 2, 2, 4))) - 1))
    return math.prod(max(s) if isinstance(s, list | tuple) else int(s) for s in arguments["strides"])
