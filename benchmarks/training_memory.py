"""How much memory a training of each shipped config takes, computed without running it.

One training step runs on torch's "meta" device, whose tensors have shapes and no contents: forward (twice where a loss
compares the map of a moved image), backward, and what Adam keeps per weight. The figure is the peak of all living
tensors. It leaves out the targets of the refinement and what cuDNN and the driver take for themselves, so plan for some
GB more. `precision: auto` computes in bfloat16 on a GPU; the figure assumes that all feature maps are stored in it.

Usage: training_memory.py [--json] [--batch N]
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from weakmask.activation.peak_memory import LiveBytes
from weakmask.config import parse, read_yaml
from weakmask.methods.cam.config import CamSettings
from weakmask.methods.dram.config import DramSettings
from weakmask.methods.dram.context_grid import MARGIN
from weakmask.methods.dram.context_training import context_arguments
from weakmask.methods.dram.model import network_arguments, network_of
from weakmask.methods.lobes.config import LobeSettings
from weakmask.methods.supervised.config import SupervisedSettings
from weakmask.networks import build_network
from weakmask.region_learning.crop_batches import dimensions_of
from weakmask.regions.lobe_model import CLASSES

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
SETTINGS = {"dram": DramSettings, "cam": CamSettings, "supervised": SupervisedSettings, "lobes": LobeSettings}
STATE_BYTES = 16  # per weight in float32: the weight, its gradient and the two moments of Adam
GB = 1e9


@dataclass(frozen=True)
class Training:
    """One training of a config: its network and what it sees in a step.

    Attributes:
        stage: The stage that trains it.
        network: Name and arguments, as `build_network` takes them.
        crop: (z, y, x) or (y, x) voxels.
        batch: Crops per step.
        steps: Optimiser steps.
        passes: Forward passes whose feature maps live at the same time.
    """

    stage: str
    network: tuple[str, dict[str, Any]]
    crop: tuple[int, ...]
    batch: int
    steps: int
    passes: int = 1


def main() -> None:
    """Every training of every shipped config."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--batch", type=int, help="crops per step (default: the config's)")
    arguments = parser.parse_args()
    cases = [
        {"config": path.stem, "stage": training.stage, "crop": training.crop, "steps": training.steps}
        | figures(training, arguments.batch or training.batch)
        for path in sorted(CONFIGS.glob("*.yaml"))
        for training in trainings(path)
    ]
    if arguments.json:
        print(json.dumps({"benchmark": "training_memory", "cases": cases}))
        return
    table = Table("config", "stage", "crop", "batch", "steps", "million weights", "GB, float32", "GB, bfloat16")
    for case in cases:
        numbers = (f"{case[name]:.2f}" for name in ("million_weights", "gb_float32", "gb_bfloat16"))
        crop = " x ".join(map(str, case["crop"]))
        table.add_row(case["config"], case["stage"], crop, str(case["batch"]), str(case["steps"]), *numbers)
    Console(width=140).print(table)


def trainings(path: Path) -> Iterator[Training]:
    """What a config trains, in order."""
    values = read_yaml(path)
    settings = parse(SETTINGS[values["method"]], values, path.name)
    if isinstance(settings, DramSettings):
        yield from trainings_of_dram(settings)
        return
    if isinstance(settings, LobeSettings):
        network, plan = settings.network, settings.segmentation
        named = (network.name, network.arguments(CLASSES))
        yield Training("segmentation", named, settings.prepare.shape, plan.batch, plan.steps)
        return
    crop = settings.prepare.crop_shape[3 - dimensions_of(settings.prepare) :]
    arguments = {"dimensions": len(crop), "width": settings.network.width}
    if isinstance(settings, CamSettings):
        stage, name, plan = "classification", "encoder_classifier", settings.classification
    else:
        stage, name, plan = "segmentation", "unet", settings.segmentation
    yield Training(stage, (name, arguments), crop, plan.batch // plan.accumulate, plan.steps)


def trainings_of_dram(settings: DramSettings) -> Iterator[Training]:
    """The vessel network, the regression and the context network, where the settings have them."""
    crop = settings.prepare.crop_shape[3 - dimensions_of(settings.prepare) :]
    regression, vessels, context = settings.regression, settings.vessels, settings.context
    if vessels.suppress and settings.refinement.weight:
        yield Training("vessels", ("unet", network_arguments(settings)), crop, regression.batch, vessels.steps)
    passes = 2 if settings.losses.equivariance else 1
    batch = regression.batch // regression.accumulate
    yield Training("regression", network_of(settings), crop, batch, regression.steps, passes)
    if context.train:
        side = context.window_voxels + 2 * MARGIN["valid"] * (context.padding == "valid")
        network = ("unet", context_arguments(settings))
        yield Training("context-model", network, (side,) * len(crop), context.batch, context.steps)


def figures(training: Training, batch: int) -> dict[str, Any]:
    """Weights, and the peak memory of a step in GB for both number formats."""
    peaks = {dtype: peak_of(training, batch, dtype) for dtype in (torch.float32, torch.bfloat16)}
    with torch.device("meta"):
        weights = sum(weight.numel() for weight in build_network(*training.network).parameters())
    return {
        "batch": batch,
        "million_weights": weights / 1e6,
        "gb_float32": (peaks[torch.float32] + STATE_BYTES * weights) / GB,
        "gb_bfloat16": (peaks[torch.bfloat16] + STATE_BYTES * weights) / GB,
    }


def peak_of(training: Training, batch: int, dtype: torch.dtype) -> int:
    """Most bytes of feature maps that live at one time in a step."""
    with torch.device("meta"):
        network = build_network(*training.network).to(dtype)
    image = torch.empty((batch, 1, *training.crop), dtype=dtype, device="meta")
    with LiveBytes() as live:
        total = torch.zeros((), device="meta")
        for _ in range(training.passes):
            total = total + network(image).float().sum()
        total.backward()
    return live.peak


if __name__ == "__main__":
    main()
