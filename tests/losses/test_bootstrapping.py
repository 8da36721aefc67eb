"""Equation (4) by hand, beside the plain sum over classes, and what the network's own answer changes."""

import math

import pytest
import torch

from weakmask.losses import bootstrapping, soft_bootstrapping


def plain(logits: torch.Tensor, target: torch.Tensor, beta: float, *, soft: bool) -> torch.Tensor:
    """Equation (4) as it is printed, with its minus sign, voxel by voxel."""
    q = torch.softmax(logits, dim=1)
    t = torch.nn.functional.one_hot(target[:, 0], q.shape[1]).movedim(-1, 1)
    z = q if soft else (q == q.amax(dim=1, keepdim=True)).to(q)
    return -((beta * t + (1 - beta) * z.detach()) * q.log()).sum(dim=1, keepdim=True)


def sample(classes: int, space: tuple[int, ...], seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(2, classes, *space, generator=generator, dtype=torch.float64)
    target = torch.randint(classes, (2, 1, *space), generator=generator)
    return logits, target, torch.rand(2, 1, *space, generator=generator) < 0.6


def test_hand_values():
    q = torch.tensor([0.5, 0.3, 0.2])
    logits = q.log().view(1, 3, 1, 1)
    target = torch.full((1, 1, 1, 1), 2)
    region = torch.ones(1, 1, 1, 1)
    hard = -0.8 * math.log(0.2) - 0.2 * math.log(0.5)
    assert bootstrapping(logits, target, region).item() == pytest.approx(hard)
    own = -sum(p * math.log(p) for p in (0.5, 0.3, 0.2))
    soft = -0.8 * math.log(0.2) + 0.2 * own
    assert soft_bootstrapping(logits, target, region).item() == pytest.approx(soft)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize(("classes", "space"), [(2, (5, 4)), (3, (4, 3, 5)), (6, (3, 2, 2))])
def test_agrees_with_the_plain_sum_and_its_slope(classes: int, space: tuple[int, ...], soft: bool):
    logits, target, region = sample(classes, space)
    logits.requires_grad_()
    ours = (soft_bootstrapping if soft else bootstrapping)(logits, target, region, 0.7)
    values = plain(logits, target, 0.7, soft=soft)
    theirs = torch.stack([v[r].mean() for v, r in zip(values, region, strict=True)])
    torch.testing.assert_close(ours, theirs)
    slopes = [torch.autograd.grad(loss.sum(), logits)[0] for loss in (ours, theirs)]
    torch.testing.assert_close(slopes[0], slopes[1])


@pytest.mark.parametrize("loss", [bootstrapping, soft_bootstrapping])
def test_one_channel_is_two_classes(loss):
    logits, target, region = sample(2, (4, 4))
    single = (logits[:, 1:] - logits[:, :1]).contiguous()
    torch.testing.assert_close(loss(single, target, region), loss(logits, target, region))


@pytest.mark.parametrize("loss", [bootstrapping, soft_bootstrapping])
def test_full_trust_is_cross_entropy(loss):
    logits, target, region = sample(4, (6, 6))
    expected = torch.nn.functional.cross_entropy(logits[:1], target[:1, 0], reduction="none")[region[:1, 0]].mean()
    torch.testing.assert_close(loss(logits[:1], target[:1], region[:1], 1.0)[0], expected)


def test_where_the_network_disagrees_the_target_is_wanted_with_beta_only():
    """The minimum over q moves from certainty to q_target = beta once another class leads."""
    region = torch.ones(1, 1, 1, 1)
    target = torch.zeros(1, 1, 1, 1, dtype=torch.long)
    leads = torch.tensor([0.3, 0.7]).log().view(1, 2, 1, 1).requires_grad_()
    (slope,) = torch.autograd.grad(bootstrapping(leads, target, region).sum(), leads)
    torch.testing.assert_close(slope.flatten(), torch.tensor([0.3 - 0.8, 0.7 - 0.2]))
    agrees = torch.tensor([0.7, 0.3]).log().view(1, 2, 1, 1).requires_grad_()
    (slope,) = torch.autograd.grad(bootstrapping(agrees, target, region).sum(), agrees)
    torch.testing.assert_close(slope.flatten(), torch.tensor([0.7 - 1.0, 0.3]))


def test_the_soft_variant_is_a_smaller_step_of_cross_entropy():
    logits, target, region = sample(3, (5, 5))
    logits.requires_grad_()
    (soft,) = torch.autograd.grad(soft_bootstrapping(logits, target, region, 0.8).sum(), logits)
    (cross,) = torch.autograd.grad(soft_bootstrapping(logits, target, region, 1.0).sum(), logits)
    torch.testing.assert_close(soft, 0.8 * cross)


@pytest.mark.parametrize("beta", [-0.1, 1.5, math.nan])
def test_impossible_trust_is_refused(beta: float):
    logits, target, region = sample(2, (2, 2))
    with pytest.raises(ValueError, match="between 0 and 1"):
        bootstrapping(logits, target, region, beta)
