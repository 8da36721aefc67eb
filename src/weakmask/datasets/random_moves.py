"""Random moves of volumes in training: turned, resized, shifted and smoothly bent."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

KNOTS = 4  # of the bending, along each axis


@dataclass(frozen=True)
class MoveRanges:
    """Ranges of random moves.

    Attributes:
        scale: Resizing of each axis, within 1 +- this.
        angle_degrees: Largest rotation about each axis.
        shift: Largest shift along each axis, as a fraction of the side.
        bend: Largest smooth deformation, as a fraction of the side.
    """

    scale: float
    angle_degrees: float
    shift: float
    bend: float


def draw_grid(generator: torch.Generator, shape: tuple[int, ...], ranges: MoveRanges) -> Float[Tensor, "1 z y x 3"]:
    """Where in the old scan each voxel of the new one is looked up, as `grid_sample` wants it (x, y, z in -1 to 1)."""

    def either_way(*sides: int) -> Tensor:
        """Uniform random numbers from -1 to 1."""
        return 2.0 * torch.rand(sides, generator=generator) - 1.0

    angles = (either_way(3) * math.radians(ranges.angle_degrees)).tolist()
    matrix = torch.eye(3)
    for axis, angle in enumerate(angles):
        turn = torch.eye(3)
        a, b = (other for other in range(3) if other != axis)
        turn[a, a] = turn[b, b] = math.cos(angle)
        turn[a, b], turn[b, a] = -math.sin(angle), math.sin(angle)
        matrix = matrix @ turn
    scales = 1.0 + ranges.scale * either_way(3)
    shift = 2.0 * ranges.shift * either_way(3)
    theta = torch.cat([matrix * scales, shift[:, None]], dim=1)[None]
    grid = F.affine_grid(theta, [1, 1, *shape], align_corners=False)
    bend = 2.0 * ranges.bend * either_way(1, 3, KNOTS, KNOTS, KNOTS)
    smooth = F.interpolate(bend, size=tuple(shape), mode="trilinear", align_corners=True)
    return grid + smooth.permute(0, 2, 3, 4, 1)


def moved(
    tensor: Float[Tensor, "1 channel z y x"], grid: Float[Tensor, "1 z y x 3"], *, labels: bool = False
) -> Float[Tensor, "1 channel z y x"]:
    """The tensor looked up at the grid's places; zeros come from outside."""
    mode = "nearest" if labels else "bilinear"
    return F.grid_sample(tensor, grid, mode=mode, padding_mode="zeros", align_corners=False)
