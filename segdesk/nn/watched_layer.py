"""Looking at what a layer of a network gives."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from segdesk.errors import UsageError

_SHOWN = 24
"""Layer names in an error: enough to choose from."""


class Watched:
    """Keeps the last output of a layer while a ``with`` block runs.

    Parameters
    ----------
    network : torch.nn.Module
        Not changed.
    layer : str
        Name from ``network.named_modules()``.

    Raises
    ------
    UsageError
        If the network has no such layer.
    """

    def __init__(self, network: nn.Module, layer: str) -> None:
        modules = dict(network.named_modules())
        if layer not in modules or not layer:
            names = [name for name, module in modules.items() if _is_convolution(module)]
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            raise UsageError(f"The network has no layer {layer!r}; it has {', '.join(names[:_SHOWN])}{more}.")
        self._module = modules[layer]
        self._name = layer
        self._output: Tensor | None = None
        self._handle: Any = None

    @property
    def output(self) -> Tensor:
        """The last output, (1, channels, ...); UsageError if the layer gave no image."""
        if self._output is None or self._output.dim() < 4:
            raise UsageError(f"Layer {self._name!r} gives no image that could be shown; choose another layer.")
        return self._output

    def __enter__(self) -> Watched:
        """Begin to look."""
        self._handle = self._module.register_forward_hook(self._keep)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop looking."""
        self._handle.remove()

    def _keep(self, module: nn.Module, inputs: object, output: object) -> None:
        self._output = output if isinstance(output, Tensor) else None


@torch.no_grad()
def coarsest_layer(network: nn.Module, image: Tensor) -> str:
    """Return the name of the layer that ends last among those with the smallest output: the end of the bottleneck.

    Parameters
    ----------
    network : torch.nn.Module
        Run once.
    image : Tensor, shape (1, C, [k,] j, i)
        One window.
    """
    sizes: dict[str, int] = {}

    def note(name: str, output: object) -> None:
        if isinstance(output, Tensor) and output.dim() == image.dim():
            sizes.pop(name, None)
            sizes[name] = output[0, 0].numel()

    handles = [
        module.register_forward_hook(lambda _, __, output, name=name: note(name, output))
        for name, module in network.named_modules()
        if name
    ]
    try:
        network(image)
    finally:
        for handle in handles:
            handle.remove()
    smallest = min(sizes.values())
    return [name for name, size in sizes.items() if size == smallest][-1]


def _is_convolution(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d)
