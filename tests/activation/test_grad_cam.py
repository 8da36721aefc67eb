"""Grad-CAM and Grad-CAM++ against their formulas written out, their identities, and what they leave behind."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weakmask.activation.cam import class_activation_map
from weakmask.activation.grad_cam import WEIGHTS, gradient_maps
from weakmask.activation.map_ranges import by_maximum, by_range
from weakmask.activation.multi_scale import average_over_scales, with_mirror
from weakmask.networks.classifiers import EncoderClassifier
from weakmask.networks.unet import UNet


class Small(nn.Module):
    """Two convolutions, an in-place ReLU behind the second, a mean, and one or two linear layers."""

    def __init__(self, dimensions: int, *, deep: bool = False) -> None:
        super().__init__()
        convolution = nn.Conv2d if dimensions == 2 else nn.Conv3d
        self.first = convolution(2, 4, 3, padding=1)
        self.second = convolution(4, 5, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3)) if deep else nn.Linear(5, 3)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.relu(self.second(self.first(image).relu())).flatten(2).mean(2))


class LastPlaces(nn.Module):
    """A head whose gradient differs from place to place: it reads a weight per place."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(2, 5, 3, padding=1)
        self.place = nn.Parameter(torch.rand(1, 1, 6, 7))
        self.head = nn.Linear(5, 3)

    def forward(self, image: Tensor) -> Tensor:
        return self.head((self.features(image).relu() * self.place).flatten(2).mean(2).tanh())


def image_for(dimensions: int, batch: int = 2) -> Tensor:
    return torch.rand(batch, 2, *(6, 7) if dimensions == 2 else (4, 6, 7))


def features_and_gradients(network: nn.Module, layer: nn.Module, image: Tensor, index: int) -> tuple[Tensor, Tensor]:
    """By a full backward pass through the whole network."""
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        kept.append(output)

    hook = layer.register_forward_hook(keep)
    logits = network(image)
    hook.remove()
    (gradients,) = torch.autograd.grad(logits[:, index].sum(), kept[0])
    return kept[0].detach(), gradients


def written_out(variant: str, a: Tensor, g: Tensor, logit: float) -> list[float]:
    """Weights of one image, place by place, in the order of the published codes."""
    weights = []
    for ak, gk in zip(a.flatten(1).double(), g.flatten(1).double(), strict=True):
        total = ak.sum()
        if variant == "gradcam":
            weights.append(float(gk.mean()))
            continue
        factor = math.exp(logit) if variant == "gradcam++ wsmis" else 1.0
        cubes = (ak * (gk * factor) ** 3).sum()
        w = 0.0
        for gi in (gk * factor).tolist():
            below = {
                "gradcam++": 2 * gi**2 + float(total) * gi**3,
                "gradcam++ pytorch-grad-cam": 2 * gi**2 + float(total) * gi**3 + 1e-6,
                "gradcam++ torch-cam": 1.0,
                "gradcam++ monai": 2 * gi**2 + float(cubes) + 1e-7,
                "gradcam++ wsmis": 2 * gi**2 + float(cubes) + 1e-8,
            }[variant]
            w += (gi**2 / below if gi != 0 else 0.0) * max(gi, 0.0)
        weights.append(w)
    return weights


@pytest.mark.parametrize("variant", WEIGHTS)
def test_each_variant_is_its_formula_place_by_place(variant: str) -> None:
    network, image = LastPlaces().eval(), image_for(2)
    maps, logits = gradient_maps(network, "features", image, [2], variant)
    a, g = features_and_gradients(network, network.features, image, 2)
    for i in range(len(image)):
        weights = torch.tensor(written_out(variant, a[i], g[i], float(logits[i, 2])), dtype=torch.float64)
        expected = torch.einsum("k,kyx->yx", weights, a[i].double()).relu()
        torch.testing.assert_close(maps[i, 0].double(), expected, rtol=1e-3, atol=1e-9)


def map_of_torch_cam(network: nn.Module, image: Tensor) -> Tensor:
    methods = pytest.importorskip("torchcam.methods")
    with methods.GradCAMpp(network, "features") as extractor:
        return extractor(2, network(image), normalized=False)[0] * 1e6  # far below what F.normalize divides by


def map_of_monai(network: nn.Module, image: Tensor) -> Tensor:
    visualize = pytest.importorskip("monai.visualize")
    maps = visualize.GradCAMpp(network, "features")
    return torch.cat([maps.compute_map(one, class_idx=2)[:, 0].detach() for one in image.split(1)])  # no batch


PEERS: dict[str, Callable[..., Tensor]] = {"gradcam++ torch-cam": map_of_torch_cam, "gradcam++ monai": map_of_monai}


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")  # in MONAI
@pytest.mark.parametrize("variant", PEERS)
def test_a_variant_is_the_map_of_the_code_that_it_is_named_after(variant: str) -> None:
    """Up to one factor per image; the other variants give other maps."""
    torch.manual_seed(0)
    network, image = LastPlaces().eval(), image_for(2)
    nn.init.uniform_(network.head.weight)  # so that some gradients are positive
    expected = F.normalize(PEERS[variant](network, image).flatten(1))
    errors = {}
    for name in WEIGHTS:
        maps, _ = gradient_maps(network, "features", image, [2], name)
        errors[name] = (F.normalize(maps.flatten(1), eps=1e-30) - expected).abs().max().item()
    assert errors.pop(variant) < 1e-5
    assert min(errors.values()) > 1e-4, errors


@pytest.mark.parametrize("dimensions", [2, 3])
def test_behind_mean_and_linear_gradcam_is_cam(dimensions: int) -> None:
    network, image = Small(dimensions).eval(), image_for(dimensions)
    maps, logits = gradient_maps(network, network.relu, image, variant="gradcam")
    features, _ = features_and_gradients(network, network.relu, image, 0)
    cam = class_activation_map(features, next(network.head.parameters()).detach())
    places = image[0, 0].numel()
    torch.testing.assert_close(maps * places, cam.relu(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(logits, network(image))


@pytest.mark.parametrize("dimensions", [2, 3])
def test_behind_mean_and_linear_gradcam_pp_has_a_closed_form(dimensions: int) -> None:
    network, image = Small(dimensions).eval(), image_for(dimensions)
    maps, _ = gradient_maps(network, network.relu, image)
    features, _ = features_and_gradients(network, network.relu, image, 0)
    w = next(network.head.parameters()).detach().relu()  # class, feature
    mean = features.flatten(2).mean(2)
    weights = w / (2 + w * mean[:, None])
    torch.testing.assert_close(maps, torch.einsum("bck,bk...->bc...", weights, features).relu(), rtol=1e-4, atol=1e-6)


def test_the_epsilon_of_pytorch_grad_cam_turns_weights_into_cubes() -> None:
    """At 14 x 14 places g^2 is far below 1e-6: that variant ranks the features as cubes; ours is exact in float32."""
    features = torch.rand(1, 3, 14, 14) * 1e-3
    w = torch.tensor([0.002, 0.004, 0.008])
    gradients = (w / 196)[None, :, None, None].expand_as(features)
    logit = torch.zeros(1)
    exact = WEIGHTS["gradcam++"](features, gradients, logit)[0]
    cubed = WEIGHTS["gradcam++ pytorch-grad-cam"](features, gradients, logit)[0]
    torch.testing.assert_close(exact / exact[0], w / w[0], rtol=1e-3, atol=0)
    torch.testing.assert_close(cubed / cubed[0], (w / w[0]) ** 3, rtol=1e-2, atol=0)
    tiny = gradients * 1e-25  # whose squares are 0 in float32
    torch.testing.assert_close(WEIGHTS["gradcam++"](features, tiny, logit)[0], exact * 1e-25, rtol=1e-3, atol=0)


def test_the_gradients_are_those_of_a_full_backward_pass_to_the_last_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    network, image = Small(2, deep=True).eval(), image_for(2)
    seen: list[Tensor] = []

    def keeps(features: Tensor, gradients: Tensor, logit: Tensor) -> Tensor:
        seen.append(gradients)
        return gradients.flatten(2).mean(2)

    monkeypatch.setitem(WEIGHTS, "keeps", keeps)
    gradient_maps(network, network.relu, image, [1], "keeps")
    assert torch.equal(seen[0], features_and_gradients(network, network.relu, image, 1)[1])


@pytest.mark.parametrize("variant", WEIGHTS)
def test_a_batch_is_its_images_one_by_one_and_classes_do_not_disturb_each_other(variant: str) -> None:
    network, image = Small(2, deep=True).eval(), image_for(2, batch=3)
    whole, _ = gradient_maps(network, network.relu, image, variant=variant)
    for i in range(3):
        one, _ = gradient_maps(network, network.relu, image[i : i + 1], [2, 0, 2], variant)
        torch.testing.assert_close(one[0], whole[i, [2, 0, 2]], rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("variant", WEIGHTS)
def test_one_slice_in_three_dimensions_is_the_map_in_two(variant: str) -> None:
    flat, image = Small(2).eval(), image_for(2)
    solid = Small(3).eval()
    with torch.no_grad():
        for name in ("first", "second"):
            kernel, centre = getattr(solid, name), getattr(flat, name)
            kernel.weight.zero_()[:, :, 1] = centre.weight
            kernel.bias.copy_(centre.bias)
        solid.head.load_state_dict(flat.head.state_dict())
    expected, _ = gradient_maps(flat, flat.relu, image, variant=variant)
    found, _ = gradient_maps(solid, solid.relu, image[:, :, None], variant=variant)
    torch.testing.assert_close(found[:, :, 0], expected, rtol=1e-4, atol=1e-9)


def test_the_mean_with_the_mirror_image_is_a_mirrored_map() -> None:
    network, image = Small(2, deep=True).eval(), image_for(2)

    def activation(picture: Tensor, _region: Tensor) -> Tensor:
        return gradient_maps(network, network.relu, picture)[0]

    region = torch.ones(2, 1, 6, 7)
    found = average_over_scales(with_mirror(activation), image, region, (1.0, 1.5))
    mirrored = average_over_scales(with_mirror(activation), image.flip(-1), region, (1.0, 1.5))
    assert found.shape == (2, 3, 6, 7)
    torch.testing.assert_close(mirrored, found.flip(-1))
    assert not torch.allclose(found, activation(image, region))


def test_classifiers_and_regressors_of_this_package_have_maps_too() -> None:
    classifier = EncoderClassifier(3, width=2, out_channels=2).eval()
    image = torch.rand(1, 1, 16, 16, 8)
    maps, _ = gradient_maps(classifier, "bottom", image, variant="gradcam")
    cam = class_activation_map(classifier.features(image), classifier.linear.weight)
    torch.testing.assert_close(maps * maps[0, 0].numel(), cam.relu(), rtol=1e-3, atol=1e-5)
    regressor = UNet(dimensions=3, width=2).eval()
    last = [name for name, module in regressor.named_modules() if isinstance(module, nn.Conv3d)][-2]
    found, score = gradient_maps(regressor, last, image, logits_of=lambda output: output.flatten(2).mean(2))
    assert found.shape == (1, 1, *image.shape[2:])
    assert float(found.max()) > 0
    torch.testing.assert_close(score, regressor(image).flatten(2).mean(2))


def test_hooks_and_wishes_for_gradients_are_as_before_also_after_an_error() -> None:
    network, image = Small(2).eval(), image_for(2)
    network.first.weight.requires_grad_(False)
    before = [parameter.requires_grad for parameter in network.parameters()]

    def fails(_output: Tensor) -> Tensor:
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        gradient_maps(network, network.relu, image, logits_of=fails)
    gradient_maps(network, network.relu, image)
    assert [parameter.requires_grad for parameter in network.parameters()] == before
    assert all(not module._forward_hooks for module in network.modules())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_what_cannot_be_mapped_is_refused() -> None:
    network, image = Small(2).eval(), image_for(2)
    with pytest.raises(ValueError, match="no layer 'third'; it has first, second"):
        gradient_maps(network, "third", image)
    with pytest.raises(ValueError, match="not a module of the network"):
        gradient_maps(network, nn.ReLU(), image)
    with pytest.raises(ValueError, match="unknown variant 'cam\\+\\+'; expected one of gradcam"):
        gradient_maps(network, "second", image, variant="cam++")
    with pytest.raises(ValueError, match="no class 3; the network has 3 logits"):
        gradient_maps(network, "second", image, [3])
    with pytest.raises(ValueError, match="training mode"):
        gradient_maps(network.train(), "second", image)
    with pytest.raises(ValueError, match=r"expected \(batch, class\)"):
        gradient_maps(network.eval(), "second", image, logits_of=lambda output: F.pad(output, (0, 1))[..., None])


def test_ranges_of_maps() -> None:
    maps = torch.tensor([[[-1.0, 1.0, 3.0], [2.0, 2.0, 2.0]], [[-3.0, -2.0, -1.0], [0.0, 1.0, 4.0]]])
    expected = torch.tensor([[[0.0, 0.5, 1.0], [0.0, 0.0, 0.0]], [[0.0, 0.5, 1.0], [0.0, 0.25, 1.0]]])
    torch.testing.assert_close(by_range(maps), expected)
    expected = torch.tensor([[[0.0, 1 / 3, 1.0], [1.0, 1.0, 1.0]], [[0.0, 0.0, 0.0], [0.0, 0.25, 1.0]]])
    torch.testing.assert_close(by_maximum(maps), expected)
