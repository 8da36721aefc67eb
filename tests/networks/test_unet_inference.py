"""The inference form says what the U-Net says, for less."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from weakmask.networks import UNet
from weakmask.networks.unet_inference import LeanUNet


def trained(dimensions: int, width: int = 3) -> UNet:
    """Batch norms with statistics, factors and shifts that are not those of the start."""
    torch.manual_seed(0)
    network = UNet(dimensions, out_channels=2, width=width, padding="valid")
    network(torch.randn(2, 1, *[92] * dimensions))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d | torch.nn.BatchNorm3d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.2)
    return network


@pytest.mark.parametrize("slab_bytes", [1, 500_000, 2**30])
@pytest.mark.parametrize("shape", [(132, 148), (92, 180), (100, 92, 108)])
def test_gives_the_same_logits(shape: tuple[int, ...], slab_bytes: int):
    network = trained(len(shape))
    image = torch.randn(2 if len(shape) == 2 else 1, 1, *shape)
    lean = LeanUNet(network, slab_bytes=slab_bytes)
    with torch.no_grad():
        plain = network.eval()(image)
    torch.testing.assert_close(lean(image), plain, atol=1e-4, rtol=0)
    assert plain.std() > 0.1


def test_bfloat16_is_close():
    network = trained(2, width=8)
    image = torch.randn(1, 1, 180, 180)
    with torch.no_grad():
        plain = network.eval()(image)
    low = LeanUNet(network, torch.bfloat16)(image)
    assert low.dtype == torch.bfloat16
    assert (low.float() - plain).abs().mean() < 0.05 * plain.std()


def test_the_network_stays_as_it_is():
    network = trained(2)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    lean = LeanUNet(network)
    for weight in lean.parameters():
        weight.data.zero_()
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_does_less_work():
    """Counted, not timed: a third fewer multiplications on a large tile."""
    network = UNet(3, width=4, padding="valid").eval().to("meta")
    lean = LeanUNet(network)
    work = []
    for form in (network, lean):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            form(torch.empty(1, 1, 252, 252, 252, device="meta"))
        work.append(counter.get_total_flops())
    assert work[1] < 0.85 * work[0]


def test_sizes_that_do_not_fit_are_refused():
    lean = LeanUNet(trained(2))
    assert lean.output_shape((132, 92)) == (44, 4)
    with pytest.raises(ValueError, match="92, 100"):
        lean(torch.zeros(1, 1, 130, 92))


def test_padded_networks_are_refused():
    with pytest.raises(ValueError, match="valid"):
        LeanUNet(UNet(2, width=2))
