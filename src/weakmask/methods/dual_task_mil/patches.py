"""The instances: a network that says of each small patch whether it is lesion, trained from easy to hard."""

from collections.abc import Mapping
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from weakmask.activation.strided_map import placed
from weakmask.losses.instance_selection import bag_instances, blended, easiness, instance_loss, select_instances
from weakmask.methods.dual_task_mil.coarse_maps import MAPS
from weakmask.methods.dual_task_mil.config import DualTaskSettings, PatchSettings
from weakmask.networks import build_network
from weakmask.networks.instance_network import patch_means, patch_shares
from weakmask.pipeline import Work
from weakmask.refinement.grey_opening import opened
from weakmask.region_learning.bag_batches import BagBatches, load_bags
from weakmask.region_learning.crop_batches import dimensions_of, plan_of
from weakmask.region_learning.crop_maps import WHOLE, read_crop_maps
from weakmask.training.fit import fit
from weakmask.training.optimisers import build_optimiser
from weakmask.training.seeding import seed_all

OPENINGS, LEVEL = (5, 7, 9), 0.25  # windows of the anchor's openings in voxels, and the grey value that says nothing
HALF = 0.5  # share of a patch that lies in the region, from which it is an instance


def patches(work: Work[DualTaskSettings], *, again: bool) -> None:
    """Train the instance network; leaves last.safetensors and curves.csv.

    Args:
        work: Of the stage.
        again: Whether it is the second round, whose coarse maps are those of the segmentation; without one: nothing.
    """
    config, settings = work.config, work.config.patches
    if again and config.rounds == 1:
        return
    crops = load_bags(work, "training")
    coarse = work.stage("segmentation" if again else "grad-cam") / MAPS
    maps = {} if settings.start == "bag" else {"coarse": read_crop_maps(coarse, crops)}
    seed_all(config.seed, 1)
    arguments = {"dimensions": dimensions_of(config.prepare), "patch": settings.size}
    network = build_network("instance_network", arguments)
    header = {"network": "instance_network", "arguments": arguments}
    plan = plan_of(settings, work, header)
    optimiser = build_optimiser(network.parameters(), settings.optimiser, settings.learning_rate)
    batches = BagBatches(crops, settings, config.seed, maps)
    fit(network, optimiser, batches, Objective(settings), None, work.out, plan)


class Objective:
    """network, batch, step -> the loss of the patches that take part at this step."""

    def __init__(self, settings: PatchSettings) -> None:
        """Hold the settings."""
        self.settings = settings

    def __call__(self, network: nn.Module, batch: Mapping[str, Tensor], step: int) -> dict[str, Tensor]:
        """The loss, and the shares of the patches of regions with lesions that are learnt as lesion and as healthy."""
        settings = self.settings
        image, region, positive = batch["image"], batch["region"], batch["positive"] > 0
        logits = patch_logits(network, image, region, settings)
        inside = patch_shares(region, settings.size) >= HALF
        if settings.start == "bag":
            selected = bag_instances(inside, positive)
        else:
            coarse = patch_means(batch["coarse"] / WHOLE, region, settings.size)
            easy = blended(coarse, torch.sigmoid(logits), step, settings.steps)
            selected = select_instances(easy, inside, positive, easiness(step, settings.steps))
        of_bags = (inside & positive.reshape(-1, *[1] * (inside.ndim - 1))).sum().clamp_min(1)
        return {
            "lesion_share": selected.positive.sum() / of_bags,
            "healthy_share": selected.negative.sum() / of_bags,
            "total": instance_loss(logits, selected),
        }


def patch_logits(
    network: nn.Module,
    image: Float[Tensor, "batch 1 *space"],
    region: Float[Tensor, "batch 1 *space"],
    settings: PatchSettings,
) -> Float[Tensor, "batch 1 *patches"]:
    """The logit of each patch, with the anchor where there is one.

    Args:
        network: An instance network.
        image: Crops.
        region: 1 inside, 0 outside.
        settings: Size of a patch, and weight of the anchor.
    """
    logits = network(image, region).float()
    if settings.anchor == 0:
        return logits
    bright = torch.stack([opened(image, voxels) for voxels in OPENINGS]).mean(0)
    return logits + settings.anchor * (patch_means(bright, region, settings.size) - LEVEL)


def patch_activation(
    network: nn.Module,
    settings: PatchSettings,
    image: Float[Tensor, "batch 1 *space"],
    region: Float[Tensor, "batch 1 *space"],
) -> Float[Tensor, "batch 1 *space"]:
    """The probability of the patches, interpolated linearly to the grid of the crops; zero outside the regions.

    A patch without a voxel inside does not dilute its neighbours.

    Args:
        network: In evaluation mode.
        settings: As in its training.
        image: Crops.
        region: 1 inside, 0 outside.
    """
    probability = torch.sigmoid(patch_logits(network, image, region, settings))
    known = (patch_shares(region, settings.size) > 0).float()
    shape, axes = image.shape[2:], image.ndim - 2
    onto = partial(placed, shape=shape, strides=(settings.size,) * axes, first=((settings.size - 1) / 2,) * axes)
    return onto(probability * known) / onto(known).clamp_min(1e-3) * region
