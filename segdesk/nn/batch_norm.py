"""Batch norm as a help in training only: put in before, folded into the convolutions after."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval

from segdesk.errors import UsageError

_ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.ELU)


class NormalisedConv(nn.Sequential):
    """A convolution and the batch norm of its output."""

    def __init__(self, conv: nn.Conv2d | nn.Conv3d) -> None:
        super().__init__()
        self.conv = conv
        norm = nn.BatchNorm2d if isinstance(conv, nn.Conv2d) else nn.BatchNorm3d
        self.norm = norm(conv.out_channels)


def add_batch_norm(network: nn.Module) -> None:
    """Normalise, in place, every convolution that an activation follows.

    The network of 2015 and those of its time have no norm, and take several times as many steps to
    train as with one. At prediction batch norm is a factor and an offset for each channel, which `fold_batch_norm` puts
    into the convolution: what is kept is the published network, layer for layer.

    Raises
    ------
    UsageError
        If no convolution is followed by an activation directly: the network has norms of its own.

    References
    ----------
    Ioffe, Szegedy: Batch normalization, ICML 2015 (section 3.1: the norm is linear at inference).
    """
    found = False
    for sequence in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        for place in range(len(sequence) - 1):
            conv = sequence[place]
            if isinstance(conv, nn.Conv2d | nn.Conv3d) and isinstance(sequence[place + 1], _ACTIVATIONS):
                sequence[place] = NormalisedConv(conv)
                found = True
    if not found:
        raise UsageError("batch_norm = true is for networks without norms of their own; leave it out of the recipe.")


def fold_batch_norm(network: nn.Module, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Undo `add_batch_norm`, in place, and return `weights` as those of the network without norms.

    Parameters
    ----------
    network : torch.nn.Module
        As `add_batch_norm` left it.
    weights : mapping of str to Tensor
        Of that network.

    Returns
    -------
    dict of str to Tensor
        On the CPU. The same function as in evaluation mode before, but for rounding.
    """
    network.load_state_dict(dict(weights))
    network.eval()
    with torch.no_grad():
        for sequence in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
            for place, pair in enumerate(sequence):
                if isinstance(pair, NormalisedConv):
                    sequence[place] = fuse_conv_bn_eval(pair.conv, pair.norm)
    return {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
