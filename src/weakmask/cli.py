"""The command line: each verb calls one function.

Exit codes: 0 done, 2 a fault of the user or the machine, 1 a fault of the program, 128 + N stopped by signal N.
"""

import os
from pathlib import Path
from typing import Annotated

import typer

from weakmask import __version__
from weakmask.cli_options import Json, Overrides, Ray, Seed, Workers, verb_of
from weakmask.cli_scans import scans
from weakmask.ending import ending_well
from weakmask.errors import UserError
from weakmask.screen import (
    PlainGroup,
    counted,
    print_checked,
    print_faults,
    print_good,
    print_methods,
    print_summary,
)
from weakmask.terminal import out, print_line

app = typer.Typer(
    name="weakmask",
    cls=PlainGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog="Start with `weakmask demo`; `weakmask VERB --help` explains one verb. For research; not a medical device.",
)

TABLES = (
    "covid-cxr, covid-semiseg, dual-task, hippocampus, lobes, mitochondria, table2, wsmis-pets, -busi, -siim, -voc or "
    "-phantoms"
)
verb = verb_of(app)
app.add_typer(scans)


def main() -> None:
    """Run a verb; what the user or the machine is at fault for is reported in one line, with exit code 2."""
    # read by torch when it is imported: maps in huge pages, 8 % of a training step on Linux
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    with ending_well():
        app()


def _version(*, value: bool) -> None:
    if value:
        print_line(f"weakmask {__version__}")
        raise typer.Exit


@app.callback()
def top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Segmentation networks from the weak labels that radiologists already write down."""


@verb("demo --out runs/demo")
def demo(
    folder: Annotated[Path, typer.Option("--out", "-o", help="Folder for the run and its report.")] = Path("runs/demo"),
    seed: Seed = 0,
) -> None:
    """Try everything once on synthetic CT scans: train, segment, evaluate, report. Takes minutes on a CPU."""
    from weakmask.commands.demo import run_demo

    print_summary(run_demo(folder, seed))
    print_line(f"report: {folder / 'report.html'}")


@verb("phantom phantoms/ --scans 8 --size 80 90 96 --spacing 4 4 4")
def phantom(  # noqa: PLR0913, PLR0917 (a verb's flags are its parameters)
    folder: Annotated[Path, typer.Argument(help="Cohort folder to create.")],
    kind: Annotated[
        str, typer.Option(help="Image: chest-ct, chest-xray, photographs, em, em-easy, em-noisy.")
    ] = "chest-ct",
    scans: Annotated[int, typer.Option(min=1, help="Number of scans or pictures.")] = 32,
    seed: Seed = 0,
    size: Annotated[tuple[int, int, int] | None, typer.Option(help="Voxels of a CT or a stack: z y x.")] = None,
    spacing: Annotated[tuple[float, float, float] | None, typer.Option(help="Voxel size z y x; mm, em: nm.")] = None,
    reader_noise: Annotated[float | None, typer.Option(help="Probability that a score of a CT is off by one.")] = None,
    side: Annotated[int | None, typer.Option(help="Pixels of a side of a picture.", show_default="256")] = None,
) -> None:
    """Create synthetic images (phantoms) with labels and true masks: chest CT, X-rays, photographs or EM stacks."""
    from weakmask.commands.phantom import PhantomRequest, write_phantoms

    write_phantoms(folder, PhantomRequest(kind, scans, seed, size, spacing, reader_noise, side))
    print_line(f"{counted(scans, 'scan')} in {folder}; next: weakmask check {folder}")


@verb("import mosmed COVID19_1110/ --out cohort/")
def import_public(
    name: Annotated[str | None, typer.Argument(help="Data set; without one, all are listed.")] = None,
    folder: Annotated[
        Path | None, typer.Argument(help="Where it was unpacked; without it, the set is described.")
    ] = None,
    cohort: Annotated[Path | None, typer.Option("--out", "-o", help="Cohort folder to create.")] = None,
    part: Annotated[str, typer.Option(help="Part of the data set, as its description lists them.")] = "all",
    no_truth: Annotated[bool, typer.Option("--no-truth", help="Leave the true masks out.")] = False,
    copy: Annotated[bool, typer.Option("--copy", help="Copy the files; else they get a second name.")] = False,
) -> None:
    """Make a cohort of a public data set: MosMedData, STOIC2021, SIIM-ACR, PASCAL VOC, MitoEM, the Decathlon, ..."""
    from weakmask.commands.import_set import described, import_set, listed_sets

    if name is None:
        print_summary(listed_sets())
        return
    if folder is None:
        for line in described(name):
            print_line(line)
        return
    if cohort is None:
        raise UserError("give the folder of the cohort to create: --out COHORT")
    count = import_set(name, folder, cohort, part, truth=not no_truth, copy=copy)
    print_line(f"{counted(count, 'image')} in {cohort}; next: weakmask check {cohort}")


@verb("check cohort/")
def check(
    folder: Annotated[Path, typer.Argument(help="Cohort folder with images/, scores.csv and, optionally, regions/.")],
    as_json: Json = False,
    not_ct: Annotated[bool, typer.Option("--not-ct", help="MR or X-rays: expect no Hounsfield units.")] = False,
    ray: Ray = None,
    workers: Workers = None,
) -> None:
    """Check your data: read every file of a cohort and list each problem with the way to fix it."""
    from weakmask.commands.check import check as check_files
    from weakmask.datasets.case import NoUsableScanError
    from weakmask.ray_cluster import Cluster

    cluster = Cluster.of(ray, workers, "cpu")
    try:
        cohort = check_files(folder, hounsfield=not not_ct, cluster=cluster)
    except NoUsableScanError as error:
        if as_json:
            print_checked([], error.faults)
        else:
            print_faults(error.faults)
        raise
    if as_json:
        print_checked([case.name for case in cohort.cases], cohort.faults)
    else:
        print_faults(cohort.faults)
        print_good(cohort.cases, len({fault.scan for fault in cohort.faults if fault.fatal}))
    if any(fault.fatal for fault in cohort.faults):
        raise typer.Exit(2)


@verb("methods")
def methods(as_json: Json = False) -> None:
    """List the methods: what each learns from, its paper and its config files."""
    from weakmask.commands.methods import describe_methods

    print_methods(describe_methods(), as_json=as_json)


@verb("show configs/dram_ct.yaml --set data.cohort=cohort/")
def show(
    config: Annotated[Path, typer.Argument(help="Config file (YAML).")],
    overrides: Overrides = None,
) -> None:
    """Print a config in full: every setting with its value and its meaning."""
    from weakmask.config import to_yaml
    from weakmask.methods import load_config

    _, settings = load_config(config, overrides)
    out.print(to_yaml(settings), markup=False, highlight=False, soft_wrap=True)


@verb("train configs/dram_ct.yaml --set data.cohort=cohort/ --out runs/mine")
def train(
    config: Annotated[Path, typer.Argument(help="Config file (YAML); `weakmask methods` lists ready ones.")],
    folder: Annotated[Path, typer.Option("--out", "-o", help="Run folder to create, or to continue.")],
    overrides: Overrides = None,
) -> None:
    """Train a segmentation network on your cohort. Stopped at any moment, the same command continues."""
    from weakmask.methods import helped, load_config
    from weakmask.methods import train as train_method

    method, settings = load_config(config, overrides)
    if helped(settings):
        return
    print_summary(train_method(method, settings, folder))
    print_line(f"report: {folder / 'report.html'}")


@verb("reproduce table2 --preset quick --out runs/table2")
def reproduce(  # noqa: PLR0913, PLR0917 (a verb's flags are its parameters)
    table: Annotated[str, typer.Argument(help=f"Table: {TABLES}.")],
    folder: Annotated[Path, typer.Option("--out", "-o", help="Folder for the runs, the tables and the report.")],
    data: Annotated[Path | None, typer.Option(help="Folder of the data set, for a table that needs one.")] = None,
    rows: Annotated[str | None, typer.Option(help="Rows to compute, e.g. raw,complete.", show_default="all")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="Number of seeds.", show_default="3; table2: 1")] = None,
    sets: Annotated[str | None, typer.Option(help="Data sets, e.g. phantoms,vnc.", show_default="all")] = None,
    preset: Annotated[str | None, typer.Option(help="Quick or paper; wsmis: or code.", show_default="quick")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Trainings at a time.", show_default="one per core")] = None,
    final: Annotated[bool, typer.Option("--final", help="Train one model on all labels instead of a table.")] = False,
    seed: Annotated[int | None, typer.Option(help="Random seed for --final.", show_default="0")] = None,
    ray: Ray = None,
    workers: Workers = None,
) -> None:
    """Repeat a published table: train all its rows and compare. Stopped, the same command continues."""
    from weakmask.experiments.run import Request, reproduce_table
    from weakmask.ray_cluster import Cluster

    cluster = Cluster.of(ray, workers, "auto")
    request = Request(data, rows, seeds, preset, final, seed, jobs, None, sets, cluster)
    print_summary(reproduce_table(table, folder, request))
    print_line(f"report: {folder / 'report.html'}")


@verb("report runs/mine")
def report(
    run: Annotated[Path, typer.Argument(help="Run folder of `weakmask train`, or results of `weakmask predict`.")],
) -> None:
    """Write tables and report.html of a finished run, or of results, again, without training or segmenting."""
    from weakmask.commands.prediction_tables import rewrite_report
    from weakmask.methods import load_config, write_run_report
    from weakmask.pipeline import read_manifest

    of_results = (run / "predict.json").exists() or (run / "listen.json").exists()
    if of_results and not (run / "config.yaml").exists():
        rewrite_report(run)
    else:
        read_manifest(run)
        method, settings = load_config(run / "config.yaml")
        write_run_report(method, settings, run)
    print_line(f"report: {run / 'report.html'}")
