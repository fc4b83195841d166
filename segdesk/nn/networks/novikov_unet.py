"""The U-Nets that Novikov et al. proposed for chest films: All-Dropout, All-Convolutional, InvertedNet."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from segdesk.nn.networks.layers import Layers, initialise_he


class NovikovUnet(nn.Module):
    """A padded U-Net with exponential linear units and dropout behind every convolution.

    - *All-Dropout*: the widths of the U-Net of 2015, max pooling, upsampling followed by a convolution.
    - *All-Convolutional*: the same with strided convolutions in place of the poolings.
    - *InvertedNet*: many maps at full resolution and half as many after each pooling; the first pooling
      has stride 1 (delayed subsampling), so five stages halve the resolution three times; upsampling is
      joined with the skip as it is.

    Lengths are multiples of the product of the strides (16, or 8 for InvertedNet); the output has the
    input's size. There are no norms: the answer at a voxel does not depend on the window.

    Parameters
    ----------
    layers : Layers
        Two- or three-dimensional building blocks; the paper's are two-dimensional.
    in_channels, out_channels : int
        Image channels; classes including background.
    widths : sequence of int
        Channels per stage, finest first.
    dropout : float
        Probability behind every convolution.
    learned_pooling : bool
        Strided convolutions instead of max pooling.
    delayed : bool
        The first pooling has stride 1.
    up_convolution : bool
        A convolution follows each upsampling.

    Notes
    -----
    Parameters with 1 channel: All-Dropout 34 512 388 (4 classes), All-Convolutional 37 646 788 (4), InvertedNet
    3 140 771 (3). Receptive field along each axis at most: All-Dropout 236, All-Convolutional 251, InvertedNet 106
    pixels (nearest-neighbour upsampling: it differs by the place within the coarsest pixel).

    References
    ----------
    Novikov, Lenis, Major, Hladuvka, Wimmer, Buehler: Fully Convolutional Architectures for Multiclass Segmentation in
    Chest Radiographs, IEEE TMI 37(8):1865, 2018 (arXiv:1701.08816), section III. Clevert et al., ELU, ICLR 2016.
    """

    def __init__(
        self,
        layers: Layers,
        in_channels: int,
        out_channels: int,
        widths: Sequence[int],
        dropout: float = 0.1,
        *,
        learned_pooling: bool = False,
        delayed: bool = False,
        up_convolution: bool = True,
    ) -> None:
        super().__init__()
        strides = [1 if delayed and n == 0 else 2 for n in range(len(widths) - 1)]
        before = (in_channels, *widths[:-1])
        pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.encoder = nn.ModuleList(_pair(layers, a, b, dropout) for a, b in zip(before, widths, strict=True))
        self.reduce = nn.ModuleList(
            _unit(layers, width, width, dropout, stride) if learned_pooling else _pool(layers, stride)
            for width, stride in zip(widths, strides, strict=False)
        )
        self.up = nn.ModuleList(
            nn.Sequential(
                nn.Upsample(scale_factor=float(stride), mode="nearest"),
                *([_unit(layers, deep, fine, dropout)] if up_convolution else []),
            )
            for (deep, fine), stride in zip(pairs, reversed(strides), strict=True)
        )
        self.decoder = nn.ModuleList(
            _pair(layers, 2 * fine if up_convolution else deep + fine, fine, dropout) for deep, fine in pairs
        )
        self.head = layers.conv(widths[0], out_channels, 1)
        self.dims = layers.dims
        self.size_divisor = 2 ** sum(stride == 2 for stride in strides)
        self.output_margin = 0
        initialise_he(self)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits, shape (N, out_channels, ...), as fine as the image."""
        skips = [self.encoder[0](image)]
        for reduce, stage in zip(self.reduce, list(self.encoder)[1:], strict=True):
            skips.append(stage(reduce(skips[-1])))
        x = skips.pop()
        for up, stage in zip(self.up, self.decoder, strict=True):
            x = stage(torch.cat([skips.pop(), up(x)], dim=1))
        return self.head(x)


def _unit(layers: Layers, in_channels: int, out_channels: int, dropout: float, stride: int = 1) -> nn.Module:
    return nn.Sequential(layers.conv(in_channels, out_channels, 3, stride), nn.ELU(inplace=True), nn.Dropout(dropout))


def _pair(layers: Layers, in_channels: int, out_channels: int, dropout: float) -> nn.Module:
    return nn.Sequential(
        _unit(layers, in_channels, out_channels, dropout), _unit(layers, out_channels, out_channels, dropout)
    )


def _pool(layers: Layers, stride: int) -> nn.Module:
    """Return max pooling: 2-wide where it halves; 3-wide where it does not, which keeps the map centred."""
    return layers.max_pool(2) if stride == 2 else layers.max_pool(3, stride=1, padding=1)
