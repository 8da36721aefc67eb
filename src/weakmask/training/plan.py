"""Settings of the training loop."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from weakmask.training.devices import Device, Precision, Spread
from weakmask.training.optimisers import Schedule


@dataclass(frozen=True)
class Plan:
    """Settings of a training: its length, schedule, checkpoints, seed and device.

    Attributes:
        steps: Optimiser steps.
        validate_every: Steps between validations, each a row of the curves; the last step always validates.
        checkpoint_every: Steps between checkpoints.
        checkpoint_every_seconds: Largest time between checkpoints, in addition to steps, so that a slow machine loses
            minutes at most; 0: by steps only.
        accumulate: Number of parts that each batch is split into to save memory. Gradients equal those of the whole
            batch if the losses are means over samples and no layer mixes samples (batch norm does).
        seed: All random numbers depend on (seed, step).
        schedule: Schedule of the learning rate, see `rate_factor`.
        warm_up: Steps of linear warm-up.
        clip_gradient: Largest norm of the gradient; 0: no limit.
        average_decay: Decay of averaged weights, which are then validated and saved; 0: no averaging.
        prefetch: Build the next batch in a thread while a step computes.
        device: "auto", "cpu", "cuda" or "mps".
        precision: "auto", "32-true" or "bf16-mixed", see `fabric_for`.
        spread: Number of devices, and nodes, that share the training.
        header: Plain data for the weights files: network name, arguments, preprocessing.

    Raises:
        ValueError: A count is below 1, or an amount is negative.
    """

    steps: int
    validate_every: int = 100
    checkpoint_every: int = 100
    checkpoint_every_seconds: float = 180.0
    accumulate: int = 1
    seed: int = 0
    schedule: Schedule = "constant"
    warm_up: int = 0
    clip_gradient: float = 0.0
    average_decay: float = 0.0
    prefetch: bool = True
    device: Device = "auto"
    precision: Precision = "auto"
    spread: Spread = field(default_factory=Spread)
    header: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse numbers out of range."""
        counts = (self.steps, self.validate_every, self.checkpoint_every, self.accumulate)
        amounts = (self.checkpoint_every_seconds, self.warm_up, self.clip_gradient)
        if min(counts) < 1 or min(amounts) < 0 or not 0 <= self.average_decay < 1:
            raise ValueError(f"counts must be at least 1, amounts at least 0 and the decay in [0, 1): {self}")

    def ends_row(self, step: int) -> bool:
        """Whether a row of the curves ends with a step (from 0), after which the network is validated."""
        return (step + 1) % self.validate_every == 0 or step + 1 == self.steps

    def numbers(self) -> dict[str, Any]:
        """The fields that change the result; a checkpoint continues only with equal ones."""
        free = {"checkpoint_every", "checkpoint_every_seconds", "prefetch", "device", "precision", "spread", "header"}
        return {name: value for name, value in asdict(self).items() if name not in free}

    def key(self) -> str:
        """A hash of the numbers and the header: weights that carry it are those of this plan."""
        content = json.dumps({**self.numbers(), "header": self.header}, sort_keys=True, default=str)
        return hashlib.sha256(content.encode()).hexdigest()
