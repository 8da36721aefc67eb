"""Affinities of neighbouring pixels or voxels, computed from an edge map or from intensities.

Every unordered pair of voxels closer than a radius is stored once: entry (pair, i) is the affinity of voxel i and voxel
i + `pair_offsets(...)[pair]`, and 0 if that lies outside the grid.

    affinity = edge_affinity(edge, radius=5)                           # (1, 34, 128, 128): a network's edge map
    affinity = intensity_affinity(hounsfield, radius=2, sigma=60.0)    # (1, 13, 80, 80, 80)
    pair_offsets(radius=5, dimensions=2)[0]                            # (0, 1): the pixel to the right
"""

import itertools
import math

import torch
from jaxtyping import Float
from torch import Tensor

from weakmask.refinement.input_checks import require_tensors


def pair_offsets(radius: float, dimensions: int) -> list[tuple[int, ...]]:
    """Offsets shorter than `radius` to other voxels; of two opposite offsets the one that goes forward.

    IRNet's radius of 5 makes 34 pairs in pictures; in volumes a radius of 2 makes 13 (all 26 neighbours), 3 makes 46.

    Args:
        radius: In pixels or voxels; steps of exactly this length are left out, as in IRNet.
        dimensions: 2 or 3.

    Raises:
        ValueError: No step is shorter than the radius.
    """
    if not radius > 1:
        raise ValueError(f"radius is {radius}, expected more than 1: the distance of the nearest neighbours")
    most = math.ceil(radius) - 1
    steps = itertools.product(range(-most, most + 1), repeat=dimensions)
    origin = (0,) * dimensions
    return [step for step in steps if step > origin and math.hypot(*step) < radius]


def straight_path(offset: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Voxels from 0 to `offset`, both included, that are less than 1 away from the straight line.

    They lie inside the box between both ends, so a path never leaves a grid that holds its ends.
    """
    squared = sum(step * step for step in offset)
    path = []
    for place in itertools.product(*(range(min(0, step), max(0, step) + 1) for step in offset)):
        along = sum(step * at for step, at in zip(offset, place, strict=True))
        # Lagrange's identity: squared distance from the line, times the squared length, in whole numbers
        if sum(at * at for at in place) * squared - along * along < squared:
            path.append(place)
    return path


def edge_affinity(edge: Float[Tensor, "batch 1 *space"], radius: float) -> Float[Tensor, "batch pair *space"]:
    """Affinity 1 - max(edge) on the straight path between two voxels, both included (IRNet).

    Ahn, Cho, Kwak 2019 (arXiv 1904.05044).

    Args:
        edge: Probability of an edge, in [0, 1]; 2-D or 3-D.
        radius: See `pair_offsets`.

    Raises:
        TypeError: The edges are not a tensor.
        ValueError: The tensor has other than 2 or 3 axes of space, or no step is shorter than the radius.
    """
    require_tensors(edge=edge)
    space = edge.shape[2:]
    offsets = pair_offsets(radius, len(space))
    affinity = edge.new_zeros(len(edge), len(offsets), *space)
    for pair, offset in enumerate(offsets):
        if all(abs(step) < side for step, side in zip(offset, space, strict=True)):
            path = [edge[:, 0, *shifted(offset, place, space)] for place in straight_path(offset)]
            affinity[:, pair, *shifted(offset, (0,) * len(space), space)] = 1 - _largest(path)
    return affinity


def intensity_affinity(
    image: Float[Tensor, "batch channel *space"], radius: float, sigma: float
) -> Float[Tensor, "batch pair *space"]:
    """Affinity exp(-|I_i - I_j|^2 / (2 sigma^2)) of similar intensities.

    Args:
        image: Intensities; the difference of several channels is the Euclidean one.
        radius: See `pair_offsets`.
        sigma: In the unit of the intensities.

    Raises:
        TypeError: The image is not a tensor.
        ValueError: `sigma` is not positive, or the tensor has other than 2 or 3 axes of space.
    """
    require_tensors(image=image)
    if not sigma > 0:
        raise ValueError(f"sigma is {sigma}, expected a positive number in the unit of the intensities")
    space = image.shape[2:]
    offsets = pair_offsets(radius, len(space))
    affinity = image.new_zeros(len(image), len(offsets), *space)
    for pair, offset in enumerate(offsets):
        if all(abs(step) < side for step, side in zip(offset, space, strict=True)):
            near, far = shifted(offset, (0,) * len(space), space), shifted(offset, offset, space)
            squared = (image[:, :, *far] - image[:, :, *near]).square().sum(1)
            affinity[:, pair, *near] = squared.div_(-2 * sigma * sigma).exp_()
    return affinity


def _largest(path: list[Tensor]) -> Tensor:
    """The largest of several maps, place by place; of equal ones, the first gets the gradient."""
    if path[0].requires_grad:
        return torch.stack(path).max(dim=0).values  # keeps one index a place for the gradient, not every map
    largest = path[0]
    for crossed in path[1:]:
        largest = torch.maximum(largest, crossed)
    return largest


def shifted(offset: tuple[int, ...], place: tuple[int, ...], space: torch.Size) -> tuple[slice, ...]:
    """Slices of the voxels i + `place` for all voxels i such that i + `offset` lies in the grid.

    Args:
        offset: Of a pair.
        place: A step on the way from 0 to `offset`, see `straight_path`.
        space: Shape of the grid.
    """
    return tuple(
        slice(max(0, -step) + at, side - max(0, step) + at) for step, at, side in zip(offset, place, space, strict=True)
    )
