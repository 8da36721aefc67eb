"""The command line: verbs to functions, nothing else. Exit codes: 0 done, 2 the user's fault, 1 ours."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape
from rich.table import Table

from weakmask import __version__
from weakmask.errors import UserError
from weakmask.screen import err, out, print_checked, print_faults, print_summary

app = typer.Typer(
    name="weakmask",
    help="Segmentation networks from the weak labels that radiologists already write down.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    epilog="Start with `weakmask demo`, then `weakmask check` on a cohort of your own. Not for clinical use.",
)

Overrides = Annotated[list[str] | None, typer.Option("--set", help="Override a setting: --set regression.steps=500")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same result on the same machine.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a script instead of a table.")]
Precision = Literal["auto", "float32", "bfloat16", "float16"]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]


def main() -> None:
    """Run a verb; a user's fault is one clean line and exit code 2."""
    # read by torch when it is imported: maps in huge pages, 8 % of a training step on Linux
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    try:
        app()
    except UserError as error:
        err.print(f"[bold red]error[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        err.print("stopped; the same command goes on from here", highlight=False)
        sys.exit(130)


def _version(*, value: bool) -> None:
    if value:
        out.print(f"weakmask {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Segmentation networks from the weak labels that radiologists already write down."""


@app.command()
def demo(
    folder: Annotated[Path, typer.Option("--out", "-o", help="The run folder.")] = Path("runs/demo"),
    seed: Seed = 0,
) -> None:
    """Phantoms -> train -> judge -> segment -> report: everything once, on a CPU, in minutes."""
    from weakmask.commands.demo import run_demo

    print_summary(run_demo(folder, seed))
    out.print(f"report: {folder / 'report.html'}", highlight=False, soft_wrap=True)


@app.command()
def phantom(
    folder: Annotated[Path, typer.Argument(help="The cohort folder to make.")],
    scans: Annotated[int, typer.Option(min=1, help="How many scans.")] = 32,
    seed: Seed = 0,
    size: Annotated[tuple[int, int, int], typer.Option(help="Voxels: z y x.")] = (160, 192, 192),
    spacing: Annotated[tuple[float, float, float], typer.Option(help="Voxel size in mm: z y x.")] = (2.0, 2.0, 2.0),
    reader_noise: Annotated[float, typer.Option(min=0, max=1, help="Chance that a score is read one off.")] = 0.0,
) -> None:
    """Make a cohort of chest CT phantoms with lobes, lesions, scores and the whole truth."""
    from weakmask.phantoms.chest_ct import write_phantom_cohort

    write_phantom_cohort(folder, scans, seed, size, spacing, reader_noise=reader_noise)
    out.print(f"{scans} scans in {folder}; next: weakmask check {folder}", highlight=False, soft_wrap=True)


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(help="A cohort folder: images/, scores.csv, regions/.")],
    as_json: Json = False,
) -> None:
    """Read a whole cohort and list every fault with the file's name and what to do."""
    from weakmask.datasets.case import NoUsableScanError
    from weakmask.datasets.cohort import check_cohort

    try:
        cohort = check_cohort(folder)
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
        regions = sum(len(case.scores) for case in cohort.cases)
        out.print(f"{len(cohort.cases)} scans with {regions} scored regions are good", highlight=False)
    if any(fault.fatal for fault in cohort.faults):
        raise typer.Exit(2)


@app.command()
def methods(as_json: Json = False) -> None:
    """List the methods, their papers and the labels they learn from."""
    from weakmask.methods import METHODS

    if as_json:
        cards = {n: {"title": c.title, "paper": c.paper, "labels": c.labels} for n, c in METHODS.items()}
        out.print_json(json.dumps(cards))
        return
    table = Table("method", "what it makes", "learns from", "paper")
    for name, card in METHODS.items():
        table.add_row(name, card.title, card.labels, card.paper)
    out.print(table)


@app.command()
def show(
    config: Annotated[Path, typer.Argument(help="A YAML config.")],
    overrides: Overrides = None,
) -> None:
    """Print a config resolved and complete, every setting with what it means."""
    from weakmask.config import to_yaml
    from weakmask.methods import load_config

    _, settings = load_config(config, overrides)
    out.print(to_yaml(settings), markup=False, highlight=False, soft_wrap=True)


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="A YAML config, for example configs/dram_ct.yaml.")],
    folder: Annotated[Path, typer.Option("--out", "-o", help="The run folder.")],
    overrides: Overrides = None,
) -> None:
    """Train a method stage by stage; after any interruption the same command goes on where it stopped."""
    from weakmask.methods import load_config
    from weakmask.pipeline import run_stages

    module, settings = load_config(config, overrides)
    run_stages(module.STAGES, folder, settings)
    print_summary(module.conclude(folder, settings))
    out.print(f"report: {folder / 'report.html'}", highlight=False, soft_wrap=True)


@app.command()
def predict(  # noqa: PLR0913, PLR0917 (a verb's flags are its parameters)
    model: Annotated[Path, typer.Argument(help="A run folder or a model.safetensors file.")],
    scans: Annotated[list[Path], typer.Argument(help="Images, DICOM folders, or folders of scans.")],
    folder: Annotated[Path, typer.Option("--out", "-o", help="Where masks, scores.csv and report.html go.")],
    regions: Annotated[
        Path | None, typer.Option(help="Region mask, or a folder of them; without: lobes by network, or lungs.")
    ] = None,
    numbering: Annotated[
        str | None, typer.Option(help="Whose region numbers the masks carry: lungmask, totalsegmentator, ...")
    ] = None,
    lobe_model: Annotated[Path | None, typer.Option(help="The lobe network; without: the shipped one.")] = None,
    device: Device = "auto",
    memory_gb: Annotated[float, typer.Option(min=0.1, help="For the feature maps of a whole-scan network.")] = 4.0,
    precision: Annotated[Precision, typer.Option(help="Of those maps; halves take half the memory.")] = "auto",
    subtypes: Annotated[Path | None, typer.Option(help="Tell lesions apart by this table (subtypes-table).")] = None,
) -> None:
    """Segment scans: a mask on each scan's own grid, a score per region, and a report."""
    from weakmask.commands.predict import Limits, RegionSource
    from weakmask.commands.predict import predict as segment_scans

    source = RegionSource(regions, numbering, lobe_model)
    limits = Limits(memory_gb, precision)
    failures = segment_scans(model, scans, folder, source, device, limits, subtypes)
    out.print(f"report: {folder / 'report.html'}", highlight=False, soft_wrap=True)
    _exit_for(failures)


@app.command()
def lobes(
    scans: Annotated[list[Path], typer.Argument(help="Images, DICOM folders, or folders of scans.")],
    folder: Annotated[Path, typer.Option("--out", "-o", help="Where NAME.nii.gz go, for example a cohort's regions/.")],
    model: Annotated[Path | None, typer.Option(help="A run folder or model file; without: the shipped one.")] = None,
    device: Device = "auto",
) -> None:
    """Label the five lobes of chest CTs, on each scan's own grid, and warn where they look wrong."""
    from weakmask.commands.lobes import write_lobe_maps

    table, failures = write_lobe_maps(scans, folder, model, device)
    print_summary(table)
    _exit_for(failures)


@app.command()
def evaluate(
    masks: Annotated[Path, typer.Argument(help="Predicted masks: NAME.nii.gz, or NAME/mask.nii.gz.")],
    cohort: Annotated[Path, typer.Argument(help="The cohort with lesions/ as truth.")],
    folder: Annotated[Path, typer.Option("--out", "-o", help="Where results.csv and summary.csv go.")],
    name: Annotated[str, typer.Option(help="The method's name in the tables.")] = "prediction",
    as_json: Json = False,
) -> None:
    """Judge masks of any tool against a cohort's truth: overlap per scan and pooled, and agreement of scores."""
    from weakmask.commands.evaluate import evaluate_masks

    summary = evaluate_masks(masks, cohort, folder, name)
    if as_json:
        out.print_json(summary.to_json(orient="records"))
    else:
        print_summary(summary)


@app.command()
def export_nnunet(  # noqa: PLR0913, PLR0917 (a verb's flags are its parameters)
    cohort: Annotated[Path, typer.Argument(help="The cohort to train on, with lesions/ as truth.")],
    folder: Annotated[Path, typer.Option("--out", "-o", help="The folder that nnU-Net knows as nnUNet_raw.")],
    dataset_id: Annotated[int, typer.Option(help="1 to 999; nnU-Net's own examples have 1 to 10.")],
    name: Annotated[str, typer.Option(help="The dataset's name.")] = "Lesions",
    test: Annotated[Path | None, typer.Option(help="A cohort whose images are to be predicted.")] = None,
    channel: Annotated[str, typer.Option(help="CT normalises as for CT, anything else by z-score.")] = "CT",
    subtypes: Annotated[bool, typer.Option("--subtypes", help="Learn ground-glass, consolidation and mixed.")] = False,
    folds: Annotated[int, typer.Option(help="Of the cross-validation; no patient is in two.")] = 5,
    seed: Seed = 0,
) -> None:
    """Write a cohort in nnU-Net's format; `weakmask evaluate` takes the masks that nnU-Net predicts."""
    from weakmask.datasets.nnunet import NnunetDataset, export_nnunet

    written = export_nnunet(cohort, folder, NnunetDataset(dataset_id, name, channel, subtypes, folds, seed), test)
    for note in written.notes:
        err.print(f"[yellow]note[/] {escape(note)}", highlight=False, soft_wrap=True)
    text = f"{len(written.training)} training and {len(written.test)} test cases in {written.folder}"
    out.print(f"{text}; next: nnUNetv2_plan_and_preprocess -d {dataset_id}", highlight=False, soft_wrap=True)


@app.command()
def subtypes_table(
    cohort: Annotated[Path, typer.Argument(help="A cohort whose lesions/ tell 1, 2 and 3 apart.")],
    file: Annotated[Path, typer.Option("--out", "-o", help="The CSV file.")],
) -> None:
    """Describe labelled lesions by volume and HU: the reference that tells ground-glass from consolidation."""
    from weakmask.commands.subtypes import build_subtype_table

    print_summary(build_subtype_table(cohort, file))


@app.command()
def reproduce(  # noqa: PLR0913, PLR0917 (a verb's flags are its parameters)
    table: Annotated[str, typer.Argument(help="covid-semiseg, lobes or table2.")],
    folder: Annotated[Path, typer.Option("--out", "-o", help="Where runs, tables and the report go.")],
    data: Annotated[Path | None, typer.Option(help="The data set's folder; the others have phantoms.")] = None,
    rows: Annotated[str | None, typer.Option(help="Rows by name, with commas: raw,complete; without: all.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="How many, from 0; without: 3, of table2 1.")] = None,
    preset: Annotated[
        str | None, typer.Option(help="Of phantoms: quick (for two cores) or paper (for a GPU); without: quick.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Trainings at a time; without: one a core, at most 4.")
    ] = None,
    final: Annotated[bool, typer.Option("--final", help="Train the model to use, on all scores, instead.")] = False,
    seed: Annotated[int | None, typer.Option(help="Of the model that --final trains; without: 0.")] = None,
) -> None:
    """Reproduce a table; after any interruption the same command goes on where it stopped."""
    from weakmask.experiments.tables import Request, reproduce_table

    print_summary(reproduce_table(table, folder, Request(data, rows, seeds, preset, final, seed, jobs)))
    out.print(f"report: {folder / 'report.html'}", highlight=False, soft_wrap=True)


@app.command()
def report(run: Annotated[Path, typer.Argument(help="A run folder that `weakmask train` left.")]) -> None:
    """Write a run's report.html again."""
    from weakmask.methods import load_config
    from weakmask.pipeline import read_manifest

    read_manifest(run)
    module, settings = load_config(run / "config.yaml")
    module.conclude(run, settings)
    out.print(f"report: {run / 'report.html'}", highlight=False, soft_wrap=True)


def _exit_for(failures: list[str]) -> None:
    if failures:
        err.print(f"{len(failures)} scans were left out", highlight=False)
        raise typer.Exit(2)
