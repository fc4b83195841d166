"""The few layers the networks are made of, for two or three dimensions."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True, slots=True)
class Layers:
    """Makes convolutions of `dims` dimensions.

    Parameters
    ----------
    dims : int
        2 or 3.
    """

    dims: int

    def conv(
        self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, *, bias: bool = True
    ) -> nn.Module:
        """Return a convolution padded to keep the size (for stride 1)."""
        kind = nn.Conv3d if self.dims == 3 else nn.Conv2d
        return kind(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=bias)

    def norm(self, channels: int) -> nn.Module:
        """Return an instance norm with learned scale and shift; no running statistics."""
        kind = nn.InstanceNorm3d if self.dims == 3 else nn.InstanceNorm2d
        return kind(channels, affine=True)

    def conv_norm(self, in_channels: int, out_channels: int, stride: int) -> nn.Module:
        """Return a 3-wide convolution followed by a norm."""
        return nn.Sequential(self.conv(in_channels, out_channels, 3, stride, bias=False), self.norm(out_channels))

    def shortcut(self, in_channels: int, out_channels: int, stride: int) -> nn.Module:
        """Return the cheap path round a block that changes width or size."""
        pool = nn.AvgPool3d(stride) if self.dims == 3 else nn.AvgPool2d(stride)
        project = nn.Sequential(self.conv(in_channels, out_channels, 1, bias=False), self.norm(out_channels))
        return project if stride == 1 else nn.Sequential(pool, *project)

    def up(self, in_channels: int, out_channels: int) -> nn.Module:
        """Return a transposed convolution that doubles the size."""
        kind = nn.ConvTranspose3d if self.dims == 3 else nn.ConvTranspose2d
        return kind(in_channels, out_channels, 2, stride=2)
