"""The regression stage: crops and score intervals -> the regression network (section III-A-1 and III-A-2)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from weakmask.activation.dram import dense_regression_map
from weakmask.datasets.augment import Move, apply_move, draw_move
from weakmask.errors import UserError
from weakmask.losses import (
    bootstrapping,
    dice,
    entropy,
    equivariance,
    interval_regression,
    inverse_frequency_weights,
    region_mean,
)
from weakmask.methods.dram.config import DramSettings, LossSettings
from weakmask.methods.dram.model import network_of
from weakmask.methods.dram.refinement import anchored_target, crf_of, refinement_target
from weakmask.methods.dram.vessels import asks_for_vessels
from weakmask.networks import build_network
from weakmask.pipeline import Work
from weakmask.pipeline.cohort_cases import noted_cohort
from weakmask.region_learning.crop_batches import plan_of, rows_of_step, sampling_groups
from weakmask.region_learning.crops import CropSet, augmented, draw_moves, load_crops
from weakmask.region_learning.prepare import SPACING_COLUMNS
from weakmask.region_learning.settings import TrainingSettings
from weakmask.region_learning.threshold_baselines import opened_threshold
from weakmask.region_learning.true_masks import true_masks
from weakmask.training.fit import fit
from weakmask.training.optimisers import build_optimiser
from weakmask.training.seeding import generator_for, seed_all

Batch = dict[str, Tensor]
SMALLEST = 1e-4  # fraction below which the square root's slope, and with it the gradient, would run away


def regression(work: Work) -> None:
    """Train; leaves best.safetensors, last.safetensors and curves.csv."""
    config: DramSettings = work.config
    prepared = work.stage("prepare")
    vessel_masks = work.stage("vessels") / "masks" if asks_for_vessels(config) else None
    training = load_crops(prepared, "training", config.prepare, vessel_masks)
    validation = load_crops(prepared, "validation", config.prepare)
    if len(training) == 0:
        raise UserError(f"{config.data.cohort}: no training crops; run `weakmask check` on the cohort")
    seed_all(config.seed)
    name, arguments = network_of(config)
    network = build_network(name, arguments)
    settings = config.regression
    plan = plan_of(settings, work, {"network": name, "arguments": arguments})
    optimiser = build_optimiser(network.parameters(), settings.optimiser, settings.learning_rate)
    validate = Validation(validation, config) if len(validation) else None
    objective = Objective(config, _anchor_threshold(training, work))
    truth = true_masks(training, work) if config.true_masks.use else None
    fit(network, optimiser, BatchMaker(training, config, truth), objective, validate, work.out, plan)


def _anchor_threshold(training: CropSet, work: Work) -> float:
    """Of the opened images; nothing depends on it without an anchor."""
    settings = work.config.refinement.anchor
    if not settings.until:
        return 0.5
    score_map = noted_cohort(work.config.data.cohort, work).score_map
    chosen = opened_threshold(training, settings.opening_voxels, score_map)
    work.note(f"threshold of the opened images chosen on the training scores: {chosen:.3f} of the window")
    return chosen


class BatchMaker:
    """step -> batch, a pure function of the step, so that a resumed training sees the same batches."""

    def __init__(self, crops: CropSet, config: DramSettings, truth: tuple[Tensor, Tensor] | None = None) -> None:
        """Hold the crops and weigh their scores.

        Args:
            crops: To learn from.
            config: Settings of the run.
            truth: True masks, and whether each crop has one, as `true_masks` gives them; None: only scores are learnt.
        """
        self.crops, self.config, self.truth = crops, config, truth
        self.scores: list[int] = crops.table["score"].tolist()
        self.groups = sampling_groups(config.regression, crops.table, self.scores)
        self.intervals = intervals(crops.table, config.losses)
        self.weights = score_weights(self.scores, config.losses.frequency_clamp)
        if config.refinement.weight:
            axes = list(SPACING_COLUMNS)[-(crops.image.ndim - 2) :]
            self.spacing = torch.tensor(crops.table[axes].to_numpy(), dtype=torch.float32)
            self.healthy = torch.from_numpy(crops.table["high"].to_numpy() == 0)  # before `zero_upper` widens it

    def __call__(self, step: int) -> Batch:
        """The crops of one step, augmented."""
        settings, seed = self.config.regression, self.config.seed
        rows = self._rows(step)
        named = {"region": self.crops.region, "vessels": self.crops.vessels, "truth": self.truth and self.truth[0]}
        kept = {name: mask[rows].float() for name, mask in named.items() if mask is not None}
        image, masks = self.crops.image[rows].float(), tuple(kept.values())
        moves: list[Move] = []
        if settings.augment:
            generator = generator_for(seed, step, "augment")
            moves = draw_moves(generator, image)
            image, *masks = augmented(image, masks, moves, settings.contrast, generator)
        low, high = (bound[rows] for bound in self.intervals)
        batch = {"image": image, "low": low, "high": high, "weight": self.weights[rows]}
        batch |= dict(zip(kept, masks, strict=True))
        if self.truth is not None:
            batch["known"] = self.truth[1][rows]
        if self.config.refinement.weight:
            spacing = self.spacing[rows]
            if moves:  # a crop that shrinks has larger voxels
                spacing = spacing / torch.tensor([move.scales for move in moves])
            batch |= {"healthy": self.healthy[rows], "spacing": spacing}
        return batch

    def _rows(self, step: int) -> list[int]:
        """The crops of a step: those with a true mask have their share of it, and all crops the rest."""
        settings, seed = self.config.regression, self.config.seed
        if self.truth is None:
            return rows_of_step(settings, self.groups, seed, step)
        having = torch.nonzero(self.truth[1]).flatten().tolist()
        drawn = round(self.config.true_masks.share * settings.batch)
        groups = [self.groups[row] for row in having]
        rows = [having[place] for place in _drawn(settings, groups, drawn, seed + 1, step)]
        return rows + _drawn(settings, self.groups, settings.batch - drawn, seed, step)


def _drawn(settings: TrainingSettings, groups: list[int], count: int, seed: int, step: int) -> list[int]:
    """Some crops of a step; none where none are wanted."""
    return rows_of_step(settings.model_copy(update={"batch": count}), groups, seed, step) if count else []


def intervals(table: pd.DataFrame, losses: LossSettings) -> tuple[Tensor, Tensor]:
    """Lower and upper lesion fraction of every crop."""
    low = torch.tensor(table["low"].to_numpy(), dtype=torch.float32)
    high = torch.tensor(np.maximum(table["high"].to_numpy(), losses.zero_upper), dtype=torch.float32)
    return low, high


def score_weights(scores: list[int], clamp: tuple[float, float]) -> Tensor:
    """The inverse frequency of each crop's score."""
    weight_of = inverse_frequency_weights(scores, *clamp)
    return torch.tensor([weight_of[score] for score in scores], dtype=torch.float32)


class Objective:
    """network, batch, step -> the weighted losses (1), (2), (3), (4) and their total."""

    def __init__(self, config: DramSettings, anchor_threshold: float = 0.5) -> None:
        """Hold the settings, and the threshold of the opened images where the training begins with them."""
        self.losses, self.refinement, self.seed = config.losses, config.refinement, config.seed
        self.of_masks = config.true_masks.weight
        self.crf = crf_of(config.refinement.crf)
        self.refined_from = config.refinement.start * config.regression.steps
        self.anchored_until = config.refinement.anchor.until * config.regression.steps
        self.anchor_threshold = anchor_threshold

    def __call__(self, network: nn.Module, batch: Mapping[str, Tensor], step: int) -> dict[str, Tensor]:
        """All losses but the refinement's speak of the raw map, which the refinement starts from.

        Each weighs as much as its crops are a share of the batch, so that parts of a batch add up to the whole.
        """
        image, region = batch["image"], batch["region"]
        settings = self.losses
        both = network(image).float()
        logits, refined = both[:, :1], both[:, -1:]  # one and the same without attention
        probability = torch.sigmoid(logits)
        activation = probability * region
        found = {"regression": self._regression(activation, region, batch)}
        if settings.equivariance:
            generator = generator_for(self.seed, step, "equivariance")
            move = draw_move(
                generator, image.ndim - 2, settings.move_scale, settings.move_degrees, shape=image.shape[2:]
            )
            moved_region = apply_move(region, move, "nearest")
            again = network(apply_move(image, move, "linear") * moved_region).float()
            of_moved = torch.sigmoid(again[:, :1]) * moved_region
            moved_map = _moved_map(probability, move) * moved_region
            found["equivariance"] = equivariance(of_moved, moved_map, moved_region).mean()
        if settings.entropy:
            found["entropy"] = entropy(logits, region).mean()
        anchored = step < self.anchored_until
        known = batch.get("known", torch.zeros(len(image), dtype=torch.bool, device=image.device))
        share = float(known.float().mean())  # of the crops
        if known.any():
            found["true_masks"] = share * _of_truth(refined[known], batch["truth"][known], region[known])
        if self.refinement.weight and (anchored or step >= self.refined_from) and not known.all():
            others = {name: values[~known] for name, values in batch.items()}
            target = self._anchored(others) if anchored else self._refined(activation[~known], others)
            found["refinement"] = (1.0 - share) * self._refinement(refined[~known], target, others["region"])
        weights = {**settings.model_dump(), "refinement": self.refinement.weight, "true_masks": self.of_masks}
        total = torch.stack([weights[name] * value for name, value in found.items()]).sum()
        return {**found, "total": total}

    def _refinement(self, refined: Tensor, target: Tensor, region: Tensor) -> Tensor:
        loss = bootstrapping(refined, target, region, self.refinement.beta).mean()
        if self.refinement.dice:
            loss = loss + self.refinement.dice * dice(refined, target, region).mean()
        return loss

    def _anchored(self, batch: Mapping[str, Tensor]) -> Tensor:
        image = batch["image"] * (1 - batch["vessels"]) if "vessels" in batch else batch["image"]
        bounds, voxels = (batch["low"], batch["high"]), self.refinement.anchor.opening_voxels
        return anchored_target(image, batch["region"], batch["healthy"], bounds, voxels, self.anchor_threshold)

    def _refined(self, activation: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        cues = activation * (1 - batch["vessels"]) if "vessels" in batch else activation
        bounds = (batch["low"], batch["high"]) if self.refinement.keep_to_scores else None
        return refinement_target(
            cues.detach(), batch["image"], batch["region"], batch["healthy"], batch["spacing"], self.crf, bounds
        )

    def _regression(self, activation: Tensor, region: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        losses = interval_loss(region_mean(activation, region), batch["low"], batch["high"], self.losses)
        return (losses * batch["weight"]).mean()


def _of_truth(refined: Tensor, truth: Tensor, region: Tensor) -> Tensor:
    """Cross-entropy and soft Dice of crops with a true mask, a half each."""
    target = (truth * region).long()
    return (bootstrapping(refined, target, region, beta=1.0) + dice(refined, target, region)).mean() / 2


def _moved_map(probability: Tensor, move: Move) -> Tensor:
    """The map as (2) moves it: before it is masked, and without the zeros that come in from outside the crop.

    Zeros from outside the region or the crop would be mixed into the voxels at its rim, so that even a perfectly
    equivariant network had a loss there, whose gradient lowers the map along the pleura.
    """
    moved, share = apply_move(torch.cat([probability, torch.ones_like(probability)], dim=1), move).split(1, dim=1)
    return moved / torch.where(share > 0, share, 1.0)


def interval_loss(fraction: Tensor, low: Tensor, high: Tensor, settings: LossSettings) -> Tensor:
    """The loss (1) of each region: of its fraction, or of the fraction's square root, as `compare` has it."""
    compared = (fraction, low, high)
    if settings.compare == "root":
        compared = tuple(each.clamp_min(SMALLEST).sqrt() for each in compared)
    return interval_regression(*compared)


class Validation:
    """network, step -> interval loss and agreement on the held-out crops; the score is the loss, negated."""

    def __init__(self, crops: CropSet, config: DramSettings) -> None:
        """Hold the crops; scores weigh equally, however many crops each has."""
        self.crops, self.config = crops, config
        self.low, self.high = intervals(crops.table, config.losses)
        self.weights = score_weights(crops.table["score"].tolist(), (0.0, 1.0))

    def __call__(self, network: nn.Module, step: int) -> dict[str, float]:  # noqa: ARG002 (the loop gives it)
        """Evaluate in batches of the training's size."""
        device = next(network.parameters()).device
        size = self.config.regression.batch
        fractions = []
        with torch.no_grad():
            for start in range(0, len(self.crops), size):
                image = self.crops.image[start : start + size].float().to(device)
                region = self.crops.region[start : start + size].float().to(device)
                fractions.append(region_mean(dense_regression_map(network, image, region), region).cpu())
        predicted = torch.cat(fractions)
        loss = interval_loss(predicted, self.low, self.high, self.config.losses)
        inside = (predicted >= self.low) & (predicted <= self.high + 1e-2)
        weighted = float((loss * self.weights).sum() / self.weights.sum())
        return {"score": -weighted, "interval_loss": weighted, "inside_interval": float(inside.float().mean())}
