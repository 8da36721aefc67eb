"""dRAM's comparison and ablation (Xie et al. 2021, Tables II and IV b) on phantoms, whose truth is known to the voxel.

`quick` is for two cores, `paper` for one GPU. The phantoms of a preset are the same for all rows and seeds; a seed
changes the split, the initialisation and the draws. A rung of the ablation is the complete method with the rungs above
it switched off, each by a value of its settings; a new rung is one line in `RUNGS`.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd

from weakmask.evaluation.row_comparison import effects, significance
from weakmask.evaluation.subtype_summary import SUBTYPES
from weakmask.evaluation.table import SUMMARY_COLUMNS
from weakmask.experiments.experiment import ANYWHERE, Changes, Experiment, Judged, Place, Preset, Row, Setup, Tables
from weakmask.experiments.floors import FloorSettings, floor_row
from weakmask.experiments.gather import all_results, by_row, compared_pairs, over_seeds, seed_table
from weakmask.experiments.report import examples_picture, view_of
from weakmask.methods.cam import config as cam
from weakmask.methods.dram import config as dram
from weakmask.methods.supervised.config import SupervisedSettings
from weakmask.phantoms import chest_ct
from weakmask.region_learning.settings import NetworkSettings, PrepareSettings, TrainingSettings
from weakmask.report.mask_examples import example_scans
from weakmask.report.number_text import decimals
from weakmask.report.page import ScanView
from weakmask.terminal import say

TRAINING_SEED, TEST_SEED = 0, 10_000  # of the phantoms
PUBLISHED = "published IoU"
AGAINST_BASELINE, AGAINST_BELOW = "against CAM", "against the rung below"
CAPTION = (
    "Medians over seeds. Means are over the scans with lesions, those of a subtype over the scans with lesions of it; "
    "pooled ratios and specificity are over all scans. Kappa is linear weighted, with its 95 % bootstrap interval over "
    "patients. The published IoU (Table IV b) is of the paper's own scans."
)
PICTURE_CAPTION = (
    "Test scans from the least ill to the most, each in the coronal slice with the largest lesion area: the truth in "
    "blue, a method's mask in orange, of the first seed."
)
CONSOLE = {
    "IoU": "iou_mean",
    "consol.": "iou_mean_consolidation",
    "GGO": "iou_mean_ground_glass",
    "mixture": "iou_mean_mixture",
    "pooled": "iou_pooled",
    "Dice": "dice_mean",
    "PPV": "ppv",
    "sens.": "sensitivity",
    "kappa": "kappa",
}

# all networks have the same crops and learning rate: only what they learn from differs
_QUICK: dict[str, Any] = {
    "device": "cpu",
    "data": ANYWHERE.model_copy(update={"validation": 0.05}),
    "prepare": PrepareSettings(spacing_mm=None, crop_shape=(32, 32, 32)),
}
_TRAINING = TrainingSettings(
    steps=400, batch=6, learning_rate=2e-3, average_decay=0.98, keep="last", validate_every=200, checkpoint_every=50
)
QUICK = Preset(
    {
        "floor": FloorSettings(**_QUICK),
        "cam": cam.CamSettings(
            **_QUICK,
            network=cam.NetworkSettings(width=8),
            classification=_TRAINING,
            # in voxels of 4 mm the filter removes more of the lesions than of the vessels
            maps=cam.MapSettings(exclude_vessels=False),
        ),
        "dram": dram.DramSettings(
            **_QUICK,
            network=NetworkSettings(width=8),
            # weights as on slices: with the paper's weights of 1 the regression has no say
            losses=dram.LossSettings(regression=0.25, equivariance=0.2, entropy=0.02, compare="root"),
            vessels=dram.VesselSettings(steps=150, learning_rate=2e-3),
            refinement=dram.RefinementSettings(
                keep_to_scores=True,
                dice=1.0,
                anchor=dram.AnchorSettings(until=0.6, opening_voxels=3),  # 5 would remove small lesions as well
            ),
            regression=_TRAINING,
            maps=dram.MapSettings(scales=(1.5,)),
            context=dram.ContextSettings(
                spacing_mm=None,
                padding="same",  # valid convolutions would read 23 times as many voxels as they answer for
                window_voxels=48,
                width=8,
                from_regression=True,
                inside_only=True,
                dice=1.0,
                steps=800,
                batch=4,
                learning_rate=2e-3,
            ),
        ),
        # the complete method trains two networks; its bound has as many steps
        "supervised": SupervisedSettings(
            **_QUICK, network=NetworkSettings(width=8), segmentation=_TRAINING.model_copy(update={"steps": 800})
        ),
    },
    training_scans=80,
    test_scans=20,
    shape=chest_ct.QUICK_SHAPE,
    spacing_mm=chest_ct.QUICK_SPACING_MM,
)
_PAPER = ANYWHERE.model_copy(update={"validation": 30 / 322})
PAPER = Preset(  # the defaults of the settings are the paper's numbers
    {
        "floor": FloorSettings(data=_PAPER),
        "cam": cam.CamSettings(data=_PAPER),
        "dram": dram.DramSettings(
            data=_PAPER,
            losses=dram.LossSettings(regression=0.25),
            refinement=dram.RefinementSettings(keep_to_scores=True, dice=1.0, anchor=dram.AnchorSettings(until=0.6)),
        ),
        "supervised": SupervisedSettings(data=_PAPER),
    },
    training_scans=322,
    test_scans=69,
    shape=chest_ct.SHAPE,
    spacing_mm=chest_ct.SPACING_MM,
)

_WITHOUT_ANCHOR: Changes = {
    "losses": {"regression": dram.LossSettings().regression},
    "refinement": {"keep_to_scores": False, "dice": 0.0, "anchor": dram.AnchorSettings(until=0.0)},
}
# from the bottom up: name, ablation in the table, the IoU of Table IV b, and the values that switch it off
RUNGS: tuple[tuple[str, str, float, Changes], ...] = (
    ("raw", "raw", 0.395, {}),
    ("regularizer", "+ regularizer", 0.435, {"losses": {"equivariance": 0.0, "entropy": 0.0}}),
    ("refine", "+ refine", 0.452, {"refinement": {"weight": 0.0}}),
    ("attention", "+ attention", 0.469, {"refinement": {"attention": False}}),
    ("vessels", "+ vessel suppression", 0.475, {"vessels": {"suppress": False}}),
    # not the paper's: targets keep to the scores and are cut from the opened image while the map is still random; they
    # say more than the score alone, which then weighs less
    ("anchor", "+ anchor", math.nan, _WITHOUT_ANCHOR),
    ("context", "+ context (complete)", 0.495, {"context": dram.ContextSettings(train=False).model_dump()}),
)


def _rung(place: int) -> Row:
    name, ablation, published, _ = RUNGS[place]
    off: dict[str, dict[str, Any]] = {}
    for *_, changes in RUNGS[place + 1 :]:
        for section, values in changes.items():
            off[section] = {**off.get(section, {}), **values}
    below = RUNGS[place - 1][0] if place else None
    after = ("anchor",) if name in {"vessels", "context"} else ()
    paper = {} if math.isnan(published) else {PUBLISHED: published}
    return Row(f"dRAM {ablation}", "dram", off, ablation=ablation, below=below, after=after, published=paper)


ROWS = {
    "nothing": floor_row("nothing", "nothing"),
    "otsu": floor_row("Otsu in the region", "Otsu in the region"),
    "fixed": floor_row("fixed threshold", "fixed threshold"),
    "cam": Row("CAM raw", "cam", {"maps": {"refine": False}}, ablation="raw", published={PUBLISHED: 0.222}),
    "cam-refine": Row(
        "CAM + refine",
        "cam",
        {"maps": {"refine": True}},
        ablation="+ refine",
        below="cam",
        after=("cam",),
        published={PUBLISHED: 0.336},
    ),
    **{name: _rung(place) for place, (name, *_) in enumerate(RUNGS)},
    "supervised": Row("supervised U-Net", "supervised"),
}
BASELINES = "cam-refine", "cam"  # the paper's baseline is the refined one


def cohorts_of(setup: Setup, place: Place) -> tuple[Path, Path]:  # noqa: ARG001 (all places have the same)
    """The phantoms."""
    return setup.out / "phantoms" / "training", setup.out / "phantoms" / "test"


def make_phantoms(setup: Setup, places: Collection[Place]) -> None:
    """Make the two cohorts unless they exist.

    Raises:
        UserError: Those that exist are of another preset.
    """
    preset = setup.preset
    sets = (preset.training_scans, TRAINING_SEED), (preset.test_scans, TEST_SEED)
    for folder, (scans, seed) in zip(cohorts_of(setup, next(iter(places))), sets, strict=True):
        if not (folder / "phantom.json").exists():
            say("phantoms", f"{scans} scans for {folder.name}")
            chest_ct.write_phantom_cohort(folder, scans, seed, preset.shape, preset.spacing_mm)
        chest_ct.check_phantom_cohort(folder, scans, seed, preset.shape, preset.spacing_mm)


def tabulate(runs: Sequence[Judged]) -> Tables:
    """Tables II and IV b: medians over the seeds, tests and effects, and examples."""
    results, table = all_results(runs), seed_table(runs)
    middle = over_seeds(table, median).astype({"scans": int})
    against, below = compared_pairs(ROWS, results, BASELINES)
    asked = [(AGAINST_BASELINE, *pair) for pair in against] + [(AGAINST_BELOW, *pair) for pair in below]
    tested, added = significance(results, asked), effects(results, below)
    overall = {line["row"]: line for line in added.to_dict("records") if line["subset"] == "all"}
    titles = middle.assign(method=[ROWS[row].title for row in middle["row"]])
    subtypes = [f"iou_mean_{name}" for name in SUBTYPES.values()]
    first = {run.place.row: run for run in reversed(runs)}
    rungs = [name for name, *_ in RUNGS if name in first]
    figure = dict.fromkeys(("cam", "cam-refine", *rungs[:1], *rungs[-1:], "supervised"))
    return Tables(
        files={
            "results.csv": results,
            "table2.csv": table,
            "summary.csv": titles.loc[:, list(SUMMARY_COLUMNS)],
            "significance.csv": tested,
            "effects.csv": added,
        },
        report=titles.loc[:, ["row", *SUMMARY_COLUMNS[:3], *subtypes, *SUMMARY_COLUMNS[3:]]],
        console=pd.DataFrame([_console_line(line, overall.get(line["row"])) for line in middle.to_dict("records")]),
        summary=_sentence(middle, tested),
        notes=tuple(
            f"{line['method']} adds {_effect(line)} to the mean IoU of {line['below']}." for line in overall.values()
        ),
        views=_views(first[rungs[-1]], example_scans(results)) if rungs else (),
        picture=examples_picture([first[row] for row in figure if row in first], example_scans(results)),
    )


def _console_line(line: Mapping[Any, Any], effect: Mapping[Any, Any] | None) -> dict[str, str]:
    """A row, short enough for a terminal."""
    return {
        "row": ROWS[line["row"]].title,
        "seeds": str(line["seeds"]),
        **{name: _three(line[column]) for name, column in CONSOLE.items()},
        "paper": _three(ROWS[line["row"]].published.get(PUBLISHED, math.nan)),
        "adds (95 %)": "" if effect is None else _effect(effect),
        "minutes": f"{line['seconds'] / 60:.1f}",
    }


def _effect(line: Mapping[Any, Any]) -> str:
    sign = "+" if line["effect"] >= 0 else ""
    return f"{sign}{_three(line['effect'])} ({_three(line['low'])} to {_three(line['high'])})"


def _three(value: float) -> str:
    return "-" if math.isnan(value) else decimals(value, 3)


def _sentence(middle: pd.DataFrame, tested: pd.DataFrame) -> str:
    """How the most complete dRAM compares with CAM and with the supervised bound."""
    iou = {row: lines[0]["iou_mean"] for row, lines in by_row(middle).items()}
    shown = next((name for name, *_ in reversed(RUNGS) if name in iou), None)
    baseline = next((row for row in BASELINES if row in iou), None)
    if shown is None:
        return "No row of dRAM is complete yet."
    text = f"{ROWS[shown].title}, trained from scores alone, reaches a mean IoU of {iou[shown]:.3f}"
    if baseline is not None:
        text += f", {ROWS[baseline].title} {iou[baseline]:.3f}"
        for line in tested.to_dict("records"):
            if (line["question"], line["method"]) == (AGAINST_BASELINE, ROWS[shown].title):
                text += f" (p {line['p_corrected']:.2g} after correction)"
    if "supervised" in iou:
        text += f", the same network with true masks {iou['supervised']:.3f}"
    return f"{text}."


def _views(run: Judged, scans: Sequence[str]) -> list[Callable[[], ScanView]]:
    whole = run.results.query("subset == 'all'")
    ious = {str(line["scan"]): float(line["iou"]) for line in whole.to_dict("records")}
    return [partial(view_of, run, scan, f"IoU {ious[scan]:.3f}", ious[scan]) for scan in scans if scan in ious]


EXPERIMENT = Experiment(
    title="dRAM's comparison and ablation, on phantoms",
    paper="Xie et al. 2021, arXiv 2105.11748, Tables II and IV b",
    rows=ROWS,
    presets={"quick": QUICK, "paper": PAPER},
    cohorts=cohorts_of,
    tabulate=tabulate,
    caption=CAPTION,
    picture_caption=PICTURE_CAPTION,
    seeds=1,
    make_cohorts=make_phantoms,
    first=("anchor", "context", "vessels", "cam-refine"),
)
