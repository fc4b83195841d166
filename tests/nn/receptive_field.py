"""Receptive fields: measured by gradients, and worked out from kernels and strides alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import nn
from torch.nn import functional

Span = tuple[int, int]
"""First and last index along one axis."""

Step = Callable[[Span], Span]
"""From the indices of a layer's output to those of its input that they see."""


def conv(kernel: int, stride: int = 1, dilation: int = 1, padding: int | None = None) -> Step:
    """A convolution or pooling; padded to keep the size unless told otherwise."""
    pad = dilation * (kernel // 2) if padding is None else padding

    def back(span: Span) -> Span:
        return span[0] * stride - pad, span[1] * stride - pad + dilation * (kernel - 1)

    return back


def transposed(kernel: int, stride: int, padding: int = 0) -> Step:
    def back(span: Span) -> Span:
        return -(-(span[0] + padding - kernel + 1) // stride), (span[1] + padding) // stride

    return back


def linear(factor: int) -> Step:
    """Linear interpolation with edges aligned: two neighbours take part."""

    def back(span: Span) -> Span:
        first = (2 * span[0] + 1 - factor) // (2 * factor)
        last = (2 * span[1] + 1 - factor) // (2 * factor) + 1
        return first, last

    return back


def nearest(factor: int) -> Step:
    return lambda span: (span[0] // factor, span[1] // factor)


def back_through(span: Span, steps: Sequence[Step]) -> Span:
    """Follow `steps`, given from input to output, from the output back."""
    for step in reversed(steps):
        span = step(span)
    return span


def union(*spans: Span) -> Span:
    return min(first for first, _ in spans), max(last for _, last in spans)


def measured(network: nn.Module, outputs: Sequence[int], size: int, channels: int = 1) -> list[Span]:
    """Return the input indices with a gradient, for output units in the middle column.

    Weights are made positive and max pooling is replaced by the sum over the same window, so that
    no gradient is lost by cancelling or by not being the largest; double precision keeps the tails.
    """
    network = network.double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1.0 if parameter.ndim > 1 else 0.1)
            if parameter.ndim > 1:
                parameter.div_(parameter[0].numel())
    image = torch.ones(1, channels, size, 64, dtype=torch.float64, requires_grad=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.MaxPool2d, "forward", _sum_pool)
        answer = network(image)
        spans: list[Span] = []
        for index in outputs:
            (gradient,) = torch.autograd.grad(answer[0, 0, index, answer.shape[-1] // 2], image, retain_graph=True)
            seen = torch.nonzero(gradient.abs().sum(dim=(0, 1, 3)))[:, 0]
            spans.append((int(seen[0]), int(seen[-1])))
    return spans


def _sum_pool(self: nn.MaxPool2d, x: torch.Tensor) -> torch.Tensor:
    kernel = torch.ones(x.shape[1], 1, self.kernel_size, self.kernel_size, dtype=x.dtype) / self.kernel_size**2
    return functional.conv2d(
        x, kernel, stride=self.stride, padding=self.padding, dilation=self.dilation, groups=x.shape[1]
    )
