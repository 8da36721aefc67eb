"""Class activation maps against the formula written out, and against the classifier they explain."""

import numpy as np
import pytest
import torch

from weakmask.activation.cam import class_activation_map, enlarged, unit_range
from weakmask.networks import build_network

SPACES = pytest.mark.parametrize("space", [(5, 4), (3, 5, 4)], ids=["2-D", "3-D"])


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@SPACES
def test_the_map_is_the_weighted_sum_of_the_features(space: tuple[int, ...]) -> None:
    features, weights = draw(2, 6, *space), draw(3, 6, seed=1)
    found = class_activation_map(features, weights)
    assert found.shape == (2, 3, *space)
    for sample in range(2):
        for label in range(3):
            plain = sum(weights[label, k] * features[sample, k] for k in range(6))  # (2)
            torch.testing.assert_close(found[sample, label], plain)


@SPACES
def test_the_mean_of_the_map_with_bias_is_the_logit(space: tuple[int, ...]) -> None:
    torch.manual_seed(3)
    sides = tuple(8 * side for side in space)
    network = build_network("encoder_classifier", {"dimensions": len(space), "width": 2, "out_channels": 2}).eval()
    image = draw(2, 1, *sides, seed=4)
    with torch.no_grad():
        found = class_activation_map(network.features(image), network.linear.weight, network.linear.bias)
        torch.testing.assert_close(found.flatten(2).mean(dim=2), network(image), atol=1e-5, rtol=1e-5)


def test_gradients_reach_features_and_weights() -> None:
    features, weights = draw(1, 4, 3, 3).requires_grad_(), draw(1, 4, seed=1).requires_grad_()
    class_activation_map(features, weights).square().sum().backward()
    assert features.grad is not None
    assert features.grad.abs().min() > 0
    assert weights.grad is not None
    assert weights.grad.abs().min() > 0


def test_coarse_voxels_keep_their_place_when_enlarged() -> None:
    coarse = torch.zeros(1, 1, 3, 4)
    coarse[..., 1, 2] = 1.0
    fine = enlarged(coarse, (24, 32), 8)[0, 0]
    weight = fine / fine.sum()
    centre = [float((weight.sum(1 - axis) * torch.arange(fine.shape[axis])).sum()) for axis in (0, 1)]
    assert centre == pytest.approx([1.5 * 8 - 0.5, 2.5 * 8 - 0.5], abs=0.2)
    assert enlarged(torch.full((1, 2, 3, 2, 2), 0.7), (20, 16, 9), 8).shape == (1, 2, 20, 16, 9)
    assert enlarged(torch.full((1, 1, 3, 2, 2), 0.7), (20, 16, 9), 8).unique().tolist() == pytest.approx([0.7])


def test_filled_up_sides_are_cut_off_at_their_far_end() -> None:
    coarse = torch.tensor([0.0, 1.0, 5.0]).reshape(1, 1, 1, 3)
    whole, cut = enlarged(coarse, (8, 24), 8), enlarged(coarse, (8, 17), 8)
    assert torch.equal(cut, whole[..., :17])
    with pytest.raises(ValueError, match=r"a map of \(1, 3\) at stride 8 does not cover an image of \(8, 25\)"):
        enlarged(coarse, (8, 25), 8)


def test_a_map_is_rescaled_by_what_is_inside() -> None:
    values = np.array([[-100.0, 2.0, 4.0], [6.0, 3.0, 100.0]])
    inside = np.array([[False, True, True], [True, True, False]])
    found = unit_range(values, inside)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [[0, 0, 0.5], [1, 0.25, 0]])


def test_a_map_without_contrast_or_without_inside_is_empty() -> None:
    flat = np.full((2, 3), 7.0)
    assert not unit_range(flat, np.ones((2, 3), dtype=bool)).any()
    assert not unit_range(flat, np.zeros((2, 3), dtype=bool)).any()
