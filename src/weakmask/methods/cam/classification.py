"""The classification stage: crops -> a network that tells regions with lesions from regions without."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weakmask.errors import UserError
from weakmask.evaluation.classification import auc
from weakmask.methods.cam.config import CamSettings
from weakmask.networks import build_network
from weakmask.pipeline import Work
from weakmask.region_learning.crop_batches import dimensions_of, plan_of, rows_of_step, sampling_groups
from weakmask.region_learning.crops import CropSet, augmented, draw_moves, load_crops
from weakmask.training.fit import fit
from weakmask.training.optimisers import build_optimiser
from weakmask.training.seeding import generator_for, seed_all


def classification(work: Work) -> None:
    """Train; leaves best.safetensors, last.safetensors and curves.csv."""
    config: CamSettings = work.config
    training, validation = (
        load_crops(work.stage("prepare"), split, config.prepare) for split in ("training", "validation")
    )
    positive = has_lesions(training)
    if not positive.any() or positive.all():
        raise UserError(
            f"{config.data.cohort}: {int(positive.sum())} of {len(positive)} training regions have lesions; a "
            "classifier needs some with lesions and some whose score means 0 %"
        )
    seed_all(config.seed)
    arguments = {"dimensions": dimensions_of(config.prepare), "width": config.network.width}
    network = build_network("encoder_classifier", arguments)
    settings = config.classification
    header = {"network": "encoder_classifier", "arguments": arguments}
    plan = plan_of(settings, work, header)
    optimiser = build_optimiser(network.parameters(), settings.optimiser, settings.learning_rate)
    validate = Validation(validation, settings.batch) if len(validation) else None
    fit(network, optimiser, BatchMaker(training, config), losses_of, validate, work.out, plan)


def has_lesions(crops: CropSet) -> Tensor:
    """1 for every crop whose region has lesions by its score, 0 where the score's interval ends at 0."""
    return torch.from_numpy((crops.table["high"].to_numpy() > 0).astype(np.float32))


class BatchMaker:
    """step -> batch, a pure function of the step, so that a resumed training sees the same batches."""

    def __init__(self, crops: CropSet, config: CamSettings) -> None:
        """Hold the crops."""
        self.crops, self.config = crops, config
        self.positive = has_lesions(crops)
        self.groups = sampling_groups(config.classification, crops.table, self.positive.int().tolist())

    def __call__(self, step: int) -> dict[str, Tensor]:
        """The crops of one step, augmented."""
        settings, seed = self.config.classification, self.config.seed
        rows = rows_of_step(settings, self.groups, seed, step)
        image, region = self.crops.image[rows].float(), self.crops.region[rows].float()
        if settings.augment:
            generator = generator_for(seed, step, "augment")
            moves = draw_moves(generator, image)
            image, region = augmented(image, (region,), moves, settings.contrast, generator)
        return {"image": image, "positive": self.positive[rows]}


def losses_of(network: nn.Module, batch: Mapping[str, Tensor], step: int) -> dict[str, Tensor]:  # noqa: ARG001 (the loop gives it)
    """Binary cross-entropy of the one logit."""
    return {"total": F.binary_cross_entropy_with_logits(network(batch["image"])[:, 0].float(), batch["positive"])}


class Validation:
    """network, step -> cross-entropy and separation of held-out regions; the score is the negated loss."""

    def __init__(self, crops: CropSet, batch: int) -> None:
        """Hold the crops; both classes weigh equally, however many crops each has."""
        self.crops, self.batch = crops, batch
        self.positive = has_lesions(crops)

    def __call__(self, network: nn.Module, step: int) -> dict[str, float]:  # noqa: ARG002 (the loop gives it)
        """Evaluate in batches of the training's size."""
        device = next(network.parameters()).device
        parts = self.crops.image.split(self.batch)
        with torch.no_grad():
            logits = torch.cat([network(part.float().to(device))[:, 0].float().cpu() for part in parts])
        loss = F.binary_cross_entropy_with_logits(logits, self.positive, reduction="none")
        right = ((logits > 0) == (self.positive > 0)).float()
        there = [self.positive == value for value in (0, 1) if (self.positive == value).any()]
        cross_entropy, accuracy = (float(torch.stack([v[rows].mean() for rows in there]).mean()) for v in (loss, right))
        found = {"score": -cross_entropy, "cross_entropy": cross_entropy, "balanced_accuracy": accuracy}
        if len(there) == 2:
            found["area_under_roc"] = auc(self.positive.numpy() > 0, logits.numpy())
        return found
