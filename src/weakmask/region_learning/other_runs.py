"""The rows of other runs in a run's report: their summaries, copied into the run folder.

A report shows them below the run's own row, above the baselines that all runs have.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from weakmask.atomic_write import atomic_file
from weakmask.csv_table import read_csv, write_csv
from weakmask.pipeline import stage_folder

FILE = "other_runs.csv"


def write_other_runs(run: Path, others: Sequence[Path]) -> None:
    """Write other_runs.csv into a run folder: the first row of each other run's summary, which is its own.

    Args:
        run: A run folder.
        others: Finished runs that were evaluated on the same scans.

    Raises:
        UserError: One of the others is not finished.
    """
    rows = [read_csv(stage_folder(other, "evaluation") / "summary.csv").iloc[:1] for other in others]
    with atomic_file(run / FILE) as temporary:
        write_csv(pd.concat(rows, ignore_index=True), temporary, "%.6g")


def with_other_runs(summary: pd.DataFrame, run: Path) -> pd.DataFrame:
    """A run's summary with the rows of other_runs.csv after its own row; unchanged without such a file."""
    if not (run / FILE).exists():
        return summary
    return pd.concat([summary.iloc[:1], read_csv(run / FILE), summary.iloc[1:]], ignore_index=True)
