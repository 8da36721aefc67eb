"""One map from several sizes of the same image (Xie et al. 2021, section IV-A)."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

LINEAR = {2: "bilinear", 3: "trilinear"}
LEAST = 1e-3  # share of the region in a voxel below which a scale says nothing about it


def average_over_scales(
    activation: Callable[[Tensor, Tensor], Tensor],
    image: Float[Tensor, "batch channel *space"],
    region: Float[Tensor, "batch 1 *space"],
    scales: Sequence[float],
) -> Float[Tensor, "batch class *space"]:
    """Resize the image by each factor, map it, resize the maps back and average them.

    A map is resized back together with its region and divided by it, so that the zeros outside do not dilute the
    voxels at the region's rim: a map that is constant inside the region stays so. A voxel that the region has lost at
    some scale, being thinner than a voxel there, takes the mean of the other scales.

    Args:
        activation: (image, region) -> maps of the image's size, one or several classes.
        image: Windowed crops, zero outside the region.
        region: 1 inside, 0 outside.
        scales: Factors of the side lengths; 1.0 is taken without any interpolation.

    Returns:
        Zero outside the region.

    Raises:
        ValueError: No scale is given.
    """
    if not scales:
        raise ValueError("no scales given; expected at least one, for example (1.0,)")
    shape = image.shape[2:]
    total, seen = torch.zeros_like(region), torch.zeros_like(region)  # `total` grows to the number of classes
    for scale in scales:
        if scale == 1.0:
            total = total + activation(image, region)
            seen += region
            continue
        size = [max(1, round(n * scale)) for n in shape]
        # nearest-exact takes the centres of voxels, as the linear modes do; `nearest` is half a voxel off
        inside = F.interpolate(region, size=size, mode="nearest-exact")
        found = activation(_linear(image, size), inside) * inside
        weight = _linear(inside, shape)
        known = weight > LEAST
        total = total + torch.where(known, _linear(found, shape) / weight.clamp_min(LEAST), 0.0)
        seen += known
    return total / seen.clamp_min(1.0) * region


def with_mirror(activation: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """The mean of a map and of the map of the image mirrored along its last axis, mirrored back."""

    def mean(image: Tensor, region: Tensor) -> Tensor:
        """The mean of both maps."""
        return (activation(image, region) + activation(image.flip(-1), region.flip(-1)).flip(-1)) / 2

    return mean


def _linear(tensor: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(tensor, size=list(size), mode=LINEAR[len(size)], align_corners=False)
