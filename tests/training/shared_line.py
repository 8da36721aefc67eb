"""A small training for several processes: a network, batches and losses that another process can import.

`python -c "import shared_line; shared_line.main()" FOLDER DEVICES SECONDS` trains it, as `weakmask train` would.
"""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from weakmask.ending import ending_well
from weakmask.training.devices import Spread
from weakmask.training.fit import fit
from weakmask.training.optimisers import build_optimiser
from weakmask.training.plan import Plan
from weakmask.training.seeding import generator_for

STEPS = 12


@dataclass(frozen=True)
class Batches:
    """Step -> five samples, so that two processes have three and two; a step may take a while."""

    seconds: float = 0.0

    def __call__(self, step: int) -> dict[str, Tensor]:
        time.sleep(self.seconds)
        x = torch.rand(5, 4, generator=generator_for(1, step))
        return {"x": x, "y": x.sum(dim=1)}


def losses_of(network: nn.Module, batch: Mapping[str, Tensor], step: int) -> dict[str, Tensor]:
    """A mean over samples, of two passes of the network, as dRAM's equivariance has them."""
    error = (network(batch["x"])[:, 0] - batch["y"]).square().mean()
    again = (network(batch["x"].flip(1))[:, 0] - batch["y"]).abs().mean()
    return {"total": error + 0.5 * again, "error": error}


def validate(network: nn.Module, done: int) -> dict[str, float]:
    """The error on other samples."""
    return {"score": -float(losses_of(network, Batches()(10**6), done)["error"])}


def train(folder: Path, devices: int, batches: Batches, **plan: Any) -> pd.DataFrame:
    """Train; the optimiser and the average of the weights have states of their own."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 1))
    settings: dict[str, Any] = {"validate_every": 4, "checkpoint_every": 3, "clip_gradient": 1.0, "average_decay": 0.9}
    settings |= {"steps": STEPS, "device": "cpu", "precision": "32-true", "spread": Spread(devices)}
    optimiser = build_optimiser(network.parameters(), "adam", 1e-2)
    return fit(network, optimiser, batches, losses_of, validate, folder, Plan(**settings | plan))


def main() -> None:
    """Train in the folder, on the number of devices and with the seconds of a step that the command line says."""
    with ending_well():
        train(Path(sys.argv[1]), int(sys.argv[2]), Batches(float(sys.argv[3])))
