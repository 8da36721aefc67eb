"""The paper's comparison and ablation on phantoms; after any stop the same command goes on.

OUT/
  phantoms/training  phantoms/test    the same for all rows and seeds
  rows/ROW/seed-S/                    a run folder each
  results.csv                         a line per row, seed, scan and lesion subtype
  table2.csv                          a line per row and seed
  summary.csv                         a line per row: medians over the seeds
  significance.csv  effects.csv       every row against CAM, every rung against the one below
  examples.webp  report.html
"""

import json
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import pandas as pd

from weakmask.config import Settings
from weakmask.datasets.phantom_ct import write_phantom_cohort
from weakmask.errors import UserError
from weakmask.methods.reproduce.table2_presets import TEST_SEED, TRAINING_SEED, Preset, preset_of
from weakmask.methods.reproduce.table2_report import write_everything
from weakmask.methods.reproduce.table2_rows import ROWS, Row, cohorts_of
from weakmask.methods.reproduce.table2_sharing import take_over
from weakmask.pipeline import run_stages
from weakmask.progress import console


def reproduce(out: Path, preset: str, rows: Sequence[str] | None, seeds: int) -> pd.DataFrame:
    """Train and judge what is not there yet, then write the tables and the report of all that is.

    Args:
        out: Where everything goes.
        preset: quick or paper.
        rows: Names in `ROWS`; None: all.
        seeds: How many seeds, from 0.

    Returns:
        The table for the console: a line per row.

    Raises:
        UserError: An unknown row or preset, or a folder that cannot be written or holds another preset.
    """
    rows = list(ROWS) if rows is None else rows
    unknown = [row for row in rows if row not in ROWS]
    if unknown:
        raise UserError(f"unknown row {unknown[0]!r}; expected one of {', '.join(ROWS)}")
    sizes = preset_of(preset)
    make_phantoms(out / "phantoms", sizes)
    data = cohorts_of(out / "phantoms", sizes)
    names = [name for name in ROWS if name in rows]  # in the table's order: what is shared is made by the first
    for seed in range(seeds):
        for place, name in enumerate(names, 1):
            title = f"row {place} of {len(names)}, seed {seed}: {ROWS[name].title}"
            console.print(f"[bold]{title}[/]", highlight=False)
            others = [out / "rows" / other / f"seed-{seed}" for other in ROWS]
            train(ROWS[name], ROWS[name].settings(sizes, data, seed), out / "rows" / name / f"seed-{seed}", others)
    return write_everything(out)


def make_phantoms(folder: Path, preset: Preset) -> None:
    """The two cohorts, unless they are there.

    Raises:
        UserError: Those that are there are of another preset.
    """
    sets = {"training": (preset.training_scans, TRAINING_SEED), "test": (preset.test_scans, TEST_SEED)}
    for name, (scans, seed) in sets.items():
        recipe = folder / name / "phantom.json"
        if not recipe.exists():
            console.print(f"[bold]phantoms[/] {scans} scans for {name}", highlight=False)
            write_phantom_cohort(folder / name, scans, seed, preset.shape, preset.spacing_mm)
        made = json.loads(recipe.read_text(encoding="utf-8"))
        there = len(made["scans"]), made["seed"], tuple(made["shape"]), tuple(made["spacing_mm"])
        if there != (scans, seed, preset.shape, preset.spacing_mm):
            raise UserError(
                f"{folder / name}: {there[0]} phantoms of {there[2]} voxels, seed {there[1]}; the preset has {scans} "
                f"of {preset.shape}, seed {seed}: choose another output folder"
            )


def train(row: Row, settings: Settings, run: Path, others: Sequence[Path]) -> None:
    """One run, unless it is complete; stages that another row has finished with the same settings are taken over."""
    if (run / "report.html").exists():
        console.print("[green]have[/] it", highlight=False)
        run_stages([], run, settings)  # refuses a run with other settings
        return
    module = import_module(row.module)
    run_stages([], run, settings)
    take_over(run, module.STAGES, settings, others)
    run_stages(module.STAGES, run, settings)
    module.conclude(run, settings)
