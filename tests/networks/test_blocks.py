"""The pieces of U-Nets."""

import pytest
import torch
from torch import nn

from weakmask.networks.blocks import Convolution3d, convolution_pair, crop_to, double_linear, double_nearest


def test_doubling_linearly_keeps_a_ramp_at_its_place():
    ramp = torch.arange(6.0).reshape(1, 1, 6, 1, 1).expand(1, 1, 6, 3, 2)
    doubled = double_linear(ramp)
    assert doubled.shape == (1, 1, 12, 6, 4)
    # voxel centres: fine voxel i stands at (i - 0.5) / 2 coarse voxels; the outermost have no neighbour beyond
    torch.testing.assert_close(doubled[0, 0, 1:-1, 0, 0], (torch.arange(1.0, 11.0) - 0.5) / 2)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_doubling_by_repeating(dimensions: int):
    maps = torch.rand(2, 3, *(4, 5, 6)[:dimensions])
    doubled = double_nearest(maps)
    plain = maps
    for axis in range(2, maps.ndim):
        plain = plain.repeat_interleave(2, dim=axis)
    assert torch.equal(doubled, plain)


def test_the_middle_is_cut_out():
    maps = torch.arange(36.0).reshape(1, 1, 6, 6)
    assert torch.equal(crop_to(maps, (2, 4)), maps[:, :, 2:4, 1:5])


@pytest.mark.parametrize("shape", [(3, 6), (8, 6)])
def test_a_middle_that_is_none_is_refused(shape: tuple[int, int]):
    with pytest.raises(ValueError, match="no middle"):
        crop_to(torch.zeros(1, 1, 6, 6), shape)


@pytest.mark.parametrize(("padding", "side"), [(1, 8), (0, 4)])
def test_a_pair_takes_two_voxels_off_each_side_or_none(padding: int, side: int):
    assert convolution_pair(3, 1, (2, 4), padding)(torch.rand(2, 1, 8, 8, 8)).shape == (2, 4, side, side, side)


@pytest.mark.parametrize("shape", [(2, 2, 2), (2, 5, 3), (3, 2, 2)])
def test_bfloat16_weight_gradients_are_right_two_slices_deep(shape: tuple[int, int, int]):
    """oneDNN reads unwritten memory there; dirty memory beforehand makes that show."""
    torch.manual_seed(0)
    ours = Convolution3d(16, 32, 3, padding=1, bias=False)
    plain = nn.Conv3d(16, 32, 3, padding=1, bias=False)
    plain.load_state_dict(ours.state_dict())
    x, slope = torch.randn(2, 16, *shape), torch.randn(2, 32, *shape)
    (plain(x) * slope).sum().backward()
    dirt = [torch.full((size,), 1e4) for size in (500, 30_000, 200_000)]
    del dirt
    with torch.autocast("cpu", torch.bfloat16):
        y = ours(x)
    (y.float() * slope).sum().backward()
    assert ours.weight.grad is not None
    assert plain.weight.grad is not None
    assert (ours.weight.grad - plain.weight.grad).norm() < 0.02 * plain.weight.grad.norm()
