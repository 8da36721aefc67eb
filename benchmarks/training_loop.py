"""Does the training loop cost anything beside the bare forward, backward and optimiser step?

Both train the same network on the same batches, alternating in one process; printed are medians of the process time of
one step and the ratio bare / ours: 1 is a loop that costs nothing, the target is at least 0.91 (ours at most 1.10 of
bare). Both must end with the same weights, else the benchmark fails. Prefetching and the device are the same for both:
one batch, ready in memory. `with extras` adds averaged weights, gradient clipping and a checkpoint every tenth step to
ours alone, to show what they cost; its weights differ.

Usage: training_loop.py [--json] [--rounds N]
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from time import process_time
from typing import Any

import torch
from torch import Tensor, nn

from weakmask.losses import interval_regression, region_mean
from weakmask.networks import UNet
from weakmask.training.devices import fabric_for, lay_out
from weakmask.training.fit import Plan, fit
from weakmask.training.optimisers import build_optimiser

STEPS = 12  # of which the first two warm up


@dataclass(frozen=True)
class Setting:
    """A network and a batch of it."""

    dimensions: int
    width: int
    side: int
    batch: int
    precision: Any
    extras: dict[str, Any] = field(default_factory=dict)


EXTRAS = {"average_decay": 0.99, "clip_gradient": 10.0, "checkpoint_every": 10}
SETTINGS = {
    "2-D w16 128^2 x4 float32": Setting(2, 16, 128, 4, "32-true"),
    "3-D w8 32^3 x2 float32": Setting(3, 8, 32, 2, "32-true"),
    "3-D w8 32^3 x2 auto": Setting(3, 8, 32, 2, "auto"),
    "3-D w8 32^3 x2 auto, with extras": Setting(3, 8, 32, 2, "auto", EXTRAS),
}


def network_of(setting: Setting) -> nn.Module:
    """The same network each time."""
    torch.manual_seed(0)
    return UNet(setting.dimensions, width=setting.width)


def batch_of(setting: Setting) -> dict[str, Tensor]:
    """The same batch each time."""
    generator = torch.Generator().manual_seed(1)
    return {"image": torch.rand(setting.batch, 1, *[setting.side] * setting.dimensions, generator=generator)}


def losses_of(network: nn.Module, batch: Mapping[str, Tensor], step: int) -> dict[str, Tensor]:  # noqa: ARG001 - fit's
    """Interval regression towards a tenth."""
    maps = torch.sigmoid(network(batch["image"]))
    predicted = region_mean(maps, torch.ones_like(maps))
    low = torch.full_like(predicted, 0.05)
    return {"total": interval_regression(predicted, low, 3 * low).mean()}


def bare(setting: Setting) -> tuple[list[float], nn.Module]:
    """Seconds of each step of the shortest possible loop, and the network."""
    network, batch = network_of(setting), batch_of(setting)
    fabric = fabric_for("cpu", setting.precision)
    lay_out(network, fabric.device)
    optimiser = build_optimiser(network.parameters())
    network.train()
    times = []
    for step in range(STEPS):
        times.append(process_time())
        optimiser.zero_grad()
        with fabric.autocast():
            maps = network(batch["image"])
        losses_of(lambda _, maps=maps: maps.float(), batch, step)["total"].backward()  # pyright: ignore[reportArgumentType]
        optimiser.step()
    times.append(process_time())
    return [after - before for before, after in pairwise(times[2:])], network


def ours(setting: Setting) -> tuple[list[float], nn.Module]:
    """Seconds between the steps of `fit`, and the network."""
    network, batch, times = network_of(setting), batch_of(setting), []

    def watched(module: nn.Module, batch: Mapping[str, Tensor], step: int) -> dict[str, Tensor]:
        times.append(process_time())
        return losses_of(module, batch, step)

    plan = Plan(STEPS, device="cpu", precision=setting.precision, **setting.extras)
    with tempfile.TemporaryDirectory() as folder:
        fit(network, build_optimiser(network.parameters()), lambda _: batch, watched, None, Path(folder), plan)
    return [after - before for before, after in pairwise(times[2:])], network


def same_weights(a: nn.Module, b: nn.Module) -> bool:
    """Whether two networks ended alike."""
    pairs = zip(a.parameters(), b.parameters(), strict=True)
    return all(torch.allclose(x, y, rtol=1e-3, atol=1e-5) for x, y in pairs)


def measured(setting: Setting, rounds: int) -> dict[str, Any]:
    """Medians of both loops over alternating rounds, of the second round on."""
    seconds: dict[str, list[float]] = {"bare": [], "ours": []}
    same = True
    for number in range(rounds + 1):
        (bare_times, bare_network), (our_times, our_network) = bare(setting), ours(setting)
        same = same and (bool(setting.extras) or same_weights(bare_network, our_network))
        if number:
            seconds["bare"] += bare_times
            seconds["ours"] += our_times
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {**medians, "ratio": medians["bare"] / medians["ours"], "same": same}


def main() -> None:
    """Measure every setting and print a table or JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--rounds", type=int, default=3, help="alternating rounds behind each median")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    found = {name: measured(setting, arguments.rounds) for name, setting in SETTINGS.items()}
    if arguments.json:
        cases = [{"case": name, **row} for name, row in found.items()]
        print(json.dumps({"benchmark": "training_loop", "cases": cases}))
    else:
        for name, row in found.items():
            times = f"bare {row['bare']:.4f} s, ours {row['ours']:.4f} s"
            print(f"{name:36s} {times}, ratio {row['ratio']:.3f}, same weights {row['same']}")
    if not all(row["same"] for row in found.values()):
        raise SystemExit("the two loops ended with different weights")


if __name__ == "__main__":
    main()
