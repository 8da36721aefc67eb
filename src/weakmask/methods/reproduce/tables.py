"""Which command makes which table: what `weakmask reproduce` does."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from weakmask.errors import UserError
from weakmask.methods.reproduce import covid_semiseg, lobes, table2

SEEDS = {"covid-semiseg": 3, "lobes": 3, "table2": 1}  # how many, where nothing is asked for


@dataclass(frozen=True)
class Request:
    """What a user asks of a table.

    Attributes:
        data: The data set's folder, where the table has one.
        rows: By name, with commas; "all".
        seeds: How many, from 0; None: the table's own number.
        preset: quick or paper, where the table has presets.
        final: Train the model to use instead, where the table has one.
        seed: Of that model.
        jobs: Trainings at a time; None: as many as there are cores for, one on a GPU.
    """

    data: Path | None
    rows: str = "all"
    seeds: int | None = None
    preset: str = "quick"
    final: bool = False
    seed: int = 0
    jobs: int | None = None


def reproduce_table(table: str, out: Path, request: Request) -> pd.DataFrame:
    """Make a table, or go on with it.

    Raises:
        UserError: An unknown table or row, or data that is not there.
    """
    names = None if request.rows == "all" else request.rows.split(",")
    if table not in SEEDS:
        raise UserError(f"unknown table {table!r}; expected one of {', '.join(SEEDS)}")
    seeds = request.seeds or SEEDS[table]
    if not request.final:
        out = out.resolve()  # runs remember their cohorts, and are gone on with from any working directory
    if table == "lobes":
        return lobes.reproduce(out, request.preset, names, seeds, request.jobs)
    if table == "table2":
        return table2.reproduce(out, request.preset, names, seeds, request.jobs)
    if request.data is None:
        raise UserError("covid-semiseg needs its data set: give --data FOLDER")
    if request.final:
        return covid_semiseg.final_model(request.data, out, request.seed)
    return covid_semiseg.reproduce(request.data, out, names, seeds, jobs=request.jobs)
