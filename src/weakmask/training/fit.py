"""The training loop, used by every method: steps, validation, best and last weights, and going on after a stop."""

from collections.abc import Callable, Mapping
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import pandas as pd
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.tensorboard import SummaryWriter

from weakmask.atomic_write import writing_into
from weakmask.csv_table import read_csv
from weakmask.errors import UserError
from weakmask.progress import bar
from weakmask.training.average import WeightAverage
from weakmask.training.batches import Batch, BatchAt, batches_ahead, parts
from weakmask.training.checkpoints import (
    Checkpoint,
    load_checkpoint,
    load_weights,
    save_checkpoint,
    save_weights,
    under,
)
from weakmask.training.curves import Curves
from weakmask.training.devices import fabric_for, lay_out, resolved_precision
from weakmask.training.optimisers import rate_factor
from weakmask.training.plan import Plan
from weakmask.training.seeding import deterministic, seed_all

LossesOf = Callable[[nn.Module, Batch, int], Mapping[str, Tensor]]
Validate = Callable[[nn.Module, int], Mapping[str, float] | None]


@dataclass
class Training:
    """A training under way: what the steps change, and where its files go."""

    fabric: Fabric
    plan: Plan
    folder: Path
    network: nn.Module  # the caller's
    module: nn.Module  # the same behind Fabric, which adds device and precision
    optimiser: Optimizer  # the caller's
    stepper: Optimizer  # the same behind Fabric
    rates: tuple[float, ...]  # base learning rate of each parameter group
    average: WeightAverage | None
    curves: Curves
    best: float | None = None

    @property
    def weights(self) -> nn.Module:
        """The network that is validated and saved."""
        return self.network if self.average is None else self.average.network


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
    training = start(network, optimiser, folder, plan)
    done = resume(training)
    batches = batches_ahead(batch_at, range(done, plan.steps), training.fabric, prefetch=plan.prefetch)
    saved_at = monotonic()
    on_cpu = training.fabric.device.type == "cpu"
    with (
        deterministic() if on_cpu else nullcontext(),  # costs nothing there; GPUs lack such kernels for 3-D maps
        closing(batches),
        closing(SummaryWriter(str(folder / "tb"), purge_step=done + 1)) as writer,
        bar("training", plan.steps, done) as advance,
    ):
        for step, batch in enumerate(batches, start=done):
            training.curves.add(step, one_step(training, losses_of, batch, step))
            if (step + 1) % plan.validate_every == 0 or step + 1 == plan.steps:
                for name, value in validate_and_record(training, validate, step + 1).items():
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


def start(network: nn.Module, optimiser: Optimizer, folder: Path, plan: Plan) -> Training:
    """Put network and optimiser on the device, and delete half-written files of a killed run."""
    with writing_into(folder.parent):
        folder.mkdir(parents=True, exist_ok=True)
    for litter in (*folder.glob(".*.safetensors"), *folder.glob(".*.curves.csv")):
        litter.unlink()
    fabric = fabric_for(plan.device, plan.precision)
    rates = tuple(group["lr"] for group in optimiser.param_groups)
    lay_out(network, fabric.device)
    module, stepper = fabric.setup(network, optimiser)
    module.train()
    average = WeightAverage(network, plan.average_decay) if plan.average_decay else None
    return Training(fabric, plan, folder, network, module, optimiser, stepper, rates, average, Curves())


def resume(training: Training) -> int:
    """Load the checkpoint of the folder if there is one, and return the number of steps done."""
    path = training.folder / "checkpoint.safetensors"
    if not path.exists():
        return 0
    checkpoint = load_checkpoint(path, training.network, training.optimiser)
    was, now = checkpoint.notes["plan"], training.plan.numbers()
    changed = [f"{name} {was.get(name)} -> {now[name]}" for name in now if was.get(name) != now[name]]
    if changed:
        raise UserError(
            f"{path} is from another plan ({', '.join(changed)}); train into another folder or remove the checkpoint"
        )
    if training.average is not None:
        training.average.network.load_state_dict(under("average.", checkpoint.tensors))
    training.curves.restore(checkpoint.notes["curves"])
    training.best = checkpoint.best
    return checkpoint.step


def one_step(training: Training, losses_of: LossesOf, batch: Batch, step: int) -> dict[str, Tensor]:
    """One optimiser step; returns the losses of the whole batch."""
    plan = training.plan
    seed_all(plan.seed, step)
    factor = rate_factor(step, plan.steps, plan.schedule, plan.warm_up)
    for group, rate in zip(training.optimiser.param_groups, training.rates, strict=True):
        group["lr"] = rate * factor
    training.optimiser.zero_grad()
    whole: dict[str, Tensor] = {}
    for share, part in parts(batch, plan.accumulate):
        losses = losses_of(training.module, part, step)
        training.fabric.backward(losses["total"] * share)
        for name, loss in losses.items():
            whole[name] = whole.get(name, 0.0) + loss.detach() * share
    if plan.clip_gradient:
        training.fabric.clip_gradients(
            training.module, training.stepper, max_norm=plan.clip_gradient, error_if_nonfinite=False
        )
    training.stepper.step()
    if training.average is not None:
        training.average.update(training.network, step)
    return whole


def validate_and_record(training: Training, validate: Validate | None, done: int) -> dict[str, float]:
    """Validate, write a row of the curves and, if the score is the highest so far, the best weights."""
    training.curves.settle()  # before the score of broken weights is believed
    scores = None
    if validate is not None:
        module = training.module
        if training.average is not None:
            module = training.fabric.setup_module(training.average.network)
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


def save(training: Training, name: str, done: int) -> None:
    """Write the weights under a name; their header has the step and the plan."""
    plan, device = training.plan, training.fabric.device
    computed = {"device": str(device), "precision": resolved_precision(device.type, plan.precision)}
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
