"""The classification stage: pictures and their classes -> a classifier, and its probabilities of every picture."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from weakmask.csv_table import write_csv
from weakmask.errors import UserError
from weakmask.evaluation.classification import auc
from weakmask.methods.wsmis.config import WsmisSettings
from weakmask.methods.wsmis.networks import classifier_of, groups_of, pretrained
from weakmask.methods.wsmis.picture import presence_of
from weakmask.methods.wsmis.picture_set import CLASS, PictureSet, augmented, read_pictures
from weakmask.networks.dropblock import set_dropblock_progress
from weakmask.pipeline import Work
from weakmask.training.devices import device_of
from weakmask.training.fit import fit
from weakmask.training.optimisers import build_optimiser
from weakmask.training.plan import Plan
from weakmask.training.seeding import generator_for, seed_all

PROBABILITIES = "probabilities.csv"
ANY = "any class"  # its column of the output for any class
BATCH = 16  # pictures at a time where nothing is learnt


def classification(work: Work[WsmisSettings]) -> None:
    """Train; leaves last.safetensors, curves.csv, and probabilities.csv of every prepared picture.

    Raises:
        UserError: No training picture has a class, or there are no published weights.
    """
    config, settings = work.config, work.config.classification
    pictures = read_pictures(work.stage("prepare"))
    training, validation = pictures.of("training"), pictures.of("validation")
    if not (training.presence == 1).any():
        raise UserError("no training picture has a class in labels.csv; expected some with a 1")
    if settings.any_class and not (training.presence == 0).all(axis=1).any():
        raise UserError(
            "every training picture has a class; expected some without for classification.any_class: set it to 0"
        )
    seed_all(config.seed)
    described = classifier_of(config.network, len(pictures.classes), any_class=settings.any_class > 0)
    network = pretrained(described, config.network, work)
    rate = settings.learning_rate
    optimiser = build_optimiser(
        groups_of(network, rate, rate * settings.head_factor), settings.optimiser, rate, settings.weight_decay
    )
    name, arguments = described
    plan = Plan(
        settings.steps,
        settings.validate_every,
        settings.checkpoint_every,
        seed=config.seed,
        schedule=settings.schedule,
        warm_up=settings.warm_up,
        device=config.device,
        spread=work.spread,
        precision=settings.precision,
        header={"network": name, "arguments": arguments},
    )
    validate = Validation(validation) if len(validation) else None
    objective = Objective(settings.steps, settings.any_class)
    fit(network, optimiser, BatchMaker(training, config), objective, validate, work.out, plan)
    network = network.eval().to(device_of(config.device))
    found = probabilities_of(pictures, network, device_of(config.device))
    named = {name: pictures.table[name] for name in ("scan", "patient", "split", "file")}
    columns = [*(f"{CLASS}{of}" for of in pictures.classes), ANY]
    table = pd.DataFrame({**named, **dict(zip(columns, found.T, strict=False))})
    write_csv(table, work.out / PROBABILITIES, "%.6g")


class BatchMaker:
    """Step -> batch: a pure function of the step, so that a resumed training sees the same batches."""

    def __init__(self, pictures: PictureSet, config: WsmisSettings) -> None:
        """Hold the pictures."""
        self.pictures, self.config, self.labels = pictures, config, torch.from_numpy(pictures.presence)

    def __call__(self, step: int) -> dict[str, Tensor]:
        """Augmented pictures with their classes."""
        settings = self.config.classification
        rows = self.pictures.balanced(settings.batch, self.config.seed, step, halves=settings.any_class > 0)
        generator = generator_for(self.config.seed, step, "augment")
        images, _ = augmented(self.pictures.images(rows), None, self.config.augmentation, generator)
        return {"image": images, "presence": self.labels[rows]}


class Objective:
    """Network, batch, step -> binary cross-entropy of the classes that are known."""

    def __init__(self, steps: int, any_class: float = 0.0) -> None:
        """Hold the length of the training, for DropBlock, and the weight of the output for any class."""
        self.steps, self.any_class = steps, any_class

    def __call__(self, network: nn.Module, batch: Mapping[str, Tensor], step: int) -> dict[str, Tensor]:
        """The mean over pictures and classes, and that over pictures of the output for any class."""
        set_dropblock_progress(network, step / self.steps)
        logits, presence = network(batch["image"]).float(), batch["presence"]
        classes = presence.shape[1]
        loss = known_cross_entropy(logits[:, :classes], presence)
        if not self.any_class:
            return {"total": loss}
        found = known_cross_entropy(logits[:, classes:], any_presence(presence))
        return {"total": (1 - self.any_class) * loss + self.any_class * found, "classes": loss, "any": found}


class Validation:
    """Network, steps -> loss and mean AUC of the validation pictures."""

    def __init__(self, pictures: PictureSet) -> None:
        """Hold the pictures."""
        self.pictures = pictures

    def __call__(self, network: nn.Module, steps: int) -> dict[str, float]:  # noqa: ARG002 (the loop gives it)
        """A class that all or none of the pictures have has no AUC."""
        device = next(network.parameters()).device
        present = self.pictures.presence
        logits = by_batches(self.pictures, lambda image: network(image).float(), device)[:, : present.shape[1]]
        areas = [auc(truth == 1, found) for truth, found in zip(present.T, logits.numpy().T, strict=True)]
        known = [area for area in areas if np.isfinite(area)]
        loss = float(known_cross_entropy(logits, torch.from_numpy(present)))
        return {"validation_total": loss, **({"validation_auc": float(np.mean(known))} if known else {})}


def known_cross_entropy(logits: Float[Tensor, "batch class"], presence: Float[Tensor, "batch class"]) -> Tensor:
    """Mean binary cross-entropy over the classes that are known; 0 without any."""
    known = presence.isfinite()
    each = F.binary_cross_entropy_with_logits(logits, presence.nan_to_num(), reduction="none")
    return (each * known).sum() / known.sum().clamp_min(1)


def any_presence(presence: Float[Tensor, "batch class"]) -> Float[Tensor, "batch 1"]:
    """1 for a picture that has some class, 0 for one that has none, NaN where that is unknown."""
    return torch.where((presence == 1).any(1, keepdim=True), 1.0, presence.sum(1, keepdim=True))


def by_batches(pictures: PictureSet, found_of: Callable[[Tensor], Tensor], device: torch.device) -> Tensor:
    """Results of all pictures on the CPU, computed a few pictures at a time."""
    found = []
    for start in range(0, len(pictures), BATCH):
        rows = range(start, min(start + BATCH, len(pictures)))
        with torch.inference_mode():
            found.append(found_of(pictures.images(rows).to(device)).cpu())
    return torch.cat(found)


def probabilities_of(
    pictures: PictureSet, classifier: nn.Module, device: torch.device
) -> Float[np.ndarray, "picture class"]:
    """The classifier's probability of each class in each picture, and of any class if it has that output."""
    return by_batches(pictures, lambda image: presence_of(classifier, image), device).numpy()
