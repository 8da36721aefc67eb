"""How a method that works region by region trains: the loop's plan, the network's dimensions, the rows of a step."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from weakmask.pipeline import Work
from weakmask.region_learning.bag_settings import BagTrainingSettings
from weakmask.region_learning.settings import PrepareSettings, TrainingSettings
from weakmask.training.plan import Plan
from weakmask.training.sampling import balanced_batch, uniform_batch


def dimensions_of(prepare: PrepareSettings) -> int:
    """2 when a crop is one slice, else 3."""
    return 2 if prepare.crop_shape[0] == 1 else 3


def plan_of(settings: TrainingSettings | BagTrainingSettings, work: Work[Any], header: Mapping[str, object]) -> Plan:
    """The loop's plan from a method's training section, whose fields have the plan's names.

    Args:
        settings: The section.
        work: Of the stage; seed and device are those of its settings.
        header: For the weights.
    """
    return Plan(
        steps=settings.steps,
        validate_every=settings.validate_every,
        checkpoint_every=settings.checkpoint_every,
        accumulate=settings.accumulate,
        seed=work.config.seed,
        schedule=settings.schedule,
        average_decay=settings.average_decay,
        device=work.config.device,
        precision=settings.precision,
        spread=work.spread,
        header=header,
    )


def sampling_groups(settings: TrainingSettings, table: pd.DataFrame, classes: Sequence[int]) -> list[int]:
    """The group of each crop, from which steps draw equally: its patient, or its class.

    Args:
        settings: The training section; `sampling` says what is balanced.
        table: The crops; it has a column `patient`.
        classes: The method's own groups: scores, or with and without lesions.
    """
    return pd.factorize(table["patient"])[0].tolist() if settings.sampling == "patients" else list(classes)


def rows_of_step(settings: TrainingSettings, groups: Sequence[int], seed: int, step: int) -> list[int]:
    """The crops of a step: drawn equally from their groups, or with `sampling: uniform` from all crops alike."""
    if settings.sampling == "uniform":
        return uniform_batch(len(groups), settings.batch, seed, step)
    return balanced_batch(groups, settings.batch, seed, step)
