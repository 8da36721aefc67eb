"""The segmentation stage: crops and true masks -> the U-Net, by cross-entropy and soft Dice inside the region."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weakmask.activation.dram import dense_regression_map
from weakmask.errors import UserError
from weakmask.losses import dice, region_mean
from weakmask.methods.supervised.config import SupervisedSettings
from weakmask.methods.supervised.prepare import load_truth
from weakmask.networks import build_network
from weakmask.pipeline import Work
from weakmask.region_learning.crop_batches import dimensions_of, plan_of, rows_of_step, sampling_groups
from weakmask.region_learning.crops import CropSet, augmented, draw_moves, load_crops
from weakmask.training.fit import fit
from weakmask.training.optimisers import build_optimiser
from weakmask.training.seeding import generator_for, seed_all


def segmentation(work: Work) -> None:
    """Train; leaves best.safetensors, last.safetensors and curves.csv."""
    config: SupervisedSettings = work.config
    prepared = work.stage("prepare")
    training, validation = (load_crops(prepared, split, config.prepare) for split in ("training", "validation"))
    truth, held_out = load_truth(prepared, training), load_truth(prepared, validation)
    if not truth.any():
        raise UserError(f"{config.data.cohort}: no true mask of a training scan has a lesion; expected some")
    seed_all(config.seed)
    arguments = {
        "dimensions": dimensions_of(config.prepare),
        "width": config.network.width,
        "initial_probability": config.network.initial_probability,
    }
    network = build_network("unet", arguments)
    settings = config.segmentation
    plan = plan_of(settings, work, {"network": "unet", "arguments": arguments})
    optimiser = build_optimiser(network.parameters(), settings.optimiser, settings.learning_rate)
    validate = Validation(validation, held_out, settings.batch) if held_out.any() else None
    fit(network, optimiser, BatchMaker(training, truth, config), Objective(config), validate, work.out, plan)


class BatchMaker:
    """step -> batch, a pure function of the step, so that a resumed training sees the same batches."""

    def __init__(self, crops: CropSet, truth: Tensor, config: SupervisedSettings) -> None:
        """Hold the crops and their lesions."""
        self.crops, self.truth, self.config = crops, truth, config
        self.groups = sampling_groups(config.segmentation, crops.table, crops.table["score"].tolist())

    def __call__(self, step: int) -> dict[str, Tensor]:
        """The crops of one step, augmented; what is moved out of the region is no lesion any more."""
        settings, seed = self.config.segmentation, self.config.seed
        rows = rows_of_step(settings, self.groups, seed, step)
        image, region, truth = (v[rows].float() for v in (self.crops.image, self.crops.region, self.truth))
        if settings.augment:
            generator = generator_for(seed, step, "augment")
            moves = draw_moves(generator, image)
            image, region, truth = augmented(image, (region, truth), moves, settings.contrast, generator)
        return {"image": image, "region": region, "truth": truth * region}


class Objective:
    """network, batch, step -> cross-entropy, soft Dice and their weighted total."""

    def __init__(self, config: SupervisedSettings) -> None:
        """Hold the weights."""
        self.losses = config.losses

    def __call__(self, network: nn.Module, batch: Mapping[str, Tensor], step: int) -> dict[str, Tensor]:  # noqa: ARG002 (the loop gives it)
        """Both are means over the crops, each over its own region."""
        logits, region, truth = network(batch["image"]).float(), batch["region"], batch["truth"]
        voxelwise = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
        cross_entropy = region_mean(voxelwise, region).mean()
        overlap = dice(logits, truth.long(), region).mean()
        total = self.losses.cross_entropy * cross_entropy + self.losses.dice * overlap
        return {"cross_entropy": cross_entropy, "dice": overlap, "total": total}


class Validation:
    """network, step -> Dice of the masks at 0.5, pooled over the held-out crops; the score is this Dice."""

    def __init__(self, crops: CropSet, truth: Tensor, batch: int) -> None:
        """Hold the crops and their lesions; some crop must have any."""
        self.crops, self.truth, self.batch = crops, truth, batch

    def __call__(self, network: nn.Module, step: int) -> dict[str, float]:  # noqa: ARG002 (the loop gives it)
        """Evaluate in batches of the training's size."""
        device = next(network.parameters()).device
        both = marked = true = 0
        with torch.no_grad():
            for start in range(0, len(self.crops), self.batch):
                here = slice(start, start + self.batch)
                image, region = (v[here].float().to(device) for v in (self.crops.image, self.crops.region))
                mask = dense_regression_map(network, image, region).cpu() > 0.5
                truth = self.truth[here] & self.crops.region[here]
                both += int((mask & truth).sum())
                marked += int(mask.sum())
                true += int(truth.sum())
        found = 2 * both / max(1, marked + true)
        return {"score": found, "dice_at_half": found}
