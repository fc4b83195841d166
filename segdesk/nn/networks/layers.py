"""The few layers the networks are made of, for two or three dimensions."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Layers:
    """Makes layers of `dims` dimensions.

    Parameters
    ----------
    dims : int
        2 or 3.
    has_norm : bool
        False leaves every norm out, for networks whose answer must not depend on the window.
    """

    dims: int
    has_norm: bool = True

    def conv(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        stride: int = 1,
        *,
        bias: bool = True,
        dilation: int = 1,
        groups: int = 1,
    ) -> nn.Module:
        """Return a convolution padded to keep the size (for stride 1)."""
        kind = nn.Conv3d if self.dims == 3 else nn.Conv2d
        padding = dilation * (kernel // 2)
        return kind(
            in_channels,
            out_channels,
            kernel,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            bias=bias,
        )

    def norm(self, channels: int) -> nn.Module:
        """Return an instance norm with learned scale and shift; no running statistics."""
        if not self.has_norm:
            return nn.Identity()
        kind = nn.InstanceNorm3d if self.dims == 3 else nn.InstanceNorm2d
        return kind(channels, affine=True)

    def conv_norm(
        self, in_channels: int, out_channels: int, stride: int = 1, *, kernel: int = 3, dilation: int = 1
    ) -> nn.Module:
        """Return a convolution followed by a norm."""
        has_bias = not self.has_norm
        convolution = self.conv(in_channels, out_channels, kernel, stride, bias=has_bias, dilation=dilation)
        return nn.Sequential(convolution, self.norm(out_channels))

    def shortcut(self, in_channels: int, out_channels: int, stride: int) -> nn.Module:
        """Return the cheap path round a block that changes width or size."""
        pool = nn.AvgPool3d(stride) if self.dims == 3 else nn.AvgPool2d(stride)
        has_bias = not self.has_norm
        project = nn.Sequential(self.conv(in_channels, out_channels, 1, bias=has_bias), self.norm(out_channels))
        return project if stride == 1 else nn.Sequential(pool, *project)

    def up(self, in_channels: int, out_channels: int) -> nn.Module:
        """Return a transposed convolution that doubles the size."""
        kind = nn.ConvTranspose3d if self.dims == 3 else nn.ConvTranspose2d
        return kind(in_channels, out_channels, 2, stride=2)

    def max_pool(self, kernel: int, stride: int | None = None, padding: int = 0) -> nn.Module:
        """Return max pooling; the stride is the kernel's length unless it is given."""
        kind = nn.MaxPool3d if self.dims == 3 else nn.MaxPool2d
        return kind(kernel, stride=stride, padding=padding)

    def enlarge(self, x: Tensor, factor: int) -> Tensor:
        """Return a map enlarged by linear interpolation; voxel edges, not centres, stay where they are."""
        mode = "trilinear" if self.dims == 3 else "bilinear"
        return functional.interpolate(x, scale_factor=float(factor), mode=mode, align_corners=False)


def initialise_he(network: nn.Module) -> None:
    """Draw convolution weights with standard deviation sqrt(2 / N) (He et al., ICCV 2015); biases are 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
