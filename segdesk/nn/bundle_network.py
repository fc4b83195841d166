"""What a MONAI bundle written here names as its network, where MONAI has none like it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from segdesk.nn.networks.registry import build_network
from segdesk.zoo.spec import NetworkSpec


def build(
    *, name: str, dimensions: int, in_channels: int, out_channels: int, parameters: Mapping[str, Any]
) -> nn.Module:
    """Build an untrained network by its name in a model folder and plain numbers.

    Parameters
    ----------
    name : str
        An allow-listed network.
    dimensions : int
        2 or 3.
    in_channels, out_channels : int
        Image channels; classes including background.
    parameters : mapping
        Plain numbers, per axis in the order of the arrays the bundle works on.

    Raises
    ------
    ModelError, ValueError
        If the name is unknown or the numbers do not make a network.
    """
    network = NetworkSpec(name=name, parameters=dict(parameters))
    return build_network(network, dimensions=dimensions, in_channels=in_channels, out_channels=out_channels)
