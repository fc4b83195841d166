"""Networks that label the middle pixel of a patch, run over a whole image at once.

A patch network moved over an image pixel by pixel repeats nearly all of its work. Both networks
here give the same numbers as that, in one pass: poolings have stride 1, and what follows a pooling
of stride 2 in the paper has its taps spread by 2 (max-pooling fragments put back together).

References
----------
Giusti, Ciresan, Masci, Gambardella, Schmidhuber: Fast image scanning with deep max-pooling convolutional neural
networks, ICIP 2013. Li, Zhao, Wang: Highly efficient forward and backward propagation, arXiv:1412.4526, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from segdesk.nn.networks.layers import initialise_he


class TwoPathCnn(nn.Module):
    """Havaei's two-pathway network: fine local detail beside wide context, two-dimensional.

    Local path: 7x7 maxout, 4x4 max pooling, 3x3 maxout, 2x2 max pooling. Global path: 13x13 maxout. Both leave 21 of
    33 pixels, over which one convolution scores the classes. All strides are 1, as published.

    An image of J x I gives J - 32 by I - 32 logits.

    Parameters
    ----------
    in_channels, out_channels : int
        Image channels (4 MR contrasts in the paper); classes including background (5).
    local_width, global_width : int
        Feature maps of the paths; 64 and 160 in the paper.

    Notes
    -----
    The best of two convolutions is taken in every maxout. With 4 channels and 5 classes it has 809 637 parameters.
    Receptive field: 33 x 33 pixels. The paper first trains on patches with classes equally often, then the output layer
    alone on their true frequencies.

    References
    ----------
    Havaei et al.: Brain tumor segmentation with deep neural networks, Medical Image Analysis 35:18, 2017, section 3.1,
    figure 2 (TwoPathCNN).
    """

    def __init__(self, in_channels: int, out_channels: int, local_width: int = 64, global_width: int = 160) -> None:
        super().__init__()
        self.local_path = nn.Sequential(
            Maxout(in_channels, local_width, 7), nn.MaxPool2d(4, stride=1),
            Maxout(local_width, local_width, 3), nn.MaxPool2d(2, stride=1),
        )  # fmt: skip
        self.global_path = Maxout(in_channels, global_width, 13)
        self.head = nn.Conv2d(local_width + global_width, out_channels, 21)
        self.dims = 2
        self.size_divisor = 1
        self.output_margin = 16
        initialise_he(self)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (N, out_channels, J - 32, I - 32), each of the middle of its 33 x 33 pixels."""
        return self.head(torch.cat([self.local_path(image), self.global_path(image)], dim=1))

    def valid_size(self, at_least: int) -> int:
        """Return the smallest input length >= `at_least` that gives an answer."""
        return max(at_least, 2 * self.output_margin + 1)


class PatchCnn(nn.Module):
    """Ciresan's pixel classifier, two-dimensional: convolutions and 2x2 max poolings, then two full layers.

    With the default kernels it is network N4: 95 x 95 pixels decide on the one in their middle, four times 48
    maps, 200 units. An image of J x I gives J - 94 by I - 94 logits.

    Parameters
    ----------
    in_channels, out_channels : int
        Image channels; classes including background.
    width : int
        Maps of each convolution; 48 in the paper.
    hidden : int
        Units of the first full layer; 200 in the paper.
    kernels : sequence of int
        Of the convolutions, each followed by a pooling; (4, 5, 4, 4) in the paper.

    Notes
    -----
    219 290 parameters with 1 channel and 2 classes. Receptive field: 95 x 95 pixels.

    References
    ----------
    Ciresan, Giusti, Gambardella, Schmidhuber: Deep neural networks segment neuronal membranes in electron microscopy
    images, NIPS 2012, section 2 and table 1 (N4).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        width: int = 48,
        hidden: int = 200,
        kernels: Sequence[int] = (4, 5, 4, 4),
    ) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        step, reach = 1, 1
        for n, kernel in enumerate(kernels):
            convolution = nn.Conv2d(in_channels if n == 0 else width, width, kernel, dilation=step)
            pool = nn.MaxPool2d(2, stride=1, dilation=step)
            stages.append(nn.Sequential(convolution, nn.ReLU(inplace=True), pool))
            reach += step * (kernel - 1) + step
            step *= 2
        reach += step * (_FULL - 1)
        if reach % 2 == 0:
            raise ValueError("these kernels see an even number of pixels, which has no middle; change one by 1")
        self.encoder = nn.ModuleList(stages)
        self.full = nn.Sequential(nn.Conv2d(width, hidden, _FULL, dilation=step), nn.ReLU(inplace=True))
        self.head = nn.Conv2d(hidden, out_channels, 1)
        self.dims = 2
        self.size_divisor = 1
        self.output_margin = reach // 2
        initialise_he(self)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (N, out_channels, J - 2m, I - 2m) with m = `output_margin`."""
        x = image
        for stage in self.encoder:
            x = stage(x)
        return self.head(self.full(x))

    def valid_size(self, at_least: int) -> int:
        """Return the smallest input length >= `at_least` that gives an answer."""
        return max(at_least, 2 * self.output_margin + 1)


_FULL = 3
"""Pixels along each axis that the last pooling of N4 leaves for the full layer."""


class Maxout(nn.Module):
    """The larger of two convolutions, map by map (Goodfellow et al., ICML 2013)."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int) -> None:
        super().__init__()
        self.pieces = nn.Conv2d(in_channels, 2 * out_channels, kernel)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, out_channels, ...); unpadded."""
        return self.pieces(x).unflatten(1, (-1, 2)).amax(dim=2)
