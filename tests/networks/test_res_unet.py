"""Res-UNet-R and -H: the number of weights of the authors' classes, and their layers against plain formulas."""

import pytest
import torch
from torch.nn import functional as F

from weakmask.networks.anisotropic_blocks import (
    AnisotropicBlock,
    PartialConvolution3d,
    double_in_plane,
    halve_in_plane,
    window_share,
)
from weakmask.networks.res_unet import ResUNetH, ResUNetR


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def weights(network: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def test_the_networks_have_as_many_weights_as_the_authors_code():
    assert weights(ResUNetR()) == 1_547_758  # those that gradients reach; the authors' class holds unused ones, too
    assert weights(ResUNetH()) == 1_852_610


def test_the_papers_h_has_a_second_decoder():
    one, two = ResUNetR(), ResUNetR(decoders=2)
    head = 25 * 28 + 1  # of the two channels, one goes to the other decoder
    assert weights(two) - weights(one) == weights(one.decoders[0]) - 2 * head


def test_r_starts_orthogonal():
    kernel = ResUNetR().top.second[0].weight.flatten(1)
    torch.testing.assert_close(kernel @ kernel.T, torch.eye(28), atol=1e-4, rtol=0)


def test_a_block_is_a_flat_convolution_and_a_residual_pair():
    block, maps = AnisotropicBlock(2, 3), noise(1, 2, 4, 6, 6)
    first, second, third = (layer[0] for layer in (block.first, block.second, block.third))
    assert [tuple(layer.kernel_size) for layer in (first, second, third)] == [(1, 3, 3), (3, 3, 3), (3, 3, 3)]
    start = F.elu(first(maps))
    torch.testing.assert_close(block(maps), F.elu(start + third(F.elu(second(start)))))


def test_an_isotropic_block_starts_with_a_cube():
    assert AnisotropicBlock(2, 3, isotropic=True).first[0].kernel_size == (3, 3, 3)


def test_replicate_padding_copies_the_outermost_voxel():
    block = AnisotropicBlock(1, 2)
    even = block(torch.ones(1, 1, 3, 5, 5))
    torch.testing.assert_close(even, even[..., 1:2, 2:3, 2:3].expand_as(even))


def test_a_partial_convolution_of_a_constant_is_constant():
    layer = PartialConvolution3d(2, 3)
    found = layer(torch.ones(1, 2, 4, 5, 6))
    assert layer.bias is not None
    expected = layer.weight.sum(dim=(1, 2, 3, 4)) + layer.bias
    middle = found[..., 1:-1, 1:-1, 1:-1]
    torch.testing.assert_close(middle, expected.reshape(1, 3, 1, 1, 1).expand_as(middle))
    uniform = PartialConvolution3d(1, 1)
    torch.nn.init.ones_(uniform.weight)
    flat = uniform(torch.ones(1, 1, 4, 5, 6))
    torch.testing.assert_close(flat, flat[..., 2:3, 2:3, 2:3].expand_as(flat))


def test_the_share_of_a_window_inside_a_line():
    assert window_share(4, 3).tolist() == pytest.approx([2 / 3, 1, 1, 2 / 3])
    assert window_share(1, 3).tolist() == pytest.approx([1 / 3])


def test_sections_are_doubled_and_halved_one_by_one():
    maps = noise(2, 3, 4, 6, 8)
    twice = F.interpolate(maps, scale_factor=(1.0, 2.0, 2.0), mode="trilinear", align_corners=False)
    torch.testing.assert_close(double_in_plane(maps), twice)
    torch.testing.assert_close(halve_in_plane(maps), F.max_pool3d(maps, (1, 2, 2)))


@pytest.mark.parametrize("network", [ResUNetR((2, 3, 4)), ResUNetH((2, 3, 4))])
def test_along_z_nothing_is_pooled(network: ResUNetR | ResUNetH):
    reach = network.reach()
    assert reach.multiple == 4
    assert reach.along(0).multiple == 1
    assert reach.along(0).margin == 10 + (2 if isinstance(network, ResUNetH) else 0)
    assert reach.along(1) == reach.along(2) == reach


def test_a_single_level_is_no_unet():
    with pytest.raises(ValueError, match="two levels or more"):
        ResUNetH((8,))
    with pytest.raises(ValueError, match="decoders must be 1 or 2"):
        ResUNetR((8, 8), decoders=3)
