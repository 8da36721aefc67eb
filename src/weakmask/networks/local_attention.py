"""Local attention: a weighted mean of each voxel's neighbours, with weights from the similarity of their features.

Xie, Jacobs, Charbonnier, van Ginneken 2021 (arXiv 2105.11748), equation (5) and the paragraph before it.

    attention = LocalAttention(dimensions=3, in_channels=(1, 64, 128))      # image, encoder levels 1 and 2
    refined = attention(dram, [image, level_1.detach(), level_2.detach()])  # (batch, 1, 80, 80, 80)
    averaged = local_attention(queries, keys, values)                       # the sum of (5) alone
"""

import math
from collections.abc import Sequence
from functools import reduce
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from weakmask.networks.blocks import LINEAR, with_dense_gradient
from weakmask.networks.local_attention_kernel import Affinity, LocalAttentionFunction

NEIGHBOURS = {2: 9, 3: 19}  # of a voxel, itself among them: a 3 x 3 window; 3 x 3 x 3 without its corners


def local_attention(
    queries: Float[Tensor, "batch embedding *space"],
    keys: Float[Tensor, "batch embedding *space"],
    values: Float[Tensor, "batch channel *space"],
    *,
    include_self: bool = True,
    rectify: bool = False,
    scale: float = 1.0,
) -> Float[Tensor, "batch channel *space"]:
    """The sum of equation (5): sum_j a_ij v_j / sum_j a_ij with a_ij = exp(scale * q_i . k_j).

    j runs over the 3 x 3 window of i (2-D) or its 3 x 3 x 3 window without the eight corners (3-D: connectivity 2).
    Neighbours outside the grid are left out: at the border the mean is over fewer voxels. The neighbours of all voxels
    are never in memory at once, neither in the forward pass nor for the gradient. The gradient is exact; it can be
    taken once, not differentiated again.

    Args:
        queries: W_theta x, any number of channels; 2-D or 3-D.
        keys: W_phi x.
        values: The values to average, g(y) in the paper.
        include_self: Whether a voxel is its own neighbour, as in the paper; false in the authors' code.
        rectify: Whether negative q_i . k_j are set to 0, as in the authors' code.
        scale: Factor of q_i . k_j; the authors' code has 1 / sqrt(number of neighbours).

    Returns:
        The averages, in the type of `values`; computed in single precision at least.

    Raises:
        ValueError: The shapes do not match, or no voxel has a neighbour.
    """
    space = queries.shape[2:]
    if len(space) not in NEIGHBOURS or keys.shape != queries.shape:
        raise ValueError(
            f"queries of shape {tuple(queries.shape)} and keys of shape {tuple(keys.shape)}; expected equal shapes "
            "(batch, channels, height, width) or (batch, channels, depth, height, width)"
        )
    if values.shape[0] != len(queries) or values.shape[2:] != space:
        raise ValueError(f"values of shape {tuple(values.shape)} do not lie on the grid of {tuple(queries.shape)}")
    if not include_self and math.prod(space) == 1:
        raise ValueError("a grid of one voxel has no neighbours; expected include_self=True or a larger grid")
    affinity = Affinity(include_self, rectify, scale)
    return cast("Tensor", LocalAttentionFunction.apply(queries, keys, values, affinity))


class LocalAttention(nn.Module):
    """Equation (5): y_i + r(sum_j a_ij g(y_j) / sum_j a_ij), affinities a from an image and features of a network.

    x is the concatenation of all features, enlarged to the size of y, after a 1 x 1 x 1 convolution to 8 channels;
    a_ij = exp((W_theta x_i) . (W_phi x_j)). Enlarging and convolving are linear, so each feature is convolved at its
    original size and the results are enlarged and added: the same x without a concatenation of hundreds of channels.
    The weights of a mean sum to one, so y is averaged before g. The initial weights of each feature are scaled by its
    own number of channels, so that the single image channel is not outweighed by the encoder's 192 (not in the paper).
    """

    def __init__(
        self,
        dimensions: int = 3,
        in_channels: Sequence[int] = (1, 64, 128),
        embedding: int = 8,
        *,
        include_self: bool = True,
        rectify: bool = False,
        residual: bool = True,
    ) -> None:
        """Build the layers.

        Args:
            dimensions: 2 or 3.
            in_channels: Channels of each feature passed to `forward`, by convention the image's first.
            embedding: Channels of x, of its two projections and of g(y); 8 in the paper.
            include_self: Whether a voxel is its own neighbour (19 of them, the paper) or not (18, the authors' code).
            rectify: Whether logits are relu(.) / sqrt(number of neighbours) as in the authors' code, or plain as in the
                paper.
            residual: Whether y is added (the paper) or not (the authors' code).

        Raises:
            ValueError: A number is out of range.
        """
        super().__init__()
        if dimensions not in NEIGHBOURS:
            raise ValueError(f"dimensions is {dimensions}, expected 2 or 3")
        if embedding < 1 or not in_channels or min(in_channels) < 1:
            raise ValueError(
                f"embedding {embedding}, in_channels {tuple(in_channels)}: expected at least one, each >= 1"
            )
        convolution = nn.Conv2d if dimensions == 2 else nn.Conv3d
        self.embeddings = nn.ModuleList(
            # one bias serves the sum of all
            convolution(channels, embedding, 1, bias=index == 0)
            for index, channels in enumerate(in_channels)
        )
        self.theta = convolution(embedding, embedding, 1, bias=False)
        self.phi = convolution(embedding, embedding, 1, bias=False)
        self.g = convolution(1, embedding, 1, bias=False)
        self.r = convolution(embedding, 1, 1, bias=False)
        self.include_self, self.rectify, self.residual = include_self, rectify, residual
        neighbours = NEIGHBOURS[dimensions] - (not include_self)
        self.scale = 1 / math.sqrt(neighbours) if rectify else 1.0

    def forward(
        self, activation: Float[Tensor, "batch 1 *space"], features: Sequence[Float[Tensor, "batch _ *_space"]]
    ) -> Float[Tensor, "batch 1 *space"]:
        """Refine an activation map.

        Args:
            activation: y, the dRAM.
            features: The image and the encoder's features, of any size; they are enlarged linearly. The caller detaches
                them from their network, as in the paper.

        Raises:
            ValueError: The number of features is not that of `in_channels`.
        """
        if len(features) != len(self.embeddings):
            raise ValueError(f"got {len(features)} features, expected {len(self.embeddings)}")
        size = activation.shape[2:]
        parts = (self._enlarge(embed(f), size) for embed, f in zip(self.embeddings, features, strict=True))
        x = reduce(torch.add, parts)
        averaged = local_attention(
            self.theta(x),
            self.phi(x),
            activation,
            include_self=self.include_self,
            rectify=self.rectify,
            scale=self.scale,
        )
        refined = self.r(self.g(averaged))
        return refined + activation if self.residual else refined

    @staticmethod
    def _enlarge(feature: Tensor, size: torch.Size) -> Tensor:
        if feature.shape[2:] == size:
            return feature
        mode = LINEAR[len(size)]
        return with_dense_gradient(F.interpolate(feature, size=size, mode=mode, align_corners=False))
