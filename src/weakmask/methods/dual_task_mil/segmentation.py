"""The segmentation network, trained on the fine labels, and its maps of the training crops for a second round."""

from collections.abc import Mapping
from functools import partial

from torch import Tensor, nn

from weakmask.activation.dram import dense_regression_map
from weakmask.losses import bootstrapping, dice
from weakmask.methods.dual_task_mil.coarse_maps import MAPS
from weakmask.methods.dual_task_mil.config import DualTaskSettings, SegmentationSettings
from weakmask.methods.dual_task_mil.labels import LABELS
from weakmask.networks import build_network
from weakmask.pipeline import Work
from weakmask.progress import track
from weakmask.region_learning.bag_batches import BagBatches, load_bags
from weakmask.region_learning.crop_batches import dimensions_of, plan_of
from weakmask.region_learning.crop_maps import read_crop_maps, write_crop_maps
from weakmask.region_learning.held_out_cut import maps_of_crops
from weakmask.training.devices import device_of
from weakmask.training.fit import fit
from weakmask.training.optimisers import build_optimiser
from weakmask.training.seeding import seed_all


def is_wanted(config: DualTaskSettings, *, again: bool) -> bool:
    """Whether the segmentation of a round is trained: for the result, or for a second round."""
    result = config.maps.of == "segmentation"
    return config.rounds == 2 and result if again else config.rounds == 2 or result


def segmentation(work: Work[DualTaskSettings], *, again: bool) -> None:
    """Train; leaves last.safetensors and curves.csv, and where a second round follows maps/ of the training crops.

    Args:
        work: Of the stage.
        again: Whether it is the second round; where `is_wanted` says no: nothing.
    """
    config, settings = work.config, work.config.segmentation
    if not is_wanted(config, again=again):
        return
    crops = load_bags(work, "training")
    seed_all(config.seed, 2)
    arguments = {
        "dimensions": dimensions_of(config.prepare),
        "width": config.network.width,
        "initial_probability": config.network.initial_probability,
    }
    network = build_network("unet", arguments)
    plan = plan_of(settings, work, {"network": "unet", "arguments": arguments})
    optimiser = build_optimiser(network.parameters(), settings.optimiser, settings.learning_rate)
    target = {"target": read_crop_maps(work.stage("labels-again" if again else "labels") / LABELS, crops)}
    fit(network, optimiser, BagBatches(crops, settings, config.seed, target), Objective(settings), None, work.out, plan)
    if config.rounds == 2 and not again:
        device = device_of(config.device)
        activation = partial(dense_regression_map, network.eval().to(device))
        found = track(maps_of_crops(crops, activation, device), "maps", len(crops))
        write_crop_maps(work.out / MAPS, (values for values, _ in found))


class Objective:
    """network, batch, step -> bootstrapping cross-entropy, soft Dice and their weighted total, inside the regions."""

    def __init__(self, settings: SegmentationSettings) -> None:
        """Hold the weights."""
        self.settings = settings

    def __call__(self, network: nn.Module, batch: Mapping[str, Tensor], step: int) -> dict[str, Tensor]:  # noqa: ARG002 (the loop gives it)
        """Both are means over the crops."""
        logits, region, target = network(batch["image"]).float(), batch["region"], batch["target"].long()
        entropy = bootstrapping(logits, target, region, self.settings.beta).mean()
        overlap = dice(logits, target, region).mean()
        return {"bootstrapping": entropy, "dice": overlap, "total": entropy + self.settings.dice * overlap}
