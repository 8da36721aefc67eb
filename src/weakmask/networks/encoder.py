"""Encoders: trunks of published classification networks that turn an image into feature maps of several strides."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from weakmask.networks.dropblock import DropBlock
from weakmask.networks.reach import Span
from weakmask.networks.same_convolution import SameConvolution

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of RGB in [0, 1]
RGB = 3
SpatialLayer = nn.Conv2d | nn.MaxPool2d


class Encoder(nn.Module, ABC):
    """A network that returns one feature map per level, the finest first.

    Its parameters have the names of the published weight file, so that `load_published` takes the file unchanged. The
    weights expect standardised RGB values; the encoder does that itself, for colour and for grey images.

    Attributes:
        channels: Channels of each level's map.
        strides: Voxels of the image per voxel of each level's map.
        last_channels: Channels of `last`.
        mean: Mean of each colour in the images that the published weights were trained on, in [0, 1].
        std: Standard deviation of each colour, in the same unit.
        linear_name: Name of the classification layer in the published file; empty if a single linear layer does not
            do it.
        spare: First parts of names in the published file that the encoder may lack.
        new: First parts of names in the encoder that the published file lacks.
        sees_whole_image: Whether a layer averages over the whole image, so that an image cannot be cut into tiles.
    """

    mean: ClassVar[tuple[float, float, float]] = IMAGENET_MEAN
    std: ClassVar[tuple[float, float, float]] = IMAGENET_STD
    linear_name: ClassVar[str] = ""
    spare: tuple[str, ...] = ()
    new: ClassVar[tuple[str, ...]] = ()
    sees_whole_image: ClassVar[bool] = False
    channels: tuple[int, ...]
    strides: tuple[int, ...]
    last_channels: int

    def __init__(self) -> None:
        """Start with all layers trainable and without DropBlock."""
        super().__init__()
        self.dropblock: DropBlock | None = None
        self.frozen_stride = 0
        self.batch_norm_fixed = False

    @abstractmethod
    def levels(self) -> list[list[nn.Module]]:
        """The modules of each level in the order of the forward pass."""

    def keep_levels(self, count: int) -> None:
        """Remove the coarsest levels, and their weights; published files keep fitting.

        Args:
            count: How many levels stay, the finest first.

        Raises:
            ValueError: There are not that many levels, or none is to stay.
        """
        if not 1 <= count <= len(self.strides):
            raise ValueError(f"{type(self).__name__} has 1 to {len(self.strides)} levels to keep, not {count}")
        removed = {module for modules in self._kept()[count:] for module in modules}
        names = [name for name, module in self.named_modules() if module in removed]
        for name in names:
            self.set_submodule(name, nn.Identity())
        self.spare = (*self.spare, *(f"{name}." for name in names))
        self.channels, self.strides = self.channels[:count], self.strides[:count]
        self.last_channels = self.channels[-1]

    def _kept(self) -> list[list[nn.Module]]:
        """The modules of the levels that were not removed."""
        return self.levels()[: len(self.strides)]

    def add_last_layers(self) -> None:
        """Build the layers between the coarsest level and the average of a classifier; by default none."""

    def last(self, maps: Float[Tensor, "batch channel y x"]) -> Float[Tensor, "batch wide y x"]:
        """The maps that a classifier averages, computed from the coarsest level's; by default the same."""
        return maps

    def forward(self, image: Float[Tensor, "batch colour y x"]) -> list[Tensor]:
        """Feature maps (batch, channel, y, x) of every level, finest first.

        DropBlock, if there is one, follows the two coarsest levels.

        Args:
            image: RGB, or grey in a single channel, with values in [0, 1].
        """
        maps, found = self.standardised(image), []
        for number, modules in enumerate(self._kept()):
            for module in modules:
                maps = module(maps)
            if self.dropblock is not None and number >= len(self.strides) - 2:
                maps = self.dropblock(maps)
            found.append(maps)
        return found

    def standardised(self, image: Float[Tensor, "batch colour y x"]) -> Float[Tensor, "batch 3 y x"]:
        """Subtract the mean and divide by the standard deviation of the published training images.

        The result has its channels last in memory, and so have all maps after it: on one CPU thread EfficientNet-Lite0
        takes a third less time than with channels first.

        Raises:
            ValueError: The image has neither one nor three channels.
        """
        if image.shape[1] not in {1, RGB}:
            raise ValueError(f"an image has 1 channel (grey) or 3 (RGB), not {image.shape[1]}")
        mean, std = (image.new_tensor(values)[:, None, None] for values in (self.mean, self.std))
        return ((image - mean) / std).contiguous(memory_format=torch.channels_last)

    def freeze(self, stride: int = 0, *, batch_norm: bool = True) -> None:
        """Fix a part of the encoder; `train` keeps it fixed.

        Args:
            stride: Levels up to this stride get no gradients, and their batch norm uses its learned statistics.
            batch_norm: Whether batch norm uses its learned statistics in the other levels, too.
        """
        self.frozen_stride, self.batch_norm_fixed = stride, batch_norm
        for level_stride, modules in zip(self.strides, self._kept(), strict=True):
            for module in modules:
                module.requires_grad_(level_stride > stride)
        self.train(self.training)

    def train(self, mode: bool = True) -> "Encoder":  # noqa: FBT001, FBT002 - torch's own signature
        """As `nn.Module.train`, except that fixed batch norm stays in evaluation mode."""
        super().train(mode)
        fixed: list[nn.Module] = [self] if self.batch_norm_fixed else []
        for stride, modules in zip(self.strides, self._kept(), strict=True):
            fixed += modules if stride <= self.frozen_stride else []
        for part in fixed:
            for module in part.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def spatial_layers(self) -> Iterator[SpatialLayer]:
        """The layers that read more than one voxel per output voxel, in the order of the forward pass."""
        for modules in self._kept():
            for module in modules:
                for layer in module.modules():
                    if isinstance(layer, SpatialLayer) and side_of(layer.kernel_size) > 1:
                        yield layer

    def read_by(self, seen: Span) -> Span:
        """The image voxels that the voxels `seen` of the coarsest level read, along one axis, for fitting sides."""
        for layer in reversed(list(self.spatial_layers())):
            kernel, stride, dilation = (side_of(n) for n in (layer.kernel_size, layer.stride, layer.dilation))
            # an even side stands for all sides that fit
            zeros = layer.zeros(2 * kernel)[0] if isinstance(layer, SameConvolution) else side_of(layer.padding)
            seen = seen.layer(kernel, stride, dilation, zeros)
        return seen


def side_of(value: int | str | tuple[int, ...]) -> int:
    """A layer's number along its first axis."""
    return int(value[0] if isinstance(value, tuple) else value)


def dilated(strides: Sequence[int], largest: int) -> list[tuple[int, int, int]]:
    """Trade strides for dilation, so that the product of all strides does not pass a limit.

    Every kernel then reads the same voxels as before, on a finer grid (Yu, Koltun 2016; the "hole" algorithm).

    Args:
        strides: Stride of each group of layers; its first layer has it.
        largest: The limit: 8, 16 or 32.

    Returns:
        For each group: stride and dilation of its first layer, dilation of the others.

    Raises:
        ValueError: The limit is not 8, 16 or 32.
    """
    if largest not in {8, 16, 32}:
        raise ValueError(f"the stride of an encoder must be 8, 16 or 32, not {largest}")
    total = dilation = 1
    found = []
    for stride in strides:
        first = dilation
        if total * stride > largest:
            dilation *= stride
            found.append((1, first, dilation))
        else:
            total *= stride
            found.append((stride, first, dilation))
    return found
