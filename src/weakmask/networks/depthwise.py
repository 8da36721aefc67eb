"""Fast gradients of depthwise convolutions on a CPU.

oneDNN has fast gradients for undilated 3x3 kernels alone. Those of larger or dilated ones took most of a training step
of EfficientNet-Lite0 in bfloat16 (torch 2.13). Here the gradient of the maps is a convolution with the turned kernel,
and that of a large kernel is put together from those of 3x3 kernels. Dilation is removed first: the pixels of each
phase of the grid become an image of their own.
"""

from itertools import product
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.nn import grad

TILE = 3  # side of the kernels whose gradient is fast


class DepthwiseConvolution(torch.autograd.Function):
    """A depthwise convolution of stride 1 that keeps the size: an odd kernel, padded with zeros.

    maps = DepthwiseConvolution.apply(maps, weight, dilation)
    """

    @staticmethod
    def forward(ctx: Any, maps: Tensor, weight: Tensor, dilation: int) -> Tensor:
        """The convolved maps (batch, channel, y, x); `weight` is (channel, 1, side, side) and of the same type."""
        ctx.save_for_backward(maps, weight)
        ctx.dilation = dilation
        return _convolved(maps, weight, dilation)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  # the decorator hides the names
        ctx: Any, gradient: Tensor
    ) -> tuple[Tensor | None, Tensor | None, None]:
        """The gradients of the maps and of the weight."""
        maps, weight = ctx.saved_tensors
        of_maps = _convolved(gradient, weight.flip(2, 3), ctx.dilation) if ctx.needs_input_grad[0] else None
        of_weight = None
        if ctx.needs_input_grad[1]:
            phases = [_phases(each, ctx.dilation) for each in (maps, gradient)]
            of_weight = weight_gradient(phases[0], phases[1], weight.shape[-1]).to(weight.dtype)
        return of_maps, of_weight, None


class DepthwiseLayer(nn.Conv2d):
    """`nn.Conv2d` with the gradients of `DepthwiseConvolution` where torch's own are slower."""

    def forward(self, input: Float[Tensor, "batch channel y x"]) -> Float[Tensor, "batch wide ys xs"]:  # noqa: A002 - torch's own name
        """As `nn.Conv2d`; under CPU autocast the maps and the weight are converted to its type as there."""
        kind = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else input.dtype
        if not self._is_faster(input, kind):
            return super().forward(input)
        found = DepthwiseConvolution.apply(input.to(kind), self.weight.to(kind), self.dilation[0])
        assert isinstance(found, Tensor)  # noqa: S101 - for the type checker
        return found

    def _is_faster(self, maps: Tensor, kind: torch.dtype) -> bool:
        """Whether `DepthwiseConvolution` can compute this layer, and is the faster one for its kernel and type."""
        side, dilation = self.kernel_size[0], self.dilation[0]
        return (
            maps.device.type == "cpu"
            and torch.is_grad_enabled()
            and self.weight.requires_grad
            and self.groups == self.in_channels == self.out_channels
            and self.bias is None
            and self.stride == (1, 1)
            and self.kernel_size == (side, side)
            and self.dilation == (dilation, dilation)
            and self.padding == (dilation * (side // 2),) * 2
            and side % 2 == 1
            and side >= TILE
            and (dilation > 1 or (side > TILE and kind == torch.bfloat16))
        )


def weight_gradient(
    maps: Float[Tensor, "batch channel y x"], gradient: Float[Tensor, "batch channel y x"], side: int
) -> Float[Tensor, "channel 1 side side"]:
    """The gradient of an undilated depthwise kernel, a tile of 3x3 weights at a time.

    The gradient of a weight is the sum of products of the output's gradient and the maps, shifted by the weight's place
    in the kernel. A tile of weights has that of a 3x3 kernel on the part of the padded maps that it reads.

    Args:
        maps: The input of the convolution.
        gradient: Of its output, which has the input's size.
        side: Of the kernel, an odd number.
    """
    channels, (rows, columns) = maps.shape[1], maps.shape[2:]
    found = maps.new_zeros(channels, 1, side, side)
    around = F.pad(maps, (side // 2,) * 4)
    starts = sorted({*range(0, side - TILE + 1, TILE), side - TILE})
    for row, column in product(starts, starts):
        read = around[:, :, row : row + rows + TILE - 1, column : column + columns + TILE - 1]
        read = read.contiguous(memory_format=torch.channels_last)
        tile = grad.conv2d_weight(read, (channels, 1, TILE, TILE), gradient, groups=channels)
        found[:, :, row : row + TILE, column : column + TILE] = tile
    return found


def _convolved(maps: Tensor, weight: Tensor, dilation: int) -> Tensor:
    return F.conv2d(maps, weight, None, 1, dilation * (weight.shape[-1] // 2), dilation, maps.shape[1])


def _phases(maps: Float[Tensor, "batch channel y x"], dilation: int) -> Float[Tensor, "images channel ys xs"]:
    """Each phase of a dilated grid as an image of its own; sides that do not fit get zeros at their far end."""
    if dilation == 1:
        return maps.contiguous(memory_format=torch.channels_last)
    batch, channels, rows, columns = maps.shape
    padded = F.pad(maps, (0, -columns % dilation, 0, -rows % dilation))
    grid = padded.unflatten(2, (-1, dilation)).unflatten(4, (-1, dilation))
    # batch, channel, ys, phase of y, xs, phase of x -> the channels last in memory
    last = grid.permute(0, 3, 5, 2, 4, 1).reshape(batch * dilation**2, grid.shape[2], grid.shape[4], channels)
    return last.permute(0, 3, 1, 2)
