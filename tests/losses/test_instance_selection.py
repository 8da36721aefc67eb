"""Which instances of a bag are learnt at a step, and the loss of those."""

import math

import pytest
import torch

from weakmask.losses.instance_selection import (
    bag_instances,
    blended,
    easiness,
    instance_loss,
    select_instances,
)

POSITIVE = torch.tensor([True, False])


def bags(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities of the instances of two bags, and which lie inside."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(2, 1, 8, 9, generator=generator), torch.rand(2, 1, 8, 9, generator=generator) < 0.7


def test_the_limit_falls_from_nine_tenths_to_a_half_over_three_quarters_of_the_steps() -> None:
    limits = [easiness(step, 200) for step in range(200)]
    assert limits[0] == pytest.approx(0.9)
    assert limits[75] == pytest.approx(math.sqrt(0.9 * 0.5))  # lambda rises linearly
    assert limits[150:] == pytest.approx([0.5] * 50)
    assert limits == sorted(limits, reverse=True)


def test_the_coarse_map_gives_way_to_the_own_probability_over_half_of_the_steps() -> None:
    coarse, own = torch.full((1, 1, 2, 2), 0.2), torch.full((1, 1, 2, 2), 0.8, requires_grad=True)
    for step, expected in ((0, 0.2), (50, 0.5), (100, 0.8), (199, 0.8)):
        found = blended(coarse, own, step, 200)
        torch.testing.assert_close(found, torch.full_like(coarse, expected))
        assert not found.requires_grad


def test_at_a_half_every_instance_inside_takes_part_and_none_outside() -> None:
    probability, inside = bags()
    selected = select_instances(probability, inside, POSITIVE, 0.5)
    assert torch.equal(selected.positive | selected.negative | selected.of_negative_bags, inside)
    assert not (selected.positive & selected.negative).any()


def test_a_falling_limit_never_drops_an_instance() -> None:
    probability, inside = bags()
    before = select_instances(probability, inside, POSITIVE, 0.9)
    for tau in (0.8, 0.7, 0.6, 0.5):
        now = select_instances(probability, inside, POSITIVE, tau)
        for old, new in zip(before, now, strict=True):
            assert (new | ~old).all()
        before = now


def test_a_negative_bag_has_no_positive_and_a_positive_bag_always_has_one() -> None:
    _, inside = bags()
    for level in (0.0, 1.0):
        selected = select_instances(torch.full(inside.shape, level), inside, POSITIVE, 0.9)
        assert not selected.positive[1].any()
        assert torch.equal(selected.of_negative_bags[1], inside[1])
        assert not selected.of_negative_bags[0].any()
        assert selected.positive[0].any()
    # of 50 instances inside, 2 % is one: the highest
    probability, inside = torch.arange(60.0).reshape(1, 1, 6, 10) / 600, torch.ones(1, 1, 6, 10, dtype=torch.bool)
    inside[..., -1, :] = False
    selected = select_instances(probability, inside, POSITIVE[:1], 0.9)
    assert selected.positive.flatten().nonzero().flatten().tolist() == [49]
    assert selected.negative.sum() == 48 - (probability[inside] >= 0.1).sum() + 1


def test_bag_labels_leave_no_instance_out() -> None:
    _, inside = bags()
    selected = bag_instances(inside, POSITIVE)
    assert torch.equal(selected.positive[0], inside[0])
    assert torch.equal(selected.of_negative_bags[1], inside[1])
    assert not selected.negative.any()
    assert not selected.positive[1].any()


def test_the_loss_is_the_mean_of_positives_and_half_of_both_means_of_negatives() -> None:
    logits = torch.tensor([[0.3, -0.7, 2.0], [1.1, -0.4, 0.0]]).reshape(2, 1, 1, 3).requires_grad_()
    chosen = torch.zeros(3, 2, 1, 1, 3, dtype=torch.bool)
    chosen[0, 0, 0, 0, 0] = chosen[1, 0, 0, 0, 1] = True  # one positive, one negative, one left out
    chosen[2, 1] = True
    p = torch.sigmoid(logits.detach()).flatten()
    expected = -p[0].log() - 0.5 * (1 - p[3:]).log().mean() - 0.5 * (1 - p[1]).log()
    loss = instance_loss(logits, type(bag_instances(chosen[0], POSITIVE))(*chosen))
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert logits.grad is not None
    assert logits.grad.flatten().ne(0).tolist() == [True, True, False, True, True, True]


def test_a_kind_without_an_instance_adds_nothing() -> None:
    nothing = torch.zeros(2, 1, 2, 2, dtype=torch.bool)
    assert instance_loss(torch.randn(2, 1, 2, 2), bag_instances(nothing, POSITIVE)) == 0


def test_a_limit_below_a_half_is_refused() -> None:
    probability, inside = bags()
    with pytest.raises(ValueError, match="between 1/2 and 1"):
        select_instances(probability, inside, POSITIVE, 0.4)
