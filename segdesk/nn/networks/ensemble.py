"""Several networks that answer as one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


class Ensemble(nn.Module):
    """Averages the probabilities of networks of one kind.

    Parameters
    ----------
    members : sequence of torch.nn.Module
        At least one; they take the same windows.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, image: Tensor) -> Tensor:
        """Return log mean softmax, shape (N, classes, ...): logits whose softmax is the mean of the members'."""
        total: Tensor | None = None
        for member in self.members:
            answer = member(image).float().log_softmax(dim=1)
            total = answer if total is None else torch.logaddexp(total, answer)
        return torch.as_tensor(total) - math.log(len(self.members))


def members_of(network: nn.Module) -> list[nn.Module]:
    """Return the networks of an ensemble; any other network as the only one."""
    return list(network.members) if isinstance(network, Ensemble) else [network]


def first_member(network: nn.Module) -> nn.Module:
    """Return the first network of an ensemble, any other network itself."""
    return members_of(network)[0]


def joined_weights(weights: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the weights of several networks as those of their ensemble; of one network, its own."""
    if len(weights) == 1:
        return dict(weights[0])
    return {f"members.{n}.{name}": value for n, each in enumerate(weights) for name, value in each.items()}
