"""The two networks of nnU-Net v2: plain convolutions, or residual blocks in the encoder."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Lengths = tuple[int, ...]
"""One whole number per axis, (k, j, i) or (j, i)."""


@dataclass(frozen=True, slots=True)
class Stages:
    """The numbers of an nnU-Net, one entry per resolution, finest first.

    Parameters
    ----------
    widths : tuple of int
        Channels.
    kernel_sizes, strides : tuple of tuple of int
        Per axis; the stride leads into the stage.
    blocks : tuple of int
        Convolutions (or residual blocks) in each encoder stage.
    decoder_blocks : tuple of int
        Convolutions in each decoder stage, coarsest first; one entry fewer.
    bias : bool
        Of the convolutions before a norm and of the transposed ones.
    norm_eps : float
        Of the instance norms.
    slope : float
        Of the leaky rectifiers.
    """

    widths: tuple[int, ...]
    kernel_sizes: tuple[Lengths, ...]
    strides: tuple[Lengths, ...]
    blocks: tuple[int, ...]
    decoder_blocks: tuple[int, ...]
    bias: bool = True
    norm_eps: float = 1e-5
    slope: float = 0.01

    @classmethod
    def of(cls, dims: int, numbers: Mapping[str, Any]) -> Stages:
        """Read them from the parameters of a model folder.

        Raises
        ------
        ValueError, KeyError, TypeError
            If a number is missing, unknown or of the wrong length.
        """
        widths = tuple(_whole(n) for n in numbers["widths"])
        count = len(widths)
        rest = {name: numbers[name] for name in ("bias", "norm_eps", "slope") if name in numbers}
        known = {"widths", "kernel_sizes", "strides", "blocks", "decoder_blocks", "deep_supervision", *rest}
        if set(numbers) - known:
            raise ValueError(f"unknown parameter {sorted(set(numbers) - known)[0]!r}")
        stages = cls(
            widths,
            tuple(_per_axis(each, dims) for each in numbers["kernel_sizes"]),
            tuple(_per_axis(each, dims) for each in numbers["strides"]),
            tuple(_whole(n) for n in numbers["blocks"]),
            tuple(_whole(n) for n in numbers["decoder_blocks"]),
            **rest,
        )
        lengths = {len(stages.kernel_sizes), len(stages.strides), len(stages.blocks), len(stages.decoder_blocks) + 1}
        if count < 2 or lengths != {count}:
            raise ValueError("every list must have one entry per stage (decoder_blocks one fewer)")
        if any(n % 2 == 0 for kernel in stages.kernel_sizes for n in kernel):
            raise ValueError("kernels must have odd lengths")
        return stages


class NnUnet(nn.Module):
    """A U-Net with strided convolutions, instance norm and heads on its decoder stages, as nnU-Net builds it.

    Parameters
    ----------
    dims : int
        2 or 3.
    in_channels, out_channels : int
        Image channels; classes including background.
    stages : Stages
        The rest.
    residual : bool
        Residual blocks in the encoder, after a stem (nnU-Net's "ResEnc" presets).
    deep_supervision : int
        Coarse heads, used in training only; -1 for all there can be.

    References
    ----------
    Isensee et al., Nat Methods 18:203, 2021 (plain); Isensee et al., arXiv:2404.09556 (residual encoder);
    He et al., arXiv:1812.01187 (the shortcut: average pooling, then a 1-wide convolution).
    """

    def __init__(
        self,
        dims: int,
        in_channels: int,
        out_channels: int,
        stages: Stages,
        *,
        residual: bool = False,
        deep_supervision: int = -1,
    ) -> None:
        super().__init__()
        self._make = _Layers(dims, stages)
        widths, make = stages.widths, self._make
        self.stem = make.unit(in_channels, widths[0], stages.kernel_sizes[0]) if residual else nn.Identity()
        before = (widths[0] if residual else in_channels, *widths[:-1])
        stage = make.residual_stage if residual else make.plain_stage
        self.encoder = nn.ModuleList(
            stage(a, b, kernel, stride, count)
            for a, b, kernel, stride, count in zip(
                before, widths, stages.kernel_sizes, stages.strides, stages.blocks, strict=True
            )
        )
        upwards = list(range(len(widths) - 1, 0, -1))
        self.up = nn.ModuleList(make.up(widths[n], widths[n - 1], stages.strides[n]) for n in upwards)
        one = (1,) * dims
        self.decoder = nn.ModuleList(
            make.plain_stage(2 * widths[n - 1], widths[n - 1], stages.kernel_sizes[n - 1], one, count)
            for n, count in zip(upwards, stages.decoder_blocks, strict=True)
        )
        self.head = make.conv(widths[0], out_channels, one, one, bias=True)
        coarse = widths[1:-1] if deep_supervision < 0 else widths[1:-1][:deep_supervision]
        self.coarse_heads = nn.ModuleList(make.conv(width, out_channels, one, one, bias=True) for width in coarse)
        self.size_divisors = tuple(math.prod(stride[axis] for stride in stages.strides) for axis in range(dims))
        self.size_divisor = max(self.size_divisors)
        self.output_margin = 0
        self.dims = dims

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits, shape (N, out_channels, ...), as fine as the image."""
        return self.head(self._decode(image)[-1])

    def forward_deep(self, image: Tensor) -> list[Tensor]:
        """Return the logits of every head, finest first."""
        stages = self._decode(image)
        return [self.head(stages[-1]), *(head(stages[-2 - n]) for n, head in enumerate(self.coarse_heads))]

    def _decode(self, image: Tensor) -> list[Tensor]:
        x = self.stem(image)
        skips: list[Tensor] = []
        for stage in self.encoder:
            x = stage(x)
            skips.append(x)
        x = skips.pop()
        stages: list[Tensor] = []
        for up, stage in zip(self.up, self.decoder, strict=True):
            x = stage(torch.cat([up(x), skips.pop()], dim=1))
            stages.append(x)
        return stages


class ResidualUnit(nn.Module):
    """Two normalised convolutions beside a shortcut that pools first and widens then."""

    def __init__(self, first: nn.Module, second: nn.Module, shortcut: nn.Module, slope: float) -> None:
        super().__init__()
        self.first, self.second, self.shortcut = first, second, shortcut
        self.act = nn.LeakyReLU(slope, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return act(second(first(x)) + shortcut(x))."""
        return self.act(self.second(self.first(x)) + self.shortcut(x))


class _Layers:
    """Makes the layers of one network."""

    def __init__(self, dims: int, stages: Stages) -> None:
        self._dims = dims
        self._stages = stages

    def conv(self, in_channels: int, out_channels: int, kernel: Lengths, stride: Lengths, *, bias: bool) -> nn.Module:
        kind: Any = nn.Conv3d if self._dims == 3 else nn.Conv2d
        padding = tuple(n // 2 for n in kernel)
        module: nn.Module = kind(in_channels, out_channels, kernel, stride=stride, padding=padding, bias=bias)
        return module

    def unit(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Lengths,
        stride: Lengths | None = None,
        *,
        bias: bool | None = None,
        act: bool = True,
    ) -> nn.Module:
        """Return convolution, norm and, unless it ends a residual path, rectifier."""
        stages = self._stages
        norm: Any = nn.InstanceNorm3d if self._dims == 3 else nn.InstanceNorm2d
        parts: list[nn.Module] = [
            self.conv(
                in_channels,
                out_channels,
                kernel,
                stride or (1,) * self._dims,
                bias=stages.bias if bias is None else bias,
            ),
            norm(out_channels, eps=stages.norm_eps, affine=True),
        ]
        if act:
            parts.append(nn.LeakyReLU(stages.slope, inplace=True))
        return nn.Sequential(*parts)

    def plain_stage(
        self, in_channels: int, out_channels: int, kernel: Lengths, stride: Lengths, count: int
    ) -> nn.Module:
        first = self.unit(in_channels, out_channels, kernel, stride)
        return nn.Sequential(first, *(self.unit(out_channels, out_channels, kernel) for _ in range(count - 1)))

    def residual_stage(
        self, in_channels: int, out_channels: int, kernel: Lengths, stride: Lengths, count: int
    ) -> nn.Module:
        one = (1,) * self._dims
        first = self._residual(in_channels, out_channels, kernel, stride)
        return nn.Sequential(
            first, *(self._residual(out_channels, out_channels, kernel, one) for _ in range(count - 1))
        )

    def up(self, in_channels: int, out_channels: int, stride: Lengths) -> nn.Module:
        kind: Any = nn.ConvTranspose3d if self._dims == 3 else nn.ConvTranspose2d
        module: nn.Module = kind(in_channels, out_channels, stride, stride=stride, bias=self._stages.bias)
        return module

    def _residual(self, in_channels: int, out_channels: int, kernel: Lengths, stride: Lengths) -> nn.Module:
        one = (1,) * self._dims
        pool: Any = nn.AvgPool3d if self._dims == 3 else nn.AvgPool2d
        # Positions are fixed, so that a shortcut's weights have one name whether it pools or not.
        shortcut = nn.Sequential(
            pool(stride, stride) if stride != one else nn.Identity(),
            self.unit(in_channels, out_channels, one, bias=False, act=False)
            if in_channels != out_channels
            else nn.Identity(),
        )
        first = self.unit(in_channels, out_channels, kernel, stride)
        second = self.unit(out_channels, out_channels, kernel, act=False)
        return ResidualUnit(first, second, shortcut, self._stages.slope)


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 < value <= 4096:
        raise ValueError("whole numbers in 1..4096 are wanted")
    return value


def _per_axis(value: Any, dims: int) -> Lengths:
    values = [value] * dims if isinstance(value, int) else list(value) if isinstance(value, Sequence) else []
    if len(values) != dims:
        raise ValueError(f"kernel_sizes and strides have {dims} numbers per stage")
    return tuple(_whole(each) for each in values)
