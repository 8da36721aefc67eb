"""DeCoVNet, AD3D-MIL and the instance network: weights counted, maps as they are defined, the view of a patch."""

import pytest
import torch
from torch import nn

from weakmask.networks.ad3d_mil import AD3DMIL
from weakmask.networks.decovnet import DeCoVNet
from weakmask.networks.instance_network import InstanceNetwork, patch_means, patch_shares


def weights(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def image(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_the_weights_are_as_many_as_in_the_released_code() -> None:
    assert weights(DeCoVNet()) == 346_978
    assert weights(AD3DMIL()) == 315_378


@pytest.mark.parametrize(
    ("dimensions", "shape", "coarse"), [(2, (1, 2, 50, 64), (7, 8)), (3, (1, 2, 9, 24, 33), (5, 3, 5))]
)
def test_a_trunk_has_an_eighth_of_the_resolution_and_half_of_the_slices(
    dimensions: int, shape: tuple[int, ...], coarse: tuple[int, ...]
) -> None:
    network = DeCoVNet(dimensions, shrink=4).eval()
    assert network.features(image(*shape)).shape == (1, 128, *coarse)
    assert network.localisation(image(*shape)).shape == (1, 1, *coarse)


def test_the_map_of_decovnet_is_its_linear_layers_times_the_kernels_means() -> None:
    torch.manual_seed(0)
    network = DeCoVNet(2, shrink=4).eval()
    kernels = [layer for layer in network.head if isinstance(layer, nn.Conv2d)]
    with torch.no_grad():
        for layer in kernels:
            layer.weight.copy_(layer.weight.mean((2, 3), keepdim=True).expand_as(layer.weight))
        maps = network.features(image(2, 2, 40, 40))
        # behind linear layers alone, a constant map passes through the kernels as through their sums
        found = maps
        for layer in kernels:
            found = torch.einsum("bi...,oi->bo...", found, layer.weight.mean((2, 3)))
        logits = torch.einsum("bi...,ci->bc...", found, network.linear.weight @ network.inner.weight)
        torch.testing.assert_close(network.localisation(image(2, 2, 40, 40))[:, 0], logits[:, 1].relu())


@pytest.mark.parametrize("pooling", ["attention", "gated"])
def test_attention_sums_to_one_and_ignores_the_order_of_instances(pooling: str) -> None:
    torch.manual_seed(0)
    network = AD3DMIL(2, pooling=pooling, shrink=2).eval()
    bag = image(3, 16, 32)
    attention = network.attention(bag)
    torch.testing.assert_close(attention.sum(1), torch.ones(3, 1))
    order = torch.randperm(16, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(network.attention(bag[:, order]), attention[:, order])


def test_mean_pooling_is_the_mean_of_the_instances_probabilities_and_max_their_maximum() -> None:
    for pooling, pooled in (("mean", lambda p: p.mean(1)), ("max", lambda p: p.amax(1))):
        torch.manual_seed(0)
        network = AD3DMIL(2, pooling=pooling, shrink=2).eval()
        picture = image(2, 1, 48, 40)
        each = network.localisation(picture).flatten(1)
        torch.testing.assert_close(torch.sigmoid(network(picture))[:, 0], pooled(each), atol=1e-6, rtol=1e-5)
        with pytest.raises(ValueError, match="has no attention"):
            network.attention(image(1, 4, 32))


def test_the_attention_map_has_the_mean_one() -> None:
    torch.manual_seed(0)
    network = AD3DMIL(3, shrink=4).eval()
    found = network.localisation(image(2, 1, 8, 24, 24), "attention")
    torch.testing.assert_close(found.flatten(1).mean(1), torch.ones(2))


def test_unknown_poolings_and_dimensions_are_refused() -> None:
    with pytest.raises(ValueError, match="pooling must be"):
        AD3DMIL(2, pooling="sum")
    with pytest.raises(ValueError, match="dimensions must be 2 or 3"):
        DeCoVNet(4)
    with pytest.raises(ValueError, match="dimensions must be 2 or 3"):
        InstanceNetwork(1)


def test_a_patch_sees_thirteen_pixels() -> None:
    torch.manual_seed(0)
    network = InstanceNetwork(2).double().eval()
    picture = image(1, 1, 45, 45).double().requires_grad_()
    network(picture, torch.ones(1, 1, 45, 45, dtype=torch.float64))[0, 0, 4, 4].backward()
    assert picture.grad is not None
    rows = picture.grad[0, 0].any(1).nonzero().flatten()
    assert (int(rows.min()), int(rows.max())) == (16, 28)


def test_pixels_outside_the_region_do_not_enter_the_mean_of_a_patch() -> None:
    maps = torch.arange(30.0).reshape(1, 1, 5, 6)
    region = torch.zeros(1, 1, 5, 6)
    region[..., 0, :2] = 1.0
    found = patch_means(maps, region, 5)
    torch.testing.assert_close(found, torch.tensor([[[[0.5, 0.0]]]]))
    torch.testing.assert_close(patch_shares(region, 5), torch.tensor([[[[2 / 25, 0.0]]]]))
