"""DeepLabv3 and DeepLabv3+: shapes, the pyramid's branches, a batch of one, gradients."""

import pytest
import torch
from torch import nn

from weakmask.networks import build_network
from weakmask.networks.deeplab import DeepLabV3, DeepLabV3Plus, ImageMean, SpatialPyramid
from weakmask.networks.reach import Reach

Network = DeepLabV3 | DeepLabV3Plus


@pytest.fixture(scope="module", params=["deeplab_v3", "deeplab_v3_plus"])
def network(request: pytest.FixtureRequest) -> Network:
    torch.manual_seed(0)
    built = build_network(request.param, {"out_channels": 2})
    assert isinstance(built, Network)
    return built


def test_logits_have_the_images_size(network: Network) -> None:
    with torch.no_grad():
        for size in ((32, 48), (17, 41)):
            assert network.eval()(torch.rand(1, 1, *size)).shape == (1, 2, *size)


def test_the_whole_image_is_read(network: Network) -> None:
    assert network.reach() == Reach(8 if isinstance(network, DeepLabV3) else 16, None)
    torch.manual_seed(0)
    image = torch.rand(1, 1, 16, 480)
    with torch.no_grad():
        before = network.eval()(image)
        image[..., :16] = 0.0
        moved = (network(image) - before).abs()[..., -8:]
    assert moved.max() > 1e-6


def test_every_weight_learns(network: Network) -> None:
    torch.manual_seed(0)
    network.train()
    network(torch.rand(2, 3, 64, 64)).square().sum().backward()
    silent = {name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()}
    assert not silent
    network.zero_grad()


def test_a_batch_of_one_image_trains(network: Network) -> None:
    norm = next(module for module in network.modules() if isinstance(module, ImageMean)).batch_norm
    before = norm.state_dict()["running_mean"].clone()
    assert torch.isfinite(network.train()(torch.rand(1, 3, 32, 32))).all()
    assert torch.equal(norm.state_dict()["running_mean"], before)


@pytest.mark.parametrize(("separable", "groups"), [(False, 1), (True, 64)])
def test_the_pyramid_has_five_branches(separable: bool, groups: int) -> None:
    pyramid = SpatialPyramid(64, (6, 12, 18), separable=separable)
    wide = [layer for layer in pyramid.modules() if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3)]
    assert [layer.dilation for layer in wide] == [(6, 6), (12, 12), (18, 18)]
    assert all(layer.groups == groups for layer in wide)
    assert len(pyramid.branches) == 5
    assert isinstance(pyramid.join[-1], nn.Dropout)
    with torch.no_grad():
        assert pyramid.eval()(torch.rand(1, 64, 3, 5)).shape == (1, 256, 3, 5)


def test_the_papers_rates_and_channels(network: Network) -> None:
    dilations = [
        layer.dilation[0]
        for layer in network.pyramid.modules()
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3)
    ]
    assert dilations == ([12, 24, 36] if isinstance(network, DeepLabV3) else [6, 12, 18])
    if isinstance(network, DeepLabV3Plus):
        assert network.encoder.strides[network.fine_level] == 4
        assert network.fine[0].out_channels == 48
