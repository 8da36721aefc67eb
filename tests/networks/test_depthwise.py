"""Depthwise convolutions have torch's values and gradients, and take much less time for large and dilated kernels."""

from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from weakmask.networks.depthwise import DepthwiseConvolution, DepthwiseLayer, weight_gradient

CHANNELS = 6


def layers(side: int, dilation: int, kind: torch.dtype) -> tuple[nn.Conv2d, DepthwiseLayer]:
    """torch's layer and the fast one, with the same weight."""
    torch.manual_seed(side * 10 + dilation)
    layout = {"padding": dilation * (side // 2), "dilation": dilation, "groups": CHANNELS, "bias": False}
    plain, fast = (layer(CHANNELS, CHANNELS, side, **layout).to(kind) for layer in (nn.Conv2d, DepthwiseLayer))
    fast.load_state_dict(plain.state_dict())
    return plain, fast


def output_and_gradients(
    run: Callable[[Tensor], Tensor], weight: Tensor, maps: Tensor, weighting: Tensor
) -> list[Tensor]:
    """The output, and the gradients of the maps and of the weight under a fixed sum of the output."""
    maps = maps.clone().requires_grad_()
    found = run(maps)
    (found * weighting.to(found.dtype)).sum().backward()
    assert maps.grad is not None
    assert weight.grad is not None
    return [found.detach(), maps.grad, weight.grad]


@pytest.mark.parametrize(("side", "dilation"), [(3, 2), (5, 1), (5, 2), (5, 3), (7, 1), (3, 9), (9, 2)])
@pytest.mark.parametrize("space", [(13, 8), (4, 3)])
def test_values_and_gradients_are_those_of_torch(side: int, dilation: int, space: tuple[int, int]) -> None:
    """In float64 to rounding, also where the kernel is wider than the map."""
    plain, fast = layers(side, dilation, torch.float64)
    maps, weighting = torch.randn(2, 3, CHANNELS, *space, dtype=torch.float64)
    expected = output_and_gradients(plain, plain.weight, maps, weighting)

    def run(maps: Tensor) -> Tensor:
        """The function itself: the layer leaves some kernels in float64 to torch."""
        found = DepthwiseConvolution.apply(maps, fast.weight, dilation)
        assert isinstance(found, Tensor)
        return found

    for one, other in zip(expected, output_and_gradients(run, fast.weight, maps, weighting), strict=True):
        torch.testing.assert_close(other, one, rtol=1e-12, atol=1e-12)


def test_weight_gradient_is_the_plain_sum() -> None:
    """Of products of the output's gradient and the shifted maps."""
    side, half = 5, 2
    torch.manual_seed(0)
    maps, gradient = torch.randn(2, 2, CHANNELS, 6, 7, dtype=torch.float64)
    around = torch.nn.functional.pad(maps, (half,) * 4)
    expected = torch.empty(CHANNELS, 1, side, side, dtype=torch.float64)
    for row, column in product(range(side), range(side)):
        expected[:, 0, row, column] = (around[:, :, row : row + 6, column : column + 7] * gradient).sum((0, 2, 3))
    torch.testing.assert_close(weight_gradient(maps, gradient, side), expected, rtol=1e-12, atol=1e-12)


def test_gradients_under_autocast_have_the_types_and_values_of_torch() -> None:
    """bfloat16 maps, a float32 weight gradient, both within bfloat16's rounding of float64."""
    exact, _ = layers(5, 2, torch.float64)
    plain, fast = layers(5, 2, torch.float32)
    maps, weighting = torch.randn(2, 4, CHANNELS, 16, 16)
    expected = output_and_gradients(exact, exact.weight, maps.double(), weighting.double())
    with torch.autocast("cpu", torch.bfloat16):
        assert is_fast(fast(maps))
        usual, found = (output_and_gradients(layer, layer.weight, maps, weighting) for layer in (plain, fast))
    for one, other, true in zip(usual, found, expected, strict=True):
        assert other.dtype == one.dtype
        assert (other - true).abs().max() < 0.01 * true.abs().max()


def is_fast(found: Tensor) -> bool:
    """Whether `DepthwiseConvolution` computed an output."""
    return "Depthwise" in type(found.grad_fn).__name__


def test_other_layers_are_left_to_torch() -> None:
    """Strides, kernels of one group, layers without gradients, and float32 without dilation."""
    maps = torch.randn(1, CHANNELS, 8, 8)
    grouped = {"groups": CHANNELS, "bias": False}
    strided = DepthwiseLayer(CHANNELS, CHANNELS, 5, stride=2, padding=2, **grouped)
    dense = DepthwiseLayer(CHANNELS, 2, 5, padding=2, bias=False)
    undilated = DepthwiseLayer(CHANNELS, CHANNELS, 5, padding=2, **grouped)
    for layer in (strided, dense, undilated):
        assert not is_fast(layer(maps))
    dilated = DepthwiseLayer(CHANNELS, CHANNELS, 5, padding=4, dilation=2, **grouped)
    assert is_fast(dilated(maps))
    with torch.autocast("cpu", torch.bfloat16):
        assert is_fast(undilated(maps))
        assert not is_fast(strided(maps))
    assert dilated.requires_grad_(requires_grad=False)(maps).grad_fn is None
