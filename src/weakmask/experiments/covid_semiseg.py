"""COVID-SemiSeg by cross-validation over the 50 expert slices; after any stop the same command goes on.

OUT/
  splits.csv                     which slices each fold judges on
  cohorts/fold-K/                both/ expert/ simulated/ (scores alone), masks/ (for the bound), test/
  rows/ROW/seed-S/fold-K/        a run folder each
  logs/                          what they say, where several are trained at a time
  per_slice.csv  table.csv  report.html
"""

from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

from weakmask.config import Settings
from weakmask.datasets.case import Case
from weakmask.datasets.covid_semiseg import CovidSemiSeg, read_covid_semiseg, write_cohort
from weakmask.datasets.splits import Split, k_fold, write_splits
from weakmask.errors import UserError
from weakmask.experiments import covid_rows
from weakmask.experiments.covid_floors import judge_floors
from weakmask.experiments.covid_rows import OPENING_VOXELS, ROWS, Source
from weakmask.experiments.covid_tables import write_results
from weakmask.experiments.parallel_runs import Task, jobs_for, side_by_side
from weakmask.experiments.stage_reuse import share_first
from weakmask.methods import METHODS
from weakmask.pipeline import run_stages

FOLDS = 5
SPLIT_SEED = 0  # one split for all rows and seeds, so that they are compared on the same terms
FINAL = "complete"


def reproduce(
    data: Path,
    out: Path,
    rows: Sequence[str] | None,
    seeds: int,
    folds: Sequence[int] = range(FOLDS),
    jobs: int | None = None,
) -> pd.DataFrame:
    """Train and judge what is not there yet, then write the tables and the report of all that is.

    Args:
        data: The COVID-SemiSeg folder.
        out: Where everything goes.
        rows: Names in `ROWS`; None: all.
        seeds: How many seeds, from 0.
        folds: The folds to train; all are needed for the claim.
        jobs: Folds trained at a time; None: as `jobs_for` says.

    Returns:
        The table.

    Raises:
        UserError: An unknown row, data that is not there, or a folder that cannot be written.
    """
    rows = list(ROWS) if rows is None else list(dict.fromkeys(rows))  # two trainings of a run would collide
    unknown = [row for row in rows if row not in ROWS]
    if unknown:
        raise UserError(f"unknown row {unknown[0]!r}; expected one of {', '.join(ROWS)}")
    slices = read_covid_semiseg(data)
    splits = k_fold(slices.expert, FOLDS, SPLIT_SEED)
    write_splits(splits, out / "splits.csv")
    jobs = jobs_for("auto") if jobs is None else jobs
    tasks = [
        _task(slices, splits[fold], (name, seed, fold), out) for seed in range(seeds) for name in rows for fold in folds
    ]
    side_by_side([task for task in tasks if task is not None], jobs)
    for fold in folds:
        cohorts = out / "cohorts" / f"fold-{fold}"
        crops = cohorts / "both-dram-crops" / "01-prepare"
        if crops.exists():
            judge_floors(crops, cohorts / "test", covid_rows.PREPARE, OPENING_VOXELS, out / "floors" / f"fold-{fold}")
    return write_results(out)


def final_model(data: Path, run: Path, seed: int) -> Any:
    """The model to use: the complete row, trained on all scores of both tables; returns the summary.

    Its cohorts lie beside the run. There is no truth among them, so that it is judged by its scores alone.
    """
    slices = read_covid_semiseg(data)
    beside = run.with_name(f"{run.name}-cohorts")
    write_cohort((*slices.expert, *slices.weak), beside / "all", truth=False)
    write_cohort(slices.expert, beside / "expert", truth=False)
    settings = ROWS[FINAL].settings(beside / "all", beside / "expert", seed)
    module = import_module(METHODS[ROWS[FINAL].method].module)
    run_stages(module.STAGES, run, settings)
    return module.conclude(run, settings)


def _cohort(slices: CovidSemiSeg, split: Split, source: Source | str, cohorts: Path) -> Path:
    """The cohort folder of a fold; masks are in those alone that need them."""
    trained = [case for case in slices.expert if case.name in set(split.train)]
    judged = [case for case in slices.expert if case.name in set(split.test)]
    cases: dict[str, Sequence[Case]] = {
        "both": (*trained, *slices.weak),
        "expert": trained,
        "simulated": slices.weak,
        "masks": trained,
        "test": judged,
    }
    write_cohort(cases[source], cohorts / source, truth=source in {"masks", "test"})
    return cohorts / source


def _task(slices: CovidSemiSeg, split: Split, place: tuple[str, int, int], out: Path) -> Task | None:
    """The training of a row, a seed and a fold, its cohorts and crops made; None if it is complete."""
    name, seed, fold = place
    row, cohorts = ROWS[name], out / "cohorts" / f"fold-{fold}"
    train, test = _cohort(slices, split, row.source, cohorts), _cohort(slices, split, "test", cohorts)
    run = out / "rows" / name / f"seed-{seed}" / f"fold-{fold}"
    if (run / "report.html").exists():
        return None
    module, settings = METHODS[row.method].module, row.settings(train, test, seed)
    share_first(import_module(module).STAGES, run, settings, cohorts / f"{row.source}-{row.method}-crops")
    log = out / "logs" / f"{name}-seed-{seed}-fold-{fold}.log"
    return Task(f"{row.title}, seed {seed}, fold {fold}", partial(_train, module, settings, run), log)


def _train(module_name: str, settings: Settings, run: Path) -> None:
    """The other stages of a run."""
    module = import_module(module_name)
    run_stages(module.STAGES, run, settings)
    module.conclude(run, settings)
