"""What every loss keeps: one value per sample, gradients where they are due, finite for saturated networks."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from weakmask import losses

SHAPES = {2: (3, 1, 6, 5), 3: (3, 1, 4, 5, 6)}


@dataclass(frozen=True)
class Case:
    """A loss as a function of a network's logits and a region, and logits that it should like and dislike."""

    of: Callable[[Tensor, Tensor], Tensor]
    good: float
    bad: float


def interval_of(logits: Tensor, region: Tensor) -> Tensor:
    predicted = losses.region_mean(torch.sigmoid(logits), region)
    return losses.interval_regression(predicted, torch.full_like(predicted, 0.6), torch.full_like(predicted, 0.9))


def half(logits: Tensor) -> Tensor:
    return torch.full_like(logits, 0.5)


def ill(logits: Tensor) -> Tensor:
    return torch.ones_like(logits, dtype=torch.long)


CASES = {
    "bootstrapping": Case(lambda z, r: losses.bootstrapping(z, ill(z), r), good=3.0, bad=-1.0),
    "dice": Case(lambda z, r: losses.dice(z, ill(z), r), good=6.0, bad=-1.0),
    "interval_regression": Case(interval_of, good=1.0, bad=-1.0),
    "entropy": Case(losses.entropy, good=6.0, bad=0.5),
    "equivariance": Case(lambda z, r: losses.equivariance(torch.sigmoid(z), half(z), r), good=0.0, bad=1.0),
    "smooth_equivariance": Case(lambda z, r: losses.smooth_equivariance(torch.sigmoid(z), half(z), r), 0.0, 1.0),
    "soft_bootstrapping": Case(lambda z, r: losses.soft_bootstrapping(z, ill(z), r), good=3.0, bad=-1.0),
    "weighted_cross_entropy": Case(lambda z, r: losses.weighted_cross_entropy(z, ill(z) > 0, r), good=6.0, bad=-1.0),
}
PIECES = {
    "binary_entropy",
    "class_boundary",  # of pairs of pixels, without a region
    "dice_by_class",
    "instance_loss",  # of all bags of a step together
    "inverse_frequency_weights",
    "region_mean",
    "select_instances",
}  # not losses, tested beside their formulas

every_loss = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
every_dimension = pytest.mark.parametrize("dimensions", SHAPES)


def sample(dimensions: int) -> tuple[Tensor, Tensor]:
    """Random logits and a region with some voxels out."""
    generator = torch.Generator().manual_seed(dimensions)
    logits = torch.randn(SHAPES[dimensions], generator=generator)
    return logits, torch.rand(SHAPES[dimensions], generator=generator) < 0.7


def test_every_public_loss_is_in_the_contract():
    assert set(losses.__all__) == CASES.keys() | PIECES


@every_loss
@every_dimension
def test_one_value_per_sample_as_if_each_came_alone(case: Case, dimensions: int):
    logits, region = sample(dimensions)
    together = case.of(logits, region)
    alone = torch.cat([case.of(logits[i : i + 1], region[i : i + 1]) for i in range(len(logits))])
    assert together.shape == (3,)
    torch.testing.assert_close(together, alone)
    torch.testing.assert_close(together.mean(), alone.mean())


@every_loss
@every_dimension
def test_good_is_below_bad_and_nothing_is_negative(case: Case, dimensions: int):
    logits, region = sample(dimensions)
    good = case.of(torch.full_like(logits, case.good), region)
    bad = case.of(torch.full_like(logits, case.bad), region)
    assert (good >= 0).all()
    assert (good < bad).all()
    assert (case.of(logits, region) >= 0).all()


@every_loss
@every_dimension
def test_gradient_is_there_inside_the_region_and_only_there(case: Case, dimensions: int):
    logits, region = sample(dimensions)
    logits = torch.full_like(logits, case.bad).requires_grad_()
    case.of(logits, region).sum().backward()
    assert logits.grad is not None
    assert (logits.grad[region] != 0).all()
    assert (logits.grad[~region] == 0).all()


@every_loss
def test_a_step_down_the_gradient_lowers_it(case: Case):
    logits, region = sample(3)
    logits = (0.1 * logits + case.bad).requires_grad_()
    before = case.of(logits, region)
    (slope,) = torch.autograd.grad(before.sum(), logits)
    assert (case.of(logits - 0.1 * slope / slope.abs().max(), region) < before).all()


@every_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("size", [20.0, 90.0, 1e4])
def test_finite_for_saturated_logits(case: Case, dtype: torch.dtype, size: float):
    logits, region = sample(3)
    logits = (size * logits.sign()).to(dtype).requires_grad_()
    value = case.of(logits, region)
    value.sum().backward()
    assert value.dtype == torch.float32
    assert value.isfinite().all()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@every_loss
def test_an_empty_region_gives_no_gradient(case: Case):
    logits, region = sample(3)
    logits.requires_grad_()
    value = case.of(logits, torch.zeros_like(region))
    value.sum().backward()
    assert value.isfinite().all()
    assert logits.grad is not None
    assert (logits.grad == 0).all()


@every_loss
def test_a_region_of_weights_is_the_region_of_trues(case: Case):
    logits, region = sample(2)
    torch.testing.assert_close(case.of(logits, region.float()), case.of(logits, region))


@every_loss
def test_half_precision_agrees_with_single(case: Case):
    logits, region = sample(3)
    logits = logits.bfloat16()
    torch.testing.assert_close(case.of(logits, region), case.of(logits.float(), region), atol=4e-3, rtol=0.02)
