"""The training loop, used by every method: steps, validation, best and last weights, and going on after a stop."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.tensorboard import SummaryWriter

from weakmask.csv_table import read_csv
from weakmask.progress import bar
from weakmask.training.batches import BatchAt, batches_ahead
from weakmask.training.checkpoints import Checkpoint, load_weights, save_checkpoint, save_weights
from weakmask.training.devices import fabric_for, refuse_missing, refuse_own_statistics, resolved_precision
from weakmask.training.places import Place
from weakmask.training.plan import Plan
from weakmask.training.ranks import leading
from weakmask.training.steps import (
    LossesOf,
    Task,
    Training,
    Validate,
    kernels,
    one_step,
    refuse_drift,
    resume,
    start,
)


def fit(
    network: nn.Module,
    optimiser: Optimizer,
    batch_at: BatchAt,
    losses_of: LossesOf,
    validate: Validate | None,
    folder: Path,
    plan: Plan,
) -> pd.DataFrame:
    """Train a network.

    The folder gets `best.safetensors` (highest score, the earlier of equals), `last.safetensors`, `curves.csv` and
    TensorBoard events in `tb/`; while it runs, also `checkpoint.safetensors`. Where that exists, training goes on from
    it and ends with the weights and curves of an unbroken run: to the bit on the same CPU, as near as the kernels allow
    on a GPU.

    Args:
        network: Trained in place; ends with the last step's weights.
        optimiser: Over the network's parameters; its learning rates are the schedule's base.
        batch_at: Step (from 0) -> tensors whose first axis is the sample. Must be a function of the step alone, and
            draw from `generator_for`, not from global random states: it runs in a thread, one step ahead.
        losses_of: Network, batch on the device, step -> scalar losses with "total", the one that is minimised. Its
            random draws may come from the global states too, which are seeded from (seed, step).
        validate: Network in eval mode without gradients, steps done -> numbers for the curves, with "score" (higher is
            better) where best weights are wanted; None: no validation.
        folder: Made if absent.
        plan: Length, seed, device and the rest.

    Returns:
        The curves: `step`, `learning_rate`, mean losses since the row before, validation numbers.

    Raises:
        UserError, MachineError: A loss is not finite, a checkpoint of another plan, or a folder that cannot be written.
    """
    if (finished := finished_training(folder, plan)) is not None:
        weights, curves = finished
        network.load_state_dict(weights)
        return curves
    task = Task(network, optimiser, batch_at, losses_of, validate, folder, plan)
    if plan.spread.processes == 1:
        return train(task)
    device = refuse_missing(plan.spread, plan.device)
    refuse_own_statistics(network, device)
    with leading(plan.spread, device) as ranks:
        ranks.hand_over(replace(task, validate=None))
        return train(task, ranks.place)


def train(task: Task, place: Place | None = None) -> pd.DataFrame:
    """Train, validate and save, alone or as the first of several processes; returns the curves.

    Args:
        task: The training.
        place: Of this process among others that are connected; None: it is alone.
    """
    training, plan = start(task, place), task.plan
    done = resume(training)
    batches = batches_ahead(task.batch_at, range(done, plan.steps), training.fabric, prefetch=plan.prefetch)
    saved_at = monotonic()
    with (
        kernels(training),
        closing(batches),
        closing(SummaryWriter(str(task.folder / "tb"), purge_step=done + 1)) as writer,
        bar("training", plan.steps, done) as advance,
    ):
        for step, batch in enumerate(batches, start=done):
            training.curves.add(step, one_step(training, task.losses_of, batch, step))
            if plan.ends_row(step):
                refuse_drift(training)
                for name, value in validate_and_record(training, task.validate, step + 1).items():
                    writer.add_scalar(name, value, step + 1)
            by_time = 0 < plan.checkpoint_every_seconds <= monotonic() - saved_at
            if (step + 1) % plan.checkpoint_every == 0 or by_time:
                write_checkpoint(training, step + 1)
                saved_at = monotonic()
            advance(note=f"loss {training.curves.loss:.4f}")
    return finish(training)


def finished_training(folder: Path, plan: Plan) -> tuple[dict[str, Tensor], pd.DataFrame] | None:
    """The last weights and the curves that a training of this plan left in a folder; None where it did not end."""
    last, curves = folder / "last.safetensors", folder / "curves.csv"
    if not (last.exists() and curves.exists()):
        return None
    weights, header = load_weights(last)
    if header.get("training", {}).get("plan") != plan.key():
        return None
    (folder / "checkpoint.safetensors").unlink(missing_ok=True)  # a kill may have come just before
    return weights, read_csv(curves)


def validate_and_record(training: Training, validate: Validate | None, done: int) -> dict[str, float]:
    """Validate, write a row of the curves and, if the score is the highest so far, the best weights."""
    training.curves.settle()  # before the score of broken weights is believed
    scores = None
    if validate is not None:
        module = validated(training)
        module.eval()
        with torch.no_grad():
            scores = validate(module, done)
        training.module.train()
    row = training.curves.close(done, training.optimiser.param_groups[0]["lr"], scores or {})
    training.curves.write(training.folder / "curves.csv")
    score = float((scores or {}).get("score", float("nan")))
    if score > (float("-inf") if training.best is None else training.best):
        training.best = score
        save(training, "best", done)
    return row


def validated(training: Training) -> nn.Module:
    """The network that is validated, behind a Fabric of this process alone: others do not take part."""
    if training.fabric.world_size == 1:
        if training.average is None:
            return training.module
        return training.fabric.setup_module(training.weights)
    alone = fabric_for(training.plan.device, training.plan.precision)
    return alone.setup_module(training.weights, move_to_device=False)


def save(training: Training, name: str, done: int) -> None:
    """Write the weights under a name; their header has the step and the plan."""
    plan, device = training.plan, training.fabric.device
    computed: dict[str, Any] = {"device": str(device), "precision": resolved_precision(device.type, plan.precision)}
    if plan.spread.processes > 1:
        computed["processes"] = plan.spread.processes
    note = {"step": done, "best_score": training.best, **plan.numbers(), "plan": plan.key(), **computed}
    header = {**plan.header, "training": note}
    save_weights(training.folder / f"{name}.safetensors", training.weights, header)


def write_checkpoint(training: Training, done: int) -> None:
    """Write the checkpoint from which a stopped run continues."""
    notes = {"plan": training.plan.numbers(), "curves": training.curves.state()}
    averaged = {} if training.average is None else training.average.network.state_dict()
    tensors = {f"average.{name}": tensor for name, tensor in averaged.items()}
    save_checkpoint(
        training.folder / "checkpoint.safetensors",
        training.network,
        training.optimiser,
        Checkpoint(done, training.best, tensors, notes),
    )


def finish(training: Training) -> pd.DataFrame:
    """Write the last weights (also as the best where nothing was scored) after all else, and remove the checkpoint."""
    if training.best is None:
        save(training, "best", training.plan.steps)
    training.curves.write(training.folder / "curves.csv")
    save(training, "last", training.plan.steps)  # says that the training is finished
    (training.folder / "checkpoint.safetensors").unlink(missing_ok=True)
    if training.average is not None:
        training.network.load_state_dict(training.average.network.state_dict())
    return training.curves.table()
