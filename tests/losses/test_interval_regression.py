"""Equation (1) by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from weakmask.losses import interval_regression, inverse_frequency_weights

fractions = st.floats(0, 1, width=32)


def one(y: float, low: float, high: float) -> float:
    return interval_regression(torch.tensor([y]), torch.tensor([low]), torch.tensor([high])).item()


@pytest.mark.parametrize(
    ("y", "low", "high", "expected"),
    [
        (0.75, 0.25, 0.5, 0.125),  # (0.75 - 0.375)^2 - 0.125^2 = 0.140625 - 0.015625
        (0.0, 0.25, 0.5, 0.125),
        (0.25, 0.25, 0.5, 0.0),
        (0.5, 0.25, 0.5, 0.0),
        (0.4, 0.25, 0.5, 0.0),
        (0.5, 0.0, 0.0, 0.25),  # score 0 is a point: the squared error
    ],
)
def test_hand_values(y: float, low: float, high: float, expected: float):
    assert one(y, low, high) == pytest.approx(expected, abs=1e-7)


@given(fractions, fractions, fractions)
def test_is_zero_inside_and_the_product_of_distances_outside(y: float, a: float, b: float):
    low, high = min(a, b), max(a, b)
    # (y - m)^2 - h^2 = (y - low)(y - high)
    assert one(y, low, high) == pytest.approx(max(0.0, (y - low) * (y - high)), abs=1e-6)


def test_gradient_is_zero_inside_and_points_back_outside():
    y = torch.tensor([0.3, 0.1, 0.8, 0.26], requires_grad=True)
    interval_regression(y, torch.full((4,), 0.25), torch.full((4,), 0.5)).sum().backward()
    assert y.grad is not None
    torch.testing.assert_close(y.grad, torch.tensor([0.0, 2 * (0.1 - 0.375), 2 * (0.8 - 0.375), 0.0]))


def test_bfloat16_predictions_are_judged_in_float32():
    value = interval_regression(torch.tensor([0.75]).bfloat16(), torch.tensor([0.25]), torch.tensor([0.5]))
    assert value.dtype == torch.float32
    assert value.item() == 0.125


def test_weights_are_one_over_the_frequency():
    assert inverse_frequency_weights([0, 0, 0, 2, 2, 5, 5, 5, 5, 5]) == pytest.approx({0: 10 / 3, 2: 5.0, 5: 2.0})


def test_weighted_scores_count_equally():
    scores = [0] * 7 + [1] * 2 + [4]
    weights = inverse_frequency_weights(scores)
    assert {score: scores.count(score) * weights[score] for score in weights} == pytest.approx(
        dict.fromkeys(weights, 10)
    )


def test_clamped_frequencies_bound_the_weights():
    weights = inverse_frequency_weights([0] * 99 + [3], lowest=0.2, highest=0.8)
    assert weights == pytest.approx({0: 1.25, 3: 5.0})


def test_no_scores_no_weights():
    assert inverse_frequency_weights([]) == {}


@pytest.mark.parametrize("bounds", [(-0.1, 1.0), (0.5, 0.4), (0.0, 1.5), (0.0, 0.0)])
def test_impossible_frequencies_are_refused(bounds: tuple[float, float]):
    with pytest.raises(ValueError, match="frequencies"):
        inverse_frequency_weights([1], *bounds)
