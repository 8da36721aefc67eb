"""The pieces that U-Nets are made of, in two and three dimensions from one definition."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class Convolution3d(nn.Conv3d):
    """`nn.Conv3d` that stays right in bfloat16 on the CPU.

    oneDNN's bfloat16 weight gradient reads memory that nobody wrote when the map is padded and has fewer slices than
    the kernel: the gradient is garbage, differs from run to run, and nothing warns (seen with torch 2.13, two slices
    under a kernel of three). Such maps are tiny, the bottom of a U-Net on 16 slices, so computing them in float32 costs
    nothing.
    """

    def forward(self, input: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch wide *output"]:  # noqa: A002 - nn.Conv3d's own name
        """As `nn.Conv3d`; maps with fewer slices than the kernel are computed in float32 under CPU autocast."""
        shallow = input.shape[2] < self.kernel_size[0]
        if input.device.type == "cpu" and shallow and torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):
                return super().forward(input.to(self.weight.dtype))
        return super().forward(input)


CONVOLUTION: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: Convolution3d}
BATCH_NORM: dict[int, type[nn.BatchNorm2d] | type[nn.BatchNorm3d]] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
MAX_POOL: dict[int, type[nn.MaxPool2d] | type[nn.MaxPool3d]] = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
LINEAR = {2: "bilinear", 3: "trilinear"}  # torch's names for interpolation that is linear along every axis


def convolution_pair(dimensions: int, in_channels: int, widths: tuple[int, int], padding: int) -> nn.Sequential:
    """Two 3^d convolutions, each followed by batch norm and ReLU.

    Args:
        dimensions: 2 or 3.
        in_channels: Channels that come in.
        widths: Channels after the first and after the second convolution.
        padding: Zeros added on each side before each convolution: 1 keeps the size, 0 takes two voxels off each side.
    """
    layers: list[nn.Module] = []
    channels = in_channels
    for width in widths:
        # No bias: batch norm would take it out again.
        layers.append(CONVOLUTION[dimensions](channels, width, kernel_size=3, padding=padding, bias=False))
        layers.append(BATCH_NORM[dimensions](width))
        layers.append(nn.ReLU(inplace=True))
        channels = width
    return nn.Sequential(*layers)


def kaiming(module: nn.Module) -> None:
    """Kaiming initialisation for the ReLU behind every convolution; biases start at zero. Use with `module.apply`."""
    if isinstance(module, nn.Conv2d | nn.Conv3d):
        nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def double_linear(features: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch channel *twice"]:
    """Twice the size along every axis, linear between voxel centres.

    Voxel centres, not corners (`align_corners` is false): a voxel's place is then the same at every level, whatever
    the size of the image. The authors' released code aligns corners, which shifts with the size.
    """
    return F.interpolate(features, scale_factor=2.0, mode=LINEAR[features.ndim - 2], align_corners=False)


def double_nearest(features: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch channel *twice"]:
    """Twice the size along every axis, each voxel repeated."""
    return F.interpolate(features, scale_factor=2.0, mode="nearest")


def crop_to(
    features: Float[Tensor, "batch channel *space"], shape: torch.Size | tuple[int, ...]
) -> Float[Tensor, "batch channel *smaller"]:
    """The middle of a feature map, `shape` voxels; the same voxels come off both sides.

    Raises:
        ValueError: `shape` is larger than the map, or the difference is odd and there is no middle.
    """
    space = tuple(features.shape[2:])
    if any(have < want or (have - want) % 2 for have, want in zip(space, shape, strict=True)):
        raise ValueError(f"no middle of {tuple(shape)} voxels in a map of {space}: the difference must be even")
    for axis, (have, want) in enumerate(zip(space, shape, strict=True), start=2):
        features = features.narrow(axis, (have - want) // 2, want)
    return features
