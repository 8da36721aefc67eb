"""Spatial and intensity augmentation, replayable from a seed: a draw is a small record, applying it is a function."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

Beyond = Literal["zeros", "reflection"]  # voxels from outside the image, see `apply_move`


@dataclass(frozen=True)
class Move:
    """A movement of an image about its centre, in voxels: flips, then quarter turns, then scale and rotation.

    Attributes:
        flips: For each spatial axis, in (z, y, x) order, whether it is mirrored.
        plane: Two spatial axes in which quarter turns go, from the first towards the second.
        quarters: Number of quarter turns, 0-3.
        scales: Enlargement along each axis; 1.25 makes things a quarter larger.
        axis: Unit vector (z, y, x) to rotate about; in two dimensions there is but one and this is ignored.
        angle_degrees: Angle of rotation.
        inverted: The movement backwards.
    """

    flips: tuple[bool, ...]
    plane: tuple[int, int] = (0, 1)
    quarters: int = 0
    scales: tuple[float, ...] = ()
    axis: tuple[float, ...] = ()
    angle_degrees: float = 0.0
    inverted: bool = False

    @property
    def dimensions(self) -> int:
        """2 or 3."""
        return len(self.flips)

    @property
    def inverse(self) -> "Move":
        """The movement that undoes this one: exactly for flips and quarter turns, but for interpolation else."""
        return replace(self, inverted=not self.inverted)

    @property
    def exact(self) -> bool:
        """Whether it only puts voxels elsewhere, without interpolation."""
        return self.angle_degrees == 0.0 and all(scale == 1.0 for scale in self.scales)


@dataclass(frozen=True)
class Intensity:
    """A change of grey values in [0, 1], per sample: gain * v^gamma + shift + noise, clamped to [0, 1].

    Each amount has one value per sample, or one for all.

    Attributes:
        gamma: Exponents; below 1 brightens.
        gain: Contrast.
        shift: Brightness.
        noise: Standard deviations of Gaussian noise.
        noise_seed: Seed of the noise.
    """

    gamma: tuple[float, ...] = (1.0,)
    gain: tuple[float, ...] = (1.0,)
    shift: tuple[float, ...] = (0.0,)
    noise: tuple[float, ...] = (0.0,)
    noise_seed: int = 0


def draw_move(
    generator: torch.Generator,
    dimensions: int,
    scale_range: tuple[float, float] = (0.8, 1.25),
    angle_degrees: float = 15.0,
    *,
    flips: bool = True,
    quarter_turns: bool = True,
    shape: Sequence[int] | None = None,
) -> Move:
    """Draw a movement: one scale for all axes, a rotation about a random axis, flips, quarter turns in one plane.

    The ranges are our choice: the dRAM paper scales and rotates but prints no range.

    Args:
        generator: Source of all draws; takes the same number of draws whatever the options.
        dimensions: 2 or 3.
        scale_range: Scale, uniform in its logarithm; (1, 1) for none.
        angle_degrees: Largest angle to either side; 0 for none.
        flips: Whether each axis is mirrored with probability a half.
        quarter_turns: Whether to turn by 0-3 quarters in a random plane.
        shape: Spatial shape of the images; quarter turns then keep to planes of two equal sides. None: all are equal.
    """
    u = torch.rand(4 + dimensions, generator=generator, dtype=torch.float64).tolist()
    normal = torch.randn(3, generator=generator, dtype=torch.float64)
    low, high = (math.log(bound) for bound in scale_range)
    planes = [
        (a, b) for a in range(dimensions) for b in range(a + 1, dimensions) if shape is None or shape[a] == shape[b]
    ]
    turned = quarter_turns and bool(planes)
    return Move(
        flips=tuple(flips and value < 0.5 for value in u[4:]),
        plane=planes[int(u[2] * len(planes))] if turned else (0, 1),
        quarters=int(u[3] * 4) if turned else 0,
        scales=(math.exp(low + (high - low) * u[0]),) * dimensions,
        axis=tuple((normal / normal.norm()).tolist()) if dimensions == 3 else (),
        angle_degrees=angle_degrees * (2.0 * u[1] - 1.0),
    )


def apply_move(
    tensor: Float[Tensor, "batch channel *space"],
    move: Move,
    mode: Literal["linear", "nearest"] = "linear",
    beyond: Beyond = "zeros",
) -> Float[Tensor, "batch channel *space"]:
    """Move all samples of a tensor in the same way; differentiable, the size stays.

    Flips and quarter turns only put voxels elsewhere; scale and rotation together are one interpolation.

    Args:
        tensor: Images, maps or masks as floats, in two or three dimensions.
        move: The movement.
        mode: "linear" for images and maps, "nearest" for labels.
        beyond: Voxels from outside the image: "zeros", so that moving a region mask (or ones) with the same `Move`
            shows where the result is valid, or "reflection", the image mirrored at its border.

    Raises:
        ValueError: The move has other dimensions, or odd quarter turns in a plane of unequal sides.
    """
    if tensor.ndim - 2 != move.dimensions:
        raise ValueError(f"a {move.dimensions}-D move cannot move a tensor of shape {tuple(tensor.shape)}")
    if move.inverted:
        return replace_voxels(interpolated(tensor, move, mode, beyond), move)
    return interpolated(replace_voxels(tensor, move), move, mode, beyond)


def apply_moves(
    tensor: Float[Tensor, "batch channel *space"],
    moves: Sequence[Move],
    mode: Literal["linear", "nearest"] = "linear",
    beyond: Beyond = "zeros",
) -> Float[Tensor, "batch channel *space"]:
    """Move each sample by its own move, else as `apply_move`.

    Raises:
        ValueError: Not one move per sample.
    """
    if len(moves) != len(tensor):
        raise ValueError(f"{len(moves)} moves for {len(tensor)} samples")
    return torch.cat([apply_move(tensor[i : i + 1], move, mode, beyond) for i, move in enumerate(moves)])


def replace_voxels(tensor: Tensor, move: Move) -> Tensor:
    """The exact part of a move: flips and quarter turns, backwards if it is inverted."""
    first, second = (axis + 2 for axis in move.plane)
    if move.quarters % 2 and tensor.shape[first] != tensor.shape[second]:
        raise ValueError(f"quarter turns need equal sides in plane {move.plane}, not {tuple(tensor.shape[2:])}")
    mirrored = [axis + 2 for axis, flip in enumerate(move.flips) if flip]
    if move.inverted:
        return torch.rot90(tensor, -move.quarters, (first, second)).flip(mirrored)
    return torch.rot90(tensor.flip(mirrored), move.quarters, (first, second))


def interpolated(tensor: Tensor, move: Move, mode: Literal["linear", "nearest"], beyond: Beyond) -> Tensor:
    """The affine part of a move: scale, then rotation, by one interpolation."""
    if move.exact:
        return tensor
    # Where to look: a voxel's new place is matrix @ place, so its value stands at matrix^-1 @ place.
    matrix = affine_matrix(move)
    look = matrix if move.inverted else torch.linalg.inv(matrix)
    exact = torch.promote_types(tensor.dtype, torch.float32)
    sides = torch.tensor(tensor.shape[2:], dtype=torch.float64)
    # grid_sample counts places in half sides from the centre, and axes from the last.
    look = (look * sides[None, :] / sides[:, None]).flip(0, 1)
    theta = F.pad(look, (0, 1)).expand(len(tensor), -1, -1).to(tensor.device, exact)
    grid = F.affine_grid(theta, list(tensor.shape), align_corners=False)
    kind = "bilinear" if mode == "linear" else "nearest"  # torch says bilinear in 3-D too
    moved = F.grid_sample(tensor.to(exact), grid, mode=kind, padding_mode=beyond, align_corners=False)
    return moved.to(tensor.dtype)


def affine_matrix(move: Move) -> Tensor:
    """Rotation times scale of a move, forwards, in (z, y, x) voxels about the centre, as float64."""
    angle = math.radians(move.angle_degrees)
    if move.dimensions == 2:
        rotation = torch.tensor(
            [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=torch.float64
        )
    else:  # Rodrigues: 1 + sin(angle) K + (1 - cos(angle)) K^2, K the cross product with the axis
        a, b, c = move.axis or (1.0, 0.0, 0.0)
        cross = torch.tensor([[0.0, -c, b], [c, 0.0, -a], [-b, a, 0.0]], dtype=torch.float64)
        rotation = torch.eye(3, dtype=torch.float64) + math.sin(angle) * cross
        rotation = rotation + (1.0 - math.cos(angle)) * cross @ cross
    scales = move.scales or (1.0,) * move.dimensions
    return rotation @ torch.diag(torch.tensor(scales, dtype=torch.float64))


def draw_intensity(
    generator: torch.Generator,
    samples: int = 1,
    gamma_range: tuple[float, float] = (0.8, 1.25),
    gain_range: tuple[float, float] = (0.9, 1.1),
    largest_shift: float = 0.05,
    largest_noise: float = 0.02,
) -> Intensity:
    """Draw a change of grey values: gamma and gain uniform in their logarithms, shift and noise uniform.

    Args:
        generator: Source of all draws.
        samples: How many to draw for; one draw serves a whole batch.
        gamma_range: Lowest and highest exponent.
        gain_range: Lowest and highest contrast.
        largest_shift: Largest change of brightness to either side.
        largest_noise: Largest standard deviation of the noise.
    """
    u = torch.rand(4, samples, generator=generator, dtype=torch.float64)
    seed = int(torch.randint(2**62, (1,), generator=generator))
    gamma, gain = (low * (high / low) ** values for (low, high), values in ((gamma_range, u[0]), (gain_range, u[1])))
    amounts = (gamma, gain, largest_shift * (2.0 * u[2] - 1.0), largest_noise * u[3])
    return Intensity(*(tuple(each.tolist()) for each in amounts), noise_seed=seed)


def apply_intensity(
    image: Float[Tensor, "batch channel *space"], intensity: Intensity
) -> Float[Tensor, "batch channel *space"]:
    """Change grey values in [0, 1]; the result is in [0, 1]. Background set to zero before must be set so again.

    Raises:
        RuntimeError: The change was drawn for another number of samples.
    """
    gamma, gain, shift, noise = (
        torch.tensor(amounts, dtype=image.dtype, device=image.device).reshape(-1, *[1] * (image.ndim - 1))
        for amounts in (intensity.gamma, intensity.gain, intensity.shift, intensity.noise)
    )
    changed = gain * image.clamp(0.0, 1.0) ** gamma + shift
    if any(intensity.noise):
        # Drawn on the CPU, so that every device adds the same noise.
        source = torch.Generator().manual_seed(intensity.noise_seed)
        drawn = torch.randn(image.shape, generator=source, dtype=torch.float32)
        changed = changed + noise * drawn.to(image.device, image.dtype)
    return changed.clamp(0.0, 1.0)


def blurred(
    image: Float[Tensor, "batch channel y x"], sigmas: Float[Tensor, " batch"]
) -> Float[Tensor, "batch channel y x"]:
    """Each picture after a Gaussian blur of its own width; pixels beyond the border repeat those at it.

    Args:
        image: Pictures.
        sigmas: In pixels; 0 leaves a picture unchanged.
    """
    reach = math.ceil(3 * float(sigmas.max()))
    if reach == 0:
        return image
    distances = torch.arange(-reach, reach + 1, device=image.device, dtype=image.dtype)
    widths = sigmas.to(image)[:, None].clamp_min(1e-3)
    kernels = torch.exp(-0.5 * (distances / widths) ** 2)
    kernels = (kernels / kernels.sum(1, keepdim=True)).repeat_interleave(image.shape[1], 0)
    joined = image.reshape(1, -1, *image.shape[2:])  # a group of the convolution per picture and channel
    padded = F.pad(joined, (reach,) * 4, mode="replicate")
    rows = F.conv2d(padded, kernels[:, None, :, None], groups=len(kernels))
    return F.conv2d(rows, kernels[:, None, None, :], groups=len(kernels)).reshape(image.shape)
