"""Dual-task MIL on the slices of COVID-SemiSeg, from a yes or no per lung, beside DeCoVNet and AD3D-MIL.

All methods learn from the 1,600 slices without masks and are tested on the 50 expert slices, which none has seen: no
cross-validation, but for the supervised bound. OUT/cohorts/ holds weak/ (scores alone), test/ and fold-K/ (for the
bound). Every cut is chosen on held-out lungs without lesions. The numbers are this package's choice (O).
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from weakmask.csv_table import read_csv
from weakmask.datasets.cohort_writing import write_cohort
from weakmask.datasets.covid_semiseg import cohort_of, read_covid_semiseg
from weakmask.datasets.splits import k_fold
from weakmask.experiments import covid_semiseg
from weakmask.experiments.dual_task_tables import CAPTION, CHAIN, tabulate
from weakmask.experiments.experiment import ANYWHERE, Changes, Experiment, Place, Preset, Row, Setup, settings_of
from weakmask.experiments.floors import FloorSettings, MaskSettings
from weakmask.experiments.training import Training
from weakmask.methods.ad3d_mil import config as ad3d
from weakmask.methods.decovnet import config as decovnet
from weakmask.methods.dual_task_mil.config import DualTaskSettings, PatchSettings, SegmentationSettings
from weakmask.region_learning.bag_settings import BagTrainingSettings, YesNoDataSettings
from weakmask.region_learning.settings import NetworkSettings, PrepareSettings

FOLDS = covid_semiseg.FOLDS  # of the bound
HELD_OUT = 0.2  # of the 20 volumes: for the AUC and for every cut
_COMMON: dict[str, Any] = {
    "data": YesNoDataSettings(cohort=Path(), validation=HELD_OUT),
    "prepare": PrepareSettings(spacing_mm=None, margin_mm=3.0, crop_shape=(1, 96, 160), grey_values="picture"),
}
_CLASSIFIER: dict[str, Any] = BagTrainingSettings(steps=400, batch=16).model_dump()
_CHAIN = DualTaskSettings(
    **_COMMON,
    network=NetworkSettings(width=8),
    patches=PatchSettings(start="bag", steps=480),
    segmentation=SegmentationSettings(beta=1.0),
)
SLICES = Preset(
    {
        "floor": FloorSettings(
            data=ANYWHERE.model_copy(update={"validation": HELD_OUT}),
            prepare=_COMMON["prepare"],
            floor=MaskSettings(mask="opened picture, clean cut", opening_voxels=covid_semiseg.OPENING_VOXELS),
        ),
        "dual_task_mil": _CHAIN,
        "mutual": _CHAIN.model_copy(update={"rounds": 2}),
        "decovnet": decovnet.DeCoVNetSettings(**_COMMON, classification=decovnet.ClassificationSettings(**_CLASSIFIER)),
        "ad3d_mil": ad3d.AD3DMILSettings(**_COMMON, classification=ad3d.ClassificationSettings(**_CLASSIFIER)),
        "dram": covid_semiseg.SLICES.settings["dram"],
        "supervised": covid_semiseg.SLICES.settings["supervised"],
    }
)


def _paper(dice: float, iou: float, ppv: float, sensitivity: float, specificity: float) -> dict[str, float]:
    """A row of the paper's Table 1, pooled over whole slices that are not cropped."""
    numbers = {"Dice": dice, "IoU": iou, "PPV": ppv, "sensitivity": sensitivity, "specificity": specificity}
    return {f"paper: {name}": number for name, number in numbers.items()}


def _step(title: str, below: str | None, after: str | None, changes: Changes) -> Row:
    return Row(title, "dual_task_mil", changes, below=below, after=() if after is None else (after,))


_AUTHORS: Changes = {"maps": {"rule": "highest"}}
_EASY_TO_HARD: Mapping[str, str] = {"start": "grad-cam"}
_UNGATED: Changes = {"maps": {"gate_hu": None}}
ROWS = {
    "opened": Row("opened picture", "floor"),
    "grad-cam": _step("Grad-CAM", None, CHAIN, {"maps": {"of": "grad-cam"}}),
    "crop-grad-cam": _step(
        "Grad-CAM, pooled over the crop",
        None,
        None,
        {"maps": {"of": "grad-cam"}, "classification": {"pool": "crop"}},
    ),
    "easy-to-hard": _step(
        "Grad-CAM + patches, easy to hard", "grad-cam", CHAIN, {"maps": {"of": "patches"}, "patches": _EASY_TO_HARD}
    ),
    "bag": _step("patches with bag labels", "easy-to-hard", CHAIN, {"maps": {"of": "patches"}}),
    CHAIN: replace(
        _step("+ segmentation: dual-task MIL", "bag", None, {}), published=_paper(0.74, 0.57, 0.65, 0.85, 0.97)
    ),
    "easy-chain": _step("dual-task MIL, easy to hard", CHAIN, "easy-to-hard", {"patches": _EASY_TO_HARD}),
    "bootstrapping": _step("dual-task MIL, bootstrapping 0.8", CHAIN, CHAIN, {"segmentation": {"beta": 0.8}}),
    "large-patches": _step("dual-task MIL, patches of 19", CHAIN, CHAIN, {"patches": {"size": 19}}),
    "anchor": _step("dual-task MIL + anchor", CHAIN, CHAIN, {"patches": {"anchor": 8.0}}),
    "mutual": Row("dual-task MIL + mutual", "dual_task_mil", template="mutual", below=CHAIN, after=(CHAIN,)),
    "decovnet": Row("DeCoVNet", "decovnet", published=_paper(0.72, 0.56, 0.73, 0.70, 0.98)),
    "decovnet-ungated": Row("DeCoVNet, no gate", "decovnet", _UNGATED, after=("decovnet",)),
    "decovnet-authors": Row("DeCoVNet, authors' rule", "decovnet", _AUTHORS, after=("decovnet",)),
    "ad3d-instance": Row("AD3D-MIL, instances", "ad3d_mil", published=_paper(0.68, 0.51, 0.56, 0.85, 0.99)),
    "ad3d-ungated": Row("AD3D-MIL, instances, no gate", "ad3d_mil", _UNGATED, after=("ad3d-instance",)),
    "ad3d-attention": Row("AD3D-MIL, attention", "ad3d_mil", {"maps": {"of": "attention"}}, after=("ad3d-instance",)),
    "dram": replace(covid_semiseg.ROWS["complete"], title="dRAM complete, from scores"),
    "supervised": replace(covid_semiseg.ROWS["supervised"], title="supervised U-Net, from masks", folds=FOLDS),
}


def cohorts_of(setup: Setup, place: Place) -> tuple[Path, Path]:
    """The cohorts of a run; those of the bound are of its fold."""
    cohorts = setup.out / "cohorts"
    if place.fold is not None:
        return cohorts / f"fold-{place.fold}" / "masks", cohorts / f"fold-{place.fold}" / "test"
    return cohorts / "weak", cohorts / "test"


def make_cohorts(setup: Setup, places: Collection[Place]) -> None:
    """Write the cohorts; the slices to learn weak labels from have no masks.

    Raises:
        UserError: The data set is incomplete, or the folder cannot be written.
    """
    slices = read_covid_semiseg(setup.data)
    splits = k_fold(slices.expert, FOLDS, covid_semiseg.SPLIT_SEED)
    for place in places:
        learnt, tested = slices.weak, slices.expert
        if place.fold is not None:
            names = set(splits[place.fold].test)
            learnt = [case for case in slices.expert if case.name not in names]
            tested = [case for case in slices.expert if case.name in names]
        training, test = cohorts_of(setup, place)
        write_cohort(cohort_of(setup.data, learnt), training, truth=place.fold is not None)
        write_cohort(cohort_of(setup.data, tested), test, truth=True)


def final_model(data: Path, run: Path, seed: int) -> pd.DataFrame:
    """Train the model to use: the chain, on the slices without masks; returns the summary of its yes and no.

    Its cohorts are written beside the run, without masks.
    """
    slices = read_covid_semiseg(data)
    beside = run.with_name(f"{run.name}-cohorts")
    for name, cases in (("weak", slices.weak), ("expert", slices.expert)):
        write_cohort(cohort_of(data, cases), beside / name, truth=False)
    settings = settings_of(ROWS[CHAIN], SLICES, seed, (beside / "weak", beside / "expert"))
    Training("dual_task_mil", settings, run).finish()
    return read_csv(run / "summary.csv")


EXPERIMENT = Experiment(
    title="Dual-task MIL on COVID-SemiSeg, from a yes or no per lung",
    paper="Wang Y., Dual-task mutual learning for weakly-supervised COVID-19 lesion segmentation (abstract)",
    rows=ROWS,
    presets={"slices": SLICES},
    cohorts=cohorts_of,
    tabulate=tabulate,
    caption=CAPTION,
    make_cohorts=make_cohorts,
    first=(CHAIN, "decovnet", "ad3d-instance"),
    needs_data=True,
    final=final_model,
)
