"""The steps of dual-task MIL on small crops: coarse maps, patches, and the network that makes the result."""

from pathlib import Path

import pytest
import torch

from weakmask.activation.cam import class_activation_map, enlarged
from weakmask.config import parse
from weakmask.losses.instance_selection import bag_instances, instance_loss
from weakmask.methods.dual_task_mil import METHOD, DualTaskSettings
from weakmask.methods.dual_task_mil.coarse_maps import coarse_map, grad_cam_activation, input_of
from weakmask.methods.dual_task_mil.config import PatchSettings
from weakmask.methods.dual_task_mil.maps import activation_of, result_stage
from weakmask.methods.dual_task_mil.patches import Objective, patch_activation, patch_logits
from weakmask.methods.dual_task_mil.segmentation import is_wanted
from weakmask.networks.classifiers import EncoderClassifier, RegionClassifier
from weakmask.networks.instance_network import InstanceNetwork
from weakmask.networks.unet import UNet

SHAPES = {2: (2, 1, 24, 35), 3: (2, 1, 8, 16, 12)}
every_dimension = pytest.mark.parametrize("dimensions", SHAPES)


def settings(**values: object) -> DualTaskSettings:
    return parse(DualTaskSettings, {"data": {"cohort": "cohort"}, **values}, "test")


def scene(dimensions: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random crops, and regions that leave a border out."""
    image = torch.rand(SHAPES[dimensions], generator=torch.Generator().manual_seed(0))
    region = torch.zeros_like(image)
    region[(..., *[slice(2, side - 1) for side in image.shape[2:]])] = 1.0
    return image * region, region


def classifier(dimensions: int, pool: str = "region") -> EncoderClassifier:
    torch.manual_seed(0)
    network = (RegionClassifier if pool == "region" else EncoderClassifier)(dimensions, width=2)
    with torch.no_grad():
        network(input_of(network)(*scene(dimensions)))  # moves batch norm's statistics off their start
    return network.eval()


@every_dimension
@pytest.mark.parametrize("pool", ["region", "crop"])
def test_grad_cam_is_cam_without_bias_and_below_zero_cut_off_divided_by_the_places(pool: str, dimensions: int) -> None:
    network, (image, region) = classifier(dimensions, pool), scene(dimensions)
    given = input_of(network)(image, region)
    assert given.shape[1] == (2 if pool == "region" else 1)
    with torch.no_grad():
        features = network.features(given)
        cam = class_activation_map(features, network.linear.weight).relu()
    expected = cam / features[0, 0].numel()
    assert expected.any()
    torch.testing.assert_close(coarse_map(network, given), expected)
    with torch.inference_mode():  # where predictions are made
        found = grad_cam_activation(network, image, region)
    torch.testing.assert_close(found, enlarged(expected, tuple(image.shape[2:]), network.stride) * region)


def test_grad_cam_of_a_constant_logit_is_zero() -> None:
    network = classifier(2)
    with torch.no_grad():
        network.linear.weight.zero_()
    assert not coarse_map(network, input_of(network)(*scene(2))).any()


@every_dimension
def test_a_patch_map_is_a_probability_inside_and_does_not_see_outside(dimensions: int) -> None:
    torch.manual_seed(0)
    network, chosen = InstanceNetwork(dimensions, patch=3).eval(), PatchSettings(size=3)
    image, region = scene(dimensions)
    with torch.no_grad():
        found = patch_activation(network, chosen, image, region)
        assert not found[region == 0].any()
        assert (found[region > 0] > 0).all()
        last = network.head[-1]
        assert isinstance(last, torch.nn.Conv2d | torch.nn.Conv3d)
        last.weight.zero_()
        last.bias.fill_(0.5)  # pyright: ignore[reportOptionalMemberAccess]
        same = patch_activation(network, chosen, image, region)[region > 0]
    torch.testing.assert_close(same, torch.full_like(same, torch.sigmoid(torch.tensor(0.5)).item()))


def test_the_anchor_adds_the_brightness_of_what_is_broad() -> None:
    torch.manual_seed(0)
    network = InstanceNetwork(2).eval()
    image = torch.zeros(1, 1, 40, 40)
    image[..., :20, :20], image[..., 30, :] = 0.75, 1.0  # a broad structure, and a narrow one
    region = torch.ones_like(image)
    with torch.no_grad():
        plain, anchored = (
            patch_logits(network, image, region, PatchSettings(anchor=weight))[0, 0] for weight in (0.0, 8.0)
        )
    torch.testing.assert_close((anchored - plain)[1, 1], torch.tensor(8.0 * (0.75 - 0.25)))
    torch.testing.assert_close((anchored - plain)[6, 6], torch.tensor(-8.0 * 0.25))


def test_patches_outside_the_region_take_no_part_and_bag_labels_need_no_coarse_map() -> None:
    torch.manual_seed(0)
    network = InstanceNetwork(2)
    image, _ = scene(2)
    region = torch.zeros_like(image)
    region[..., :10, :10] = 1.0
    batch = {"image": image, "region": region, "positive": torch.tensor([1.0, 0.0])}
    found = Objective(PatchSettings(start="bag"))(network, batch, 0)
    inside = torch.zeros(2, 1, 5, 7, dtype=torch.bool)
    inside[..., :2, :2] = True
    logits = network(image, region)
    torch.testing.assert_close(found["total"], instance_loss(logits, bag_instances(inside, batch["positive"] > 0)))
    assert found["lesion_share"] == 1


def test_coarse_maps_choose_the_first_patches() -> None:
    torch.manual_seed(0)
    network = InstanceNetwork(2)
    image, region = torch.rand(1, 1, 20, 20), torch.ones(1, 1, 20, 20)
    coarse = torch.full_like(image, 0.5 * 255)
    coarse[..., :5, :5], coarse[..., 5:10, :] = 255.0, 0.0
    batch = {"image": image, "region": region, "positive": torch.tensor([1.0]), "coarse": coarse}
    found = Objective(PatchSettings(steps=100))(network, batch, 0)
    assert (float(found["lesion_share"]), float(found["healthy_share"])) == (1 / 16, 4 / 16)


def test_the_result_is_of_the_step_that_the_settings_name() -> None:
    again = settings(rounds=2)
    assert (result_stage(settings()), result_stage(again)) == ("segmentation", "segmentation-again")
    early = settings(maps={"of": "patches"}, rounds=2)
    assert result_stage(early) == "patches-again"
    assert is_wanted(early, again=False)
    assert not is_wanted(early, again=True)
    assert not is_wanted(settings(maps={"of": "grad-cam"}), again=False)
    names = {stage.name for stage in METHOD.stages}
    of = ("grad-cam", "patches", "segmentation")
    assert {result_stage(settings(maps={"of": one}, rounds=n)) for one in of for n in (1, 2)} <= names


def test_every_network_of_the_method_has_its_map() -> None:
    image, region = scene(2)
    for network in (classifier(2), InstanceNetwork(2).eval(), UNet(2, width=2).eval()):
        found = activation_of(network, settings(), 0.01)(image, region)
        assert found.shape == image.shape
        assert 0 <= found.min() <= found.max() <= 1
        assert not found[region == 0].any()


def test_a_cohort_path_is_all_that_has_to_be_given() -> None:
    assert settings().data.cohort == Path("cohort")
