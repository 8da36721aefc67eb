"""Vessels on phantoms whose vessels are known: Frangi and Otsu beside dRAM's vessel network that learnt from them.

Makes phantoms without lesions to learn from and others to judge on, half of those with lesions; runs dRAM's own prepare
and vessel stages; judges both on the crops of scans that were not learnt from, against the true vessels. Printed are
the Dice over all voxels of a group of scans, and its parts; `ratio` = the network's Dice over the filter's (the peer).
The filter on the scan's own grid, before crops are made, is there for comparison.

Usage: vessel_dice.py [--json] [--scans N] [--steps N] [--side VOXELS] [--width W] [--spacing MM] [--seed S]
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from weakmask.datasets.cohort import read_cohort
from weakmask.evaluation.overlap import Overlap, overlap
from weakmask.methods.dram import METHOD, DramSettings
from weakmask.methods.dram.config import VesselSettings
from weakmask.methods.dram.vessels import frangi_reference
from weakmask.phantoms.chest_ct import make_phantom, write_phantom_cohort
from weakmask.pipeline import run_stages
from weakmask.refinement.vessels import vessel_mask
from weakmask.region_learning.crops import OUTSIDE
from weakmask.region_learning.settings import DataSettings, NetworkSettings, PrepareSettings, TrainingSettings
from weakmask.volume.files import read_volume, write_volume
from weakmask.volume.resample import resample_onto

EXTENT_MM = (320.0, 360.0, 384.0)
GROUPS = ("healthy", "with lesions")


def main() -> None:
    """Learn, judge, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--scans", type=int, default=8, help="to learn from, and as many to judge on (default 8)")
    parser.add_argument("--steps", type=int, default=250, help="of the vessel network, 4 crops each (default 250)")
    parser.add_argument("--side", type=int, default=64, help="of a crop, in voxels (default 64; the paper's: 80)")
    parser.add_argument("--width", type=int, default=8, help="channels of the first convolution (default 8)")
    parser.add_argument("--spacing", type=float, default=2.0, help="of the phantoms, in mm (default 2)")
    parser.add_argument("--seed", type=int, default=0, help="of phantoms and training")
    parser.add_argument("--keep", type=Path, help="where to keep phantoms and run; default: nowhere")
    arguments = parser.parse_args()
    if arguments.keep:
        results = measure(arguments, arguments.keep)
    else:
        with tempfile.TemporaryDirectory() as folder:
            results = measure(arguments, Path(folder))
    if arguments.json:
        print(json.dumps({"benchmark": "vessel_dice", **settings_told(arguments), "cases": results}))
        return
    table = Table(
        "case", "network", "Frangi + Otsu", "ratio", "network PPV", "sensitivity", "filter PPV", "sensitivity"
    )
    for row in results:
        numbers = [row[name] for name in COLUMNS]
        table.add_row(str(row["case"]), *(f"{number:.3f}" for number in numbers))
    Console().print(table)


COLUMNS = ("dice", "peer_dice", "ratio", "ppv", "sensitivity", "peer_ppv", "peer_sensitivity")


def settings_told(arguments: argparse.Namespace) -> dict[str, object]:
    """What the figures depend on."""
    return {name: getattr(arguments, name) for name in ("scans", "steps", "side", "width", "spacing", "seed")}


def measure(arguments: argparse.Namespace, folder: Path) -> list[dict[str, object]]:
    """Every group of scans."""
    cohort = folder / "cohort"
    if not cohort.exists():
        write_cohort(cohort, arguments)
    config = DramSettings(
        seed=arguments.seed,
        data=DataSettings(cohort=cohort, validation=0.5),
        prepare=PrepareSettings(spacing_mm=None, crop_shape=(arguments.side,) * 3),
        network=NetworkSettings(width=arguments.width),
        vessels=VesselSettings(steps=arguments.steps, learning_rate=3e-3),
        regression=TrainingSettings(batch=4, checkpoint_every=25),
    )
    run = folder / "run"
    run_stages(METHOD.stages[:2], run, config)
    index = pd.read_csv(run / "01-prepare" / "index.csv", dtype={"scan": str})
    learnt_from = set(index.loc[index["split"] == "training", "scan"])
    totals: dict[tuple[str, str], list[Overlap]] = {}
    for case in read_cohort(cohort).cases:
        if case.name in learnt_from:
            continue
        group = GROUPS[int(max(case.scores.values()) > 0)]
        truth = read_volume(cohort / "anatomy" / "vessels" / case.image.name, "label")
        share = truth.with_voxels(truth.voxels.astype(np.float32), "image")
        for file in index.loc[index["scan"] == case.name, "file"]:
            crop = read_volume(run / "01-prepare" / file)
            inside = crop.voxels != OUTSIDE
            # a voxel of the crop is vessel where most of it is
            true = resample_onto(share, crop.geometry).voxels > 0.5
            learnt = read_volume(run / "02-vessels" / "masks" / Path(file).name, "label").voxels > 0
            totals.setdefault((group, "network"), []).append(overlap(learnt, true, inside))
            totals.setdefault((group, "filter"), []).append(overlap(frangi_reference(crop, config), true, inside))
        image = read_volume(case.image)
        regions = read_volume(cohort / "regions" / case.image.name, "label")
        found = vessel_mask(image, regions.voxels > 0).voxels > 0
        totals.setdefault((group, "scan"), []).append(overlap(found, truth.voxels > 0, regions.voxels > 0))
    return [row for group in GROUPS for row in rows(group, totals)]


def write_cohort(folder: Path, arguments: argparse.Namespace) -> None:
    """Phantoms without lesions; among those to be judged every other one has some."""
    shape = tuple(round(extent / arguments.spacing) for extent in EXTENT_MM)
    spacing = (arguments.spacing,) * 3
    first = 20_000 + 1_000 * arguments.seed
    write_phantom_cohort(folder, 2 * arguments.scans, first, shape, spacing)  # pyright: ignore[reportArgumentType]
    scores = pd.read_csv(folder / "scores.csv", dtype={"scan": str})
    names = sorted(scores["scan"].unique())
    for number, name in enumerate(names):
        if number % 4 == 0:
            continue  # a quarter keeps its lesions
        healthy = dict.fromkeys(range(1, 6), 0)
        phantom = make_phantom(first + number, shape, spacing, healthy)  # pyright: ignore[reportArgumentType]
        write_volume(phantom.image, folder / "images" / f"{name}.nii.gz")
        write_volume(phantom.lesions, folder / "truth" / f"{name}.nii.gz")
        write_volume(phantom.vessels, folder / "anatomy" / "vessels" / f"{name}.nii.gz")
        scores.loc[scores["scan"] == name, "score"] = 0
    scores.to_csv(folder / "scores.csv", index=False)


def rows(group: str, totals: dict[tuple[str, str], list[Overlap]]) -> list[dict[str, object]]:
    """One group of scans, pooled: on the crops, and the filter on the scans' own grid."""
    if (group, "network") not in totals:
        return []
    network, filtered, scan = (sum(totals[group, way], start=Overlap()) for way in ("network", "filter", "scan"))
    return [
        {
            "case": f"{group}, {where}",
            "ratio": network.dice / peer.dice,
            "dice": network.dice,
            "ppv": network.ppv,
            "sensitivity": network.sensitivity,
            "peer_dice": peer.dice,
            "peer_ppv": peer.ppv,
            "peer_sensitivity": peer.sensitivity,
        }
        for where, peer in (("crops", filtered), ("filter on the scan's grid", scan))
    ]


if __name__ == "__main__":
    main()
