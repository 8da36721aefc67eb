"""Equation (2) by hand, and with true movements."""

import pytest
import torch

from weakmask.datasets.augment import Move, apply_move
from weakmask.losses import equivariance, smooth_equivariance


def test_hand_values():
    a = torch.tensor([[[[0.2, 0.9, 0.5]]]])
    b = torch.tensor([[[[0.4, 0.8, 0.0]]]])
    region = torch.tensor([[[[True, True, False]]]])
    assert equivariance(a, b, region).item() == pytest.approx(0.15)
    assert smooth_equivariance(a, b, region).item() == pytest.approx((0.2**2 + 0.1**2) / 2 / 2)


def test_both_sides_carry_gradients_unless_detached():
    a = torch.full((1, 1, 2, 2), 0.7, requires_grad=True)
    b = torch.full((1, 1, 2, 2), 0.3, requires_grad=True)
    equivariance(a, b, torch.ones(1, 1, 2, 2)).sum().backward()
    torch.testing.assert_close(a.grad, torch.full((1, 1, 2, 2), 0.25))
    torch.testing.assert_close(b.grad, torch.full((1, 1, 2, 2), -0.25))


def test_a_voxelwise_network_is_equivariant_and_one_that_knows_places_is_not():
    image = torch.rand(1, 1, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    move = Move((True, False, True), plane=(0, 2), quarters=1)
    region = torch.ones_like(image)
    ramp = torch.linspace(0, 1, 8)[:, None, None].expand(1, 1, 8, 8, 8)

    def same_everywhere(x):
        return torch.sigmoid(3 * x)

    def knows_places(x):
        return torch.sigmoid(3 * x) * ramp

    for network, small in ((same_everywhere, True), (knows_places, False)):
        loss = equivariance(network(apply_move(image, move)), apply_move(network(image), move), region).item()
        assert (loss < 1e-6) == small
