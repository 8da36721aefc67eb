"""A classifier of regions, with and without lesions: its training, and how well it tells held-out regions apart."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from weakmask.csv_table import read_csv, write_csv
from weakmask.evaluation.classification import auc, with_interval
from weakmask.networks import build_network
from weakmask.pipeline import Work
from weakmask.region_learning.bag_batches import BagBatches, load_bags, positive
from weakmask.region_learning.bag_settings import BagTrainingSettings
from weakmask.region_learning.crop_batches import plan_of
from weakmask.region_learning.crops import CropSet
from weakmask.region_learning.region_model import trained_network
from weakmask.training.checkpoints import load_weights
from weakmask.training.devices import device_of
from weakmask.training.fit import fit
from weakmask.training.optimisers import build_optimiser
from weakmask.training.seeding import seed_all

TABLE = "classifier.csv"
LEAST = 1e-5  # probabilities lie in [LEAST, 1 - LEAST] in the loss
InputOf = Callable[[Tensor, Tensor], Tensor]  # crops, regions -> the network's input


@dataclass(frozen=True)
class Classifier:
    """A network to train: its name, its arguments, and its input."""

    name: str
    arguments: Mapping[str, Any]
    input_of: InputOf


def image_alone(image: Tensor, region: Tensor) -> Tensor:  # noqa: ARG001 (one signature for all inputs)
    """The crop as the network's input."""
    return image


def with_region(image: Tensor, region: Tensor) -> Tensor:
    """The crop and the mask of its region, as two channels."""
    return torch.cat([image, region], dim=1)


def train_classifier(work: Work, classifier: Classifier, settings: BagTrainingSettings) -> None:
    """Train; leaves last.safetensors, curves.csv and classifier.csv, the probabilities of held-out regions.

    Raises:
        UserError: All training regions have lesions, or none has.
    """
    config = work.config
    training, held_out = load_bags(work, "training"), load_bags(work, "validation")
    seed_all(config.seed)
    network = build_network(classifier.name, classifier.arguments)
    header = {"network": classifier.name, "arguments": dict(classifier.arguments)}
    plan = plan_of(settings, work, header)
    optimiser = build_optimiser(network.parameters(), settings.optimiser, settings.learning_rate)
    validate = Validation(held_out, classifier.input_of, settings.batch) if len(held_out) else None
    batches, objective = BagBatches(training, settings, config.seed), Objective(classifier.input_of)
    fit(network, optimiser, batches, objective, validate, work.out, plan)
    network.eval().to(device_of(config.device))
    found = probabilities(network, held_out, classifier.input_of, settings.batch)
    columns = held_out.table[["scan", "patient", "region", "name"]]
    write_csv(columns.assign(lesion=positive(held_out).int().numpy(), probability=found), work.out / TABLE, "%.6g")


def trained_classifier(work: Work, stage: str) -> nn.Module:
    """The classifier that a stage has trained, in evaluation mode on the run's device."""
    path = work.stage(stage) / "last.safetensors"
    state, header = load_weights(path)
    return trained_network(state, header, path).eval().to(device_of(work.config.device))


def lesion_logit(output: Float[Tensor, "batch class"]) -> Float[Tensor, " batch"]:
    """The logit of `lesion`: the one output, or the second of two less the first."""
    return (output[:, 0] if output.shape[1] == 1 else output[:, 1] - output[:, 0]).float()


class Objective:
    """network, batch, step -> binary cross-entropy of the regions; of two outputs it is their cross-entropy."""

    def __init__(self, input_of: InputOf) -> None:
        """Hold how crops become the network's input."""
        self.input_of = input_of

    def __call__(self, network: nn.Module, batch: Mapping[str, Tensor], step: int) -> dict[str, Tensor]:  # noqa: ARG002 (the loop gives it)
        """The mean over the crops."""
        logits = lesion_logit(network(self.input_of(batch["image"], batch["region"])))
        return {"total": F.binary_cross_entropy_with_logits(logits, batch["positive"])}


@torch.no_grad()
def probabilities(network: nn.Module, crops: CropSet, input_of: InputOf, batch: int) -> Float[np.ndarray, " crops"]:
    """The probability of lesions in each crop, by a network in evaluation mode."""
    device = next(network.parameters()).device
    parts = zip(crops.image.split(batch), crops.region.split(batch), strict=True)
    found = [
        lesion_logit(network(input_of(image.float().to(device), region.float().to(device)))).cpu()
        for image, region in parts
    ]
    return torch.sigmoid(torch.cat(found)).numpy() if found else np.zeros(0, np.float32)


class Validation:
    """network, step -> cross-entropy and AUC of held-out regions; the score is the negated cross-entropy."""

    def __init__(self, crops: CropSet, input_of: InputOf, batch: int) -> None:
        """Hold the crops; both classes weigh equally, however many crops each has."""
        self.crops, self.input_of, self.batch = crops, input_of, batch
        self.positive = positive(crops).numpy()

    def __call__(self, network: nn.Module, step: int) -> dict[str, float]:  # noqa: ARG002 (the loop gives it)
        """Evaluate in batches of the training's size."""
        found = probabilities(network, self.crops, self.input_of, self.batch).clip(LEAST, 1 - LEAST)
        losses = -np.log(np.where(self.positive, found, 1 - found))
        there = [self.positive == value for value in (False, True) if (self.positive == value).any()]
        cross_entropy = float(np.mean([losses[rows].mean() for rows in there]))
        numbers = {"score": -cross_entropy, "cross_entropy": cross_entropy}
        return {**numbers, "area_under_roc": auc(self.positive, found)} if len(there) == 2 else numbers


def write_classifier_score(work: Work, stage: str) -> None:
    """Write classifier.csv into an evaluation: regions held out, AUC with its interval over patients."""
    held_out = read_csv(work.stage(stage) / TABLE)
    has, found = held_out["lesion"].to_numpy() > 0, held_out["probability"].to_numpy(dtype=float)
    area = with_interval(auc, has, found, held_out["patient"].tolist())
    line = {"regions": len(has), "with_lesions": int(has.sum())}
    table = pd.DataFrame([{**line, "auc": area.value, "auc_low": area.low, "auc_high": area.high}])
    write_csv(table, work.out / TABLE, "%.6g")
