"""One training step of dRAM with everything on, beside the step of the raw regression, per crop of 80^3.

Steps are forward, losses, backward and Adam, of one crop, as training takes them. Equivariance needs the network a
second time in any implementation, so `relative_time` = (step - one raw step) / raw step is what the rest is judged by:
a second pass and whatever equivariance, entropy, the CRF's target, attention and bootstrapping add. It should be at
most 2. The cases put one piece after the other on top: the last one is the full step. `ratio` = raw / step. All run in
one process, alternating; medians of wall times.

Usage: training_step.py [--json] [--rounds N] [--threads N] [--width W ...] [--side VOXELS] [--device cuda]
"""

import argparse
import json
import statistics
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from weakmask.methods.dram import DramSettings
from weakmask.methods.dram.config import LossSettings, RefinementSettings, VesselSettings
from weakmask.methods.dram.model import network_of
from weakmask.methods.dram.regression import Objective
from weakmask.networks import build_network
from weakmask.region_learning.settings import DataSettings, NetworkSettings, PrepareSettings
from weakmask.training.devices import lay_out

RAW: dict[str, Any] = {
    "losses": LossSettings(equivariance=0.0, entropy=0.0),
    "vessels": VesselSettings(suppress=False),
    "refinement": RefinementSettings(weight=0.0),
}
CASES: dict[str, dict[str, Any]] = {
    "raw": RAW,
    "+ regularizer": {"refinement": RefinementSettings(weight=0.0)},
    "+ refine (CRF)": {"refinement": RefinementSettings(start=0.0, attention=False)},
    "+ attention, vessels": {"refinement": RefinementSettings(start=0.0)},
}


def main() -> None:
    """Every width in turn."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--rounds", type=int, default=3, help="alternating steps per case (default 3)")
    parser.add_argument("--threads", type=int, default=2, help="default 2")
    parser.add_argument("--width", type=int, nargs="+", default=[8, 32], help="default 8 and 32 (the paper's)")
    parser.add_argument("--side", type=int, default=80, help="of the crop, in voxels (default 80)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    results = [row for width in arguments.width for row in measure(width, arguments)]
    if arguments.json:
        told = {"device": arguments.device, "threads": arguments.threads, "side": arguments.side}
        print(json.dumps({"benchmark": "training_step", **told, "cases": results}))
        return
    table = Table("case", "seconds", "x raw", "relative time")
    for row in results:
        numbers = (row["seconds"], 1 / row["ratio"], row["relative_time"])
        table.add_row(row["case"], *(f"{number:.3f}" for number in numbers))
    Console().print(table)


def measure(width: int, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """All cases of one width, in turn."""
    steps = {name: Step(width, arguments, changed) for name, changed in CASES.items()}
    batch = crop(arguments.side, arguments.device)
    seconds: dict[str, list[float]] = {name: [] for name in CASES}
    for number in range(arguments.rounds + 1):
        for name, step in steps.items():
            taken = step(batch, number)
            if number:  # the first one warms up
                seconds[name].append(taken)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    raw = medians["raw"]
    return [
        {
            "case": f"width {width}, {name}",
            "ratio": raw / taken,
            "relative_time": (taken - raw) / raw,
            "seconds": taken,
        }
        for name, taken in medians.items()
    ]


class Step:
    """A network with its optimiser and losses."""

    def __init__(self, width: int, arguments: argparse.Namespace, changed: dict[str, Any]) -> None:
        """Build them for the settings that differ from the paper's."""
        config = DramSettings(
            data=DataSettings(cohort=Path("none")),
            prepare=PrepareSettings(crop_shape=(arguments.side,) * 3),
            network=NetworkSettings(width=width),
            **changed,
        )
        torch.manual_seed(0)
        self.network = build_network(*network_of(config)).to(arguments.device)
        lay_out(self.network, torch.device(arguments.device))
        self.optimiser = torch.optim.Adam(self.network.parameters(), 1e-4)
        self.objective = Objective(config)

    def __call__(self, batch: dict[str, Tensor], number: int) -> float:
        """Seconds of one step."""
        start = perf_counter()
        self.optimiser.zero_grad(set_to_none=True)
        self.objective(self.network, batch, number)["total"].backward()
        self.optimiser.step()
        if batch["image"].is_cuda:
            torch.cuda.synchronize()
        return perf_counter() - start


def crop(side: int, device: str) -> dict[str, Tensor]:
    """A region that fills most of its box, with noise and a bright part in it, and a vessel through it."""
    generator = torch.Generator().manual_seed(0)
    places = torch.stack(torch.meshgrid(*[torch.linspace(-1, 1, side)] * 3, indexing="ij"))
    region = (places.square().sum(0) < 1).float()[None, None]
    lesion = ((places - 0.3).square().sum(0) < 0.1).float()[None, None]
    vessels = (places[1:].square().sum(0) < 0.002).float()[None, None] * region
    image = (0.25 + 0.03 * torch.randn(region.shape, generator=generator) + 0.4 * lesion + 0.5 * vessels) * region
    values = {
        "image": image.clamp(0, 1),
        "region": region,
        "vessels": vessels,
        "low": torch.tensor([0.05]),
        "high": torch.tensor([0.25]),
        "weight": torch.tensor([1.0]),
        "healthy": torch.tensor([False]),
        "spacing": torch.full((1, 3), 2.0),
    }
    return {name: value.to(device) for name, value in values.items()}


if __name__ == "__main__":
    main()
