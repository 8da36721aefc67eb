"""Equation (3) from logits beside the plain formula on probabilities."""

import math

import pytest
import torch

from weakmask.losses import binary_entropy, entropy


def test_agrees_with_the_plain_formula():
    z = torch.linspace(-30, 30, 601, dtype=torch.float64)
    p, q = torch.sigmoid(z), torch.sigmoid(-z)
    plain = -p * torch.nn.functional.logsigmoid(z) - q * torch.nn.functional.logsigmoid(-z)
    torch.testing.assert_close(binary_entropy(z), plain, rtol=1e-12, atol=0)


def test_agrees_in_float32_where_the_plain_formula_would_cancel():
    z = torch.tensor([-25.0, 12.0, 25.0, 60.0])
    exact = binary_entropy(z.double())
    torch.testing.assert_close(binary_entropy(z).double(), exact, rtol=1e-5, atol=0)
    assert (exact > 0).all()


def test_is_log_two_at_a_half_and_even():
    assert binary_entropy(torch.zeros(1)).item() == pytest.approx(math.log(2))
    z = torch.linspace(-9, 9, 50)
    torch.testing.assert_close(binary_entropy(z), binary_entropy(-z))


def test_slope_is_that_of_the_formula():
    z = torch.linspace(-8, 8, 33, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(binary_entropy(z).sum(), z)
    p = torch.sigmoid(z.detach())
    torch.testing.assert_close(slope, -z.detach() * p * (1 - p))  # dH/dz = -z p (1 - p)
    assert torch.autograd.gradcheck(binary_entropy, z.detach()[:10].clone().requires_grad_())


def test_counts_only_the_region():
    logits = torch.tensor([[[[0.0, 50.0, 50.0, 0.0]]]])
    region = torch.tensor([[[[True, True, False, False]]]])
    assert entropy(logits, region).item() == pytest.approx(math.log(2) / 2)
