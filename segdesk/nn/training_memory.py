"""How much memory a training step needs, worked out without doing one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from segdesk.nn.networks.registry import build_network
from segdesk.zoo.spec import NetworkSpec

CPU_MIB = 448.0
"""Budget on a CPU, where time is shorter than memory: what two cores train at about one step a second."""

GPU_MIB = 8192.0
"""Budget on a GPU: that of nnU-Net's standard plan (Isensee et al. 2021), or 80 % of what is free if that is less."""

_MIB = 2**20
_COPIES = 5
"""Weights, gradients, two moments of AdamW, averaged weights."""


def memory_budget_mib(device: torch.device) -> float:
    """Return how much memory a plan may use on a device."""
    if device.type != "cuda":
        return CPU_MIB
    free, _ = torch.cuda.mem_get_info(device)
    return min(GPU_MIB, 0.8 * free / _MIB)


def training_memory_mib(network: NetworkSpec, channels: int, classes: int, patch: Sequence[int], batch: int) -> float:
    """Count what a training step keeps: the activations for the gradient, and five copies of the weights.

    The network is built and run on torch's meta device, which has shapes but no numbers. Scratch
    memory of single operations comes on top of it.

    Parameters
    ----------
    network : NetworkSpec
        Any that can be built.
    channels, classes : int
        Of the image; of the answer, background included.
    patch : sequence of int
        (k, j, i), or (j, i) for a 2D network.
    batch : int
        Patches per step.
    """
    with torch.device("meta"):
        built = build_network(network, dimensions=len(patch), in_channels=channels, out_channels=classes).train()
        images = torch.zeros(batch, channels, *patch)
    parameters = list(built.parameters())
    own = {parameter.untyped_storage()._cdata for parameter in parameters}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        deep = getattr(built, "forward_deep", None)
        heads = deep(images) if deep is not None else [built(images)]
        # One loss after another keeps the probabilities of every head.
        torch.stack([head.log_softmax(dim=1).sum() for head in heads]).sum()
    activations = sum(each.untyped_storage().nbytes() for address, each in kept.items() if address not in own)
    weights = sum(parameter.numel() for parameter in parameters) * 4 * _COPIES
    return (activations + weights) / _MIB
