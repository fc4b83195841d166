"""The U-Net of 2015: valid convolutions, so the output is smaller than the image."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ClassicUnet(nn.Module):
    """The two-dimensional U-Net as published.

    Two unpadded 3x3 convolutions with ReLU per stage, 2x2 max pooling, 2x2 up-convolution,
    cropped skip connections. At depth 4 and width 64 an image of 572 x 572 gives 388 x 388: 92 pixels
    are lost on each side, which tiles of a larger image take from their neighbours and, at its border,
    from its mirror image (the overlap-tile strategy of figure 2; see `segdesk.nn.window`).

    31 030 658 parameters at depth 4, width 64, 1 channel, 2 classes; a pixel sees at most 204 x 204 pixels.

    Parameters
    ----------
    in_channels, out_channels : int
        Image channels; classes including background.
    width : int
        Channels of the first stage, doubled at each of the `depth` poolings (64 in the paper).
    depth : int
        Number of poolings (4 in the paper).

    References
    ----------
    Ronneberger, Fischer, Brox: U-Net, MICCAI 2015, figure 1.
    """

    def __init__(self, in_channels: int, out_channels: int, width: int = 64, depth: int = 4) -> None:
        super().__init__()
        widths = [width * 2**n for n in range(depth + 1)]
        self.down = nn.ModuleList(_pair(a, b) for a, b in zip([in_channels, *widths[:-1]], widths, strict=True))
        upwards = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in upwards)
        self.merge = nn.ModuleList(_pair(a, b) for a, b in upwards)
        self.head = nn.Conv2d(width, out_channels, 1)
        self.pool = nn.MaxPool2d(2)
        self.dims = 2
        self.depth = depth
        self.size_divisor = 1
        self.output_margin = _lost_per_side(depth)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # He et al. 2015: sqrt(2 / N), as section 3 of the paper asks for.
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (N, out_channels, J - 2m, I - 2m) with m = `output_margin`; sizes must pass `valid_size`."""
        skips: list[Tensor] = []
        x = image
        for n, block in enumerate(self.down):
            x = block(x if n == 0 else self.pool(x))
            skips.append(x)
        x = skips.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            raised = up(x)
            x = merge(torch.cat([_centre(skips.pop(), raised), raised], dim=1))
        return self.head(x)

    def valid_size(self, at_least: int) -> int:
        """Return the smallest input length >= `at_least` for which every pooling divides evenly."""
        size = at_least
        while not self._fits(size):
            size += 1
        return size

    def _fits(self, size: int) -> bool:
        for _ in range(self.depth):
            size -= 4
            if size <= 0 or size % 2:
                return False
            size //= 2
        return size > 4


def _pair(in_channels: int, out_channels: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3), nn.ReLU(inplace=True),
        nn.Conv2d(out_channels, out_channels, 3), nn.ReLU(inplace=True),
    )  # fmt: skip


def _centre(skip: Tensor, like: Tensor) -> Tensor:
    """Crop the middle of `skip` to the size of `like`."""
    j, i = ((a - b) // 2 for a, b in zip(skip.shape[-2:], like.shape[-2:], strict=True))
    return skip[..., j : j + like.shape[-2], i : i + like.shape[-1]]


def _lost_per_side(depth: int) -> int:
    """Count the pixels lost per side: 2 per pair of convolutions, in pixels of its stage (92 at depth 4)."""
    return sum(2 * 2**n for n in range(depth + 1)) + sum(2 * 2**n for n in range(depth))
