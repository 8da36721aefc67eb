"""How a method that works region by region trains: the loop's plan, the network's dimensions, the rows of a step."""

from collections.abc import Mapping, Sequence
from typing import Any

from weakmask.methods.by_region.settings import PrepareSettings
from weakmask.training.devices import Device
from weakmask.training.plan import Plan
from weakmask.training.sampling import balanced_batch, uniform_batch


def dimensions_of(prepare: PrepareSettings) -> int:
    """2 when a crop is one slice, else 3."""
    return 2 if prepare.crop_shape[0] == 1 else 3


def plan_of(settings: Any, seed: int, device: Device, header: Mapping[str, Any]) -> Plan:
    """The loop's plan from a method's training section, whose fields bear the plan's names."""
    return Plan(
        steps=settings.steps,
        validate_every=settings.validate_every,
        checkpoint_every=settings.checkpoint_every,
        accumulate=settings.accumulate,
        seed=seed,
        schedule=settings.schedule,
        average_decay=settings.average_decay,
        device=device,
        precision=settings.precision,
        header=header,
    )


def rows_of_step(settings: Any, groups: Sequence[int], seed: int, step: int) -> list[int]:
    """The crops of a step: uniformly over their groups (`sampling: balanced`), or all alike."""
    if settings.sampling == "balanced":
        return balanced_batch(groups, settings.batch, seed, step)
    return uniform_batch(len(groups), settings.batch, seed, step)
