"""COVID-19 X-rays from the share of each lung that is opaque: dRAM against its rivals, cross-validated by patient.

OUT/splits.csv says which X-rays each fold is tested on. OUT/cohorts/fold-K/ holds scores/ (without masks), lungs/ (each
lung as a picture, with yes or no), masks/ (for the bound), test/ and test-lungs/. The numbers are this package's
choice (O).
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd

from weakmask.datasets.cohort_writing import write_cohort
from weakmask.datasets.covid_cxr import read_covid_cxr
from weakmask.datasets.region_pictures import write_region_pictures
from weakmask.datasets.splits import k_fold, write_splits
from weakmask.evaluation.overlap import Overlap
from weakmask.evaluation.table import COUNTS, read_results, result_rows, results_table
from weakmask.experiments.experiment import ANYWHERE, Experiment, Judged, Place, Preset, Row, Setup, Tables
from weakmask.experiments.floors import FloorSettings, floor_row
from weakmask.experiments.gather import by_row, condensed, mean_tables
from weakmask.experiments.wsmis_presets import XRAYS, wsmis_settings
from weakmask.methods.cam import config as cam
from weakmask.methods.dram import config as dram
from weakmask.methods.supervised import config as supervised
from weakmask.methods.wsmis.evaluation import OWN
from weakmask.region_learning.settings import NetworkSettings, PrepareSettings, TrainingSettings

FOLDS, SPLIT_SEED = 3, 0
OPACITY = "opacity"
CUT = 0.25  # of the maps of both U-Nets; chosen on the masks of fold 0, where 0.2 to 0.3 were about as good
PART_OF_BOUND = 0.90  # of the supervised network's Dice, that dRAM is to reach
CAPTION = (
    "Dice is the mean over the X-rays with opacities, inside both lungs together, each tested with a model that has "
    "seen no X-ray of its patient. CAM and WSMIS learn whether a lung has an opacity; WSMIS has no regions, so each "
    "lung is a picture of its own. The outlines are coarse: lines drawn by hand, several whole lungs."
)

_COMMON: dict[str, Any] = {
    "data": ANYWHERE,
    "prepare": PrepareSettings(spacing_mm=None, margin_mm=4.0, crop_shape=(1, 96, 72), window=(0.0, 255.0)),
}
_TRAINING = TrainingSettings(
    steps=300,
    batch=8,
    learning_rate=2e-3,
    sampling="patients",
    contrast=0.3,
    average_decay=0.98,
    keep="last",
    validate_every=50,
    checkpoint_every=50,
)
_NETWORK = NetworkSettings(width=8)
QUICK = Preset(
    {
        "floor": FloorSettings(**_COMMON),
        "cam": cam.CamSettings(
            **_COMMON,
            network=cam.NetworkSettings(width=8),
            classification=_TRAINING.model_copy(update={"sampling": "balanced"}),
            maps=cam.MapSettings(scales=(1.0,), refine=False),
        ),
        "dram": dram.DramSettings(
            **_COMMON,
            network=_NETWORK,
            regression=_TRAINING,
            losses=dram.LossSettings(equivariance=0.0, entropy=0.0),
            vessels=dram.VesselSettings(suppress=False),
            refinement=dram.RefinementSettings(weight=0.0, attention=False, crf=dram.CrfSettings(iterations=0)),
            maps=dram.MapSettings(scales=(1.0,), threshold=CUT),
            context=dram.ContextSettings(train=False),
        ),
        "wsmis": wsmis_settings({**XRAYS, "prepare.side": 128, "classification.steps": 150}),
        "supervised": supervised.SupervisedSettings(
            **_COMMON, network=_NETWORK, segmentation=_TRAINING, maps=supervised.MapSettings(threshold=CUT)
        ),
    }
)
FLOORS = {
    "everything": floor_row("both lungs", "everything"),
    "otsu": floor_row("Otsu", "Otsu in the region"),
    "fixed-balanced": floor_row("fixed threshold, scores weigh alike", "fixed threshold, balanced"),
}
ROWS = {
    **FLOORS,
    "cam": Row("CAM, yes or no per lung", "cam"),
    "wsmis": Row("WSMIS, yes or no per lung", "wsmis", labels="lungs"),
    "dram": Row("dRAM, share of each lung", "dram"),
    "supervised": Row("supervised U-Net", "supervised", labels="masks"),
}


def cohorts_of(setup: Setup, place: Place) -> tuple[Path, Path]:
    """The cohorts of a fold."""
    fold, labels = setup.out / "cohorts" / f"fold-{place.fold}", ROWS[place.row].labels
    return fold / (labels or "scores"), fold / ("test-lungs" if labels == "lungs" else "test")


def make_cohorts(setup: Setup, places: Collection[Place]) -> None:
    """Write splits.csv and the cohorts; masks are in those alone that need them.

    Raises:
        UserError: The data set is incomplete, or the folder cannot be written.
    """
    whole = read_covid_cxr(setup.data)
    splits = k_fold(whole.cases, FOLDS, SPLIT_SEED)
    write_splits(splits, setup.out / "splits.csv")
    for place in places:
        split = splits[place.fold or 0]
        for folder, names in zip(cohorts_of(setup, place), (split.train, split.test), strict=True):
            part = replace(whole, cases=tuple(case for case in whole.cases if case.name in set(names)))
            if folder.name.endswith("lungs"):
                write_region_pictures(part, folder, OPACITY, truth=folder.name == "test-lungs")
            else:
                write_cohort(part, folder, truth=folder.name != "scores")


def read_per_image(path: Path) -> pd.DataFrame:
    """A run's own results, with both lungs of an X-ray as one line where WSMIS has a line for each.

    Raises:
        UserError: The table cannot be read.
    """
    table = read_results(path).query("subset == 'all'")
    if OWN not in set(table["method"]):
        return table
    lungs: dict[str, list[dict[Any, Any]]] = {}
    for line in table.to_dict("records"):
        if line["method"] == OWN:
            lungs.setdefault(line["scan"].rpartition("-")[0], []).append(line)
    rows = []
    for scan, lines in lungs.items():
        counted = Overlap(*(sum(line[count] for line in lines) for count in COUNTS))
        rows += result_rows(OWN, scan, {"all": counted}, lines[0]["patient"])
    return results_table(rows)


def dice_numbers(runs: Sequence[Judged]) -> dict[str, float]:
    """The numbers of one row and seed: means over the X-rays with opacities, and the IoU of all pixels."""
    lines = pd.concat([run.results for run in runs]).to_dict("records")
    tp, fp, fn = (sum(line[count] for line in lines) for count in ("tp", "fp", "fn"))
    opaque = [line for line in lines if line["tp"] + line["fn"]]
    means = {name: condensed((line[name] for line in opaque), fmean) for name in ("dice", "sensitivity", "ppv")}
    return {"dice": means["dice"], "iou_pooled": tp / max(1, tp + fp + fn), **means, "scans": len(lines)}


def tabulate(runs: Sequence[Judged]) -> Tables:
    """A line per row, and dRAM as a part of the supervised network."""
    tables = mean_tables(runs, dice_numbers)
    dice = {row: lines[0]["dice"] for row, lines in by_row(tables.report).items()}
    if not {"dram", "supervised"} <= dice.keys():
        return tables
    share = dice["dram"] / dice["supervised"]
    holds = "holds" if share >= PART_OF_BOUND else "does not hold"
    note = f"{holds}: dRAM reaches {share:.2f} of the supervised network's Dice, {PART_OF_BOUND:.2f} wanted"
    return replace(tables, notes=(*tables.notes, note))


EXPERIMENT = Experiment(
    title="COVID-19 X-rays from the share of each lung",
    paper="Cohen et al., arXiv 2006.11988 (the X-rays; outlines of the lungs and opacities by GeneralBlockchain)",
    rows=ROWS,
    presets={"quick": QUICK},
    cohorts=cohorts_of,
    tabulate=tabulate,
    caption=CAPTION,
    read=read_per_image,
    folds=FOLDS,
    make_cohorts=make_cohorts,
    floors=tuple(FLOORS),
    needs_data=True,
)
