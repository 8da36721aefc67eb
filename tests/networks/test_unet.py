"""The paper's U-Net: its size, its shapes, and tiles that are one pass."""

import itertools

import pytest
import torch

from weakmask.networks import UNet


def test_has_the_papers_weights():
    network = UNet()
    weights = sum(weight.numel() for weight in network.parameters())
    assert weights == 16_317_921  # 16.3 million, as counted in the authors' code
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv3d)]
    widths = [m.out_channels for m in convolutions]
    assert widths == [32, 64, 64, 128, 128, 256, 256, 512, 256, 256, 128, 128, 64, 64, 1]
    assert {m.kernel_size for m in convolutions[:-1]} == {(3, 3, 3)}


@pytest.mark.parametrize("dimensions", [2, 3])
def test_kaiming_keeps_the_size_of_signals(dimensions: int):
    torch.manual_seed(0)
    logits = UNet(dimensions, width=8)(torch.randn(4, 1, *[16] * dimensions))
    assert 0.3 < logits.std() < 3.0


@pytest.mark.parametrize(("dimensions", "probability"), [(2, 0.1), (3, 0.02), (3, 0.5)])
def test_starts_near_the_initial_probability(dimensions: int, probability: float):
    torch.manual_seed(0)
    network = UNet(dimensions, width=8, initial_probability=probability)
    probabilities = torch.sigmoid(network(torch.rand(2, 1, *[16] * dimensions)))
    assert probabilities.mean().item() == pytest.approx(probability, rel=0.1)
    assert probabilities.std() < 0.1 * probability


@pytest.mark.parametrize("probability", [0.0, 1.0, -2.0])
def test_impossible_initial_probabilities_are_refused(probability: float):
    with pytest.raises(ValueError, match="between 0 and 1"):
        UNet(2, width=2, initial_probability=probability)


@pytest.mark.usefixtures("unchecked_types")
@pytest.mark.parametrize("arguments", [{"dimensions": 4}, {"padding": "full"}])
def test_impossible_networks_are_refused(arguments: dict):
    with pytest.raises(ValueError, match="dimensions must be 2 or 3"):
        UNet(**arguments)


def test_other_sizes_are_filled_up_with_zeros_at_the_far_end():
    torch.manual_seed(0)
    network = UNet(2, width=4).eval()
    image = torch.rand(1, 1, 13, 20)
    filled = torch.zeros(1, 1, 16, 24)
    filled[:, :, :13, :20] = image
    with torch.no_grad():
        assert torch.equal(network(image), network(filled)[:, :, :13, :20])


def test_valid_output_shapes():
    network = UNet(3, width=2, padding="valid")
    assert network.output_shape((132, 132, 132)) == (44, 44, 44)
    assert network.output_shape((140, 92, 228)) == (52, 4, 140)
    assert UNet(2, width=2).output_shape([7, 9]) == (7, 9)


@pytest.mark.parametrize("shape", [(131, 132, 132), (84, 132, 132), (136, 132, 132)])
def test_valid_sizes_that_do_not_fit_are_refused(shape: tuple[int, int, int]):
    network = UNet(3, width=2, padding="valid")
    with pytest.raises(ValueError, match="92, 100"):
        network.output_shape(shape)


@pytest.mark.parametrize("shape", [(132, 132), (0, 8, 8)])
def test_shapes_that_are_none_are_refused(shape: tuple[int, ...]):
    with pytest.raises(ValueError, match="3 sides"):
        UNet(3, width=2).output_shape(shape)


@pytest.mark.parametrize(
    ("whole", "tile", "step"), [((164, 148), (132, 132), (32, 16)), ((108, 100, 92), (100, 100, 92), (8, 8, 8))]
)
def test_valid_tiles_are_one_pass(whole: tuple[int, ...], tile: tuple[int, ...], step: tuple[int, ...]):
    torch.manual_seed(0)
    network = UNet(len(whole), width=2, padding="valid")
    image = torch.randn(1, 1, *whole)
    with torch.no_grad():
        network(image)  # statistics of the image, so that its features are of ordinary size
        network.eval()
        once = network(image)
        tiled = torch.full_like(once, torch.nan)
        corners = [range(0, big - small + 1, by) for big, small, by in zip(whole, tile, step, strict=True)]
        for corner in itertools.product(*corners):
            read = tuple(slice(start, start + side) for start, side in zip(corner, tile, strict=True))
            write = tuple(slice(start, start + side - 88) for start, side in zip(corner, tile, strict=True))
            tiled[(..., *write)] = network(image[(..., *read)])
    torch.testing.assert_close(tiled, once, atol=1e-4, rtol=0)
    assert once.std() > 0.1


def test_tiles_off_the_grid_of_eight_are_another_pass():
    """Why the step is not simply the output's side: the poolings of a tile at 44 fall between those at 0."""
    torch.manual_seed(0)
    network = UNet(2, width=2, padding="valid").eval()
    image = torch.randn(1, 1, 180, 180)
    with torch.no_grad():
        once, tile = network(image), network(image[:, :, 44 : 44 + 132, :132])
    assert (once[:, :, 44:88, :44] - tile).abs().max() > 1e-3
