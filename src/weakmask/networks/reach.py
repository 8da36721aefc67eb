"""The reach of a network: how far an output voxel sees, and the grid and sizes that tiles of a scan must keep.

The margin is found by interval arithmetic. A `Span` starts as a block of output voxels and is followed backwards, layer
by layer, to the input voxels that the block depends on.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Reach:
    """How the output of a network depends on its input; all numbers are voxels along one axis.

    They are equal for every axis, except that a network may reach differently through the slices of a stack.

    Attributes:
        multiple: The grid of the network's poolings. Tiles that start at multiples of it get the answers of one pass.
        margin: How far an aligned block of `multiple` output voxels sees beyond its own voxels. None: it sees the
            whole image, which must therefore not be cut.
        valid_loss: By how much valid convolutions make the output smaller than the input, both sides together; 0 for a
            network that pads.
        smallest: The smallest output side of valid convolutions; the others are `smallest + k * multiple`. 0 for a
            network that pads, which takes any size.
        along_z: The reach through the slices, of a 3-D network that treats them differently; None: as within slices.
    """

    multiple: int
    margin: int | None
    valid_loss: int = 0
    smallest: int = 0
    along_z: "Reach | None" = None

    def along(self, axis: int) -> "Reach":
        """The reach along one axis of a scan: z is 0."""
        return self.along_z if axis == 0 and self.along_z is not None else self


class SegmentationNetwork(nn.Module, ABC):
    """A network whose output is a map of logits on the grid of its input.

    Attributes:
        dimensions: 2 or 3.
        out_channels: Channels of the logits.
    """

    dimensions: int
    out_channels: int

    @abstractmethod
    def reach(self) -> Reach:
        """The reach of the network in evaluation mode."""


@dataclass(frozen=True)
class Span:
    """The voxels `first` to `last` along one axis. Each method goes from a layer's output to the layer's input."""

    first: int
    last: int

    def convolutions(self, count: int, kernel: int = 3, padding: int | None = None) -> "Span":
        """Convolutions of stride 1, each padded by `padding` zeros on either side; None keeps the size."""
        before = (kernel - 1) // 2 if padding is None else padding
        return Span(self.first - count * before, self.last + count * (kernel - 1 - before))

    def halving(self, kernel: int = 2) -> "Span":
        """A pooling, or a convolution of stride 2 that halves even sides."""
        before = (kernel - 1) // 2
        return Span(2 * self.first - before, 2 * self.last - before + kernel - 1)

    def layer(self, kernel: int, stride: int, dilation: int, padding: int) -> "Span":
        """A convolution or pooling of any kind, with `padding` zeros before the first voxel."""
        first = self.first * stride - padding
        return Span(first, self.last * stride - padding + dilation * (kernel - 1))

    def linear_enlargement(self, factor: int = 2) -> "Span":
        """Linear interpolation between voxel centres to `factor` times the size."""
        # output voxel i lies at (i + 1/2) / factor - 1/2 of the input
        return Span((2 * self.first + 1 - factor) // (2 * factor), -((factor - 2 * self.last - 1) // (2 * factor)))

    def repeated_doubling(self) -> "Span":
        """Every voxel repeated, or a transposed convolution of kernel 2 and stride 2."""
        return self.repetition(2)

    def repetition(self, factor: int) -> "Span":
        """Every voxel repeated to `factor` times the size."""
        return Span(self.first // factor, self.last // factor)

    def beyond(self, block: "Span") -> int:
        """How many voxels the span reaches beyond a block, on the side where it reaches further."""
        return max(block.first - self.first, self.last - block.last)
