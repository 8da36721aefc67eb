"""What the choices do that the dRAM paper leaves open: the CRF, the range of the move in (2), the optimiser.

Starts from the folder of a finished `weakmask reproduce table2 --seeds N`: its phantoms and its rows `raw` and
`regularizer` are the base, of which one value is changed at a time. The CRF is judged on the maps of `raw`, without
training; the others are trained for as long as the base. Printed are the mean IoU over the test scans with lesions, its
mean over the seeds and their range, and the difference from the base with the range over the seeds; `ratio` = IoU with
the choice / IoU of the base. Trainings that are there are not made again.

Usage: choices.py [--json] [--table DIR] [--preset NAME] [--seeds N] [--out DIR] [--jobs N] [--only crf|move|optimiser]
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from weakmask.datasets.cohort import read_cohort
from weakmask.evaluation.overlap import overlap
from weakmask.methods.by_region.model import MODEL
from weakmask.methods.dram.config import CrfSettings, DramSettings
from weakmask.methods.dram.model import load_model
from weakmask.methods.dram.predict import map_of_scan
from weakmask.methods.dram.refinement import crf_of
from weakmask.methods.reproduce.side_by_side import Task, jobs_for, side_by_side
from weakmask.methods.reproduce.table2 import train
from weakmask.methods.reproduce.table2_presets import preset_of
from weakmask.methods.reproduce.table2_rows import ROWS, cohorts_of
from weakmask.refinement import CRF, refine_map
from weakmask.volume.files import read_volume
from weakmask.volume.intensity import window

BASE = CrfSettings()
CRFS: dict[str, CrfSettings | None] = {
    "the map alone": None,
    "ours: 3 mm x 2, 10 mm and 90 HU x 4": BASE,
    "half the weights": BASE.model_copy(update={"smoothness_weight": 1.0, "appearance_weight": 2.0}),
    "twice the weights": BASE.model_copy(update={"smoothness_weight": 4.0, "appearance_weight": 8.0}),
    "appearance within 5 mm": BASE.model_copy(update={"appearance_mm": 5.0}),
    "appearance within 20 mm": BASE.model_copy(update={"appearance_mm": 20.0}),
    "45 HU": BASE.model_copy(update={"appearance_window": 0.03}),
    "180 HU": BASE.model_copy(update={"appearance_window": 0.12}),
}
# row of the table, section, values
TRAINED: dict[str, dict[str, tuple[str, str, dict[str, Any]]]] = {
    "move": {
        "ours: 0.8 to 1.25, 15 degrees": ("regularizer", "losses", {}),
        "0.95 to 1.05, 5 degrees": ("regularizer", "losses", {"move_scale": (0.95, 1.05), "move_degrees": 5.0}),
        "0.6 to 1.6, 45 degrees": ("regularizer", "losses", {"move_scale": (0.6, 1.6), "move_degrees": 45.0}),
    },
    "optimiser": {
        "ours: adam, 2e-3": ("raw", "regression", {}),
        "adam, 1e-4 (the authors' code)": ("raw", "regression", {"learning_rate": 1e-4}),
        "sgd, 1e-5 (the paper)": ("raw", "regression", {"optimiser": "sgd", "learning_rate": 1e-5}),
        "sgd, 1e-2": ("raw", "regression", {"optimiser": "sgd", "learning_rate": 1e-2}),
    },
}


@dataclass(frozen=True)
class Place:
    """Where things are.

    Attributes:
        table: The folder of `weakmask reproduce table2`.
        out: Runs of the choices.
        preset: That the table was made with.
        seeds: How many, from 0.
    """

    table: Path
    out: Path
    preset: str
    seeds: int


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--table", type=Path, default=Path("runs/table2"))
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/choices"))
    parser.add_argument("--jobs", type=int, help="trainings at a time; without: one a core, at most 4")
    parser.add_argument("--only", choices=["crf", *TRAINED])
    given = parser.parse_args()
    place = Place(given.table.absolute(), given.out.absolute(), given.preset, given.seeds)
    kinds = [given.only] if given.only else ["crf", *TRAINED]
    tasks = [task for kind in kinds if kind != "crf" for task in trainings(kind, place)]
    side_by_side(tasks, given.jobs or jobs_for("cpu"))
    cases = [case for kind in kinds for case in compared(kind, of_crfs(place) if kind == "crf" else of(kind, place))]
    if given.json:
        print(json.dumps({"benchmark": "choices", "seeds": given.seeds, "cases": cases}))
        return
    for case in cases:
        low, high, least, most = case["iou_low"], case["iou_high"], case["gain_low"], case["gain_high"]
        print(
            f"{case['choice']:10} {case['case']:38} IoU {case['iou']:.3f} [{low:.3f}, {high:.3f}], gain "
            f"{case['gain']:+.3f} [{least:+.3f}, {most:+.3f}], ratio {case['ratio']:.3f}"
        )


def settings_of(kind: str, name: str, place: Place, seed: int) -> DramSettings:
    """The base with one section changed."""
    row, section, values = TRAINED[kind][name]
    preset = preset_of(place.preset)
    settings: Any = ROWS[row].settings(preset, cohorts_of(place.table / "phantoms", preset), seed)
    return settings.model_copy(update={section: getattr(settings, section).model_copy(update=values)})


def run_of(kind: str, name: str, place: Place, seed: int) -> Path:
    """The base's run is the table's."""
    row, _, values = TRAINED[kind][name]
    if not values:
        return place.table / "rows" / row / f"seed-{seed}"
    plain = "".join(letter if letter.isalnum() else "-" for letter in name)
    return place.out / kind / plain / f"seed-{seed}"


def trainings(kind: str, place: Place) -> Iterator[Task]:
    """What is to be trained; all share the table's crops."""
    for seed in range(place.seeds):
        for name, (row, _, _) in TRAINED[kind].items():
            run = run_of(kind, name, place, seed)
            if not (run / "report.html").exists():
                settings, others = settings_of(kind, name, place, seed), [place.table / "rows" / row / f"seed-{seed}"]
                work = partial(train, ROWS[row].module, settings, run, others)
                yield Task(f"{name}, seed {seed}", work, run.with_suffix(".log"))


def of(kind: str, place: Place) -> dict[str, list[float]]:
    """The mean IoU of each seed."""
    found: dict[str, list[float]] = {}
    for name in TRAINED[kind]:
        tables = [pd.read_csv(run_of(kind, name, place, seed) / "summary.csv") for seed in range(place.seeds)]
        found[name] = [float(table["iou_mean"].to_numpy()[0]) for table in tables]
    return found


def of_crfs(place: Place) -> dict[str, list[float]]:
    """The same for the dense CRF on the maps of `raw`."""
    found: dict[str, list[float]] = {name: [] for name in CRFS}
    for seed in range(place.seeds):
        model = load_model(place.table / "rows" / "raw" / f"seed-{seed}" / "04-model" / MODEL, torch.device("cpu"))
        each: dict[str, list[float]] = {name: [] for name in CRFS}
        for case in read_cohort(place.table / "phantoms" / "test").cases:
            if case.lesions is None or case.regions is None:
                continue
            image, regions = read_volume(case.image), read_volume(case.regions, "label")
            truth, inside = read_volume(case.lesions, "label").voxels > 0, regions.voxels > 0
            if not truth.any():
                continue
            activation = map_of_scan(model, image, regions)
            grey = window(image.voxels, *model.regional.prepare.window)
            for name, settings in CRFS.items():
                found_map = activation
                if settings is not None:
                    crf = crf_of(settings)
                    found_map = refined(activation, grey, inside, crf, image.geometry.spacing_mm)
                each[name].append(overlap((found_map > 0.5) & inside, truth, inside).iou)
        for name, values in each.items():
            found[name].append(float(np.mean(values)))
    return found


def refined(activation: np.ndarray, grey: np.ndarray, inside: np.ndarray, crf: CRF, spacing_mm: tuple) -> np.ndarray:
    """The map after the CRF."""
    p, image, region = (torch.from_numpy(np.ascontiguousarray(a))[None, None] for a in (activation, grey, inside))
    return refine_map(p, image.float(), crf, spacing_mm, region)[0, 0].numpy()


def compared(kind: str, found: Mapping[str, list[float]]) -> list[dict[str, Any]]:
    """Every choice beside the first."""
    base = np.array(next(iter(found.values())))
    rows = []
    for name, values in found.items():
        ours, gain = np.array(values), np.array(values) - base
        rows.append(
            {
                "choice": kind,
                "case": name,
                "iou": float(ours.mean()),
                "iou_low": float(ours.min()),
                "iou_high": float(ours.max()),
                "gain": float(gain.mean()),
                "gain_low": float(gain.min()),
                "gain_high": float(gain.max()),
                "ratio": float(ours.mean() / base.mean()) if base.mean() else float("nan"),
            }
        )
    return rows


if __name__ == "__main__":
    main()
