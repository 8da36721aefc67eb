"""The paper's comparison and ablation on phantoms; after any stop the same command goes on.

OUT/
  phantoms/training  phantoms/test    the same for all rows and seeds
  rows/ROW/seed-S/                    a run folder each
  logs/                               what the rows say, where several are trained at a time
  results.csv                         a line per row, seed, scan and lesion subtype
  table2.csv                          a line per row and seed
  summary.csv                         a line per row: medians over the seeds
  significance.csv  effects.csv       every row against CAM, every rung against the one below
  examples.webp  report.html
"""

from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path

import pandas as pd

from weakmask.config import Settings
from weakmask.errors import UserError
from weakmask.experiments.parallel_runs import Task, jobs_for, side_by_side
from weakmask.experiments.stage_reuse import take_over
from weakmask.experiments.table2_presets import TEST_SEED, TRAINING_SEED, Preset, preset_of
from weakmask.experiments.table2_report import write_everything
from weakmask.experiments.table2_rows import ROWS, SHARES_WITH, cohorts_of
from weakmask.phantoms.chest_ct import check_phantom_cohort, write_phantom_cohort
from weakmask.pipeline import run_stages
from weakmask.progress import console


def reproduce(out: Path, preset: str, rows: Sequence[str] | None, seeds: int, jobs: int | None = None) -> pd.DataFrame:
    """Train and judge what is not there yet, then write the tables and the report of all that is.

    Args:
        out: Where everything goes.
        preset: quick or paper.
        rows: Names in `ROWS`; None: all.
        seeds: How many seeds, from 0.
        jobs: Rows trained at a time; None: as `jobs_for` says.

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
    jobs = jobs_for(sizes.device) if jobs is None else jobs
    side_by_side([task for seed in range(seeds) for task in tasks_of(out, sizes, rows, seed, jobs)], jobs)
    return write_everything(out)


def tasks_of(out: Path, preset: Preset, rows: Sequence[str], seed: int, jobs: int) -> list[Task]:
    """The rows of one seed that are not complete; of several at a time those that others wait for come first."""
    data = cohorts_of(out / "phantoms", preset).model_copy(update={"split_seed": seed})
    shares = SHARES_WITH if jobs > 1 else {}  # in turn, whichever comes second takes over
    found = []
    for name in sorted((name for name in ROWS if name in rows), key=[*shares, *ROWS].index):
        before = [ROWS[other].title for other in shares.get(name, ()) if other in rows]
        others = [out / "rows" / other / f"seed-{seed}" for other in ROWS]
        settings, run = ROWS[name].settings(preset, data, seed), out / "rows" / name / f"seed-{seed}"
        if (run / "report.html").exists():
            train(ROWS[name].module, settings, run, others)  # only opened, which is no work for a process
            continue
        found.append(
            Task(
                name=f"{ROWS[name].title}, seed {seed}",
                work=partial(train, ROWS[name].module, settings, run, others),
                log=out / "logs" / f"{name}-seed-{seed}.log",
                after=tuple(f"{title}, seed {seed}" for title in before),
            )
        )
    return found


def make_phantoms(folder: Path, preset: Preset) -> None:
    """The two cohorts, unless they are there.

    Raises:
        UserError: Those that are there are of another preset.
    """
    sets = {"training": (preset.training_scans, TRAINING_SEED), "test": (preset.test_scans, TEST_SEED)}
    for name, (scans, seed) in sets.items():
        if not (folder / name / "phantom.json").exists():
            console.print(f"[bold]phantoms[/] {scans} scans for {name}", highlight=False)
            write_phantom_cohort(folder / name, scans, seed, preset.shape, preset.spacing_mm)
        check_phantom_cohort(folder / name, scans, seed, preset.shape, preset.spacing_mm)


def train(module_name: str, settings: Settings, run: Path, others: Sequence[Path]) -> None:
    """One run, unless it is complete; stages that another row has finished with the same settings are taken over."""
    if (run / "report.html").exists():
        console.print(f"[green]have[/] {run.parent.name}, {run.name}", highlight=False)
        run_stages([], run, settings)  # refuses a run with other settings
        return
    module = import_module(module_name)
    run_stages([], run, settings)
    take_over(run, module.STAGES, settings, others)
    run_stages(module.STAGES, run, settings)
    module.conclude(run, settings)
