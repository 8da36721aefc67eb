"""What the choices do that the dRAM paper leaves open: the CRF, the range of the move in (2), the optimiser.

Starts from the folder of a finished `weakmask reproduce table2 --seeds N`: its phantoms and its rows `raw`,
`regularizer` and `anchor` are the base, of which one value is changed at a time. The CRF is judged by the pseudo-labels
that it makes of the maps of `anchor` in the first training scans, without training; the others are trained for as long
as the base and judged on the test scans. Printed are the mean IoU over scans with lesions, its mean over the seeds and
their range, and the difference from the base with the range over the seeds; `ratio` = IoU with the choice / IoU of the
base. Trainings that are there are not made again.

Usage: choices.py [--json] [--table DIR] [--preset NAME] [--seeds N] [--scans N] [--out DIR] [--jobs N]
                  [--only crf|move|optimiser]
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from weakmask.datasets.cohort import read_cohort
from weakmask.evaluation.overlap import overlap
from weakmask.experiments.dram_phantoms import EXPERIMENT
from weakmask.experiments.experiment import Place as Run
from weakmask.experiments.experiment import Setup, changed
from weakmask.experiments.training import Training
from weakmask.methods.dram.config import CrfSettings, DramSettings
from weakmask.methods.dram.context_grid import LESION
from weakmask.methods.dram.maps import map_of_scan
from weakmask.methods.dram.model import load_model
from weakmask.methods.dram.pseudo_labels import FoundScan, labelled, vessels_of
from weakmask.pipeline import stage_folder
from weakmask.pipeline.parallel_runs import Task, jobs_for, run_in_parallel
from weakmask.training.checkpoints import MODEL
from weakmask.volume.files import read_volume
from weakmask.volume.resample import resample_onto

BASE = CrfSettings()
WIDE: dict[str, float] = {"appearance_mm": 20.0, "appearance_window": 0.03}
CRFS: dict[str, dict[str, float] | None] = {
    "the default: 3 mm x 2, 10 mm and 90 HU x 4": {},
    "no CRF": None,
    "180 HU": {"appearance_window": 0.12},
    "45 HU": {"appearance_window": 0.03},
    "20 mm": {"appearance_mm": 20.0},
    "45 HU, both weights twice": {"appearance_window": 0.03, "appearance_weight": 8.0, "smoothness_weight": 4.0},
    "45 HU, 20 mm": WIDE,
    "45 HU, 20 mm, weight 8": {**WIDE, "appearance_weight": 8.0},
    "45 HU, 20 mm, both weights twice": {**WIDE, "appearance_weight": 8.0, "smoothness_weight": 4.0},
    "30 HU, 20 mm, both weights twice": {
        "appearance_window": 0.02,
        "appearance_mm": 20.0,
        "appearance_weight": 8.0,
        "smoothness_weight": 4.0,
    },
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
        scans: Training scans whose pseudo-labels are judged.
    """

    table: Path
    out: Path
    preset: str
    seeds: int
    scans: int


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--table", type=Path, default=Path("runs/table2"))
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--scans", type=int, default=26, help="training scans whose pseudo-labels are judged")
    parser.add_argument("--out", type=Path, default=Path("runs/choices"))
    parser.add_argument("--jobs", type=int, help="trainings at a time; without: one a core, at most 4")
    parser.add_argument("--only", choices=["crf", *TRAINED])
    given = parser.parse_args()
    place = Place(given.table.absolute(), given.out.absolute(), given.preset, given.seeds, given.scans)
    kinds = [given.only] if given.only else ["crf", *TRAINED]
    tasks = [task for kind in kinds if kind != "crf" for task in trainings(kind, place)]
    run_in_parallel(tasks, given.jobs or jobs_for("cpu"))
    cases = [case for kind in kinds for case in compared(kind, of_crfs(place) if kind == "crf" else of(kind, place))]
    if given.json:
        print(json.dumps({"benchmark": "choices", "seeds": given.seeds, "cases": cases}))
        return
    for case in cases:
        low, high, least, most = case["iou_low"], case["iou_high"], case["gain_low"], case["gain_high"]
        print(
            f"{case['choice']:10} {case['case']:42} IoU {case['iou']:.3f} [{low:.3f}, {high:.3f}], gain "
            f"{case['gain']:+.3f} [{least:+.3f}, {most:+.3f}], ratio {case['ratio']:.3f}"
        )


def settings_of(kind: str, name: str, place: Place, seed: int) -> DramSettings:
    """The base with one section changed."""
    row, section, values = TRAINED[kind][name]
    settings: Any = changed(of_row(place, row, seed), {section: values})
    return settings


def of_row(place: Place, row: str, seed: int) -> Any:
    """The settings of a row of the table."""
    setup = Setup(place.table, EXPERIMENT.presets[place.preset], place.preset)
    return EXPERIMENT.settings_of(setup, Run(row, seed))


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
                settings, others = settings_of(kind, name, place, seed), (place.table / "rows" / row / f"seed-{seed}",)
                training = Training("dram", settings, run, others)
                yield Task(f"{name}, seed {seed}", training.finish, run.with_suffix(".log"))


def of(kind: str, place: Place) -> dict[str, list[float]]:
    """The mean IoU of each seed."""
    found: dict[str, list[float]] = {}
    for name in TRAINED[kind]:
        tables = [pd.read_csv(run_of(kind, name, place, seed) / "summary.csv") for seed in range(place.seeds)]
        found[name] = [float(table["iou_mean"].to_numpy()[0]) for table in tables]
    return found


def of_crfs(place: Place) -> dict[str, list[float]]:
    """The same of the pseudo-labels that each CRF makes."""
    found: dict[str, list[float]] = {name: [] for name in CRFS}
    for seed in range(place.seeds):
        run = place.table / "rows" / "anchor" / f"seed-{seed}"
        model = load_model(stage_folder(run, "model") / MODEL, torch.device("cpu"))
        settings = of_row(place, "context", seed)
        cohort = read_cohort(settings.data.cohort)
        each: dict[str, list[float]] = {name: [] for name in CRFS}
        for case in cohort.cases[: place.scans]:
            if case.truth is None or case.regions is None:
                continue
            image, regions = read_volume(case.image), read_volume(case.regions, "label")
            lesions = read_volume(case.truth, "label")
            if not lesions.voxels.any():
                continue
            activation = image.with_voxels(map_of_scan(model, image, regions), "image")
            crops = [file.name for file in (stage_folder(run, "prepare") / "crops").glob(f"{case.name}_*")]
            scan = FoundScan(
                image, regions, activation, vessels_of(stage_folder(run, "vessels"), crops, image), case.scores
            )
            for name, changes in CRFS.items():
                _, labels = labelled(scan, with_crf(settings, changes), model.threshold, cohort.score_map)
                truth = resample_onto(lesions, labels.geometry).voxels > 0
                each[name].append(overlap(labels.voxels == LESION, truth).iou)
        for name, values in each.items():
            found[name].append(float(np.mean(values)))
    return found


def with_crf(settings: DramSettings, changes: dict[str, float] | None) -> DramSettings:
    """Settings with another CRF; None: with none."""
    crf = BASE.model_copy(update=changes or {})
    parts = {
        "refinement": settings.refinement.model_copy(update={"crf": crf}),
        "context": settings.context.model_copy(update={"crf": changes is not None}),
    }
    return settings.model_copy(update=parts)


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
