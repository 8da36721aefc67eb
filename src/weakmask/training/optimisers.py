"""Optimisers and learning-rate schedules; a schedule is a pure function of the step."""

import math
from collections.abc import Iterable
from typing import Any, Literal

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RAdam

OptimiserName = Literal["adam", "adamw", "radam", "sgd"]
Schedule = Literal["constant", "cosine", "poly"]
ADAPTIVE = {"adam": Adam, "adamw": AdamW, "radam": RAdam}


def build_optimiser(
    parameters: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
    name: OptimiserName = "adam",
    learning_rate: float | None = None,
    weight_decay: float = 0.0,
) -> Optimizer:
    """The optimiser of a training.

    Args:
        parameters: The weights to train, or groups of them as torch takes them; a group may have its own `lr`.
        name: "adam" (the dRAM authors' released code; trains far faster), "sgd" with momentum 0.9 (the dRAM paper),
            "radam" (Liu et al. 2020; WSMIS's code) or "adamw" (Loshchilov, Hutter 2019).
        learning_rate: Base rate of the schedule; None: 1e-5 for SGD (the paper), 1e-4 for the others (the code).
        weight_decay: L2 penalty on all weights; of AdamW the share by which a weight shrinks per unit of the rate.

    Raises:
        ValueError: The name is unknown.
    """
    if name == "sgd":
        rate = 1e-5 if learning_rate is None else learning_rate
        return SGD(parameters, lr=rate, momentum=0.9, weight_decay=weight_decay)
    if name not in ADAPTIVE:
        raise ValueError(f"optimiser must be adam, adamw, radam or sgd, not {name!r}")
    rate = 1e-4 if learning_rate is None else learning_rate
    return ADAPTIVE[name](parameters, lr=rate, weight_decay=weight_decay)


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
