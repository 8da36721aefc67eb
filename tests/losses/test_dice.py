"""V-Net's Dice by hand, beside its plain formula, and where classes are absent."""

import pytest
import torch

from weakmask.losses import dice, dice_by_class


def plain(p: torch.Tensor, g: torch.Tensor) -> torch.Tensor:
    """1 - D with D = 2 sum p g / (sum p^2 + sum g^2)."""
    return 1 - 2 * (p * g).sum() / (p.square().sum() + g.square().sum())


def test_hand_value():
    logits = torch.logit(torch.tensor([0.5, 0.8, 0.2])).view(1, 1, 1, 3)
    target = torch.tensor([1, 1, 0]).view(1, 1, 1, 3)
    by_hand = 1 - 2 * (0.5 + 0.8) / (0.25 + 0.64 + 0.04 + 2)
    assert dice(logits, target, torch.ones(1, 1, 1, 3)).item() == pytest.approx(by_hand)


@pytest.mark.parametrize("space", [(6, 5), (4, 3, 5)])
def test_agrees_with_the_plain_formula_inside_the_region(space: tuple[int, ...]):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 3, *space, generator=generator, dtype=torch.float64)
    target = torch.randint(3, (2, 1, *space), generator=generator)
    region = torch.rand(2, 1, *space, generator=generator) < 0.7
    p = torch.softmax(logits, dim=1)
    expected = torch.stack(
        [
            torch.stack([plain(p[i, k][region[i, 0]], (target[i, 0] == k)[region[i, 0]].double()) for k in range(3)])
            for i in range(2)
        ]
    )
    torch.testing.assert_close(dice_by_class(logits, target, region), expected)
    torch.testing.assert_close(dice(logits, target, region), expected[:, 1:].mean(dim=1))


def test_a_perfect_answer_has_no_loss_and_none_below_zero():
    target = torch.randint(3, (4, 1, 9, 9), generator=torch.Generator().manual_seed(0))
    logits = 1e4 * torch.nn.functional.one_hot(target[:, 0], 3).movedim(-1, 1).float()
    assert torch.equal(dice(logits, target, torch.ones(4, 1, 9, 9)), torch.zeros(4))


def test_a_class_that_the_target_lacks_is_left_out():
    """Its D is 0 with gradient 0 by V-Net's formula; only the classes that are there speak."""
    logits = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0), requires_grad=True)
    target = torch.zeros(1, 1, 4, 4, dtype=torch.long)
    target[..., 0] = 1
    region = torch.ones(1, 1, 4, 4)
    by_class = dice_by_class(logits, target, region)
    assert by_class[0, 2].item() == pytest.approx(1.0)
    (slope,) = torch.autograd.grad(by_class[0, 2], logits)
    assert slope.abs().max() < 1e-7
    torch.testing.assert_close(dice(logits, target, region)[0], dice_by_class(logits, target, region)[0, 1])


def test_a_class_outside_the_region_is_absent():
    logits = torch.zeros(1, 1, 2, 2)
    target = torch.tensor([[[[1, 0], [0, 0]]]])
    region = torch.tensor([[[[False, True], [True, True]]]])
    assert dice(logits, target, region).item() == 0.0


def test_a_sample_without_foreground_has_no_loss_and_no_gradient():
    logits = torch.randn(2, 1, 3, 3, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    target = torch.zeros(2, 1, 3, 3, 3, dtype=torch.long)
    target[0, :, 1] = 1
    loss = dice(logits, target, torch.ones(2, 1, 3, 3, 3))
    assert loss[0] > 0
    assert loss[1] == 0
    (slope,) = torch.autograd.grad(loss.sum(), logits)
    assert slope[0].abs().min() > 0
    assert slope[1].abs().max() == 0


def test_a_class_that_neither_has_costs_nothing():
    logits = torch.zeros(1, 3, 2, 2)
    logits[:, 2] = -1e4
    target = torch.tensor([[[[1, 0], [0, 1]]]])
    assert dice_by_class(logits, target, torch.ones(1, 1, 2, 2))[0, 2].item() == 0.0
