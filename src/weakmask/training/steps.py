"""A training under way: its start, its steps, and going on from a checkpoint; alone or as one of several processes."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim import Optimizer

from weakmask.atomic_write import writing_into
from weakmask.errors import UserError
from weakmask.training.average import WeightAverage
from weakmask.training.batches import SHARE, Batch, BatchAt, batches_ahead, parts, samples_of
from weakmask.training.checkpoints import load_checkpoint, under
from weakmask.training.curves import Curves
from weakmask.training.devices import fabric_among, fabric_for, lay_out, share_statistics
from weakmask.training.optimisers import rate_factor
from weakmask.training.places import Place, PlacedEnvironment
from weakmask.training.plan import Plan
from weakmask.training.seeding import deterministic, mixed, seed_all

LossesOf = Callable[[nn.Module, Batch, int], Mapping[str, Tensor]]
Validate = Callable[[nn.Module, int], Mapping[str, float] | None]
DRIFT = 1e-4  # share by which the sums of the weights of two processes may differ


@dataclass(frozen=True)
class Task:
    """Arguments of `fit`."""

    network: nn.Module
    optimiser: Optimizer
    batch_at: BatchAt
    losses_of: LossesOf
    validate: Validate | None
    folder: Path
    plan: Plan


@dataclass
class Training:
    """A training under way: what the steps change, and where its files go."""

    fabric: Fabric
    plan: Plan
    folder: Path
    network: nn.Module  # the caller's
    module: Any  # the same behind Fabric, which adds device and precision
    optimiser: Optimizer  # the caller's
    stepper: Optimizer  # the same behind Fabric
    rates: tuple[float, ...]  # base learning rate of each parameter group
    average: WeightAverage | None  # of the process that validates and saves
    curves: Curves
    best: float | None = None

    @property
    def weights(self) -> nn.Module:
        """The network that is validated and saved."""
        return self.network if self.average is None else self.average.network


def start(task: Task, place: Place | None = None) -> Training:
    """Put network and optimiser on the device, and delete half-written files of a killed run.

    Args:
        task: The training.
        place: Which of several connected processes this one is; None: the only one.
    """
    plan, folder, leads = task.plan, task.folder, place is None or place.rank == 0
    if leads:
        with writing_into(folder.parent):
            folder.mkdir(parents=True, exist_ok=True)
        for litter in (*folder.glob(".*.safetensors"), *folder.glob(".*.curves.csv")):
            litter.unlink()
    if place is None:
        fabric = fabric_for(plan.device, plan.precision)
    else:
        fabric = fabric_among(plan.spread, plan.device, plan.precision, PlacedEnvironment(place))
    network, optimiser = task.network, task.optimiser
    rates = tuple(group["lr"] for group in optimiser.param_groups)
    lay_out(network, fabric.device)
    network.train()
    if place is not None:
        share_statistics(network, fabric.device)
    module, stepper = fabric.setup(network, optimiser)
    module.train()
    average = WeightAverage(network, plan.average_decay) if plan.average_decay and leads else None
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
    """One optimiser step; returns the losses of the whole batch.

    Of several processes each has a part of the batch. DDP averages the gradients over the processes, so that a part's
    loss weighs as much as its samples are a share of the batch, times the number of processes.
    """
    plan, fabric = training.plan, training.fabric
    seed_all(plan.seed if fabric.global_rank == 0 else mixed(plan.seed, fabric.global_rank, "rank"), step)
    factor = rate_factor(step, plan.steps, plan.schedule, plan.warm_up)
    for group, rate in zip(training.optimiser.param_groups, training.rates, strict=True):
        group["lr"] = rate * factor
    training.optimiser.zero_grad()
    of_rank = batch.get(SHARE, 1.0)
    whole: dict[str, Tensor] = {}
    for number, (of_part, part) in enumerate(parts(samples_of(batch), plan.accumulate), 1):
        share, last = of_part * of_rank, number == plan.accumulate
        with nullcontext() if last or fabric.world_size == 1 else fabric.no_backward_sync(training.module):
            losses = losses_of(training.module, part, step)
            fabric.backward(losses["total"] * (share * fabric.world_size))
        for name, loss in losses.items():
            whole[name] = whole.get(name, 0.0) + loss.detach() * share
    if plan.clip_gradient:
        fabric.clip_gradients(training.module, training.stepper, max_norm=plan.clip_gradient, error_if_nonfinite=False)
    training.stepper.step()
    if training.average is not None:
        training.average.update(training.network, step)
    return whole if fabric.world_size == 1 else summed(whole, fabric)


def summed(losses: Mapping[str, Tensor], fabric: Fabric) -> dict[str, Tensor]:
    """The sums of losses over all processes, each of which has them under the same names."""
    sums: Any = fabric.all_reduce(torch.stack([losses[name].float() for name in sorted(losses)]), reduce_op="sum")
    by_name = dict(zip(sorted(losses), sums.unbind(), strict=True))
    return {name: by_name[name] for name in losses}


def refuse_drift(training: Training) -> None:
    """Compare the weights of all processes, which are equal as long as every gradient was averaged.

    Raises:
        ValueError: They differ: losses that call a part of the network past its `forward` escape DDP.
    """
    fabric = training.fabric
    if fabric.world_size == 1:
        return
    size = torch.stack([weight.detach().double().abs().sum() for weight in training.network.parameters()]).sum().float()
    mean: Any = fabric.all_reduce(size.clone(), reduce_op="mean")
    if float((size - mean).abs()) > DRIFT * float(mean):
        raise ValueError("the weights of the processes of a training have drifted apart; losses must call the network")


def take_part(task: Task, place: Place) -> None:
    """Train as another process than the first: it writes nothing, does not validate and keeps no curves."""
    training = start(task, place)
    done, plan = resume(training), task.plan
    batches = batches_ahead(task.batch_at, range(done, plan.steps), training.fabric, prefetch=plan.prefetch)
    with kernels(training), closing(batches):
        for step, batch in enumerate(batches, start=done):
            one_step(training, task.losses_of, batch, step)
            if plan.ends_row(step):
                refuse_drift(training)


def kernels(training: Training) -> AbstractContextManager[None]:
    """Deterministic kernels on the CPU, where they cost nothing; GPUs lack some for 3-D maps."""
    return deterministic() if training.fabric.device.type == "cpu" else nullcontext()
