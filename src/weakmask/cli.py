"""The command line: each verb calls one function.

Exit codes: 0 done, 2 a fault of the user or the machine, 1 a fault of the program, 128 + N stopped by signal N.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from weakmask import __version__
from weakmask.ending import ending_well
from weakmask.screen import (
    PlainCommand,
    PlainGroup,
    counted,
    exit_if_any,
    print_checked,
    print_exported,
    print_faults,
    print_good,
    print_methods,
    print_notes,
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

Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one setting, e.g. regression.steps=500; repeatable."),
]
Seed = Annotated[int, typer.Option(help="Random seed; the same seed gives the same result on the same machine.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script instead of a table.")]
TABLES = "covid-cxr, covid-semiseg, lobes, mitochondria, table2, wsmis-pets, -busi, -siim, -voc or -phantoms"
Precision = Literal["auto", "float32", "bfloat16", "float16"]
Device = Annotated[str, typer.Option(help="Where to compute: auto (a GPU if there is one), cpu, cuda or mps.")]
Scans = Annotated[list[Path], typer.Argument(help="Image files, folders of DICOM files, or folders full of scans.")]
Series = Annotated[list[str] | None, typer.Option(metavar="UID", help="DICOM series of a folder that has several.")]


def verb(example: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add a function as a verb of the command line; its help ends with an example."""
    return app.command(cls=PlainCommand, epilog=f"Example: [bold]weakmask {example}[/]")


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


@verb("check cohort/")
def check(
    folder: Annotated[Path, typer.Argument(help="Cohort folder with images/, scores.csv and, optionally, regions/.")],
    as_json: Json = False,
    not_ct: Annotated[bool, typer.Option("--not-ct", help="MR or X-rays: expect no Hounsfield units.")] = False,
) -> None:
    """Check your data: read every file of a cohort and list each problem with the way to fix it."""
    from weakmask.datasets.case import NoUsableScanError
    from weakmask.datasets.cohort import check_cohort

    try:
        cohort = check_cohort(folder, hounsfield=not not_ct)
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
    from weakmask.methods import load_config
    from weakmask.methods import train as train_method

    method, settings = load_config(config, overrides)
    print_summary(train_method(method, settings, folder))
    print_line(f"report: {folder / 'report.html'}")


@verb("predict runs/mine new_scan.nii.gz --out masks/")
def predict(  # noqa: PLR0913, PLR0917 (a verb's flags are its parameters)
    model: Annotated[Path, typer.Argument(help="Run folder of `weakmask train`, or a model.safetensors file.")],
    scans: Scans,
    folder: Annotated[Path, typer.Option("--out", "-o", help="Folder for the masks, scores.csv and report.html.")],
    regions: Annotated[
        Path | None, typer.Option(help="Region mask, or a folder of them.", show_default="lobes or lungs are found")
    ] = None,
    numbering: Annotated[str | None, typer.Option(help="Tool that numbered the regions: totalsegmentator, ...")] = None,
    lobe_model: Annotated[Path | None, typer.Option(help="Network that finds lobes.", show_default="included")] = None,
    device: Device = "auto",
    memory_gb: Annotated[float, typer.Option(min=0.1, help="Memory limit for networks that take whole scans.")] = 4.0,
    precision: Annotated[Precision, typer.Option(help="Number format of maps; 16 bits need half the memory.")] = "auto",
    subtypes: Annotated[Path | None, typer.Option(help="Table of subtypes-table; names lesions' subtypes.")] = None,
    series: Series = None,
) -> None:
    """Segment new scans with a trained network: a mask per scan, a score per region, and a report."""
    from weakmask.commands.predict import Limits, RegionSource
    from weakmask.commands.predict import predict as segment_scans
    from weakmask.commands.scan_jobs import chosen_scans

    source = RegionSource(regions, numbering, lobe_model)
    limits = Limits(memory_gb, precision)
    done = segment_scans(model, chosen_scans(scans, series or ()), folder, source, device, limits, subtypes)
    print_summary(done.scores)
    print_notes(done.notes)
    print_line(f"masks: {' and '.join(done.masks)}; report: {folder / 'report.html'}")
    exit_if_any(done.failures)


@verb("lobes cohort/images --out cohort/regions")
def lobes(
    scans: Scans,
    folder: Annotated[Path, typer.Option("--out", "-o", help="Folder for the masks, for example cohort/regions.")],
    model: Annotated[Path | None, typer.Option(help="Run folder or model file.", show_default="included")] = None,
    device: Device = "auto",
    series: Series = None,
) -> None:
    """Find the five lung lobes in chest CT scans and write them as masks; doubtful ones get a warning."""
    from weakmask.commands.lobes import write_lobe_masks
    from weakmask.commands.scan_jobs import chosen_scans

    done = write_lobe_masks(chosen_scans(scans, series or ()), folder, model, device)
    print_summary(done.table)
    exit_if_any(done.failures)


@verb("evaluate masks/ cohort/ --out judged/")
def evaluate(
    masks: Annotated[Path, typer.Argument(help="Folder of masks: NAME.nii.gz or NAME/mask.nii.gz, made by any tool.")],
    cohort: Annotated[Path, typer.Argument(help="Cohort folder with the true masks in truth/.")],
    folder: Annotated[Path, typer.Option("--out", "-o", help="Folder for results.csv and summary.csv.")],
    name: Annotated[str, typer.Option(help="Name of the method in the tables.")] = "prediction",
    as_json: Json = False,
) -> None:
    """Compare masks of any tool with true masks: overlap (Dice, IoU) and agreement of the scores (kappa)."""
    from weakmask.commands.evaluate import evaluate_masks

    summary = evaluate_masks(masks, cohort, folder, name)
    if as_json:
        out.print_json(summary.to_json(orient="records"))
    else:
        print_summary(summary)


@verb("export-nnunet cohort/ --out nnUNet_raw --dataset-id 501")
def export_nnunet(  # noqa: PLR0913, PLR0917 (a verb's flags are its parameters)
    cohort: Annotated[Path, typer.Argument(help="Cohort folder to train on, with the true masks in truth/.")],
    folder: Annotated[Path, typer.Option("--out", "-o", help="Folder that nnU-Net calls nnUNet_raw.")],
    dataset_id: Annotated[int, typer.Option(help="Data set number, 1 to 999; nnU-Net's own examples use 1 to 10.")],
    name: Annotated[str, typer.Option(help="Name of the data set.")] = "Lesions",
    test: Annotated[Path | None, typer.Option(help="Cohort folder whose images nnU-Net shall segment.")] = None,
    channel: Annotated[str, typer.Option(help="CT: Hounsfield units. Any other name: nnU-Net uses z-scores.")] = "CT",
    subtypes: Annotated[bool, typer.Option("--subtypes", help="Export the subtypes 1, 2, 3 as classes.")] = False,
    folds: Annotated[int, typer.Option(help="Folds of the cross-validation; a patient is never in two.")] = 5,
    seed: Seed = 0,
) -> None:
    """Write a cohort in the format of nnU-Net, a fully supervised method to compare with."""
    from weakmask.datasets.nnunet import NnunetDataset, export_nnunet

    written = export_nnunet(cohort, folder, NnunetDataset(dataset_id, name, channel, subtypes, folds, seed), test)
    print_exported(written, dataset_id)


@verb("subtypes-table cohort/ --out subtypes.csv")
def subtypes_table(
    cohort: Annotated[Path, typer.Argument(help="Cohort folder whose masks in truth/ label the subtypes 1, 2, 3.")],
    file: Annotated[Path, typer.Option("--out", "-o", help="CSV file to write.")],
) -> None:
    """Measure lesions of known subtype, so that `predict --subtypes` can tell new ones apart."""
    from weakmask.commands.subtypes import build_subtype_table

    print_summary(build_subtype_table(cohort, file))


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
) -> None:
    """Repeat a published table: train all its rows and compare. Stopped, the same command continues."""
    from weakmask.experiments.run import Request, reproduce_table

    print_summary(reproduce_table(table, folder, Request(data, rows, seeds, preset, final, seed, jobs, None, sets)))
    print_line(f"report: {folder / 'report.html'}")


@verb("report runs/mine")
def report(run: Annotated[Path, typer.Argument(help="Run folder of `weakmask train`.")]) -> None:
    """Write report.html of a finished run again, without training."""
    from weakmask.methods import load_config, write_run_report
    from weakmask.pipeline import read_manifest

    read_manifest(run)
    method, settings = load_config(run / "config.yaml")
    write_run_report(method, settings, run)
    print_line(f"report: {run / 'report.html'}")
