"""Layers of networks for anisotropic stacks, such as electron microscopy, whose sections are thicker than wide.

Maps are pooled and enlarged within sections alone, so that the number of sections stays.
"""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from weakmask.networks.blocks import Convolution3d, in_own_type, with_dense_gradient

Norm = Literal["none", "batch"]
Padding = Literal["replicate", "zeros"]
Kernel = tuple[int, int, int]
IN_PLANE: Kernel = (1, 3, 3)
CUBE: Kernel = (3, 3, 3)


def same_convolution_3d(
    in_channels: int, out_channels: int, kernel: Kernel, norm: Norm, padding: Padding, *, halving: bool = False
) -> nn.Sequential:
    """A convolution that keeps the size of a stack, with batch norm if `norm` says so.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel: Odd sides along z, y, x.
        norm: "none" has a bias instead.
        padding: Voxels beyond the faces: a copy of the nearest one, or zeros.
        halving: Stride 2 within sections.
    """
    layer = Convolution3d(
        in_channels,
        out_channels,
        kernel,
        stride=(1, 2, 2) if halving else 1,
        padding=(kernel[0] // 2, kernel[1] // 2, kernel[2] // 2),
        padding_mode=padding,
        bias=norm == "none",
    )
    return nn.Sequential(layer, nn.BatchNorm3d(out_channels)) if norm == "batch" else nn.Sequential(layer)


class AnisotropicBlock(nn.Module):
    """The anisotropic convolution block of Li et al. 2021 (arXiv 2104.07961).

    A 1x3x3 convolution and ELU; then a residual pair of 3x3x3 convolutions with ELU after the first, whose input is
    added to its output before a last ELU.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        norm: Norm = "none",
        padding: Padding = "replicate",
        *,
        isotropic: bool = False,
        projection: bool = False,
    ) -> None:
        """Build the layers.

        Args:
            in_channels: Channels of the input.
            out_channels: Channels of all three convolutions.
            norm: Norm after each convolution.
            padding: Padding of each convolution.
            isotropic: The first convolution is 3x3x3, too.
            projection: A 1x1x1 convolution lies on the shortcut of the residual pair.
        """
        super().__init__()
        w = out_channels
        self.first = same_convolution_3d(in_channels, w, CUBE if isotropic else IN_PLANE, norm, padding)
        self.second = same_convolution_3d(w, w, CUBE, norm, padding)
        self.third = same_convolution_3d(w, w, CUBE, norm, padding)
        self.shortcut = same_convolution_3d(w, w, (1, 1, 1), norm, padding) if projection else nn.Identity()

    def forward(self, maps: Float[Tensor, "batch channel z y x"]) -> Float[Tensor, "batch wide z y x"]:
        """Features of the same size."""
        maps = F.elu(self.first(maps), inplace=True)
        inner = F.elu(self.second(maps), inplace=True)
        return F.elu(self.shortcut(maps) + self.third(inner), inplace=True)


class PartialConvolution3d(Convolution3d):
    """A convolution with zero padding whose sums are divided by the share of the window inside the image.

    Liu et al. 2018, "Partial convolution based padding" (arXiv 1811.11718), for kernels of odd sides and stride 1.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: Kernel = CUBE) -> None:
        """Build the convolution."""
        z, y, x = (side // 2 for side in kernel)
        super().__init__(in_channels, out_channels, kernel, padding=(z, y, x))

    def forward(self, input: Float[Tensor, "batch channel z y x"]) -> Float[Tensor, "batch wide z y x"]:  # noqa: A002 - nn.Conv3d's own name
        """The rescaled convolution; the bias is not rescaled."""
        plain = super().forward(input)
        assert self.bias is not None  # noqa: S101 - for the type checker
        bias = self.bias.to(plain.dtype).reshape(1, -1, 1, 1, 1)
        for axis, side in enumerate(self.kernel_size, start=2):
            inside = window_share(plain.shape[axis], side).to(plain)
            shape = [-1 if k == axis else 1 for k in range(plain.ndim)]
            plain = (plain - bias) / inside.reshape(shape) + bias
        return plain


def window_share(length: int, kernel: int) -> Float[Tensor, " length"]:
    """The share of a window of odd length that lies inside a line, for each voxel of the line."""
    place = torch.arange(length)
    before, after = place.clamp(max=kernel // 2), (length - 1 - place).clamp(max=kernel // 2)
    return (before + after + 1) / kernel


def double_in_plane(maps: Float[Tensor, "batch channel z y x"]) -> Float[Tensor, "batch channel z twice_y twice_x"]:
    """Bilinear interpolation of each section to twice its rows and columns; the number of sections stays."""

    def doubled(sections: Tensor) -> Tensor:
        """The enlarged sections, which are a batch of pictures."""
        return F.interpolate(sections, scale_factor=2.0, mode="bilinear", align_corners=False)

    return by_section(lambda sections: with_dense_gradient(in_own_type(doubled, sections)), maps)


def halve_in_plane(maps: Float[Tensor, "batch channel z y x"]) -> Float[Tensor, "batch channel z half_y half_x"]:
    """The maximum of each 1x2x2 block."""
    return by_section(lambda sections: in_own_type(lambda own: F.max_pool2d(own, 2), sections), maps)


def by_section(
    function: Callable[[Tensor], Tensor], maps: Float[Tensor, "batch channel z y x"]
) -> Float[Tensor, "batch changed z rows columns"]:
    """Apply a function of pictures to the sections of stacks; with channels last no voxel is copied before it."""
    batch, _, sections = maps.shape[:3]
    found = function(maps.transpose(1, 2).flatten(0, 1))
    return found.unflatten(0, (batch, sections)).transpose(1, 2)
