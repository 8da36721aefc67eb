"""The segmentation stage: pictures and labels of their pixels -> the segmentation network, in one or more rounds."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from weakmask.atomic_write import atomic_folder
from weakmask.evaluation.class_masks import IGNORED
from weakmask.methods.wsmis.config import WsmisSettings
from weakmask.methods.wsmis.labels import LABELS, crf_of, read_label_tensor, regions_of
from weakmask.methods.wsmis.networks import groups_of, pretrained, segmentation_of
from weakmask.methods.wsmis.picture import averaged, weighed
from weakmask.methods.wsmis.picture_set import PictureSet, augmented, read_labels, read_pictures, write_picture
from weakmask.pipeline import Work
from weakmask.progress import track
from weakmask.refinement import most_probable
from weakmask.training.devices import device_of
from weakmask.training.fit import fit
from weakmask.training.optimisers import build_optimiser
from weakmask.training.plan import Plan
from weakmask.training.seeding import generator_for, seed_all


def segmentation(work: Work[WsmisSettings]) -> None:
    """Train; leaves round-1/, round-2/ ... with last.safetensors and curves.csv, and from the second on labels-2/ ...

    Raises:
        UserError: There are no published weights.
    """
    pictures = read_pictures(work.stage("prepare")).of("training")
    labels = work.stage("boundary" if work.config.boundary.train else "labels") / LABELS
    for number in range(1, work.config.segmentation.rounds + 1):
        network = _train(work, pictures, labels, number)
        if number < work.config.segmentation.rounds:
            renewed = work.out / f"labels-{number + 1}"
            if not renewed.exists():
                with atomic_folder(renewed) as temporary:
                    _renew_labels(work, pictures, network, labels, temporary)
            labels = renewed


def last_round(folder: Path) -> Path:
    """The folder of the last training in the folder of this stage."""
    return max(folder.glob("round-*"), key=lambda path: int(path.name.partition("-")[2]))


def _train(work: Work[WsmisSettings], pictures: PictureSet, labels: Path, number: int) -> nn.Module:
    """One training from the published weights; the network with its last weights."""
    config, settings = work.config, work.config.segmentation
    seed_all(config.seed, number)
    name, arguments = segmentation_of(config.network, settings, len(pictures.classes))
    network = pretrained((name, arguments), config.network, work)
    rate = settings.learning_rate
    optimiser = build_optimiser(
        groups_of(network, rate * settings.encoder_factor, rate), settings.optimiser, rate, settings.weight_decay
    )
    plan = Plan(
        settings.steps,
        settings.log_every,
        settings.checkpoint_every,
        seed=config.seed,
        schedule=settings.schedule,
        warm_up=settings.warm_up,
        device=config.device,
        spread=work.spread,
        precision=settings.precision,
        header={"network": name, "arguments": arguments, "round": number},
    )
    batches, objective = BatchMaker(pictures, labels, config), Objective(settings.positive_weight)
    fit(network, optimiser, batches, objective, None, work.out / f"round-{number}", plan)
    return network.eval().to(device_of(config.device))


class BatchMaker:
    """Step -> batch of augmented pictures and labels, drawn equally often from each combination of classes."""

    def __init__(self, pictures: PictureSet, labels: Path, config: WsmisSettings) -> None:
        """Hold the pictures and the folder of their labels."""
        self.pictures, self.labels, self.config = pictures, labels, config

    def __call__(self, step: int) -> dict[str, Tensor]:
        """The batch of a step."""
        rows = self.pictures.balanced(self.config.segmentation.batch, self.config.seed, step)
        labels = read_label_tensor(self.labels, [self.pictures.files[row] for row in rows])
        generator = generator_for(self.config.seed, step, "segmentation")
        images, moved = augmented(self.pictures.images(rows), labels, self.config.augmentation, generator)
        assert moved is not None  # noqa: S101 - for the type checker
        return {"image": images, "labels": moved}


class Objective:
    """Network, batch, step -> cross-entropy of the pixels that have a label."""

    def __init__(self, positive_weight: float) -> None:
        """Hold the weight of the classes."""
        self.positive_weight = positive_weight

    def __call__(self, network: nn.Module, batch: Mapping[str, Tensor], step: int) -> dict[str, Tensor]:  # noqa: ARG002 (the loop gives it)
        """The weighted mean over pixels."""
        return {"total": labelled_cross_entropy(network(batch["image"]).float(), batch["labels"], self.positive_weight)}


def labelled_cross_entropy(
    logits: Float[Tensor, "batch class side side"], labels: Int[Tensor, "batch side side"], positive_weight: float
) -> Float[Tensor, ""]:
    """Cross-entropy, averaged over the pixels that have a label; those of a class weigh more than background.

    Args:
        logits: Background first.
        labels: 0 for background, then the classes; `IGNORED` for none.
        positive_weight: Weight of a pixel of a class.

    Returns:
        0 if no pixel has a label.
    """
    weights = torch.full_like(logits[0, :, 0, 0], positive_weight)
    weights[0] = 1.0
    each = F.cross_entropy(logits, labels, weights, ignore_index=IGNORED, reduction="none")
    counted = torch.where(labels == IGNORED, 0.0, weights[labels.masked_fill(labels == IGNORED, 0)])
    return each.sum() / counted.sum().clamp_min(1e-6)


def _renew_labels(
    work: Work[WsmisSettings], pictures: PictureSet, network: nn.Module, before: Path, folder: Path
) -> None:
    """Write the network's own averaged prediction, refined, of the classes that are in the labels before."""
    masks, device = work.config.masks, device_of(work.config.device)
    for row in track(range(len(pictures)), "labels", len(pictures)):
        old = read_labels(before / pictures.files[row])
        present = [label for label in np.unique(old).tolist() if label not in {0, IGNORED}]
        new = np.zeros_like(old)
        if present:
            with torch.inference_mode():
                image = pictures.images([row]).to(device)
                found = averaged(network, image, masks.scales, mirror=masks.mirror).cpu()
            known = torch.tensor([[float(label in present) for label in range(1, found.shape[1])]])
            found = weighed(found, known)
            if work.config.labels.region == "sharpest":
                regions = regions_of(found, pictures.image(row), work.config.labels)
                refined = regions.argmax(1) + 1
                refined[regions.amax(1) == 0] = 0
            elif work.config.labels.crf:
                refined = most_probable(found, pictures.image(row), crf_of(work.config.labels, old.shape[-1]))
            else:
                refined = found.argmax(1)
            new = refined[0].numpy().astype(np.uint8)
        write_picture(folder / pictures.files[row], (new if new.any() or not present else old)[None])
