"""Which command makes which table: what `weakmask reproduce` does."""

from dataclasses import dataclass, fields
from pathlib import Path

import pandas as pd

from weakmask.errors import UserError
from weakmask.experiments import covid_semiseg, lobes, table2

SEEDS = {"covid-semiseg": 3, "lobes": 3, "table2": 1}  # how many, where nothing is asked for
ON_PHANTOMS = ("rows", "seeds", "preset", "jobs")
TAKES = {  # table, or what is made instead of it -> what of a request it heeds
    "covid-semiseg": ("data", "rows", "seeds", "jobs"),
    "covid-semiseg --final": ("data", "final", "seed"),
    "lobes": ON_PHANTOMS,
    "table2": ON_PHANTOMS,
}


@dataclass(frozen=True)
class Request:
    """What a user asks of a table; None is what was not asked.

    Attributes:
        data: The data set's folder, where the table has one.
        rows: By name, with commas; "all" is what None is.
        seeds: How many, from 0; None: the table's own number.
        preset: quick or paper, where the table has presets; None: quick.
        final: Train the model to use instead, where the table has one.
        seed: Of that model; None: 0.
        jobs: Trainings at a time; None: as many as there are cores for, one on a GPU.
    """

    data: Path | None = None
    rows: str | None = None
    seeds: int | None = None
    preset: str | None = None
    final: bool = False
    seed: int | None = None
    jobs: int | None = None


def reproduce_table(table: str, out: Path, request: Request) -> pd.DataFrame:
    """Make a table, or go on with it.

    Raises:
        UserError: An unknown table or row, data that is not there, or a request that the table has no use for.
    """
    if table not in SEEDS:
        raise UserError(f"unknown table {table!r}; expected one of {', '.join(SEEDS)}")
    _check_heeded(table, request)
    names = None if request.rows in {None, "all"} else str(request.rows).split(",")
    seeds, preset = request.seeds or SEEDS[table], request.preset or "quick"
    if not request.final:
        out = out.resolve()  # runs remember their cohorts, and are gone on with from any working directory
    if table == "lobes":
        return lobes.reproduce(out, preset, names, seeds, request.jobs)
    if table == "table2":
        return table2.reproduce(out, preset, names, seeds, request.jobs)
    if request.data is None:
        raise UserError("covid-semiseg needs its data set: give --data FOLDER")
    if request.final:
        return covid_semiseg.final_model(request.data, out, request.seed or 0)
    return covid_semiseg.reproduce(request.data, out, names, seeds, jobs=request.jobs)


def _check_heeded(table: str, request: Request) -> None:
    """Refuse what was asked and would be passed over."""
    made = f"{table} --final" if request.final and f"{table} --final" in TAKES else table
    for field in fields(request):
        value = getattr(request, field.name)
        if value is not None and value is not False and field.name not in TAKES[made]:
            taken = ", ".join(f"--{name}" for name in TAKES[made])
            raise UserError(f"{made} takes no --{field.name}; it takes {taken}; leave it out")
