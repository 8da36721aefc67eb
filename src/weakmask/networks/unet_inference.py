"""Inference form of a trained U-Net with valid convolutions: the same output with less work and memory.

Three changes leave the function as it is. Batch norm with its learned statistics is a factor and a shift, so it is
folded into the convolution before it. A convolution of a doubled map is a transposed convolution of the map itself with
4 taps and stride 2; each output reads 2^d of the taps instead of 3^d voxels, and neither the doubled map nor its
concatenation with the skip connection is made. Every level is processed in slabs, so that only the maps that other
levels need are kept whole: the pooled map, and the middle of the skip connection that the decoder reads.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from weakmask.networks.blocks import CHANNELS_LAST, MAX_POOL, crop_to
from weakmask.networks.unet import PAIR_LOSS, UNet

SLAB_BYTES = 2**29  # each slab recomputes 4 planes of its neighbour: larger slabs cost less time and more memory
FEWEST_PLANES = 8
TRANSPOSED = {2: F.conv_transpose2d, 3: F.conv_transpose3d}

# Three neighbours on a doubled line, weighted w0 w1 w2, come from two original voxels. One original voxel contributes
# to four voxels of the result, with weights w2, w1 + w2, w0 + w1 and w0.
TAPS = ((0.0, 0.0, 1.0), (0.0, 1.0, 1.0), (1.0, 1.0, 0.0), (1.0, 0.0, 0.0))


class LeanUNet(nn.Module):
    """Inference form of a `UNet(padding="valid")`; logits agree to rounding. It cannot be trained.

    Weights and maps are laid out with channels last, which is faster on CPUs and on GPUs with tensor cores.
    """

    def __init__(self, network: UNet, dtype: torch.dtype = torch.float32, slab_bytes: int = SLAB_BYTES) -> None:
        """Copy the weights; the network itself is not changed.

        Args:
            network: A U-Net with valid convolutions; the learned statistics of its batch norms are used in any mode.
            dtype: Type of the computation. Weights are folded in the type of the network.
            slab_bytes: Approximate memory for the maps of one slab; a slab has at least 8 planes.

        Raises:
            ValueError: The network pads.
        """
        super().__init__()
        if network.padding != "valid":
            raise ValueError(f"expected a U-Net with valid convolutions, not padding={network.padding!r}")
        self.dimensions = network.dimensions
        self.output_shape = network.output_shape
        self.slab_bytes = slab_bytes
        self.layout = CHANNELS_LAST[network.dimensions]
        self.encoder = nn.ModuleList(_folded(pair) for pair in network.encoder)
        self.pool = MAX_POOL[network.dimensions](2)
        self.bottom = _folded(network.bottom)
        self.decoder = nn.ModuleList(_Merge(pair) for pair in network.decoder)
        head: Any = network.head
        self.head = _with_weights(head, head.weight, head.bias)
        self.dtype = dtype
        self.to(dtype=dtype).requires_grad_(requires_grad=False).eval()

    @torch.inference_mode()
    def forward(self, image: Float[Tensor, "batch channel *space"]) -> Float[Tensor, "batch logit *output"]:
        """Logits, equal to those of the `UNet`.

        Raises:
            ValueError: The size does not fit.
        """
        skip_shapes = _skip_shapes(self.output_shape(tuple(image.shape[2:])), len(self.encoder))
        maps, skips = image.to(self.dtype), []
        for pair, shape in zip(self.encoder, skip_shapes, strict=True):
            maps, skip = self._down(pair, maps, shape)
            skips.append(skip)
        maps = self.bottom(maps)
        for merge in self.decoder[:-1]:
            maps = self._up(merge, maps, skips.pop())
        last = self.decoder[-1]
        return self._up(lambda skip, below: self.head(last(skip, below)), maps, skips.pop())

    def _down(self, pair: Any, maps: Tensor, skip_shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """One level of the encoder: the pooled map, and the middle (`skip_shape`) for the skip connection."""
        planes, *others = (side - PAIR_LOSS for side in maps.shape[2:])
        margin = (planes - skip_shape[0]) // 2
        pooled = skip = maps.new_empty(0)
        for start, stop in self._slabs(planes, others, pair[0].out_channels + pair[2].out_channels):
            part = pair(maps[:, :, start : stop + PAIR_LOSS])
            if start == 0:
                pooled = self._empty(maps, part.shape[1], (planes // 2, *(side // 2 for side in others)))
                skip = self._empty(maps, part.shape[1], skip_shape)
            pooled[:, :, start // 2 : stop // 2] = self.pool(part)
            first, end = max(start, margin), min(stop, margin + skip_shape[0])
            if first < end:
                kept = part[:, :, first - start : end - start]
                skip[:, :, first - margin : end - margin] = crop_to(kept, (end - first, *skip_shape[1:]))
        return pooled, skip

    def _up(self, merge: Callable[[Tensor, Tensor], Tensor], below: Tensor, skip: Tensor) -> Tensor:
        """One level of the decoder."""
        planes, *others = (side - PAIR_LOSS for side in skip.shape[2:])
        result = skip.new_empty(0)
        for start, stop in self._slabs(planes, others, 3 * skip.shape[1]):
            end = stop + PAIR_LOSS
            part = merge(skip[:, :, start:end], below[:, :, start // 2 : end // 2])
            if start == 0:
                result = self._empty(skip, part.shape[1], (planes, *others))
            result[:, :, start:stop] = part
        return result

    def _slabs(self, planes: int, others: Sequence[int], channels: int) -> Iterator[tuple[int, int]]:
        """(start, stop) of slabs along the first axis, both even; `channels` of them are in memory at one time."""
        plane_bytes = math.prod(others) * channels * self.dtype.itemsize
        most = max(FEWEST_PLANES, self.slab_bytes // plane_bytes)
        height = -(-planes // -(-planes // most) // 2) * 2  # equal heights, so that the last slab is not thin
        return ((start, min(start + height, planes)) for start in range(0, planes, height))

    def _empty(self, like: Tensor, channels: int, shape: Sequence[int]) -> Tensor:
        size = (like.shape[0], channels, *shape)
        return torch.empty(size, dtype=like.dtype, device=like.device, memory_format=self.layout)


class _Merge(nn.Module):
    """A decoder's pair of convolutions, applied to the skip connection and the map below without doubling it."""

    def __init__(self, pair: Any) -> None:
        super().__init__()
        both, _, self.second, _ = _folded(pair)
        channels = both.out_channels  # the skip connection has as many, and comes first in the concatenation
        self.skip = _with_weights(both, both.weight[:, :channels], both.bias)
        self.below = nn.Parameter(_doubling_kernel(both.weight[:, channels:]))

    def forward(self, skip: Tensor, below: Tensor) -> Tensor:
        """The maps of this level, from its skip connection and the maps of the level below."""
        maps = self.skip(skip)
        maps += TRANSPOSED[maps.ndim - 2](below, self.below, stride=2, padding=2)
        return F.relu_(self.second(F.relu_(maps)))


def _folded(pair: Any) -> Any:
    """A new pair of convolutions with their batch norms folded in, and their ReLUs."""
    layers: list[nn.Module] = []
    for convolution, norm in ((pair[0], pair[1]), (pair[3], pair[4])):
        factor = norm.weight / (norm.running_var + norm.eps).sqrt()
        weight = convolution.weight * factor.view(-1, *[1] * (convolution.weight.ndim - 1))
        layers += [_with_weights(convolution, weight, norm.bias - norm.running_mean * factor), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def _with_weights(like: nn.Module, weight: Tensor, bias: Tensor) -> nn.Module:
    """A convolution of the same type with copies of these weights and the sizes that follow from them."""
    convolution = type(like)(weight.shape[1], weight.shape[0], kernel_size=tuple(weight.shape[2:]))
    convolution.weight = nn.Parameter(weight.detach().clone(memory_format=CHANNELS_LAST[weight.ndim - 2]))
    convolution.bias = nn.Parameter(bias.detach().clone())
    return convolution


def _doubling_kernel(weight: Tensor) -> Tensor:
    """Kernel (in, out, 4, ...) of the transposed convolution that replaces doubling and a kernel (out, in, 3, ...)."""
    taps = torch.tensor(TAPS, dtype=weight.dtype, device=weight.device)
    kernel = weight.detach().transpose(0, 1)
    for _ in weight.shape[2:]:  # replaces the first axis of 3 weights by one of 4 at the end
        kernel = kernel.movedim(2, -1) @ taps.T
    return kernel


def _skip_shapes(output: tuple[int, ...], levels: int) -> list[tuple[int, ...]]:
    """Shapes of the middle of each skip connection that the decoder reads, finest first."""
    shapes = []
    for _ in range(levels):
        output = tuple(side + PAIR_LOSS for side in output)
        shapes.append(output)
        output = tuple(side // 2 for side in output)
    return shapes
