"""The demo: make phantoms, train dRAM complete and raw on their scores, evaluate both, segment one scan, report.

The settings are those of `weakmask reproduce table2 --preset quick`, whose row `raw` is trained as it is. The complete
method leaves out the two parts that do not help in voxels of 4 mm, and its context network has fewer steps, so that
the demo takes minutes. The two trainings run at the same time, on one half of the cores each.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from weakmask.commands.predict import RegionSource, predict
from weakmask.config import Settings
from weakmask.experiments.dram_phantoms import QUICK, ROWS, TEST_SEED
from weakmask.experiments.experiment import Row, settings_of
from weakmask.experiments.training import Training
from weakmask.methods import METHODS, write_run_report
from weakmask.phantoms.chest_ct import check_phantom_cohort, write_phantom_cohort
from weakmask.pipeline.parallel_runs import Task, jobs_for, run_in_parallel
from weakmask.region_learning.other_runs import write_other_runs
from weakmask.terminal import say

TEST_SCANS = 12
# attention and vessel suppression lower the IoU in docs/tutorials/table2.md, and each takes minutes
COMPLETE = Row(
    "dRAM complete",
    "dram",
    {"vessels": {"suppress": False}, "refinement": {"attention": False}, "context": {"steps": 250}},
)
RAW = ROWS["raw"]
LOG = "log.txt"  # in a run folder


def demo_settings(row: Row, phantoms: Path, seed: int) -> Settings:
    """The settings of a row in table2's quick preset, on the phantoms of the demo.

    Args:
        row: `COMPLETE`, `RAW` or another row of the table.
        phantoms: The folder of the two cohorts.
        seed: Of the training and the split.
    """
    return settings_of(row, QUICK, seed, (phantoms / "training", phantoms / "test"))


def run_demo(run: Path, seed: int) -> pd.DataFrame:
    """Run the demo into `run`, with its phantoms in `run`-phantoms and raw dRAM in `run`-raw; returns the table.

    Raises:
        UserError: A folder cannot be written or holds a run with other settings, the phantoms are of another seed, or a
            training was killed.
    """
    phantoms, raw = run.with_name(f"{run.name}-phantoms"), run.with_name(f"{run.name}-raw")
    _make_phantoms(phantoms, seed)
    complete = demo_settings(COMPLETE, phantoms, seed)
    baseline = Training("dram", demo_settings(RAW, phantoms, seed), raw, others=(run,))
    _train_together([Training("dram", complete, run), baseline])
    write_other_runs(run, [raw])
    table = write_run_report(METHODS["dram"], complete, run)
    scan = min((phantoms / "test" / "images").iterdir())
    predict(run, [scan], run / "one-scan", RegionSource(phantoms / "test" / "regions"), device="cpu")
    return table


def _make_phantoms(folder: Path, seed: int) -> None:
    """Make the training and the test cohort unless they exist."""
    sets = ("training", QUICK.training_scans, seed), ("test", TEST_SCANS, seed + TEST_SEED)
    for name, scans, first in sets:
        if not (folder / name / "phantom.json").exists():
            say("phantoms", f"{scans} scans for {name}")
            write_phantom_cohort(folder / name, scans, first, QUICK.shape, QUICK.spacing_mm)
        check_phantom_cohort(folder / name, scans, first, QUICK.shape, QUICK.spacing_mm)


def _train_together(trainings: Sequence[Training]) -> None:
    """Train at the same time; the first training makes the crops, and the others reuse them."""
    for training in trainings:
        training.start()
    jobs = min(len(trainings), jobs_for("cpu"))
    tasks = [Task(f"training {training.run}", training.finish, training.run / LOG) for training in trainings]
    if jobs > 1:
        logs = " and ".join(str(task.log) for task in tasks)
        say("two trainings", f"at the same time; they print to {logs}")
    run_in_parallel(tasks, jobs, short_of_memory="close other programs and repeat the command")
