"""The fully convolutional network of 2015: a VGG-style encoder whose coarse scores are fused with finer ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from segdesk.nn.networks.layers import Layers, initialise_he

_STAGES = 5
_UP_KERNEL = 4


class Fcn(nn.Module):
    """FCN-32s, FCN-16s or FCN-8s.

    Five stages of 3-wide convolutions, each ended by 2-wide max pooling, then the fully connected
    layers of VGG as convolutions (7-wide, 1-wide), then one score per class. FCN-32s enlarges these
    scores 32 times; FCN-16s doubles them, adds the scores of the fourth pooling and enlarges 16
    times; FCN-8s does so once more with the third pooling. The doublings are transposed
    convolutions that start as linear interpolation; the last enlargement stays one, as in the paper.

    Lengths are multiples of 32; the output has the input's size: all convolutions are padded, where
    the paper pads the image by 100 pixels and crops.

    Parameters
    ----------
    layers : Layers
        Two- or three-dimensional building blocks. VGG has no norms and was trained before on
        ImageNet; from scratch the network needs them.
    in_channels, out_channels : int
        Image channels; classes including background.
    widths : sequence of int
        Channels of the five stages; (64, 128, 256, 512, 512) in the paper.
    depths : sequence of int
        Convolutions of the five stages; (2, 2, 3, 3, 3) for VGG-16.
    classifier : int
        Channels of the two layers behind the stages; 4096 in the paper.
    stride : int
        32, 16 or 8: how coarse the finest scores are.
    dropout : float
        Behind both of those layers, 0.5 in VGG.

    Notes
    -----
    Parameters: 134 346 581 for FCN-32s with the paper's widths, 3 channels, 21 classes, no norms ("134 M",
    table 1); the default widths, a quarter of that with a classifier of 256, give 2 594 873 for FCN-8s in 2D with
    1 channel and 3 classes. Receptive field of one score: 404 pixels along each axis (table 1), of one output pixel
    of FCN-32s: 436, as two neighbouring scores meet in it. Norms make it the whole window.

    References
    ----------
    Long, Shelhamer, Darrell: Fully Convolutional Networks for Semantic Segmentation, CVPR 2015, section 4, figure 3,
    table 1. Simonyan, Zisserman: VGG, ICLR 2015, configuration D.
    """

    def __init__(
        self,
        layers: Layers,
        in_channels: int,
        out_channels: int,
        widths: Sequence[int],
        depths: Sequence[int] = (2, 2, 3, 3, 3),
        classifier: int = 256,
        stride: int = 8,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if len(widths) != _STAGES or len(depths) != _STAGES:
            raise ValueError("an FCN has five stages: five widths and five depths")
        if stride not in (8, 16, 32):
            raise ValueError("stride is 8, 16 or 32")
        before = (in_channels, *widths[:-1])
        self.encoder = nn.ModuleList(
            _stage(layers, a, b, depth) for a, b, depth in zip(before, widths, depths, strict=True)
        )
        self.pool = layers.max_pool(2)
        self.classifier = nn.Sequential(
            layers.conv(widths[-1], classifier, 7), nn.ReLU(inplace=True), nn.Dropout(dropout),
            layers.conv(classifier, classifier, 1), nn.ReLU(inplace=True), nn.Dropout(dropout),
            layers.conv(classifier, out_channels, 1),
        )  # fmt: skip
        fused = [width for width, coarse in ((widths[3], 16), (widths[2], 8)) if coarse >= stride]
        initialise_he(self)
        self.skip_scores = nn.ModuleList(layers.conv(width, out_channels, 1) for width in fused)
        for parameter in self.skip_scores.parameters():
            # The net starts with unmodified predictions (section 4.2).
            nn.init.zeros_(parameter)
        self.doublings = nn.ModuleList(_doubling(layers, out_channels) for _ in fused)
        self._layers = layers
        self._stride = stride
        self.dims = layers.dims
        self.size_divisor = 32
        self.output_margin = 0

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits, shape (N, out_channels, ...), as fine as the image."""
        pooled: list[Tensor] = []
        x = image
        for stage in self.encoder:
            x = self.pool(stage(x))
            pooled.append(x)
        scores = self.classifier(x)
        for n, (double, skip_score) in enumerate(zip(self.doublings, self.skip_scores, strict=True)):
            scores = double(scores) + skip_score(pooled[-2 - n])
        return self._layers.enlarge(scores, self._stride)


def _stage(layers: Layers, in_channels: int, out_channels: int, depth: int) -> nn.Module:
    modules: list[nn.Module] = []
    for n in range(depth):
        modules += [layers.conv_norm(in_channels if n == 0 else out_channels, out_channels), nn.ReLU(inplace=True)]
    return nn.Sequential(*modules)


def _doubling(layers: Layers, channels: int) -> nn.Module:
    """Return a transposed convolution that starts as linear interpolation, each class by itself."""
    kind = nn.ConvTranspose3d if layers.dims == 3 else nn.ConvTranspose2d
    up = kind(channels, channels, _UP_KERNEL, stride=2, padding=1, bias=False)
    ramp = torch.tensor([0.25, 0.75, 0.75, 0.25])
    kernel = math.prod(
        (ramp.reshape([-1 if a == axis else 1 for a in range(layers.dims)]) for axis in range(layers.dims)),
        start=torch.ones([_UP_KERNEL] * layers.dims),
    )
    with torch.no_grad():
        up.weight.zero_()
        for channel in range(channels):
            up.weight[channel, channel] = kernel
    return up
