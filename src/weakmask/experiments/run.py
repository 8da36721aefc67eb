"""`weakmask reproduce`: train the runs of an experiment that are missing, then write its tables and its report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import pandas as pd

from weakmask.errors import UserError
from weakmask.experiments import (
    covid_cxr,
    covid_semiseg,
    dram_phantoms,
    dual_task,
    dual_task_phantoms,
    hippocampus,
    lobe_networks,
    mitochondria_table,
    wsmis_tables,
)
from weakmask.experiments.experiment import Experiment, Place, Setup, checked_name
from weakmask.experiments.report import write_results
from weakmask.experiments.training import Training
from weakmask.pipeline import run_stages
from weakmask.pipeline.cluster_runs import run_on_cluster
from weakmask.pipeline.parallel_runs import Task, jobs_for, run_in_parallel
from weakmask.ray_cluster import Cluster
from weakmask.terminal import say

EXPERIMENTS = {
    "covid-cxr": covid_cxr.EXPERIMENT,
    "covid-semiseg": covid_semiseg.EXPERIMENT,
    "dual-task": dual_task.EXPERIMENT,
    "dual-task-phantoms": dual_task_phantoms.EXPERIMENT,
    "hippocampus": hippocampus.EXPERIMENT,
    "lobes": lobe_networks.EXPERIMENT,
    "mitochondria": mitochondria_table.EXPERIMENT,
    "table2": dram_phantoms.EXPERIMENT,
    **wsmis_tables.EXPERIMENTS,
}


@dataclass(frozen=True)
class Request:
    """The request of a user; None: the user does not say.

    Attributes:
        data: The data set's folder, for an experiment that needs one.
        rows: Names with commas; None or "all": every row.
        seeds: How many, from 0; None: the experiment's own number.
        preset: Name of a preset; None: the first.
        final: Train the model to use instead of the rows.
        seed: Of that model; None: 0.
        jobs: Trainings at a time; None: as `jobs_for` says.
        folds: The folds to train; None: all.
        sets: Names of data sets with commas; None: all.
        ray: The Ray cluster that trains; None: processes of this machine do.
    """

    data: Path | None = None
    rows: str | None = None
    seeds: int | None = None
    preset: str | None = None
    final: bool = False
    seed: int | None = None
    jobs: int | None = None
    folds: tuple[int, ...] | None = None
    sets: str | None = None
    ray: Cluster | None = None


def reproduce_table(table: str, out: Path, request: Request) -> pd.DataFrame:
    """Make a table, or go on with it; returns the table to print.

    Args:
        table: Name in `EXPERIMENTS`.
        out: The output folder.
        request: The rows, seeds, preset and so on.

    Raises:
        UserError: An unknown table, row or preset, missing data, a request that the table does not take, or an output
            folder that cannot be written or holds runs with other settings.
    """
    experiment = EXPERIMENTS[checked_name(EXPERIMENTS, table, "table")]
    _refuse_ignored(table, experiment, request)
    if experiment.needs_data and request.data is None:
        raise UserError(f"{table} needs its data set: give --data FOLDER")
    if request.final and experiment.final is not None and request.data is not None:
        return experiment.final(request.data, out, request.seed or 0)
    return reproduce(experiment, out.resolve(), request)  # runs remember the absolute paths of their cohorts


def reproduce(experiment: Experiment, out: Path, request: Request) -> pd.DataFrame:
    """Train and judge the runs that are missing, then write tables and report; arguments as in `reproduce_table`."""
    name = checked_name(experiment.presets, request.preset or next(iter(experiment.presets)), "preset")
    setup = Setup(out, experiment.presets[name], name, request.data or Path())
    places = places_of(experiment, request)
    if experiment.make_cohorts is not None:
        experiment.make_cohorts(setup, places)
    complete = dict(experiment.complete_runs(out))
    for place, run in complete.items():
        run_stages([], run, experiment.settings_of(setup, place))  # refuses a run with other settings
        say("have", _title(experiment, place))
    trainings = {place: training_of(experiment, setup, place) for place in places if place not in complete}
    for place, training in trainings.items():
        training.start()  # here, where no other process makes the same stage
        if place.row in experiment.floors:
            training.finish()  # which takes seconds
    longer = {place: training for place, training in trainings.items() if place.row not in experiment.floors}
    if longer:
        device = getattr(next(iter(longer.values())).settings, "device", "auto")
        if request.ray is not None:
            cluster = replace(request.ray, device=device)
            run_on_cluster(tasks_of(experiment, setup, longer, cluster.workers or len(longer)), cluster)
        else:
            jobs = jobs_for(device) if request.jobs is None else request.jobs
            run_in_parallel(tasks_of(experiment, setup, longer, jobs), jobs)
    if experiment.evaluate is not None:
        for training in trainings.values():
            experiment.evaluate(training.run, setup)
    return write_results(experiment, setup)


def places_of(experiment: Experiment, request: Request) -> list[Place]:
    """The runs that a user asks for, each once: by seed, in the order of the rows, by fold.

    Raises:
        UserError: An unknown row or data set, or no such place in the table.
    """
    asked = list(experiment.rows) if request.rows in {None, "all"} else str(request.rows).split(",")
    names = {checked_name(experiment.rows, name, "row") for name in asked}
    folds = request.folds or _folds_of_sets(experiment, request.sets)
    places = [
        Place(row, seed, fold)
        for seed in range(request.seeds or experiment.seeds)
        for row in experiment.rows
        if (seed == 0 if row in experiment.floors else row in names)
        for fold in experiment.folds_of(row)
        if fold is None or not folds or fold in folds
    ]
    found = [place for place in places if experiment.has(place)]
    if not any(place.row in names for place in found):
        raise UserError(f"--rows {request.rows}: of the sets {request.sets}, the table has no such row")
    return found


def _folds_of_sets(experiment: Experiment, sets: str | None) -> Sequence[int]:
    """The folds of the data sets that a user names, or all."""
    if sets in {None, "all"}:
        return range(experiment.folds)
    names = [checked_name(experiment.sets, name, "set") for name in str(sets).split(",")]
    return [fold for name in experiment.sets if name in names for fold in experiment.sets[name]]


def training_of(experiment: Experiment, setup: Setup, place: Place) -> Training:
    """The training of one run, which may reuse stages of all rows of the same fold."""
    seeds = dict.fromkeys((place.seed, *range(experiment.seeds)))
    return Training(
        method=experiment.rows[place.row].method,
        settings=experiment.settings_of(setup, place),
        run=setup.run(place),
        others=tuple(setup.run(Place(row, seed, place.fold)) for seed in seeds for row in experiment.rows),
        last_stage=experiment.last_stage,
    )


def tasks_of(experiment: Experiment, setup: Setup, trainings: Mapping[Place, Training], jobs: int) -> list[Task]:
    """A task per run; where several are done at a time, rows wait for those whose stages they reuse."""
    rows, at_a_time = experiment.rows, jobs > 1
    order = [*(experiment.first if at_a_time else ()), *rows]
    tasks = []
    for place in sorted(trainings, key=lambda place: (place.seed, order.index(place.row))):
        before = [Place(row, place.seed, place.fold) for row in rows[place.row].after if at_a_time]
        tasks.append(
            Task(
                name=_title(experiment, place),
                work=trainings[place].finish,
                log=setup.out / "logs" / f"{'-'.join(place.names)}.log",
                after=tuple(_title(experiment, other) for other in before if other in trainings),
            )
        )
    return tasks


def _title(experiment: Experiment, place: Place) -> str:
    return ", ".join([experiment.rows[place.row].title, *(name.replace("-", " ") for name in place.names[1:])])


def _refuse_ignored(table: str, experiment: Experiment, request: Request) -> None:
    """Refuse flags that would have no effect."""
    made, taken = table, ["rows", "seeds", *(["preset"] if len(experiment.presets) > 1 else []), "jobs", "ray"]
    if request.final and experiment.final is not None:
        made, taken = f"{table} --final", ["final", "seed"]
    elif request.ray is not None and request.jobs is not None:
        raise UserError(f"--jobs {request.jobs}: trainings on a cluster are as many as --workers says; leave it out")
    sets = ["sets"] if experiment.sets and not request.final else []
    taken = [*(["data"] if experiment.needs_data or experiment.sets else []), *sets, *taken]
    for field in fields(request):
        value = getattr(request, field.name)
        if value is not None and value is not False and field.name not in {*taken, "folds"}:
            flags = ", ".join(f"--{name}" for name in taken)
            raise UserError(f"{made} takes no --{field.name}; it takes {flags}; leave it out")
