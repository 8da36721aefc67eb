"""The pieces that U-Nets are made of, in two and three dimensions from one definition.

Training on a CPU in bfloat16, torch pools and doubles maps in float32 and takes gradients through contiguous copies.
What is here computes the same values, to the last bit, in the maps' own type and layout: a fifth of a step's time.
"""

from collections.abc import Callable

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


class MaxPool2d(nn.MaxPool2d):
    """`nn.MaxPool2d` in the map's own type, also under CPU autocast: the largest of some values is one of them."""

    def forward(self, input: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch channel *pooled"]:  # noqa: A002 - torch's own name
        """As `nn.MaxPool2d`."""
        return in_own_type(lambda maps: F.max_pool2d(maps, self.kernel_size, self.stride), input)


class MaxPool3d(nn.MaxPool3d):
    """`nn.MaxPool3d` in the map's own type, as `MaxPool2d`."""

    def forward(self, input: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch channel *pooled"]:  # noqa: A002 - torch's own name
        """As `nn.MaxPool3d`."""
        return in_own_type(lambda maps: F.max_pool3d(maps, self.kernel_size, self.stride), input)


CONVOLUTION: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: Convolution3d}
BATCH_NORM: dict[int, type[nn.BatchNorm2d] | type[nn.BatchNorm3d]] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
MAX_POOL: dict[int, type[nn.MaxPool2d] | type[nn.MaxPool3d]] = {2: MaxPool2d, 3: MaxPool3d}
CHANNELS_LAST = {2: torch.channels_last, 3: torch.channels_last_3d}
LINEAR = {2: "bilinear", 3: "trilinear"}  # torch's names for interpolation that is linear along every axis


def in_own_type(function: Callable[[Tensor], Tensor], maps: Tensor) -> Tensor:
    """A function of a map without CPU autocast, which would compute it in float32 and keep the float32 for later."""
    if maps.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return function(maps)
    with torch.autocast("cpu", enabled=False):
        return function(maps)


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
    mode = LINEAR[features.ndim - 2]
    doubled = in_own_type(lambda maps: F.interpolate(maps, scale_factor=2.0, mode=mode, align_corners=False), features)
    return with_dense_gradient(doubled)


def with_dense_gradient(enlarged: Tensor) -> Tensor:
    """A map that linear interpolation made; its gradient will come in the map's own layout, without gaps.

    A concatenation hands its parts gradients with gaps, and for these torch takes a path five times slower on the CPU.
    """
    layout = CHANNELS_LAST[enlarged.ndim - 2]
    on_cpu = enlarged.device.type == "cpu"
    if on_cpu and enlarged.requires_grad and enlarged.is_contiguous(memory_format=layout):
        enlarged.register_hook(lambda gradient: gradient.contiguous(memory_format=layout))
    return enlarged


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
        if have == want:  # a narrow of the whole would cost its gradient a copy
            continue
        features = features.narrow(axis, (have - want) // 2, want)
    return features
