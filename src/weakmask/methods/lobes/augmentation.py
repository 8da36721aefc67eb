"""Scans as other patients might show them: turned, resized and smoothly bent, brighter or noisier; never mirrored.

A mirrored chest has its heart and its middle lobe on the wrong side, so a network would learn wrong lobes.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from weakmask.methods.lobes.config import AugmentationSettings

KNOTS = 4  # of the bending, along each axis


def draw_grid(
    generator: torch.Generator, shape: tuple[int, ...], settings: AugmentationSettings
) -> Float[Tensor, "1 z y x 3"]:
    """Where in the old scan each voxel of the new one is looked up, as `grid_sample` wants it (x, y, z in -1 to 1)."""

    def either_way(*sides: int) -> Tensor:
        """Uniform random numbers from -1 to 1."""
        return 2.0 * torch.rand(sides, generator=generator) - 1.0

    angles = (either_way(3) * math.radians(settings.angle_degrees)).tolist()
    matrix = torch.eye(3)
    for axis, angle in enumerate(angles):
        turn = torch.eye(3)
        a, b = (other for other in range(3) if other != axis)
        turn[a, a] = turn[b, b] = math.cos(angle)
        turn[a, b], turn[b, a] = -math.sin(angle), math.sin(angle)
        matrix = matrix @ turn
    scales = 1.0 + settings.scale * either_way(3)
    shift = 2.0 * settings.shift * either_way(3)
    theta = torch.cat([matrix * scales, shift[:, None]], dim=1)[None]
    grid = F.affine_grid(theta, [1, 1, *shape], align_corners=False)
    bend = 2.0 * settings.bend * either_way(1, 3, KNOTS, KNOTS, KNOTS)
    smooth = F.interpolate(bend, size=tuple(shape), mode="trilinear", align_corners=True)
    return grid + smooth.permute(0, 2, 3, 4, 1)


def moved(
    tensor: Float[Tensor, "1 channel z y x"], grid: Float[Tensor, "1 z y x 3"], *, labels: bool = False
) -> Float[Tensor, "1 channel z y x"]:
    """The tensor looked up at the grid's places; zeros come from outside."""
    mode = "nearest" if labels else "bilinear"
    return F.grid_sample(tensor, grid, mode=mode, padding_mode="zeros", align_corners=False)


def recoloured(
    image: Float[Tensor, "1 1 z y x"], generator: torch.Generator, settings: AugmentationSettings
) -> Float[Tensor, "1 1 z y x"]:
    """Grey values in [0, 1] with another gain, gamma and noise, in [0, 1] again."""
    draws = torch.rand(3, generator=generator)
    gain, gamma = (1.0 + settings.contrast * (2.0 * draws[:2] - 1.0)).tolist()
    noise = float(settings.noise * draws[2]) * torch.randn(image.shape, generator=generator)
    return (gain * image.clamp(0.0, 1.0) ** gamma + noise).clamp(0.0, 1.0)
