"""Masks that keep to a score."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from weakmask.refinement.score_consistent import score_consistent


def cut(values: list[float], low: float, high: float, threshold: float = 0.5) -> list[bool]:
    """One region of a few voxels in a row, with one bright voxel beside it."""
    row = torch.tensor([[[*values, 1.0]]])
    region = torch.tensor([[[True] * len(values) + [False]]])
    found = score_consistent(row, region, torch.tensor([low]), torch.tensor([high]), threshold)
    assert not found[0, 0, -1]
    return found[0, 0, :-1].tolist()


VALUES = [0.9, 0.6, 0.4, 0.2, 0.1]


def test_a_map_that_agrees_with_its_score_is_cut_at_the_threshold() -> None:
    assert cut(VALUES, 0.2, 0.6) == [True, True, False, False, False]


def test_the_next_highest_are_added_and_the_lowest_taken_away() -> None:
    assert cut(VALUES, 0.75, 1.0) == [True, True, True, True, False]
    assert cut(VALUES, 0.01, 0.25) == [True, False, False, False, False]
    assert cut(VALUES, 0.75, 1.0, threshold=0.0) == [True] * 5


def test_no_disease_no_mask_and_zeros_stay_out() -> None:
    assert cut(VALUES, 0.0, 0.0) == [False] * 5
    assert cut([0.9, 0.0, 0.0, 0.0], 0.75, 1.0) == [True, False, False, False]


def test_an_empty_region_is_empty() -> None:
    found = score_consistent(
        torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2, dtype=torch.bool), torch.tensor([0.5]), torch.tensor([0.7]), 0.5
    )
    assert not found.any()


@given(seed=st.integers(0, 1000), score=st.integers(1, 5), threshold=st.floats(0.05, 0.95))
def test_the_fraction_lies_in_the_interval_and_samples_do_not_mix(seed: int, score: int, threshold: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    maps = torch.rand(2, 1, 12, 15, generator=generator).clamp_min(1e-3)
    region = torch.rand(2, 1, 12, 15, generator=generator) < 0.8
    bounds = [(0.0, 0.0), (0.01, 0.05), (0.05, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.0)]
    low, high = (torch.tensor([bounds[score][i], bounds[5 - score][i]]) for i in (0, 1))
    found = score_consistent(maps, region, low, high, threshold)
    fractions = found.flatten(1).sum(1) / region.flatten(1).sum(1)
    assert (fractions >= low - 1e-6).all()
    assert (fractions <= high + 1e-6).all()
    alone = score_consistent(maps[1:], region[1:], low[1:], high[1:], threshold)
    assert torch.equal(found[1:], alone)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_two_and_three_dimensions(dimensions: int) -> None:
    maps = torch.linspace(0.01, 1.0, 4**dimensions).reshape(1, 1, *(4,) * dimensions)
    found = score_consistent(maps, torch.ones_like(maps) > 0, torch.tensor([0.25]), torch.tensor([0.5]), 0.9)
    assert found.float().mean() == 0.25
