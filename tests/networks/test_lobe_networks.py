"""Dense V-Net, PDV-Net and V-Net: what the papers say of them, and the plain formula where there is one."""

import sys
from importlib import import_module

import pytest
import torch
from torch import nn

from weakmask.networks import build_network
from weakmask.networks.dense_blocks import DenseBlock, HalvingStem, padded
from weakmask.networks.dense_v_net import DenseVNet
from weakmask.networks.pdv_net import PDVNet
from weakmask.networks.v_net import VNet


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_a_dense_layer_sees_all_that_was_there_before_it() -> None:
    block = DenseBlock(3, layers=4, growth=2).eval()
    image = noise(1, 3, 4, 4, 4)
    features = [image]
    for layer in block.layers:
        features.append(layer(torch.cat(features, dim=1)))
    assert block.out_channels == 11
    torch.testing.assert_close(block(image), torch.cat(features, dim=1))


def test_the_stem_holds_the_image_at_half_its_size_beside_the_kernels() -> None:
    image = noise(2, 1, 8, 4, 6)
    found = HalvingStem(1, 24)(image)
    assert found.shape == (2, 25, 4, 2, 3)
    blocks = image.reshape(2, 1, 4, 2, 2, 2, 3, 2).mean(dim=(3, 5, 7))
    torch.testing.assert_close(found[:, :1], blocks)


def test_padding_is_at_the_far_end() -> None:
    image = noise(1, 1, 5, 8, 9)
    filled = padded(image)
    assert filled.shape == (1, 1, 8, 8, 16)
    assert torch.equal(filled[..., :5, :8, :9], image)
    assert filled.sum() == pytest.approx(image.sum().item())


@pytest.mark.parametrize("network", [PDVNet, DenseVNet])
def test_the_papers_layers_are_the_defaults(network: type[PDVNet] | type[DenseVNet]) -> None:
    built = network()
    blocks = built.blocks if isinstance(built, PDVNet) else built.stacks
    growth = (4, 6, 8) if network is PDVNet else (4, 8, 16)
    assert [len(block.layers) for block in blocks] == [5, 10, 10]
    assert tuple(block.layers[0][0].out_channels for block in blocks) == growth
    assert all(layer[0].kernel_size == (3, 3, 3) for block in blocks for layer in block.layers)
    first = built.stem.convolution[0]
    assert (first.out_channels, first.kernel_size, first.stride) == (24, (5, 5, 5), (2, 2, 2))
    assert isinstance(built.stem.convolution[2], nn.PReLU)


def test_each_output_of_pdv_net_refines_the_one_before() -> None:
    torch.manual_seed(0)
    network = PDVNet(kernels=4, growth=(2, 2, 2), layers=(1, 1, 1)).eval()
    image = noise(2, 1, 16, 16, 18)
    with torch.no_grad():
        outputs = network(image, stages=True)
        assert outputs.shape == (3, 2, 6, 16, 16, 18)
        torch.testing.assert_close(outputs[-1], network(image))
        for head in network.heads[:2]:  # a level that has nothing to say passes on what it was given
            head.weight.zero_()
            head.bias.zero_()
        silent = network(image, stages=True)
    torch.testing.assert_close(silent[0], outputs[0])
    assert (silent[-1].argmax(dim=1) == silent[0].argmax(dim=1)).float().mean() > 0.9


def test_every_output_of_pdv_net_teaches_the_coarsest_block() -> None:
    torch.manual_seed(0)
    network = PDVNet(kernels=4, growth=(2, 2, 2), layers=(1, 1, 1), dropout=0.0)
    for stage in range(3):
        network.zero_grad()
        network(noise(2, 1, 16, 16, 16), stages=True)[stage].square().mean().backward()
        weight = network.blocks[2].layers[0][0].weight
        assert weight.grad is not None
        assert weight.grad.abs().sum() > 0


def test_v_net_is_monais_at_the_papers_width() -> None:
    theirs = import_module("monai.networks.nets.vnet").VNet(out_channels=6, dropout_prob_down=None).eval()
    ours = VNet().eval()
    ours.load_state_dict(theirs.state_dict())
    image = noise(1, 1, 16, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(ours(image), theirs(image))


def test_v_net_without_monai_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "monai.networks.nets", None)
    with pytest.raises(ImportError, match=r"pip install 'weakmask\[lobes\]'"):
        build_network("v_net", {})
