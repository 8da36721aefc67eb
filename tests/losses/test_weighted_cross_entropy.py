"""The weights of the rarer class, worked out by hand."""

import math

import pytest
import torch

from weakmask.losses import weighted_cross_entropy


def loss_of(foreground: int, voxels: int = 10, logit: float = 0.0, power: float = 1.0) -> float:
    target = torch.zeros(1, 1, 1, voxels)
    target[..., :foreground] = 1
    return float(weighted_cross_entropy(torch.full_like(target, logit), target, torch.ones_like(target), power))


@pytest.mark.parametrize(
    ("foreground", "mean_weight"),
    [
        (0, 1.0),
        (1, (1 * 9 + 9) / 10),  # w = 0.1: foreground weighs 9, so both classes weigh the same
        (5, 1.0),
        (8, (8 + 2 * 4) / 10),  # w = 0.8: background weighs 4
        (10, 1.0),
    ],
)
def test_the_rarer_class_weighs_as_much_as_the_other(foreground: int, mean_weight: float):
    assert loss_of(foreground) == pytest.approx(mean_weight * math.log(2))


def test_a_rare_foreground_weighs_19_times_as_much_at_most():
    assert loss_of(1, voxels=1000) == pytest.approx((19 + 999) / 1000 * math.log(2))


@pytest.mark.parametrize(("power", "mean_weight"), [(0.0, 1.0), (0.5, (1 * 3 + 9) / 10)])
def test_the_weights_are_taken_to_a_power(power: float, mean_weight: float):
    assert loss_of(1, power=power) == pytest.approx(mean_weight * math.log(2))


def test_the_weights_push_probabilities_up_where_foreground_is_rare():
    target = torch.zeros(1, 1, 1, 10)
    target[..., 0] = 1
    logits = torch.zeros_like(target, requires_grad=True)
    weighted_cross_entropy(logits, target, torch.ones_like(target)).sum().backward()
    assert logits.grad is not None
    assert float(logits.grad.sum()) == pytest.approx(0.0, abs=1e-7)  # plain cross-entropy would pull them down


def test_only_the_region_counts_for_the_share():
    target = torch.zeros(1, 1, 1, 10)
    target[..., 0] = 1
    region = torch.zeros_like(target)
    region[..., :2] = 1  # half of it is foreground
    assert float(weighted_cross_entropy(torch.zeros_like(target), target, region)) == pytest.approx(math.log(2))
