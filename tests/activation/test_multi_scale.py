"""The averaged map against its plain definition."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weakmask.activation.dram import dense_regression_map
from weakmask.activation.multi_scale import average_over_scales


def brightness(image: Tensor, region: Tensor) -> Tensor:
    return image * region


@pytest.mark.parametrize("dimensions", [2, 3])
def test_scale_one_is_the_map_itself(dimensions: int) -> None:
    image = torch.rand(2, 1, *[8] * dimensions)
    region = (torch.rand_like(image) > 0.3).float()
    assert torch.equal(average_over_scales(brightness, image, region, [1.0]), image * region)


def test_several_scales_are_the_mean_of_maps_resized_back() -> None:
    image, region = torch.rand(1, 1, 8, 8, 8), torch.ones(1, 1, 8, 8, 8)
    half = F.interpolate(F.interpolate(image, size=(4, 4, 4), mode="trilinear"), size=(8, 8, 8), mode="trilinear")
    expected = (image + half) / 2
    assert torch.allclose(average_over_scales(brightness, image, region, [1.0, 0.5]), expected, atol=1e-6)


@pytest.mark.parametrize("scales", [(1.5, 2.0, 0.8), (0.8, 1.0, 1.2, 1.5)])
@pytest.mark.parametrize("shape", [(30, 22), (20, 24, 18)])
def test_a_constant_map_stays_constant_up_to_the_regions_rim(shape: tuple[int, ...], scales: tuple[float, ...]) -> None:
    region = torch.zeros(1, 1, *shape)
    region[(..., *[slice(3, side - 5) for side in shape])] = 1
    found = average_over_scales(lambda image, inside: 0.8 * inside, torch.ones_like(region), region, scales)
    torch.testing.assert_close(found, 0.8 * region)


def test_a_part_thinner_than_a_voxel_takes_the_scales_that_see_it() -> None:
    region = torch.zeros(1, 1, 32, 32)
    region[..., 8:24, 8:24], region[..., 16, 24:30] = 1, 1  # a box and a line, which half the size may lose
    found = average_over_scales(lambda image, inside: 0.8 * inside, torch.ones_like(region), region, (1.0, 0.3))
    torch.testing.assert_close(found, 0.8 * region)


def test_a_region_is_not_shifted_by_resizing() -> None:
    """Both sides of a box lie alike: seen from the other side, the map is the mirrored map."""
    image = torch.rand(1, 1, 15, 20, 10)  # sides at which no voxel's centre falls between two
    region = torch.zeros_like(image)
    region[..., 4:11, 5:14, 3:8] = 1
    mirrored = average_over_scales(brightness, image.flip(2, 3, 4), region.flip(2, 3, 4), (2.0, 0.8)).flip(2, 3, 4)
    torch.testing.assert_close(mirrored, average_over_scales(brightness, image, region, (2.0, 0.8)))


def test_nothing_leaks_out_of_the_region_and_the_range_holds() -> None:
    image = torch.rand(1, 1, 10, 12, 14)
    region = torch.zeros_like(image)
    region[..., 3:7, 3:7, 3:7] = 1
    found = average_over_scales(lambda x, r: torch.ones_like(x) * r, image, region, [0.8, 1.0, 1.5])
    assert float(found[region == 0].abs().max()) == 0
    assert 0 < float(found.max()) <= 1 + 1e-6


def test_no_scales_is_a_fault_of_the_program() -> None:
    with pytest.raises(ValueError, match="no scales"):
        average_over_scales(brightness, torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4), [])


def test_the_map_is_the_sigmoid_inside_the_region_with_a_gradient() -> None:
    network = nn.Conv3d(1, 1, 1)
    image, region = torch.randn(2, 1, 4, 4, 4), torch.zeros(2, 1, 4, 4, 4)
    region[:, :, :2] = 1
    found = dense_regression_map(network, image, region)
    assert torch.allclose(found, torch.sigmoid(network(image)) * region)
    found.mean().backward()
    assert network.weight.grad is not None
    assert float(network.weight.grad.abs().sum()) > 0
