"""The random walk beside the power of its dense matrix."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from weakmask.refinement import edge_affinity, intensity_affinity, pair_offsets, random_walk, walk_within_edges
from weakmask.refinement.pair_affinity import straight_path
from weakmask.refinement.random_walk import chebyshev_weights

GRIDS = [((9, 7), 5), ((12, 3), 3), ((1, 8), 4), ((5, 6, 4), 2), ((3, 1, 7), 3)]
every_grid = pytest.mark.parametrize(("space", "radius"), GRIDS, ids=str)


def dense_matrix(affinity: Tensor, radius: float, beta: float) -> Tensor:
    """M of one sample in double precision, pair by pair."""
    space = affinity.shape[1:]
    number = torch.arange(math.prod(space)).reshape(space)
    matrix = torch.eye(math.prod(space), dtype=torch.float64)
    for pair, offset in enumerate(pair_offsets(radius, len(space))):
        for place in itertools.product(*map(range, space)):
            other = tuple(a + b for a, b in zip(place, offset, strict=True))
            if all(0 <= at < side for at, side in zip(other, space, strict=True)):
                i, j = number[place], number[other]
                matrix[i, j] = matrix[j, i] = affinity[pair, *place].double() ** beta
    return matrix / matrix.sum(0)


def dense_walk(seeds: Tensor, affinity: Tensor, radius: float, beta: float, steps: int) -> Tensor:
    matrices = [dense_matrix(sample, radius, beta).matrix_power(steps) for sample in affinity]
    return (seeds.double().flatten(2) @ torch.stack(matrices)).reshape(seeds.shape)


def random_maps(space: tuple[int, ...], channels: int, seed: int = 0) -> Tensor:
    return torch.rand(2, channels, *space, generator=torch.Generator().manual_seed(seed))


@every_grid
@pytest.mark.parametrize(("steps", "beta"), [(0, 1), (1, 1), (2, 10), (7, 2), (64, 10), (256, 10), (256, 0.5)])
def test_equals_the_dense_power(space: tuple[int, ...], radius: int, steps: int, beta: float):
    seeds, affinity = random_maps(space, 3), random_maps(space, len(pair_offsets(radius, len(space))), seed=1)
    expected = dense_walk(seeds, affinity, radius, beta, steps)
    spread = random_walk(seeds, affinity, radius=radius, beta=beta, steps=steps)
    torch.testing.assert_close(spread.double(), expected, atol=1e-5, rtol=0)
    exact = random_walk(seeds.double(), affinity.double(), radius=radius, beta=beta, steps=steps, tolerance=0)
    torch.testing.assert_close(exact, expected, atol=1e-12, rtol=0)


def test_stays_exact_where_everything_is_almost_closed():
    """Affinities of 1e-9: single precision loses them beside a self affinity of 1, unless differences are followed."""
    seeds = random_maps((16, 16), 1)
    edge = random_maps((16, 16), 1, seed=1)
    spread = walk_within_edges(seeds, edge, beta=30.0, steps=1024)
    expected = dense_walk(seeds * (1 - edge), edge_affinity(edge, 5), 5, 30.0, 1024)
    torch.testing.assert_close(spread.double(), expected, atol=2e-5, rtol=0)


def test_leaves_out_no_more_than_it_may():
    seeds, edge = random_maps((12, 12), 1).double(), random_maps((12, 12), 1, seed=1).double()
    affinity = edge_affinity(edge, 3)
    exact = random_walk(seeds, affinity, radius=3, tolerance=0)
    for tolerance in (1e-2, 1e-4, 1e-6, 1e-8):
        off = (random_walk(seeds, affinity, radius=3, tolerance=tolerance) - exact).abs().max()
        assert 0 < off < tolerance


@pytest.mark.parametrize("steps", [0, 1, 2, 5, 16, 256, 4096])
def test_weights_make_the_power_of_chebyshev_polynomials(steps: int):
    x = torch.linspace(-1, 1, 41, dtype=torch.float64)
    weights = chebyshev_weights(steps, 1e-12)
    polynomials = torch.cos(torch.arange(len(weights))[:, None] * x.acos())
    torch.testing.assert_close(torch.tensor(weights, dtype=x.dtype) @ polynomials, x**steps, atol=2e-12, rtol=0)
    assert len(weights) <= 8 * math.sqrt(steps) + 1


def test_equal_seeds_stay_and_a_wall_holds():
    edge = torch.zeros(1, 1, 8, 9)
    edge[..., 4] = 1
    seeds = torch.zeros(1, 2, 8, 9)
    seeds[0, 0, 3, 1] = 1
    seeds[0, 1] = 0.25
    spread = random_walk(seeds, edge_affinity(edge, 5), radius=5)
    assert (spread[0, 0, :, :4] > 1e-3).all()
    assert (spread[0, 0, :, 4:] == 0).all()
    torch.testing.assert_close(spread[0, 1], seeds[0, 1], atol=1e-5, rtol=0)
    torch.testing.assert_close(
        walk_within_edges(seeds, edge), random_walk(seeds * (1 - edge), edge_affinity(edge, 5), radius=5)
    )


def test_intensities_hold_seeds_inside_like_tissue():
    image = torch.zeros(1, 1, 6, 6, 6)
    image[..., :3] = -800
    seeds = (torch.arange(6) == 0).float().expand(1, 1, 6, 6, 6)
    affinity = intensity_affinity(image, radius=2, sigma=100.0)
    assert affinity[0, pair_offsets(2, 3).index((0, 0, 1)), 0, 0].tolist() == pytest.approx(
        [1, 1, math.exp(-32), 1, 1, 0]
    )
    spread = random_walk(seeds, affinity, radius=2, beta=1, steps=64)
    assert (spread[..., :3] > 0.2).all()
    assert (spread[..., 3:] < 1e-6).all()


@every_grid
def test_edge_affinity_takes_the_largest_edge_on_the_path(space: tuple[int, ...], radius: int):
    edge = random_maps(space, 1)
    affinity = edge_affinity(edge, radius)
    for pair, offset in enumerate(pair_offsets(radius, len(space))):
        for place in itertools.product(*map(range, space)):
            crossed = [tuple(a + b for a, b in zip(place, at, strict=True)) for at in straight_path(offset)]
            inside = all(0 <= at < side for end in crossed for at, side in zip(end, space, strict=True))
            expected = 1 - max(edge[1, 0, *at].item() for at in crossed) if inside else 0
            assert affinity[1, pair, *place].item() == pytest.approx(expected)


def test_pairs_and_paths():
    assert len(pair_offsets(5, 2)) == 34
    assert [len(pair_offsets(radius, 3)) for radius in (1.1, 2, 3)] == [3, 13, 46]
    assert pair_offsets(1.5, 2) == [(0, 1), (1, -1), (1, 0), (1, 1)]
    assert straight_path((0, 3)) == [(0, 0), (0, 1), (0, 2), (0, 3)]
    assert straight_path((1, -1)) == [(0, -1), (0, 0), (1, -1), (1, 0)]  # both corners are 0.7 off the diagonal
    assert straight_path((1, 1, 3)).count((1, 0, 0)) == 1
    assert (0, 0, 3) not in straight_path((1, 1, 3))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_goes_in_and_comes_out(dtype: torch.dtype):
    seeds, edge = random_maps((10, 10), 1).to(dtype), random_maps((10, 10), 1, seed=1).to(dtype)
    affinity = edge_affinity(edge, 3)
    spread = random_walk(seeds, affinity, radius=3)
    assert spread.dtype == dtype
    torch.testing.assert_close(
        spread.float(), random_walk(seeds.float(), affinity.float(), radius=3), atol=4e-3, rtol=0
    )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no graphics card")
@every_grid
def test_on_a_graphics_card(space: tuple[int, ...], radius: int):
    seeds, edge = random_maps(space, 2), random_maps(space, 1, seed=1)
    spread = walk_within_edges(seeds.cuda(), edge.cuda(), radius=radius)
    torch.testing.assert_close(spread.cpu(), walk_within_edges(seeds, edge, radius=radius), atol=1e-5, rtol=0)


def test_inputs_stay_as_they_were():
    seeds, affinity = random_maps((6, 6), 1), random_maps((6, 6), 2)
    copies = seeds.clone(), affinity.clone()
    random_walk(seeds, affinity, radius=1.2, beta=1)
    assert torch.equal(seeds, copies[0])
    assert torch.equal(affinity, copies[1])


@pytest.mark.usefixtures("unchecked_types")
def test_says_what_does_not_fit():
    seeds, affinity = random_maps((6, 6), 1), random_maps((6, 6), 2)
    with pytest.raises(ValueError, match="34 pairs within radius 5"):
        random_walk(seeds, affinity, radius=5)
    with pytest.raises(ValueError, match="steps -1"):
        random_walk(seeds, affinity, radius=1.2, steps=-1)
    with pytest.raises(ValueError, match=r"between 0\.\d+ and 2"):
        random_walk(seeds, affinity.clamp(max=0.5).masked_fill(affinity > 0.5, 2), radius=1.2)
    with pytest.raises(ValueError, match="radius is 1"):
        pair_offsets(1, 2)
    with pytest.raises(ValueError, match="sigma is 0"):
        intensity_affinity(seeds, 2, 0)
