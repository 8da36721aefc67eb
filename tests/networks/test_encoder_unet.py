"""The U-Net on a backbone: shapes, the order of the skips, gradients and reach."""

import pytest
import torch
from torch import nn

from weakmask.networks import build_network
from weakmask.networks.encoder_unet import EncoderUNet
from weakmask.networks.reach import Reach


def built(**arguments: object) -> EncoderUNet:
    torch.manual_seed(0)
    network = build_network("encoder_unet", arguments)
    assert isinstance(network, EncoderUNet)
    return network.eval()


@pytest.mark.parametrize(
    ("backbone", "stride", "widths", "size"),
    [
        ("efficientnet_lite0", 32, (32, 24, 16, 16, 8), (37, 65)),
        ("efficientnet_lite0", 16, (64, 32, 16), (64, 33)),
        ("efficientnet_lite0", 8, (16,), (1, 40)),
        ("vgg16_bn", 16, (16, 16, 8, 8), (17, 33)),
    ],
)
def test_logits_have_the_images_size(
    backbone: str, stride: int, widths: tuple[int, ...], size: tuple[int, int]
) -> None:
    network = built(backbone=backbone, out_channels=3, stride=stride, widths=widths)
    with torch.no_grad():
        assert network(torch.rand(2, 1, *size)).shape == (2, 3, *size)
    assert network.dimensions == 2


def test_the_papers_decoder() -> None:
    network = built()
    convolutions = [layer for layer in network.decoder.modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions[1::2]] == [256, 128, 64, 32, 16]
    assert [layer.in_channels for layer in convolutions[::2]] == [320 + 112, 256 + 40, 128 + 24, 64 + 16, 32]
    assert all(layer.kernel_size == (3, 3) for layer in [*convolutions, network.head])


def test_one_voxel_of_the_finest_map_reaches_only_its_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A skip enters where it lies: five voxels around it at its stride, and the head's one."""
    network = built(backbone="vgg16_bn", stride=8, widths=(8, 8, 8, 8))
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        levels = network.encoder(image)
        before = network(image)
        levels[0][0, :, 16, 8] += 10.0
        monkeypatch.setattr(network.encoder, "forward", lambda image: levels)
        moved = (network(image) - before)[0, 0].abs() > 1e-6
    rows, columns = (torch.where(moved.any(dim=axis))[0] for axis in (1, 0))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (13, 19, 5, 11)


def test_an_image_whose_sides_fit_is_not_padded() -> None:
    network = built(stride=16, widths=(16, 16, 8))
    image = torch.rand(1, 1, 48, 48)
    with torch.no_grad():
        whole = network(torch.nn.functional.pad(image[..., :40, :], [0, 0, 0, 8]))
        torch.testing.assert_close(network(image[..., :40, :]), whole[..., :40, :])


def test_gradients_reach_every_weight_that_is_not_frozen() -> None:
    network = built(stride=16, widths=(16, 16, 8))
    network.encoder.freeze(8)
    network.train()
    network(torch.rand(2, 3, 32, 48)).square().sum().backward()
    moving = {name for name, weight in network.named_parameters() if weight.grad is not None and weight.grad.any()}
    frozen = {name for name, weight in network.named_parameters() if not weight.requires_grad}
    assert moving | frozen == {name for name, _ in network.named_parameters()}
    assert not moving & frozen
    assert any(name.startswith("encoder._blocks.4") for name in frozen)
    assert not any(name.startswith("encoder._blocks.5") for name in frozen)


def mean_in_place_of_maximum(layer: nn.MaxPool2d, maps: tuple[torch.Tensor], _: torch.Tensor) -> torch.Tensor:
    """A hook; the maximum has the gradient of one voxel only."""
    return nn.functional.avg_pool2d(maps[0], layer.kernel_size, layer.stride, layer.padding)


@pytest.mark.parametrize(
    ("backbone", "stride", "widths"),
    [("efficientnet_lite0", 32, (8, 8, 8)), ("efficientnet_lite0", 16, (8, 8, 8, 8, 8)), ("vgg16_bn", 8, (8,) * 4)],
)
def test_a_block_reads_the_margin_and_no_more(backbone: str, stride: int, widths: tuple[int, ...]) -> None:
    """With positive weights and no saturation, every voxel that is read has a gradient."""
    network = built(backbone=backbone, stride=stride, widths=widths)
    reach = network.reach()
    assert reach.margin is not None
    assert reach == Reach(stride, reach.margin)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.constant_(layer.weight, 0.5 / layer.weight[0].numel())
        elif isinstance(layer, nn.MaxPool2d):
            layer.register_forward_hook(mean_in_place_of_maximum)
    before = -(-reach.margin // stride) * stride
    image = torch.full((1, 1, stride, 2 * before + 3 * stride), 0.9, dtype=torch.float64, requires_grad=True)
    start = before + stride
    network.double()(image)[..., start : start + stride].sum().backward()
    assert image.grad is not None
    read = torch.where(image.grad[0, 0].any(dim=0))[0]
    beyond = max(start - read.min().item(), read.max().item() - (start + stride - 1))
    assert beyond == reach.margin


def test_a_tile_with_its_margin_gives_the_whole_images_logits() -> None:
    network = built(backbone="efficientnet_lite0", stride=16, widths=(16, 8))
    margin = network.reach().margin
    assert margin is not None
    before = -(-margin // 16) * 16
    image = torch.rand(1, 1, 16, 2 * before + 96)
    with torch.no_grad():
        whole = network(image)[..., before + 32 : before + 48]
        tile = network(image[..., 32 : 32 + 2 * before + 16])[..., before : before + 16]
    torch.testing.assert_close(tile, whole, rtol=1e-4, atol=1e-5)


def test_squeeze_and_excitation_sees_the_whole_image() -> None:
    with torch.device("meta"):
        network = EncoderUNet("se_resnext50_32x4d")
    assert network.reach() == Reach(32, None)


def test_a_decoder_without_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one step of its decoder"):
        EncoderUNet(widths=())
