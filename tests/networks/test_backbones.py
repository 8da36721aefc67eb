"""Backbones: the published networks under their published names, at every stride."""

import pytest
import torch
from published_networks import (
    STRIDES,
    digest_of,
    known_encoder,
    published_shapes,
    waves,
    weights_in,
)
from torch import nn

from weakmask.networks import build_network
from weakmask.networks.backbones import BACKBONES, BackboneClassifier, build_encoder, highest_mean
from weakmask.networks.dropblock import DropBlock
from weakmask.networks.efficientnet_lite import EfficientNetLite0
from weakmask.networks.encoder import Encoder, dilated
from weakmask.networks.published_weights import load_published
from weakmask.networks.vgg import VGG16

CHANNELS = {
    "efficientnet_lite0": (16, 24, 40, 112, 320),
    "resnet50": (64, 256, 512, 1024, 2048),
    "se_resnext50_32x4d": (64, 256, 512, 1024, 2048),
    "vgg16_bn": (64, 128, 256, 512, 512),
}
FORMS = [
    *(("efficientnet_lite0", stride) for stride in (8, 16, 32)),
    ("resnet50", 16),
    ("se_resnext50_32x4d", 8),
    ("se_resnext50_32x4d", 32),
    *(("vgg16_bn", stride) for stride in (8, 16)),
]


@pytest.fixture(scope="module")
def lite0() -> EfficientNetLite0:
    torch.manual_seed(0)
    return EfficientNetLite0().eval()


@pytest.mark.parametrize(
    ("backbone", "weights", "digest"),
    [
        ("efficientnet_lite0", 4_652_008, "56e888a56e06aa25"),
        ("resnet50", 25_557_032, "a87e91cd6bd1f939"),
        ("se_resnext50_32x4d", 27_559_896, "d0a20505b6f703a8"),
        ("vgg16_bn", 138_365_992, "86bad13b66635552"),
    ],
)
def test_names_shapes_and_numbers_of_weights_are_the_published_ones(backbone: str, weights: int, digest: str) -> None:
    shapes = published_shapes(backbone)
    assert weights_in(shapes) == weights
    assert digest_of(shapes) == digest


@pytest.mark.parametrize(
    ("backbone", "stride", "side", "expected"),  # the mean of the first four channels of the peer's last map
    [
        ("resnet50", 32, (3, 4), [391.874654, 46.949331, 310.080876, 436.378407]),
        ("resnet50", 8, (9, 13), [388.257782, 69.549767, 321.544233, 351.17662]),
        ("se_resnext50_32x4d", 32, (2, 3), [0.0, 0.993905, 73.399328, 0.000686]),
        ("vgg16_bn", 16, (4, 6), [0.258837, 0.611879, 0.827939, 0.642184]),
    ],
)
def test_known_weights_give_the_peers_features(
    backbone: str, stride: int, side: tuple[int, int], expected: list[float]
) -> None:
    with torch.no_grad():
        maps = known_encoder(backbone, stride)(waves(65, 97))[-1]
    assert maps.shape[2:] == side
    torch.testing.assert_close(maps[0, :4].mean(dim=(1, 2)), torch.tensor(expected), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("backbone", "stride"), FORMS)
def test_each_level_has_its_stride_and_channels(backbone: str, stride: int) -> None:
    with torch.device("meta"):
        encoder = build_encoder(backbone, stride)
        levels = encoder(torch.empty(2, 3, 64, 96))
    finest = 1 if backbone == "vgg16_bn" else 2
    assert encoder.strides == tuple(min(finest * 2**level, stride) for level in range(5))
    assert encoder.channels == CHANNELS[backbone]
    for maps, channels, step in zip(levels, encoder.channels, encoder.strides, strict=True):
        assert maps.shape == (2, channels, 64 // step, 96 // step)


@pytest.mark.parametrize(
    ("backbone", "stride", "first"), [("efficientnet_lite0", 16, 1), ("efficientnet_lite0", 8, 3), ("resnet50", 8, 0)]
)
def test_a_dilated_network_holds_the_undilated_ones_map(backbone: str, stride: int, first: int) -> None:
    """At every second or fourth voxel: TensorFlow's padding of even sides begins with the last of them."""
    with torch.no_grad():
        whole, dense = (known_encoder(backbone, each)(waves())[-1] for each in (32, stride))
    step = 32 // stride
    found = dense[..., first::step, first::step]
    torch.testing.assert_close(found, whole, rtol=1e-4, atol=1e-4 * whole.abs().max().item())


def test_strides_become_dilations() -> None:
    assert dilated((4, 2, 2, 2), 32) == [(4, 1, 1), (2, 1, 1), (2, 1, 1), (2, 1, 1)]
    assert dilated((4, 2, 2, 2), 8) == [(4, 1, 1), (2, 1, 1), (1, 1, 2), (1, 2, 4)]
    with pytest.raises(ValueError, match="must be 8, 16 or 32, not 4"):
        dilated((2, 2), 4)


def test_grey_images_count_as_colour_images(lite0: Encoder) -> None:
    grey = waves()[:, :1]
    with torch.no_grad():
        torch.testing.assert_close(lite0(grey)[-1], lite0(grey.expand(-1, 3, -1, -1))[-1])
    with pytest.raises(ValueError, match=r"1 channel \(grey\) or 3 \(RGB\), not 2"):
        lite0(torch.rand(1, 2, 32, 32))


def test_images_are_standardised_as_the_weights_expect(lite0: Encoder) -> None:
    assert lite0.standardised(torch.full((1, 1, 1, 1), 127 / 255)).abs().max() < 1e-6
    assert lite0.standardised(torch.ones(1, 1, 1, 1)).flatten().tolist() == pytest.approx([1.0] * 3)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    assert known_encoder("vgg16_bn", 8).standardised(mean).abs().max() < 1e-6


def batch_norms(modules: list[nn.Module]) -> list[nn.BatchNorm2d]:
    return [norm for module in modules for norm in module.modules() if isinstance(norm, nn.BatchNorm2d)]


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_frozen_part_stays_frozen_in_training(backbone: str) -> None:
    with torch.device("meta"):
        encoder = build_encoder(backbone, STRIDES[backbone])
    encoder.freeze(8, batch_norm=False)
    encoder.eval().train()
    for stride, modules in zip(encoder.strides, encoder.levels(), strict=True):
        assert all(norm.training == (stride > 8) for norm in batch_norms(modules))
        assert all(weight.requires_grad == (stride > 8) for module in modules for weight in module.parameters())
    encoder.freeze(batch_norm=True)
    encoder.train()
    assert encoder.training
    assert not any(norm.training for norm in batch_norms([encoder]))
    assert all(weight.requires_grad for weight in encoder.parameters())


def test_frozen_statistics_do_not_move() -> None:
    torch.manual_seed(0)
    network = BackboneClassifier()
    network.encoder.freeze(8)
    network.train()
    before = {name: tensor.clone() for name, tensor in network.encoder.state_dict().items()}
    network(waves()).sum().backward()
    after = network.encoder.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)
    learning = {name for name, weight in network.encoder.named_parameters() if weight.grad is not None}
    assert "_blocks.4._bn2.weight" not in learning
    assert "_blocks.5._bn2.weight" in learning


@pytest.mark.parametrize(
    ("backbone", "levels"), [("efficientnet_lite0", None), ("efficientnet_lite0", 3), ("vgg16_bn", None)]
)
def test_every_weight_of_a_classifier_learns(backbone: str, levels: int | None) -> None:
    torch.manual_seed(0)
    network = BackboneClassifier(backbone, out_channels=2, stride=16, levels=levels)
    network(torch.rand(2, 3, 32, 64))[:, 0].sum().backward()
    silent = [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert not silent


@pytest.mark.parametrize("backbone", sorted(BACKBONES))
def test_fewer_levels_are_the_first_ones_with_the_published_weights(backbone: str) -> None:
    torch.manual_seed(0)
    whole = build_encoder(backbone, 16).eval()
    cut = build_encoder(backbone, 16).eval()
    cut.keep_levels(3)
    load_published(cut, whole.state_dict())
    assert sum(weight.numel() for weight in cut.parameters()) < sum(weight.numel() for weight in whole.parameters())
    assert (cut.channels, cut.strides) == (whole.channels[:3], whole.strides[:3])
    with torch.no_grad():
        found, expected = cut(waves()), whole(waves())[:3]
    assert len(found) == 3
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    cut.freeze(cut.strides[1])
    assert {weight.requires_grad for module in cut.levels()[2] for weight in module.parameters()} == {True}
    with pytest.raises(ValueError, match="has 1 to 3 levels to keep, not 4"):
        cut.keep_levels(4)


def test_a_classifier_of_fewer_levels_sees_less() -> None:
    """A voxel of its maps depends on 67 pixels along an axis; one of the whole backbone's on more than 100."""
    torch.manual_seed(0)
    seen = []
    for levels in (3, None):
        network = BackboneClassifier(levels=levels).eval()
        image = torch.rand(1, 3, 256, 256, requires_grad=True)
        maps = network.features(image)
        assert network.stride == 256 // maps.shape[2] == (8 if levels else 16)
        maps[0, :, maps.shape[2] // 2, maps.shape[3] // 2].sum().backward()
        assert image.grad is not None
        rows = image.grad.abs().sum((0, 1, 3)).nonzero().flatten()
        seen.append(int(rows.max() - rows.min()))
    assert seen[0] == 66
    assert seen[1] > 100


def test_a_logit_is_the_mean_of_the_highest_part_of_its_map() -> None:
    maps = torch.tensor([[[[1.0, 4.0], [3.0, 2.0]], [[0.0, 0.0], [8.0, 0.0]]]])
    assert highest_mean(maps, 0.5).tolist() == [[3.5, 4.0]]
    assert highest_mean(maps, 0.01).tolist() == [[4.0, 8.0]]
    assert torch.equal(highest_mean(maps, 1.0), maps.mean((2, 3)))
    torch.manual_seed(0)
    network = BackboneClassifier(out_channels=2, levels=3, pooled=0.1).eval()
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        cam = torch.einsum("kc,bcyx->bkyx", network.linear.weight, network.features(image))
        highest = cam.flatten(2).sort(dim=2, descending=True).values[..., :10]  # of 96
        torch.testing.assert_close(network(image), highest.mean(2) + network.linear.bias)
    with pytest.raises(ValueError, match=r"pooled must be in \(0, 1\], not 0"):
        BackboneClassifier(pooled=0)


def test_logits_are_the_mean_of_the_class_activation_map() -> None:
    torch.manual_seed(0)
    network = BackboneClassifier(out_channels=3).eval()
    assert isinstance(build_network("backbone_classifier", {"out_channels": 3}), BackboneClassifier)
    with torch.no_grad():
        maps = network.features(waves())
        assert maps.shape == (1, 1280, 4, 6)
        cam = torch.einsum("kc,bcyx->bkyx", network.linear.weight, maps)
        torch.testing.assert_close(network(waves()), cam.mean(dim=(2, 3)) + network.linear.bias)


def test_wsmis_adds_three_convolutions_to_vgg() -> None:
    torch.manual_seed(0)
    encoder = VGG16(8)
    assert encoder.last(torch.rand(1, 512, 2, 2)).shape == (1, 512, 2, 2)
    encoder.add_last_layers()
    added = [layer for layer in encoder.modules() if isinstance(layer, nn.Conv2d)][-3:]
    assert [(tuple(layer.weight.shape), layer.dilation) for layer in added] == [((512, 512, 3, 3), (1, 1))] * 3
    for layer in added:
        assert layer.weight.std().item() == pytest.approx((2 / (9 * 512)) ** 0.5, rel=0.01)
    maps = torch.rand(1, 512, 4, 4)
    assert torch.equal(encoder.last(maps), encoder.added(maps))
    assert (encoder.last(maps) == 0).any()  # the last one, too, ends with ReLU


def test_dropblock_follows_the_two_coarsest_levels() -> None:
    torch.manual_seed(0)
    network = BackboneClassifier(stride=16, dropblock=0.3, dropblock_ramp=0.0)
    drops = [module for module in network.modules() if isinstance(module, DropBlock)]
    assert [(drop.probability, drop.block, drop.ramp) for drop in drops] == [(0.3, 7, 0.0)]
    network.encoder.freeze()
    network.train()
    with torch.no_grad():
        levels = network.encoder(torch.rand(1, 3, 256, 256))
    empty = [(maps == 0).all(dim=1).any().item() for maps in levels]
    assert empty == [False, False, False, True, True]


def test_unknown_backbones_and_strides_are_refused() -> None:
    with pytest.raises(ValueError, match="backbone 'resnet18' is unknown, expected one of efficientnet_lite0"):
        build_encoder("resnet18", 32)
    with pytest.raises(ValueError, match="VGG16 must be 8 or 16, not 32"):
        build_encoder("vgg16_bn", 32)
    with pytest.raises(ValueError, match="must be 8, 16 or 32, not 4"):
        build_encoder("resnet50", 4)
