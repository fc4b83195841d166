"""Residual U-Nets in two and three dimensions, padded, with instance norm."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from segdesk.nn.networks.layers import Layers


class ResidualUnet(nn.Module):
    """A U-Net whose stages are residual blocks; the output has the input's size.

    Input and output lengths are multiples of 2 ** (stages - 1). With 1 channel and 3 classes the
    3D widths (32, 64, 96, 128) with one coarse head make 2 761 062 parameters. Without the norms a
    voxel sees at most 79 voxels along each axis at four stages; with them, the whole window.

    Parameters
    ----------
    layers : Layers
        Two- or three-dimensional building blocks.
    in_channels, out_channels : int
        Image channels; classes including background.
    widths : sequence of int
        Channels per resolution, finest first; each further stage halves every axis.
    deep_supervision : int
        Extra heads on the coarser decoder stages, used in training only.

    References
    ----------
    Ronneberger et al., MICCAI 2015 (U-Net); He et al., CVPR 2016 (residual blocks);
    Isensee et al., arXiv:2404.09556 (residual encoders for segmentation).
    """

    def __init__(
        self, layers: Layers, in_channels: int, out_channels: int, widths: Sequence[int], deep_supervision: int = 0
    ) -> None:
        super().__init__()
        before = (in_channels, *widths[:-1])
        self.encoder = nn.ModuleList(
            ResidualBlock(layers, a, b, stride=1 if n == 0 else 2)
            for n, (a, b) in enumerate(zip(before, widths, strict=True))
        )
        pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(layers.up(a, b) for a, b in pairs)
        self.decoder = nn.ModuleList(ResidualBlock(layers, 2 * b, b) for _, b in pairs)
        self.head = layers.conv(widths[0], out_channels, 1)
        coarse = widths[1 : 1 + deep_supervision]
        self.coarse_heads = nn.ModuleList(layers.conv(width, out_channels, 1) for width in coarse)
        self.size_divisor = 2 ** (len(widths) - 1)
        self.output_margin = 0
        self.dims = layers.dims

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits, shape (N, out_channels, ...), as fine as the image."""
        return self.head(self._decode(image)[-1])

    def forward_deep(self, image: Tensor) -> list[Tensor]:
        """Return the logits of every head, finest first."""
        stages = self._decode(image)
        coarse = [head(stages[-2 - n]) for n, head in enumerate(self.coarse_heads)]
        return [self.head(stages[-1]), *coarse]

    def _decode(self, image: Tensor) -> list[Tensor]:
        skips: list[Tensor] = []
        x = image
        for block in self.encoder:
            x = block(x)
            skips.append(x)
        stages = [skips.pop()]
        for up, block in zip(self.up, self.decoder, strict=True):
            stages.append(block(torch.cat([up(stages[-1]), skips.pop()], dim=1)))
        return stages


class ResidualBlock(nn.Module):
    """Two normalised convolutions beside a shortcut.

    Parameters
    ----------
    layers : Layers
        Two- or three-dimensional building blocks.
    in_channels, out_channels : int
        Widths before and after.
    stride : int
        Of the first convolution.
    dilation : int
        Step between the taps of both convolutions.
    """

    def __init__(self, layers: Layers, in_channels: int, out_channels: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.first = layers.conv_norm(in_channels, out_channels, stride, dilation=dilation)
        self.second = layers.conv_norm(out_channels, out_channels, dilation=dilation)
        self.act = nn.LeakyReLU(0.01, inplace=True)
        same = in_channels == out_channels and stride == 1
        self.shortcut = nn.Identity() if same else layers.shortcut(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Return act(second(act(first(x))) + shortcut(x))."""
        return self.act(self.second(self.act(self.first(x))) + self.shortcut(x))
