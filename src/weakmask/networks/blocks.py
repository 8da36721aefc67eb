"""Layers of a U-Net in two and three dimensions.

In bfloat16 training on a CPU, torch pools and doubles maps in float32 and takes gradients through contiguous copies.
These layers compute the same values, to the last bit, in the type and layout of the maps, which saves a fifth of the
time of a training step.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

# Found with torch 2.13 on a CPU with AMX: maps of 3 to 10 slices of more than about 90 x 90 voxels. From 12 slices on
# and below 89 x 89 voxels no shape was at fault.
SAFE_SLICES, SAFE_AREA = 16, 64 * 64


class Convolution3d(nn.Conv3d):
    """`nn.Conv3d` with correct gradients in bfloat16 on the CPU.

    oneDNN's bfloat16 weight gradient has two faults that raise no warning (seen with torch 2.13). When a map is padded
    and has fewer slices than the kernel, it reads uninitialised memory: the gradient is wrong and differs from run to
    run. Such maps are tiny, as the bottom of a U-Net on 16 slices is, so float32 costs almost nothing. When a map has
    few and large slices, it writes beyond its memory, and the process may die later. Such maps get more slices.
    """

    def forward(self, input: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch wide *output"]:  # noqa: A002 - nn.Conv3d's own name
        """As `nn.Conv3d`; maps with fewer slices than the kernel are computed in float32 under CPU autocast."""
        if input.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
            return super().forward(input)
        slices, rows, columns = input.shape[2:]
        if slices < self.kernel_size[0]:
            with torch.autocast("cpu", enabled=False):
                return super().forward(input.to(self.weight.dtype))
        if torch.is_grad_enabled() and slices < SAFE_SLICES and rows * columns > SAFE_AREA:
            return self._with_more_slices(input)
        return super().forward(input)

    def _with_more_slices(self, maps: Tensor) -> Tensor:
        """The same output, computed on a map with `SAFE_SLICES` slices whose last ones repeat the padding.

        It is stored without gaps: on strided maps batch norm and its gradient take several times as long.
        """
        mode = "replicate" if self.padding_mode == "replicate" else "constant"
        around = self.padding[0] if not isinstance(self.padding, str) else 0
        kept = (maps.shape[2] + 2 * int(around) - self.kernel_size[0]) // self.stride[0] + 1
        deeper = F.pad(maps, (0, 0, 0, 0, 0, SAFE_SLICES - maps.shape[2]), mode)
        return super().forward(deeper)[:, :, :kept].contiguous(memory_format=torch.channels_last_3d)


class MaxPool2d(nn.MaxPool2d):
    """`nn.MaxPool2d` that keeps the type of the map under CPU autocast, which is exact for a maximum."""

    def forward(self, input: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch channel *pooled"]:  # noqa: A002 - torch's own name
        """As `nn.MaxPool2d`."""
        return in_own_type(lambda maps: F.max_pool2d(maps, self.kernel_size, self.stride), input)


class MaxPool3d(nn.MaxPool3d):
    """`nn.MaxPool3d` that keeps the type of the map under CPU autocast."""

    def forward(self, input: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch channel *pooled"]:  # noqa: A002 - torch's own name
        """As `nn.MaxPool3d`."""
        return in_own_type(lambda maps: F.max_pool3d(maps, self.kernel_size, self.stride), input)


CONVOLUTION: dict[int, type[nn.Conv2d] | type[nn.Conv3d]] = {2: nn.Conv2d, 3: Convolution3d}
BATCH_NORM: dict[int, type[nn.BatchNorm2d] | type[nn.BatchNorm3d]] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
MAX_POOL: dict[int, type[nn.MaxPool2d] | type[nn.MaxPool3d]] = {2: MaxPool2d, 3: MaxPool3d}
CHANNELS_LAST = {2: torch.channels_last, 3: torch.channels_last_3d}
LINEAR = {2: "bilinear", 3: "trilinear"}  # torch's names of linear interpolation


def in_own_type(function: Callable[[Tensor], Tensor], maps: Tensor) -> Tensor:
    """Apply a function to a map without CPU autocast, which would compute and store the result in float32."""
    if maps.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return function(maps)
    with torch.autocast("cpu", enabled=False):
        return function(maps)


def convolution_pair(dimensions: int, in_channels: int, widths: tuple[int, int], padding: int) -> nn.Sequential:
    """Two 3^d convolutions, each followed by batch norm and ReLU.

    Args:
        dimensions: 2 or 3.
        in_channels: Channels of the input.
        widths: Channels after the first and after the second convolution.
        padding: Zeros added on each side before each convolution: 1 keeps the size, 0 removes two voxels per side.
    """
    layers: list[nn.Module] = []
    channels = in_channels
    for width in widths:
        # No bias: batch norm subtracts it.
        layers.append(CONVOLUTION[dimensions](channels, width, kernel_size=3, padding=padding, bias=False))
        layers.append(BATCH_NORM[dimensions](width))
        layers.append(nn.ReLU(inplace=True))
        channels = width
    return nn.Sequential(*layers)


def kaiming(module: nn.Module) -> None:
    """Kaiming initialisation of convolutions followed by ReLU; biases start at zero. Use with `module.apply`."""
    if isinstance(module, nn.Conv2d | nn.Conv3d):
        nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def double_linear(features: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch channel *twice"]:
    """Linear interpolation between voxel centres to twice the size along every axis.

    `align_corners` is false, so a voxel has the same position at every level for any size of the image. The authors'
    released code aligns corners, where the position shifts with the size.
    """
    mode = LINEAR[features.ndim - 2]
    doubled = in_own_type(lambda maps: F.interpolate(maps, scale_factor=2.0, mode=mode, align_corners=False), features)
    return with_dense_gradient(doubled)


def with_dense_gradient(enlarged: Tensor) -> Tensor:
    """Make the gradient of an interpolated map contiguous in the map's memory layout.

    The gradient of a concatenation is strided, and for strided gradients torch is five times slower on the CPU.
    """
    layout = CHANNELS_LAST[enlarged.ndim - 2]
    on_cpu = enlarged.device.type == "cpu"
    if on_cpu and enlarged.requires_grad and enlarged.is_contiguous(memory_format=layout):
        enlarged.register_hook(lambda gradient: gradient.contiguous(memory_format=layout))
    return enlarged


def double_nearest(features: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch channel *twice"]:
    """Nearest-neighbour interpolation to twice the size along every axis: each voxel is repeated."""
    return F.interpolate(features, scale_factor=2.0, mode="nearest")


def crop_to(
    features: Float[Tensor, "batch channel *space"], shape: torch.Size | tuple[int, ...]
) -> Float[Tensor, "batch channel *smaller"]:
    """Crop the middle `shape` voxels of a feature map; the same number of voxels is removed from both sides.

    Raises:
        ValueError: `shape` is larger than the map, or the difference is odd and there is no middle.
    """
    space = tuple(features.shape[2:])
    if any(have < want or (have - want) % 2 for have, want in zip(space, shape, strict=True)):
        raise ValueError(
            f"cannot crop the middle {tuple(shape)} voxels of a map of {space}: the difference must be even"
        )
    for axis, (have, want) in enumerate(zip(space, shape, strict=True), start=2):
        if have == want:  # narrowing to the full size would copy the gradient
            continue
        features = features.narrow(axis, (have - want) // 2, want)
    return features
