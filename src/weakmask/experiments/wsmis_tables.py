"""WSMIS step by step, from the classes of whole pictures, beside masks without a network and true masks.

OUT/splits.csv says which pictures are tested; OUT/cohorts/ holds training/ (classes alone), masks/ (the same pictures
with their masks, for the bound) and test/. All rows of a seed share one classifier, except those of another one.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean, median
from typing import Any

import pandas as pd

from weakmask.csv_table import read_csv
from weakmask.evaluation.row_comparison import effects
from weakmask.evaluation.table import read_results
from weakmask.experiments.experiment import Changes, Experiment, Judged, Place, Row, Setup, Tables, changed, settings_of
from weakmask.experiments.gather import all_results, by_row, condensed, over_seeds, seed_table
from weakmask.experiments.training import Training
from weakmask.experiments.wsmis_cohorts import DATA_SETS, TEST, TRAINING, write_all, write_parts
from weakmask.experiments.wsmis_presets import OF_PHOTOGRAPHS, QUICK, presets_of, wsmis_settings
from weakmask.methods.wsmis.evaluation import OWN
from weakmask.networks.backbones import LEVELS

MEASURES = ("positives", "all_empty_1", "pooled", "background", "mean_iou", "empties_right", "dice")
FINAL, BOUND = "segmentation", "supervised"
CAPTION = (
    "Pictures that no row has learnt; medians of the complete seeds. positives: mean IoU of any class in pictures that "
    "have one. all empty 1: mean IoU of all pictures, 1 where mask and truth are empty, so that `nothing` scores the "
    "share of empty pictures (0.789 on the paper's SIIM test part). pooled, background: IoU of the pixels of all "
    "pictures together. mean iou: the mean over background and classes, as PASCAL VOC has it. empties right: share of "
    "the pictures without a class that stay empty. In all rows above WSMIS the classes of the tested picture are "
    "known; WSMIS and the bound know the picture alone. auc, f1: of the classifier, the mean over classes. seconds: of "
    "all stages that a row needs. The paper's numbers are of its own pictures; its step 1 stands beside the CRF."
)


UNWALKED: Changes = {"boundary": {"train": False}}
UNREFINED: Changes = {**UNWALKED, "labels": {"crf": False, "low": None}}
CUT: Changes = {**UNWALKED, "labels": {"colours": 0.0, "region": "all", "crf": False, "low": None}}
REFINED: Changes = {**UNWALKED, "labels": {"crf": True}}
ON_MASKS: Changes = {**UNWALKED, "segmentation": {"rounds": 1}, "masks": {"region": "all"}}
AFTER = ("cam",)  # the row that trains the classifier


def _maps(title: str, variant: str, below: str | None, published: Mapping[str, float] | None = None) -> Row:
    """A row of the plain map of one size, cut at the preset's threshold."""
    changes = {"maps": {"variant": variant, "scales": (1.0,), "mirror": False}, **CUT}
    return Row(title, "wsmis-labels", changes, "wsmis", below=below, after=AFTER, published=published or {})


def _dropblock(title: str, share: float, below: str | None, f1: float) -> Row:
    """A row of CAM with another classifier."""
    row = _maps(title, "cam", below, {"paper: F1 (VOC)": f1})
    return replace(row, changes={**row.changes, "network": {"dropblock": share}})


WHOLE: Changes = {  # the classifier of configs/wsmis_xray.yaml
    "network": {"levels": LEVELS, "pooled": 1.0, "frozen_stride": 8, "dropblock": 0.2},
    "augmentation": {"blur": 1.0},
    "classification": {"steps": 200},
}


def _whole_backbone() -> Row:
    """The plain map where the preset takes few levels of the backbone."""
    row = _maps("CAM of the whole backbone", "cam", None)
    labels = {**row.changes["labels"], "threshold": 0.3}
    return replace(row, changes={**row.changes, **WHOLE, "labels": labels})


def name_of(variant: str) -> str:
    """The row of a kind of map."""
    return variant.replace(" ", "-")


TITLES = {
    "nothing": "nothing",
    "everything": "everything",
    "centre disc": "centre disc",
    "border colour": "saliency: unlike the border",
    "dark centre": "saliency: dark",
}
FLOORS = {
    mask.replace(" ", "-"): Row(title, "wsmis-floor", {"floor": {"mask": mask}}) for mask, title in TITLES.items()
}
VOC, POSITIVES, ALL, DICE = (
    "paper: mIoU (VOC val)",
    "paper: positives (SIIM)",
    "paper: all (SIIM)",
    "paper: Dice (SIIM)",
)
PUBLISHED: Mapping[bool, Mapping[str, Mapping[str, float]]] = {  # photographs or not -> row -> numbers
    True: {
        "gradcam": {VOC: 0.3511},
        "gradcam++": {VOC: 0.3941},
        "crf": {VOC: 0.479},
        "irnet": {VOC: 0.631},
        "segmentation": {VOC: 0.646},
    },
    False: {
        "crf": {POSITIVES: 0.142, ALL: 0.7590},
        "irnet": {POSITIVES: 0.154, ALL: 0.7607},
        "segmentation": {POSITIVES: 0.162, ALL: 0.7677, DICE: 0.769},
        "supervised": {DICE: 0.868},
    },
}
LADDER = {
    "whole-backbone": replace(_whole_backbone(), after=()),
    "cam": replace(_maps("CAM", "cam", None), after=()),
    "gradcam": _maps("Grad-CAM", "gradcam", "cam"),
    "gradcam++": _maps("Grad-CAM++", "gradcam++", "gradcam"),
    "gradcam++-pytorch-grad-cam": _maps(
        "Grad-CAM++ as pytorch-grad-cam has it", "gradcam++ pytorch-grad-cam", "gradcam"
    ),
    "gradcam++-torch-cam": _maps("Grad-CAM++ as torch-cam has it", "gradcam++ torch-cam", "gradcam"),
    "gradcam++-monai": _maps("Grad-CAM++ as MONAI has it", "gradcam++ monai", "gradcam"),
    "gradcam++-wsmis": _maps("Grad-CAM++ as WSMIS's code has it", "gradcam++ wsmis", "gradcam"),
    "without-dropblock": _dropblock("CAM, no DropBlock", 0.0, None, 0.8808),
    "with-dropblock": _dropblock("CAM, DropBlock", 0.2, "without-dropblock", 0.882),
    "multi-scale": Row("map + sizes and mirror image", "wsmis-labels", CUT, "wsmis", after=AFTER),
    "colours": Row(
        "map + colours of the picture",
        "wsmis-labels",
        UNREFINED,
        "wsmis",
        below="multi-scale",
        after=("multi-scale",),
    ),
    "region": Row(
        "map + the part with the sharpest outline",
        "wsmis-labels",
        UNREFINED,
        "wsmis",
        below="multi-scale",
        after=("multi-scale",),
    ),
    "crf": Row("map + CRF", "wsmis-labels", REFINED, "wsmis", after=("multi-scale",)),
    "irnet": Row("map + IRNet", "wsmis-labels", {}, "irnet", below="crf", after=("multi-scale",)),
    "segmentation": Row("WSMIS: segmentation network", "wsmis", after=("crf", "irnet")),
    "supervised": Row("the same network on true masks", "wsmis-supervised", ON_MASKS, "wsmis", after=AFTER),
}


def rows_of(name: str) -> dict[str, Row]:
    """The rows of a data set's table, with the paper's numbers of photographs or of X-rays."""
    published = PUBLISHED[name in OF_PHOTOGRAPHS]
    rows = {row: replace(one, published=published.get(row, one.published)) for row, one in LADDER.items()}
    settings = wsmis_settings(QUICK[name])
    few = settings.network.levels < LEVELS or settings.network.pooled < 1
    labels = settings.labels
    for row, used in (
        ("whole-backbone", few),
        ("colours", labels.colours > 0),
        ("region", labels.region == "sharpest"),
    ):
        if not used:
            del rows[row]
    return {**FLOORS, **rows}


def cohorts_of(setup: Setup, place: Place) -> tuple[Path, Path]:  # noqa: ARG001 (all places have the same)
    """The cohorts of all rows."""
    return setup.out / "cohorts" / TRAINING, setup.out / "cohorts" / TEST


def make_cohorts(name: str, setup: Setup, places: Collection[Place]) -> None:
    """Write splits.csv and the cohorts; the masks of training pictures only where the bound is asked for.

    Raises:
        UserError: The data set is incomplete, the folder holds cohorts of other pictures, or it cannot be written.
    """
    write_parts(name, setup, masks=any(place.row == BOUND for place in places))


def own_lines_first(path: Path) -> pd.DataFrame:
    """results.csv of a run with the lines of its last step in front."""
    table = read_results(path)
    return table.assign(later=table["method"] != OWN).sort_values("later", kind="stable").drop(columns="later")


def measured(runs: Sequence[Judged]) -> dict[str, Any]:
    """The numbers of one row and seed, from the tables of its run."""
    folder = runs[0].run
    line = next(line for line in read_csv(folder / "summary.csv").to_dict("records") if line["method"] == OWN)
    file = folder / "classes.csv"
    classes = read_csv(file).to_dict("records") if file.exists() else []
    learnt = {name: condensed((one[name] for one in classes), fmean) for name in ("auc", "f1")}
    return {"scans": line["scans"], **{name: line[name] for name in MEASURES}, **learnt}


def tabulate(runs: Sequence[Judged]) -> Tables:
    """A line per row, its seeds, and how much each row adds to the row below it."""
    results, seeds = all_results(runs), seed_table(runs, measured)
    middle = over_seeds(seeds, median).astype({"scans": int})
    added = effects(results, pairs_of(runs))
    adds = {line["row"]: _signed(line) for line in added.to_dict("records") if line["subset"] == "all"}
    table = middle.drop(columns="ablation")
    column = {"adds to positives (95 %)": [adds.get(row, "") for row in table["row"]]} if adds else {}
    shown = table.assign(**column)
    notes = [f"{ROW_TITLES[line['row']]} adds {_signed(line)} to {line['below']}." for line in added.to_dict("records")]
    return Tables(
        files={"results.csv": results, "seeds.csv": seeds, "table.csv": table, "effects.csv": added},
        report=shown,
        console=shown.drop(columns=["row", "scans", "pooled", "background"]),
        summary=sentence(middle),
        notes=(*notes, f"rows/{FINAL}/seed-0/report.html shows every step of the pictures that are marked worst."),
    )


ROW_TITLES = {row: one.title for row, one in {**FLOORS, **LADDER}.items()}


def pairs_of(runs: Sequence[Judged]) -> list[tuple[str, str]]:
    """Each row and the row that it adds one thing to; for some rows that depends on the preset."""
    settings: dict[str, Any] = {run.place.row: run.settings for run in runs}
    below = {row: one.below for row, one in LADDER.items()}
    if "multi-scale" in settings:
        below["multi-scale"] = name_of(settings["multi-scale"].maps.variant)
    if "whole-backbone" in settings:
        below["cam"] = "whole-backbone"
    below["crf"] = next((row for row in ("colours", "region") if row in settings), "multi-scale")
    if FINAL in settings:
        final = settings[FINAL]
        below[FINAL] = "irnet" if final.boundary.train else "crf" if final.labels.crf else below["crf"]
    return [(row, under) for row, under in below.items() if under is not None and {row, under} <= settings.keys()]


def sentence(middle: pd.DataFrame) -> str:
    """The result of the final row, and its share of the bound."""
    found = {row: lines[0] for row, lines in by_row(middle).items()}
    if FINAL not in found:
        return "The segmentation network has not been trained yet."
    own = found[FINAL]
    text = f"WSMIS reaches a mean IoU of {own['mean_iou']:.3f}, and {own['positives']:.3f} in pictures with a class"
    if BOUND not in found:
        return f"{text}."
    share = own["mean_iou"] / found[BOUND]["mean_iou"]
    return f"{text}; its mean IoU is {share:.2f} of that of the same network on true masks."


def _signed(line: Mapping[Any, Any]) -> str:
    return f"{line['effect']:+.3f} ({line['low']:+.3f} to {line['high']:+.3f})"


def final_model(name: str, data: Path, run: Path, seed: int) -> pd.DataFrame:
    """Train the model to use: the final row, on all pictures from their classes alone; returns the classifier's scores.

    Its cohort is written beside the run, without masks: the masks of the data set are not read.
    """
    cohort, preset = run.with_name(f"{run.name}-cohort"), presets_of(name)["quick"]
    write_all(name, Setup(run, preset, "quick", data), cohort)
    settings = settings_of(LADDER[FINAL], preset, seed, (cohort, cohort))
    Training("wsmis", changed(settings, {"data": {"seen": True}}), run).finish()
    return read_csv(run / "classes.csv")


def experiment_of(name: str, title: str) -> Experiment:
    """The experiment of a data set."""
    return Experiment(
        title=f"WSMIS on {title}",
        paper="Viniavskyi et al. 2020, arXiv 2007.00748, tables 1 to 4",
        rows=rows_of(name),
        presets=presets_of(name),
        cohorts=cohorts_of,
        tabulate=tabulate,
        caption=CAPTION,
        read=own_lines_first,
        make_cohorts=partial(make_cohorts, name),
        floors=tuple(FLOORS),
        first=("cam", "multi-scale", "crf", "irnet", FINAL, BOUND),
        needs_data=DATA_SETS[name].needs_data,
        final=partial(final_model, name) if DATA_SETS[name].final else None,
    )


EXPERIMENTS = {f"wsmis-{name}": experiment_of(name, one.title) for name, one in DATA_SETS.items()}
