"""The train stage: stacks and instances -> a network for mask and contour, at one size of patches and then another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int32, UInt8
from torch import Tensor, nn

from weakmask.csv_table import write_csv
from weakmask.datasets.instance_targets import half_width_in_voxels, mask_and_contour
from weakmask.datasets.patch_sampling import dark_places, draw_centre, draw_volume, foreground_places
from weakmask.losses import dice, weighted_cross_entropy
from weakmask.methods.mitochondria.augmentation import patch_of, plain_patch
from weakmask.methods.mitochondria.config import MitochondriaSettings
from weakmask.methods.mitochondria.denoise import grey_file
from weakmask.methods.mitochondria.stack_index import TRAINING, labels_file, read_index
from weakmask.networks import build_network, network_with
from weakmask.networks.res_unet import CONTOUR, MASK
from weakmask.pipeline import Work
from weakmask.training.checkpoints import load_weights
from weakmask.training.fit import fit
from weakmask.training.optimisers import build_optimiser
from weakmask.training.plan import Plan
from weakmask.training.seeding import mixed, seed_all
from weakmask.volume.files import read_volume
from weakmask.volume.geometry import Index3

FIRST, FINE = "first", "fine"  # folders of the two trainings
CURVES = "curves.csv"


@dataclass(frozen=True)
class Stack:
    """A prepared stack in memory.

    Attributes:
        name: Of the stack.
        image: Grey values.
        labels: Instances.
        pixel_nm: Size of a working pixel.
    """

    name: str
    image: UInt8[np.ndarray, "z y x"]
    labels: Int32[np.ndarray, "z y x"]
    pixel_nm: float


def train(work: Work[MitochondriaSettings]) -> None:
    """Train; leaves first/ and, with `train.fine_steps`, fine/, each with its weights, and curves.csv of both."""
    config, settings = work.config, work.config.train
    training, validation = read_stacks(work)
    validate = Validation(validation) if validation else None
    seed_all(config.seed)
    name, arguments = config.network.described()
    network = build_network(name, arguments)
    phases = [(FIRST, settings.steps, settings.patch)]
    phases += [(FINE, settings.fine_steps, settings.fine_patch)] if settings.fine_steps else []
    curves: list[pd.DataFrame] = []
    for phase, steps, shape in phases:
        if phase == FINE:
            state, _ = load_weights(work.out / FIRST / f"{settings.keep}.safetensors")
            network = network_with(name, arguments, state)
        optimiser = build_optimiser(
            weight_groups(network, settings.weight_decay), settings.optimiser, settings.learning_rate
        )
        batches = BatchMaker(training, shape, config, phase)
        plan = plan_of(steps, work, {"network": name, "arguments": arguments, "phase": phase})
        rows = fit(network, optimiser, batches, Objective(config), validate, work.out / phase, plan)
        before = settings.steps if phase == FINE else 0
        curves.append(rows.assign(step=rows["step"] + before))
    write_csv(pd.concat(curves, ignore_index=True), work.out / CURVES)


def trained_weights(folder: Path, config: MitochondriaSettings) -> Path:
    """The weights that become the model, in the folder of this stage."""
    return folder / (FINE if config.train.fine_steps else FIRST) / f"{config.train.keep}.safetensors"


def plan_of(steps: int, work: Work[MitochondriaSettings], header: Mapping[str, object]) -> Plan:
    """The plan of one of the two trainings."""
    config, settings = work.config, work.config.train
    return Plan(
        steps,
        settings.validate_every,
        settings.checkpoint_every,
        seed=config.seed,
        schedule=settings.schedule,
        warm_up=min(settings.warm_up, steps // 2),
        average_decay=settings.average_decay,
        device=config.device,
        precision=settings.precision,
        spread=work.spread,
        header=header,
    )


def weight_groups(network: nn.Module, weight_decay: float) -> list[dict[str, list[nn.Parameter] | float]]:
    """The weights, which decay, and biases and norms, which do not."""
    decaying = [weight for weight in network.parameters() if weight.ndim > 1]
    others = [weight for weight in network.parameters() if weight.ndim <= 1]
    groups: list[dict[str, list[nn.Parameter] | float]] = [
        {"params": decaying, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def read_stacks(work: Work[MitochondriaSettings]) -> tuple[list[Stack], list[Stack]]:
    """The training sections and the validation sections of each stack; there may be no validation sections."""
    training, validation = [], []
    prepared = work.stage("prepare")
    for row in read_index(prepared):
        if row.part != TRAINING:
            continue
        image = read_volume(grey_file(work, row)).voxels
        labels = read_volume(labels_file(prepared, row), "label").voxels.astype(np.int32)
        pixel_nm = (row.working_nm[1] + row.working_nm[2]) / 2
        for sections, stacks in ((row.training, training), (row.held_out_sections, validation)):
            if len(image[sections]):
                stacks.append(Stack(row.scan, image[sections], labels[sections], pixel_nm))
    return training, validation


class BatchMaker:
    """Step -> batch: a pure function of the step, so that a resumed training sees the same batches."""

    def __init__(self, stacks: Sequence[Stack], shape: Index3, config: MitochondriaSettings, stream: str) -> None:
        """Hold the stacks."""
        self.stacks, self.shape, self.config, self.stream = stacks, shape, config, stream
        self.shapes: list[Index3] = [stack.image.shape for stack in stacks]  # pyright: ignore[reportAttributeAccessIssue]
        self.places = [foreground_places(stack.labels) for stack in stacks]
        dark = config.train.dark > 0
        self.dark = [dark_places(stack.image, stack.labels) for stack in stacks] if dark else []

    def __call__(self, step: int) -> dict[str, Tensor]:
        """Augmented patches with their targets."""
        rng = np.random.default_rng(mixed(self.config.seed, step, self.stream))
        patches = [self._patch(rng) for _ in range(self.config.train.batch)]
        images, targets = (torch.from_numpy(np.stack(parts)) for parts in zip(*patches, strict=True))
        return {"image": images[:, None], "targets": targets}

    def _patch(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Grey values (z, y, x) and the two targets."""
        chosen = draw_volume(self.shapes, rng)
        stack, targets = self.stacks[chosen], self.config.targets
        centre = self._centre(chosen, rng)
        grey, labels = patch_of(stack.image, stack.labels, centre, self.shape, self.config.augmentation, rng)
        half_width = half_width_in_voxels(targets.contour_nm, stack.pixel_nm)
        return grey, np.stack(mask_and_contour(labels, half_width, part=targets.part))

    def _centre(self, chosen: int, rng: np.random.Generator) -> Index3:
        """The middle of a patch of a stack: in the foreground, in the dark outside, or anywhere."""
        settings, shape = self.config.train, self.shapes[chosen]
        if not self.dark:
            return draw_centre(shape, self.shape, rng, self.places[chosen], settings.foreground)
        if rng.random() < settings.foreground:
            return draw_centre(shape, self.shape, rng, self.places[chosen], 1.0)
        return draw_centre(shape, self.shape, rng, self.dark[chosen], settings.dark)


class Objective:
    """Network, batch, step -> weighted cross-entropy and soft Dice of mask and contour."""

    def __init__(self, config: MitochondriaSettings) -> None:
        """Hold the weights."""
        self.contour_weight = config.targets.contour_weight
        self.class_power, self.dice = config.train.class_power, config.train.dice

    def __call__(self, network: nn.Module, batch: Mapping[str, Tensor], step: int) -> dict[str, Tensor]:  # noqa: ARG002 (the loop gives it)
        """Cross-entropy as the mean over the patches, soft Dice of all their voxels together."""
        logits = network(batch["image"])
        losses = {
            of: self._of_target(logits[:, [k]], batch["targets"][:, [k]])
            for of, k in (("mask", MASK), ("contour", CONTOUR))
        }
        return {**losses, "total": losses["mask"] + self.contour_weight * losses["contour"]}

    def _of_target(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of one target."""
        loss = weighted_cross_entropy(logits, target, torch.ones_like(target), self.class_power).mean()
        if not self.dice:
            return loss
        one_sample = (part.reshape(1, 1, -1) for part in (logits, target.long(), torch.ones_like(target)))
        return loss + self.dice * dice(*one_sample).mean()


class Validation:
    """Network, steps -> Dice of the mask at its best threshold, pooled over the validation sections."""

    def __init__(self, stacks: Sequence[Stack]) -> None:
        """Hold the sections."""
        self.stacks = stacks

    def __call__(self, network: nn.Module, steps: int) -> dict[str, float]:  # noqa: ARG002 (the loop gives it)
        """The score is this Dice."""
        device = next(network.parameters()).device
        counts = np.zeros((2, 256), np.int64)
        for stack in self.stacks:
            middle: Index3 = tuple(n // 2 for n in stack.image.shape)  # pyright: ignore[reportAssignmentType]
            grey, labels = plain_patch(stack.image, stack.labels, middle, stack.image.shape)  # pyright: ignore[reportArgumentType]
            with torch.inference_mode():
                logits = network(torch.from_numpy(grey)[None, None].to(device))[0, MASK]
            found = (255 * logits.float().sigmoid()).round().to(torch.uint8).cpu().numpy()
            for truth in (False, True):
                counts[int(truth)] += np.bincount(found[(labels > 0) == truth], minlength=256)
        score, threshold = best_dice(counts)
        return {"score": score, "dice": score, "threshold": threshold}


def best_dice(counts: np.ndarray) -> tuple[float, float]:
    """The highest Dice of a mask above a threshold, and that threshold.

    Args:
        counts: Voxels of the background and of the foreground with each value from 0 to 255.
    """
    false, true = (np.cumsum(row[::-1])[::-1] for row in counts)
    dice = 2 * true / np.maximum(true + false + counts[1].sum(), 1)
    best = int(dice[1:].argmax()) + 1
    return float(dice[best]), (best - 1) / 255
