"""V-Net with its soft Dice beside a 3-D U-Net with cross-entropy, on MRI of the hippocampus.

The data are those of the Medical Segmentation Decathlon, task 4 (Simpson et al. 2019, arXiv 1902.09063): images/ and
labels/ of 260 crops with labels 1 anterior and 2 posterior. The paper's own data are of the prostate. 3 of 13 scans are
tested.
"""

import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd

from weakmask.atomic_write import atomic_folder
from weakmask.config import parse, with_values
from weakmask.csv_table import read_csv
from weakmask.errors import UserError
from weakmask.experiments.experiment import Experiment, Judged, Place, Preset, Row, Setup, Tables
from weakmask.experiments.gather import mean_tables
from weakmask.methods.v_net import VNetSettings
from weakmask.terminal import say

CLASSES = ("anterior", "posterior")
TESTED = (2, 6, 10)  # of each 13 scans in the order of their names
EACH = 13
CAPTION = (
    "Scans that no row has learnt, means over the seeds: Dice of both parts and of each, and the mean distance in mm "
    "between the surfaces of mask and truth. Published numbers of full supervision on this set are about 0.88 to 0.90."
)
Values = Mapping[str, Any]  # "section.field" -> value
QUICK: Values = {
    "data.classes": CLASSES,
    "prepare.spacing_mm": (1.0, 1.0, 1.0),
    "prepare.shape": (48, 64, 48),
    "network.width": 8,
    "train.steps": 1200,
    "train.optimiser": "adam",
    "train.learning_rate": 1e-3,
    "train.average_decay": 0.99,
    "train.keep": "last",
    "train.validate_every": 200,
    "train.checkpoint_every": 100,
}
PAPER: Values = {
    **QUICK,
    "network.width": 16,
    "train.steps": 30_000,
    "train.optimiser": "sgd",
    "train.learning_rate": 1e-4,
}


def settings(values: Values) -> VNetSettings:
    """The method's settings with some values changed; the cohort comes with the run."""
    return parse(VNetSettings, with_values({"data": {"cohort": Path()}}, values), "the preset")


ROWS = {
    "v-net": Row("V-Net, soft Dice", "v_net"),
    "u-net": Row(
        "3-D U-Net, cross-entropy",
        "v_net",
        {"network": {"name": "unet"}, "losses": {"dice": 0.0, "cross_entropy": 1.0}},
    ),
}
PRESETS = {name: Preset({"v_net": settings(values)}) for name, values in (("quick", QUICK), ("paper", PAPER))}


def cohorts_of(setup: Setup, place: Place) -> tuple[Path, Path]:  # noqa: ARG001 (all places have the same)
    """The cohorts of all rows."""
    return setup.out / "cohorts" / "training", setup.out / "cohorts" / "test"


def make_cohorts(setup: Setup, places: Collection[Place]) -> None:  # noqa: ARG001 (all places have the same)
    """Write the training and the test cohort, once.

    Raises:
        UserError: The data set is not there, or the folder cannot be written.
    """
    scans = scans_in(setup.data)
    for part, folder in zip((False, True), cohorts_of(setup, Place("v-net", 0)), strict=True):
        if not folder.exists():
            say("cohort", str(folder))
            _write(folder, setup.data, [name for k, name in enumerate(scans) if (k % EACH in TESTED) == part])


def scans_in(data: Path) -> list[str]:
    """The names of the scans that have an image and a label map, in order.

    Raises:
        UserError: There are fewer than 13.
    """
    images, labels = ({file.name for file in (data / part).glob("*.nii.gz")} for part in ("images", "labels"))
    found = sorted(images & labels)
    if len(found) < EACH:
        raise UserError(
            f"{data}: {len(found)} scans with images/NAME.nii.gz and labels/NAME.nii.gz; expected the hippocampus of "
            "the Medical Segmentation Decathlon"
        )
    return found


def _write(folder: Path, data: Path, scans: Sequence[str]) -> None:
    """Copy scans and their label maps into a cohort."""
    with atomic_folder(folder) as temporary:
        for part, of in (("images", "images"), ("truth", "labels")):
            (temporary / part).mkdir(parents=True)
            for name in scans:
                shutil.copyfile(data / of / name, temporary / part / name)
        (temporary / "truth.yaml").write_text("kind: classes\n", encoding="utf-8")


def measured(runs: Sequence[Judged]) -> dict[str, Any]:
    """The numbers of one row and seed."""
    table = pd.concat([run.results for run in runs])
    parts = {name: table.loc[table["class"] == name, :] for name in CLASSES}
    dice = {f"dice_{name}": float(some["dice"].mean()) for name, some in parts.items()}
    surface = {f"surface_mm_{name}": float(some["surface_mm"].mean()) for name, some in parts.items()}
    return {"dice": fmean(dice.values()), **dice, **surface}


def tabulate(runs: Sequence[Judged]) -> Tables:
    """A line per row: means over its seeds."""
    return mean_tables(runs, measured)


EXPERIMENT = Experiment(
    title="V-Net on the hippocampus",
    paper="Milletari et al. 2016, arXiv 1606.04797",
    rows=ROWS,
    presets=PRESETS,
    cohorts=cohorts_of,
    tabulate=tabulate,
    caption=CAPTION,
    read=read_csv,
    make_cohorts=make_cohorts,
    needs_data=True,
)
