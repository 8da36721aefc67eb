"""Optimisers and learning-rate schedules; a schedule is a pure function of the step."""

import math
from collections.abc import Iterable
from typing import Literal

from torch import nn
from torch.optim import SGD, Adam, Optimizer

Schedule = Literal["constant", "cosine", "poly"]


def build_optimiser(
    parameters: Iterable[nn.Parameter],
    name: Literal["adam", "sgd"] = "adam",
    learning_rate: float | None = None,
    weight_decay: float = 0.0,
) -> Optimizer:
    """The optimiser of a training.

    Args:
        parameters: The weights to train.
        name: "adam" (the dRAM authors' released code; trains far faster) or "sgd" with momentum 0.9 (the dRAM paper).
        learning_rate: Base rate of the schedule; None: 1e-4 for Adam (the code), 1e-5 for SGD (the paper).
        weight_decay: L2 penalty on all weights.

    Raises:
        ValueError: The name is unknown.
    """
    if name == "adam":
        return Adam(parameters, lr=1e-4 if learning_rate is None else learning_rate, weight_decay=weight_decay)
    if name == "sgd":
        rate = 1e-5 if learning_rate is None else learning_rate
        return SGD(parameters, lr=rate, momentum=0.9, weight_decay=weight_decay)
    raise ValueError(f"optimiser must be adam or sgd, not {name!r}")


def rate_factor(step: int, steps: int, schedule: Schedule = "constant", warm_up: int = 0) -> float:
    """Factor of the base learning rate at a step.

    Args:
        step: From 0.
        steps: Length of the training.
        schedule: "constant" 1; "cosine" (1 + cos(pi t)) / 2; "poly" (1 - t)^0.9, with t the completed share of the
            steps after the warm-up.
        warm_up: Number of steps of a linear rise of the factor, from 1 / warm_up at step 0.

    Returns:
        A factor in (0, 1] for steps before `steps`.

    Raises:
        ValueError: The schedule is unknown.
    """
    if step < warm_up:
        return (step + 1) / warm_up
    done = (step - warm_up) / max(steps - warm_up, 1)
    if schedule == "constant":
        return 1.0
    if schedule == "cosine":
        return (1.0 + math.cos(math.pi * done)) / 2.0
    if schedule == "poly":
        return float((1.0 - done) ** 0.9)
    raise ValueError(f"schedule must be constant, cosine or poly, not {schedule!r}")
