"""Class activation maps (Zhou et al. 2016, "Learning Deep Features for Discriminative Localization").

For a classifier that ends in global average pooling and one linear layer, the map of a class is the linear layer
applied to the features of each voxel before they are averaged.
"""

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

LINEAR = {2: "bilinear", 3: "trilinear"}


def class_activation_map(
    features: Float[Tensor, "batch feature *space"],
    weights: Float[Tensor, "class feature"],
    bias: Float[Tensor, " class"] | None = None,
) -> Float[Tensor, "batch class *space"]:
    """Equation (2): M_c(x) = sum_k w_k^c f_k(x), in logits, at the resolution of the features.

    With the bias, the mean of the map over space is the classifier's logit of the class, exactly.

    Args:
        features: f, the last features before the global average pooling; 2-D or 3-D.
        weights: w, the weights of the linear layer.
        bias: Bias of the linear layer; the paper leaves it out, since a constant does not change the ranking of voxels.
    """
    pointwise = weights.reshape(*weights.shape, *[1] * (features.ndim - 2))
    return (F.conv2d if features.ndim == 4 else F.conv3d)(features, pointwise, bias)


def enlarged(
    coarse: Float[Tensor, "batch class *space"], shape: tuple[int, ...], stride: int
) -> Float[Tensor, "batch class *image"]:
    """Interpolate a coarse map to the image's resolution, linearly between voxel centres.

    Args:
        coarse: The map; each of its voxels stands for `stride` voxels of the image along every axis.
        shape: The image's, in voxels. A side that is not a multiple of `stride` was padded at its far end; the padding
            is removed.
        stride: Voxels of the image per voxel of the map.

    Raises:
        ValueError: The map is too small for the image.
    """
    whole = [side * stride for side in coarse.shape[2:]]
    if any(have < want for have, want in zip(whole, shape, strict=True)):
        raise ValueError(f"a map of {tuple(coarse.shape[2:])} at stride {stride} does not cover an image of {shape}")
    fine = F.interpolate(coarse, size=whole, mode=LINEAR[len(shape)], align_corners=False)
    return fine[(slice(None), slice(None), *(slice(side) for side in shape))]


def unit_range(values: Float[np.ndarray, "*space"], inside: Bool[np.ndarray, "*space"]) -> Float[np.ndarray, "*space"]:
    """Rescale a map to [0, 1] by its minimum and maximum inside a mask (Xie et al. 2021, section IV-C-2).

    Args:
        values: A map, for example of a whole scan.
        inside: Mask of the voxels to rescale.

    Returns:
        Float32: 0 at the minimum inside, 1 at the maximum, 0 outside; 0 everywhere for a constant map.
    """
    rescaled = np.zeros(values.shape, dtype=np.float32)
    if inside.any():
        chosen = values[inside]
        low, high = float(chosen.min()), float(chosen.max())
        if high > low:
            # clipped: the quotient may round past 1
            rescaled[inside] = np.clip((chosen - low) / (high - low), 0.0, 1.0)
    return rescaled
