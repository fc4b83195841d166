"""DeepLab v3+: an atrous spatial pyramid on a small residual encoder, and a decoder that restores edges."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from segdesk.nn.networks.layers import Layers, initialise_he
from segdesk.nn.networks.residual_unet import ResidualBlock

_STAGES = 5
_LOW_LEVEL_STRIDE = 4
_LOW_LEVEL_CHANNELS = 48
"""Channels the low-level features are brought to (section 4.1, table 1)."""


class DeepLab(nn.Module):
    """DeepLab v3+ with an encoder of five residual blocks in place of Xception or ResNet-101.

    The encoder halves the resolution four times (output stride 16) or three (8); where it no longer
    halves, its convolutions are dilated instead. The pyramid looks at its result with a 1-wide
    convolution, three dilated 3-wide ones and the mean of the window; the decoder enlarges it to a
    quarter of the resolution, joins the encoder's second stage, and enlarges four times.

    Lengths are multiples of the output stride; the output has the input's size.

    Parameters
    ----------
    layers : Layers
        Two- or three-dimensional building blocks.
    in_channels, out_channels : int
        Image channels; classes including background.
    widths : sequence of int
        Channels of the five stages.
    pyramid : int
        Channels of each branch and of the decoder; 256 in the paper.
    output_stride : int
        16 or 8.
    rates : sequence of int
        Dilations of the pyramid at output stride 16, doubled at 8; (6, 12, 18) in the paper.
    separable : bool
        Depthwise-separable convolutions in pyramid and decoder (section 3.1).
    image_pooling : bool
        The branch with the mean of the window.

    Notes
    -----
    The default numbers make 509 363 parameters in 2D with 1 channel and 3 classes. Without norms and
    image pooling an output pixel sees at most 843 pixels along each axis at output stride 16.

    References
    ----------
    Chen, Zhu, Papandreou, Schroff, Adam: Encoder-Decoder with Atrous Separable Convolution for Semantic Image
    Segmentation, ECCV 2018, figure 2 and section 3; the pyramid is that of Chen et al., arXiv:1706.05587, section 3.3.
    """

    def __init__(
        self,
        layers: Layers,
        in_channels: int,
        out_channels: int,
        widths: Sequence[int],
        pyramid: int = 96,
        output_stride: int = 16,
        rates: Sequence[int] = (6, 12, 18),
        separable: bool = True,
        image_pooling: bool = True,
    ) -> None:
        super().__init__()
        if len(widths) != _STAGES:
            raise ValueError("DeepLab has five stages: five widths")
        if output_stride not in (8, 16):
            raise ValueError("output_stride is 8 or 16")
        steps = _STEPS[output_stride]
        before = (in_channels, *widths[:-1])
        self.encoder = nn.ModuleList(
            ResidualBlock(layers, a, b, stride, dilation)
            for a, b, (stride, dilation) in zip(before, widths, steps, strict=True)
        )
        spread = [rate * 16 // output_stride for rate in rates]
        self.pyramid = _Pyramid(layers, widths[-1], pyramid, spread, separable, image_pooling)
        self.low_level = _activated(layers.conv_norm(widths[1], _LOW_LEVEL_CHANNELS, kernel=1))
        self.decoder = nn.Sequential(
            _wide(layers, pyramid + _LOW_LEVEL_CHANNELS, pyramid, 1, separable),
            _wide(layers, pyramid, pyramid, 1, separable),
        )
        self.head = layers.conv(pyramid, out_channels, 1)
        self._layers = layers
        self._enlarge = output_stride // _LOW_LEVEL_STRIDE
        self.dims = layers.dims
        self.size_divisor = output_stride
        self.output_margin = 0
        initialise_he(self)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits, shape (N, out_channels, ...), as fine as the image."""
        stages: list[Tensor] = []
        x = image
        for block in self.encoder:
            x = block(x)
            stages.append(x)
        coarse = self._layers.enlarge(self.pyramid(x), self._enlarge)
        fine = self.low_level(stages[1])
        scores = self.head(self.decoder(torch.cat([coarse, fine], dim=1)))
        return self._layers.enlarge(scores, _LOW_LEVEL_STRIDE)


_STEPS = {16: ((2, 1), (2, 1), (2, 1), (2, 1), (1, 2)), 8: ((2, 1), (2, 1), (2, 1), (1, 2), (1, 4))}
"""Stride and dilation of each stage, by output stride."""


class _Pyramid(nn.Module):
    """Atrous spatial pyramid pooling."""

    def __init__(
        self,
        layers: Layers,
        in_channels: int,
        channels: int,
        rates: Sequence[int],
        separable: bool,
        image_pooling: bool,
    ) -> None:
        super().__init__()
        self.point = _activated(layers.conv_norm(in_channels, channels, kernel=1))
        self.atrous = nn.ModuleList(_wide(layers, in_channels, channels, rate, separable) for rate in rates)
        # No norm here: the mean of a window is one voxel, of which a norm would leave nothing.
        self.image = _activated(layers.conv(in_channels, channels, 1)) if image_pooling else None
        branches = 1 + len(rates) + int(image_pooling)
        self.join = _activated(layers.conv_norm(branches * channels, channels, kernel=1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the joined branches, shape (N, channels, ...), as coarse as `x`."""
        parts = [self.point(x), *(branch(x) for branch in self.atrous)]
        if self.image is not None:
            mean = x.mean(dim=tuple(range(2, x.ndim)), keepdim=True)
            parts.append(self.image(mean).expand(-1, -1, *x.shape[2:]))
        return self.join(torch.cat(parts, dim=1))


def _wide(layers: Layers, in_channels: int, out_channels: int, dilation: int, separable: bool) -> nn.Module:
    """Return a 3-wide convolution, or a depthwise one and a 1-wide one, normalised and activated."""
    if not separable:
        return _activated(layers.conv_norm(in_channels, out_channels, dilation=dilation))
    depthwise = layers.conv(in_channels, in_channels, 3, bias=False, dilation=dilation, groups=in_channels)
    return nn.Sequential(depthwise, *_activated(layers.conv_norm(in_channels, out_channels, kernel=1)))


def _activated(block: nn.Module) -> nn.Sequential:
    return nn.Sequential(block, nn.ReLU(inplace=True))
