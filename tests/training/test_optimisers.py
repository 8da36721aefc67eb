"""Optimisers' numbers and schedules' shapes."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from weakmask.training.optimisers import build_optimiser, rate_factor


def test_numbers_of_the_paper_and_of_its_code():
    weights = [nn.Parameter(torch.zeros(2))]
    adam, sgd = build_optimiser(weights), build_optimiser(weights, "sgd")
    assert isinstance(adam, torch.optim.Adam)
    assert adam.param_groups[0]["lr"] == 1e-4
    assert isinstance(sgd, torch.optim.SGD)
    assert (sgd.param_groups[0]["lr"], sgd.param_groups[0]["momentum"]) == (1e-5, 0.9)


def test_given_numbers_are_taken():
    group = build_optimiser([nn.Parameter(torch.zeros(2))], "sgd", learning_rate=0.5, weight_decay=0.1).param_groups[0]
    assert (group["lr"], group["weight_decay"]) == (0.5, 0.1)


def test_a_group_may_have_its_own_rate():
    groups = [{"params": [nn.Parameter(torch.zeros(2))]}, {"params": [nn.Parameter(torch.zeros(2))], "lr": 0.5}]
    found = build_optimiser(groups, "adamw", learning_rate=0.1, weight_decay=0.01)
    assert isinstance(found, torch.optim.AdamW)
    assert [(group["lr"], group["weight_decay"]) for group in found.param_groups] == [(0.1, 0.01), (0.5, 0.01)]
    assert isinstance(build_optimiser(groups, "radam"), torch.optim.RAdam)


@pytest.mark.usefixtures("unchecked_types")
def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="adam, adamw, radam or sgd"):
        build_optimiser([nn.Parameter(torch.zeros(2))], "lion")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="constant, cosine or poly"):
        rate_factor(0, 10, "linear")  # pyright: ignore[reportArgumentType]


def test_hand_values():
    assert rate_factor(50, 100) == 1.0
    assert rate_factor(50, 100, "cosine") == pytest.approx(0.5)
    assert rate_factor(50, 100, "poly") == pytest.approx(0.5**0.9)
    assert rate_factor(0, 100, "cosine") == 1.0


@pytest.mark.parametrize("schedule", ["constant", "cosine", "poly"])
def test_warm_up_rises_and_then_nothing_rises(schedule):
    factors = [rate_factor(step, 100, schedule, warm_up=10) for step in range(100)]
    assert factors[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert factors[10] == 1.0
    assert all(later <= earlier for earlier, later in pairwise(factors[10:]))
    assert all(0 < factor <= 1 for factor in factors)


def test_a_warm_up_of_the_whole_training():
    assert rate_factor(9, 10, "cosine", warm_up=10) == 1.0
