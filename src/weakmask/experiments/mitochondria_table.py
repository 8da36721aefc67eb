"""Mitochondria one by one: Res-UNet-R and -H, their decoders and ablations, on phantoms and on two real stacks.

OUT/cohorts/ holds the stacks, see `mitochondria_sets`. A fold of the table is a part of a data set: Drosophila VNC is
cross-validated over three slabs of sections. Rows that differ in the decoder alone share one network.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd

from weakmask.csv_table import read_csv
from weakmask.evaluation.instance_overlap import InstanceOverlap, pooled_overlap
from weakmask.evaluation.instances import CRUMB_VOXELS, average_precision, instance_scores
from weakmask.evaluation.overlap_table import instance_interval, overlap_of
from weakmask.experiments.experiment import Changes, Experiment, Judged, Place, Row, Tables
from weakmask.experiments.gather import all_results, spread
from weakmask.experiments.mitochondria_presets import PRESETS
from weakmask.experiments.mitochondria_sets import (
    NOISY,
    PARTS,
    PHANTOMS_ALONE,
    SETS,
    STATISTICS,
    TITLES,
    cohorts_of,
    make_cohorts,
    part_of,
)
from weakmask.methods.mitochondria.evaluation import OVERLAPS
from weakmask.methods.mitochondria.evaluation import TITLES as WAYS
from weakmask.methods.mitochondria.instances import OWN
from weakmask.pipeline import read_manifest, stage_folder

BASE, GREY, COMPONENTS = "h-paper", "grey", "components"
MEASURES = ("dice", "ap_75", "ap_50", "accuracy_75", "tp", "fp", "fn", "splits", "merges", "truths")
PAPER = "paper: AP-75 (MitoEM)"
CAPTION = (
    "Sections that no row has learnt; means over the seeds, each of all stacks of a set together. ap 75: average "
    "precision at IoU 0.75, instances ranked by size, with its 95 % interval over drawn instances; no crumbs: without "
    "truths below 2,000 voxels. accuracy 75: TP / (TP + FP + FN). splits, merges: truths and predictions that hold "
    "several; of the real stacks, instances are components of masks, so that touching ones are one. Thresholds and "
    "least sizes are chosen on validation sections, the grey threshold on training sections. minutes: of all stages "
    "that a row needs, a seed. The paper's AP-75 are of MitoEM's rat (R) and human (H) stacks, which are not public "
    "here."
)
_STILL: Changes = {
    "augmentation": {
        "flip": False,
        **dict.fromkeys(
            (
                "rotate",
                "rescale",
                "bend",
                "grey",
                "missing_part",
                "missing_section",
                "misaligned",
                "motion_blur",
                "cut_blur",
                "cut_noise",
            ),
            0.0,
        ),
    }
}


def _decoded(title: str, method: str, *, below: str | None = BASE) -> Row:
    """A row of another decoder of the base row's network."""
    return Row(title, "mitochondria", {"decoder": {"method": method}}, below=below, after=(BASE,))


def _denoised(title: str, method: str) -> Row:
    """A row of noisy test sections; the network is that of the row without denoising."""
    return Row(title, "mitochondria", {"denoise": {"method": method}}, below=NOISY, after=(NOISY,))


def _base(title: str, changes: Changes, published: float | None = None) -> Row:
    """A row that changes one thing of the base row."""
    return Row(title, "mitochondria", changes, below=BASE, published={} if published is None else {PAPER: published})


ROWS: Mapping[str, Row] = {
    GREY: Row("best grey threshold, components", "mitochondria-grey"),
    COMPONENTS: _decoded("mask alone, components", "components", below=GREY),
    "r": _base("Res-UNet-R: one decoder", {"network": {"architecture": "r"}}, 0.917),
    "h": _base("Res-UNet-H of the code", {"network": {"architecture": "h"}}, 0.828),
    BASE: Row("Res-UNet-H of the paper: two decoders", "mitochondria", below=COMPONENTS),
    "multi-scale": Row("two sizes of patches", "mitochondria", template="multi-scale", below=BASE, after=(BASE,)),
    "grow": _decoded("decoder grow", "grow"),
    "isotropic": _base("three 3x3x3 convolutions a block", {"network": {"isotropic": True}}),
    "no-contour": _base(
        "no contour is learnt, components", {"targets": {"contour_weight": 0.0}, "decoder": {"method": "components"}}
    ),
    "no-augmentation": _base("no augmentation", _STILL),
    "uniform": _base("patches anywhere", {"train": {"foreground": 0.0}}),
    NOISY: Row("noisy sections as they are", "mitochondria", below=BASE),
    f"{NOISY}-gaussian": _denoised("noisy sections, Gaussian", "gaussian"),
    f"{NOISY}-interpolation": _denoised("noisy sections, interpolated from neighbours", "interpolation"),
    PHANTOMS_ALONE: _base("learnt on phantoms alone", {}),
}


def has(place: Place) -> bool:
    """Whether the table has a place."""
    of = part_of(place).of
    if place.row == PHANTOMS_ALONE:
        return of != "phantoms" and place.fold == SETS[of][0]  # one network for all sections
    return of != "vnc" or not place.row.startswith(NOISY)


def own_lines(path: Path) -> pd.DataFrame:
    """results.csv of a run: the lines of its own instances."""
    table = read_csv(path)
    return table.loc[table["method"] == WAYS[OWN], :]


def overlap_in(run: Path) -> InstanceOverlap:
    """The overlap of all stacks of a run with the truth."""
    table = read_csv(stage_folder(run, "evaluation") / OVERLAPS)
    own = table.loc[table["method"] == WAYS[OWN], :]
    return pooled_overlap([overlap_of(own.loc[own["scan"] == scan, :]) for scan in dict.fromkeys(own["scan"])])


def tabulate(runs: Sequence[Judged]) -> Tables:
    """A line per set and row, and one per seed; the statistics of the stacks beside each other."""
    seeds, lines = [], []
    order = {row: k for k, row in enumerate(ROWS)}
    runs = sorted(runs, key=lambda run: (list(SETS).index(part_of(run.place).of), order[run.place.row]))
    for (of, row), group in groupby(runs, lambda run: (part_of(run.place).of, run.place.row)):
        found = dict(_of_seeds(list(group)))
        if not found:
            continue
        words = {"set": TITLES[of], "row": row, "method": ROWS[row].title}
        of_seeds = [{**words, "seed": seed, **numbers} for seed, (_, numbers) in found.items()]
        seeds += of_seeds
        lines.append({**words, "seeds": len(found), **_middle(of_seeds, [one for one, _ in found.values()])})
    table, stacks = pd.DataFrame(lines), statistics_of(runs)
    found_line = next((line for line in lines if line["row"] == BASE), None)
    return Tables(
        files={
            "results.csv": all_results(runs),
            "seeds.csv": pd.DataFrame(seeds),
            "table.csv": table,
            STATISTICS: stacks,
        },
        report=table,
        console=table.drop(columns=[name for name in ("row", "truths") if name in table]),
        summary=_sentence(found_line),
        notes=(*compared(lines), *(_described(line) for line in stacks.to_dict("records"))),
    )


def _of_seeds(runs: Sequence[Judged]) -> list[tuple[int, tuple[InstanceOverlap, dict[str, float]]]]:
    """Seed -> overlap and numbers of the seeds of a row and set that have all folds."""
    found = []
    folds = [fold for fold in range(len(PARTS)) if part_of(runs[0].place).of == PARTS[fold].of]
    wanted = sum(has(Place(runs[0].place.row, 0, fold)) for fold in folds)
    for seed, some in groupby(sorted(runs, key=lambda run: run.place.seed), lambda run: run.place.seed):
        of_seed = list(some)
        if len(of_seed) < wanted:
            continue
        overlap = pooled_overlap([overlap_in(run.run) for run in of_seed])
        scores = instance_scores(overlap).row()
        crumbs = average_precision(overlap.without_small_truths(CRUMB_VOXELS))
        seconds = sum(stage["seconds"] for run in of_seed for stage in read_manifest(run.run)["stages"])
        numbers = {**{name: scores[name] for name in MEASURES}, "ap_75_no_crumbs": crumbs, "minutes": seconds / 60}
        found.append((seed, (overlap, numbers)))
    return found


def _middle(of_seeds: Sequence[Mapping[str, Any]], overlaps: Sequence[InstanceOverlap]) -> dict[str, Any]:
    """Means over seeds, their spread, and the interval of AP-75 and Dice over instances."""
    means = {name: fmean(line[name] for line in of_seeds) for name in (*MEASURES, "ap_75_no_crumbs", "minutes")}
    ends = instance_interval(overlaps, average_precision)
    interval = {"ap_75 (95 %)": f"{ends[0]:.2f} to {ends[1]:.2f}"}
    dice = {"dice": means.pop("dice"), "dice_sd": spread([line["dice"] for line in of_seeds])}
    ap = {"ap_75": means.pop("ap_75"), "ap_75_sd": spread([line["ap_75"] for line in of_seeds]), **interval}
    return {**dice, **ap, **means}


def compared(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """The change of AP-75, Dice and merges from the row below each row, and whether phantoms alone suffice."""
    found = {(line["set"], line["row"]): line for line in lines}
    notes = []
    for (of, row), line in found.items():
        below = ROWS[row].below
        if below is None or (of, below) not in found:
            continue
        other = found[of, below]
        notes.append(
            f"{of}: {line['method']}, against {other['method']}: AP-75 {line['ap_75'] - other['ap_75']:+.3f}, Dice "
            f"{line['dice'] - other['dice']:+.3f}, merges {line['merges'] - other['merges']:+.1f}"
        )
        if row == PHANTOMS_ALONE and (of, GREY) in found:
            better = line["dice"] > found[of, GREY]["dice"]
            notes.append(
                f"{of}: a network that saw phantoms alone has a Dice of {line['dice']:.3f}, the grey threshold "
                f"{found[of, GREY]['dice']:.3f}: {'better' if better else 'not better'}"
            )
    return notes


def statistics_of(runs: Sequence[Judged]) -> pd.DataFrame:
    """The statistics of the test stacks of the runs' sets, phantoms beside real ones."""
    files: dict[Path, None] = {}
    for run in runs:
        settings: Any = run.settings
        files[settings.data.cohort.parent.parent / f"{part_of(run.place).of}-{STATISTICS}"] = None
    tables = [read_csv(file) for file in files if file.exists()]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def _described(line: Mapping[Any, Any]) -> str:
    return (
        f"{line['set']}, {line['stack']}: {line['foreground']:.1%} foreground, Dice of neighbouring sections "
        f"{line['neighbours']:.2f}, Dice of the best grey threshold {line['threshold']:.2f}, {line['touching']:.0%} of "
        f"{line['instances']:g} instances touch another"
    )


def _sentence(line: Mapping[str, Any] | None) -> str:
    if line is None:
        return "The network with two decoders has not been trained yet."
    return (
        f"{line['method']} on {line['set']}: Dice {line['dice']:.3f}, AP-75 {line['ap_75']:.3f} "
        f"({line['ap_75 (95 %)']})."
    )


EXPERIMENT = Experiment(
    title="Mitochondria in electron microscopy",
    paper="Li et al. 2021, arXiv 2104.07961",
    rows=ROWS,
    presets=PRESETS,
    cohorts=cohorts_of,
    tabulate=tabulate,
    caption=CAPTION,
    read=own_lines,
    folds=len(PARTS),
    sets=SETS,
    template=lambda place: part_of(place).of if not ROWS[place.row].template else f"{part_of(place).of}-fine",
    has=has,
    make_cohorts=make_cohorts,
    floors=(GREY,),
    first=(BASE,),
)
