"""Random walk that spreads seeds to voxels of high affinity (Ahn, Cho, Kwak 2019, arXiv 1904.05044: IRNet).

The authors' code raises the dense matrix of the walk to a power, N x N numbers for N pixels. This module applies the
matrix to the seeds only, through one map of affinities per pair of neighbours.

It also needs fewer products than steps. The matrix M is similar to a symmetric one, so that M^n is a sum of Chebyshev
polynomials of M up to degree n, whose weights are the probabilities of the outcomes of n coin tosses: degrees beyond a
few sqrt(n) have weights below rounding. 256 steps take about 100 products, 4096 about 400.

    spread = walk_within_edges(seeds, edge)                         # (1, classes, 128, 128), (1, 1, 128, 128)
    affinity = intensity_affinity(hounsfield, radius=2, sigma=60.0)
    spread = random_walk(seeds, affinity, radius=2, steps=64)       # (1, 1, 80, 80, 80)
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from weakmask.refinement.input_checks import require_tensors
from weakmask.refinement.pair_affinity import edge_affinity, pair_offsets


def walk_within_edges(
    seeds: Float[Tensor, "batch channel *space"],
    edge: Float[Tensor, "batch 1 *space"],
    *,
    radius: float = 5,
    beta: float = 10.0,
    steps: int = 256,
) -> Float[Tensor, "batch channel *space"]:
    """IRNet's random walk: seeds are removed on edges and spread over affinities computed from the edges.

    Args:
        seeds: Activation maps.
        edge: Probability of a class boundary, in [0, 1].
        radius: See `pair_offsets`.
        beta: See `random_walk`.
        steps: See `random_walk`; 2^8 in IRNet.

    Raises:
        TypeError: An input is not a tensor.
        ValueError: As for `random_walk`.
    """
    require_tensors(seeds=seeds, edge=edge)
    return random_walk(seeds * (1 - edge), edge_affinity(edge, radius), radius=radius, beta=beta, steps=steps)


@torch.no_grad()
def random_walk(
    seeds: Float[Tensor, "batch channel *space"],
    affinity: Float[Tensor, "batch pair *space"],
    *,
    radius: float,
    beta: float = 10.0,
    steps: int = 256,
    tolerance: float = 1e-6,
) -> Float[Tensor, "batch channel *space"]:
    """Multiply the seeds by M^steps, with M_ij = a_ij^beta / sum_i a_ij^beta and a_ii = 1.

    The columns sum to one: a step replaces every voxel by a mean over its neighbours and itself, so values stay within
    the range of the seeds. Voxels outside the grid take no part. There is no gradient.

    Args:
        seeds: Any number of maps, 2-D or 3-D.
        affinity: One value per pair, in [0, 1], from `edge_affinity` or `intensity_affinity`.
        radius: The radius of the affinities.
        beta: Exponent of the affinities; a large one suppresses medium affinities.
        steps: Number of steps of the walk.
        tolerance: Largest error of leaving out high degrees, in units of the largest seed; 0 leaves out none.

    Raises:
        TypeError: An input is not a tensor.
        ValueError: The shapes do not match, or a number is out of range.
    """
    require_tensors(seeds=seeds, affinity=affinity)
    space = seeds.shape[2:]
    offsets = pair_offsets(radius, len(space))
    if affinity.shape != (len(seeds), len(offsets), *space):
        raise ValueError(
            f"affinity of shape {tuple(affinity.shape)}, expected {(len(seeds), len(offsets), *space)}: "
            f"{len(offsets)} pairs within radius {radius} on the grid of the seeds"
        )
    if steps < 0 or not beta > 0 or not tolerance >= 0:
        raise ValueError(f"steps {steps}, beta {beta}, tolerance {tolerance}: expected >= 0, > 0 and >= 0")
    low, high = (float(bound) for bound in affinity.aminmax())
    if not (low >= 0 and high <= 1):
        raise ValueError(f"affinities lie between {low:g} and {high:g}, expected [0, 1]")
    exact = torch.promote_types(torch.promote_types(seeds.dtype, affinity.dtype), torch.float32)
    walk = _Walk(affinity.to(exact), beta, offsets)
    nodes = math.prod(space)
    # converts a bound on every value into a bound in the norm that makes M symmetric
    weights = chebyshev_weights(steps, tolerance / math.sqrt(nodes * (1 + 2 * len(offsets))))
    scaled = seeds.to(exact).flatten(2) * walk.root_degree
    spread = walk.polynomial(scaled, weights) / walk.root_degree
    least, most = seeds.flatten(2).to(exact).aminmax(dim=2, keepdim=True)
    spread.clamp_(least, most)  # only rounding can leave the range
    return spread.view(seeds.shape).to(seeds.dtype)


def chebyshev_weights(steps: int, tolerance: float) -> list[float]:
    """Weights w_0, w_1, ... such that x^steps = sum_k w_k C_k(x) for |x| <= 1, up to `tolerance`.

    w_k is the probability that heads and tails differ by k in `steps` coin tosses. The last weights are left out as
    long as they sum to at most `tolerance`, and the others are scaled to sum to 1 again.
    """
    middle = steps // 2
    chance = math.comb(steps, middle) / (1 << steps)
    weights = [0.0] * (steps + 1)
    for fewer in range(middle, -1, -1):
        excess = steps - 2 * fewer
        weights[excess] = chance * (1 if excess == 0 else 2)
        chance *= fewer / (steps - fewer + 1)
    left_out = 0.0
    while len(weights) > 1 and left_out + weights[-1] <= tolerance:
        left_out += weights.pop()
    return [weight / (1 - left_out) for weight in weights]


class _Walk:
    """The matrix D^-1/2 A D^-1/2 of a flattened grid, stored as one map per pair; its symmetry halves the memory.

    Attributes:
        root_degree: D^1/2, (batch, 1, node).
    """

    def __init__(self, affinity: Tensor, beta: float, offsets: list[tuple[int, ...]]) -> None:
        space = affinity.shape[2:]
        powers = affinity.pow(beta)
        self.pairs: list[tuple[int, Tensor]] = []  # distance in the flattened grid, affinities
        for pair, offset in enumerate(offsets):
            if any(abs(step) >= side for step, side in zip(offset, space, strict=True)):
                continue
            # beyond the border the distance leads into the next row, so the affinity must be 0
            for axis, step in enumerate(offset, start=1):
                powers[:, pair].narrow(axis, space[axis - 1] - step if step > 0 else 0, abs(step)).zero_()
            distance = sum(step * math.prod(space[axis + 1 :]) for axis, step in enumerate(offset))
            flat = powers[:, pair].flatten(1).unsqueeze(1)
            self.pairs.append((distance, flat[..., : flat.shape[2] - distance]))
        moving = affinity.new_zeros(len(affinity), 1, math.prod(space))
        for distance, strength in self.pairs:
            moving[..., :-distance] += strength
            moving[..., distance:] += strength
        self.root_degree = (1 + moving).sqrt_()
        for distance, strength in self.pairs:
            strength.div_(self.root_degree[..., :-distance] * self.root_degree[..., distance:])
        # 1 - 1 / degree without cancellation for voxels with small affinities
        self.leaving = moving / (1 + moving)

    def polynomial(self, start: Tensor, weights: list[float]) -> Tensor:
        """Compute sum_k w_k C_k(S) start.

        C_{k+1} - C_k = C_k - C_{k-1} + 2 (S - 1) C_k: adding up differences avoids the loss of precision of
        C_{k+1} = 2 S C_k - C_{k-1} where S is almost 1.
        """
        total, term, difference = weights[0] * start, start.clone(), torch.zeros_like(start)
        views = [
            (strength, *(maps[..., part] for maps in (term, difference) for part in (slice(d, None), slice(-d))))
            for d, strength in self.pairs
        ]
        for k, weight in enumerate(weights[1:], start=1):
            difference.addcmul_(self.leaving, term, value=-2)
            for strength, ahead, behind, to_ahead, to_behind in views:
                to_behind.addcmul_(strength, ahead, value=2)
                to_ahead.addcmul_(strength, behind, value=2)
            if k == 1:
                difference /= 2  # C_1 - C_0 = (S - 1) C_0
            term += difference
            if weight:
                total.add_(term, alpha=weight)
        return total
