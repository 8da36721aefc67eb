"""The data sets of the tables of WSMIS, and their split into pictures to learn from and pictures to test on."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

from weakmask.datasets.case import Cohort
from weakmask.datasets.cohort import read_cohort
from weakmask.datasets.cohort_writing import TruthOf, write_cohort
from weakmask.datasets.labelled_pictures import read_busi, read_pets
from weakmask.datasets.siim_acr import read_siim_acr
from weakmask.datasets.splits import Split, hold_out_by_name, read_splits, write_splits
from weakmask.datasets.voc import read_voc
from weakmask.errors import UserError
from weakmask.experiments.experiment import Setup
from weakmask.methods.wsmis.baselines import MASKS
from weakmask.phantoms.picture_cohorts import write_xray_cohort
from weakmask.terminal import say

TRAINING, TEST = "training", "test"
TRAINING_SEED, TEST_SEED = 1, 2  # of phantoms
VAL = Path("ImageSets") / "Segmentation" / "val.txt"


@dataclass(frozen=True)
class Pictures:
    """The pictures of a data set.

    Attributes:
        cohort: With classes and masks.
        split: The pictures to learn from and to test on.
        truth_of: Makes the masks where no file holds them.
    """

    cohort: Cohort
    split: Split
    truth_of: TruthOf | None = None


@dataclass(frozen=True)
class DataSet:
    """A data set of pictures.

    Attributes:
        title: In words.
        read: Setup -> its pictures, from the folder of the data set.
        needs_data: Whether there is such a folder; phantoms are made in the output folder.
        final: Whether `--final` may train on all of them: no mask is read for their classes.
    """

    title: str
    read: Callable[[Setup], Pictures]
    needs_data: bool = True
    final: bool = False


def _by_name(cohort: Cohort, truth_of: TruthOf | None = None) -> Pictures:
    """Hold out a fifth of the patients; near copies count as one patient where the reader says so."""
    return Pictures(cohort, hold_out_by_name(cohort.cases), truth_of)


def _siim(setup: Setup) -> Pictures:
    found = read_siim_acr(setup.data)
    return _by_name(found.cohort, found.truth_of)


def _phantoms(setup: Setup) -> Pictures:
    """Chest X-ray phantoms, made once; those to test on have another seed."""
    preset, side, cohorts = setup.preset, setup.preset.shape[-1], []
    for seed, scans in ((TRAINING_SEED, preset.training_scans), (TEST_SEED, preset.test_scans)):
        folder = setup.out / "phantoms" / f"{scans}-of-{side}-pixels-seed-{seed}"
        if not folder.exists():
            say("phantoms", f"{scans} in {folder}")
            write_xray_cohort(folder, scans, seed, side)
        cohorts.append(read_cohort(folder))
    return _joined(*cohorts)


def _voc(setup: Setup) -> Pictures:
    """PASCAL VOC's own parts `train` and `val` where they are listed; else a fifth is held out."""
    folder = setup.data
    if not (folder / VAL).exists():
        return _by_name(read_voc(folder))
    return _joined(read_voc(folder, "train"), read_voc(folder, "val"))


def _joined(training: Cohort, test: Cohort) -> Pictures:
    """Both parts of a data set that is split already."""
    names = [tuple(sorted(case.name for case in part.cases)) for part in (training, test)]
    return Pictures(replace(training, cases=(*training.cases, *test.cases)), Split(names[0], (), names[1]))


DATA_SETS = {
    "pets": DataSet("photographs of cats and dogs", lambda setup: _by_name(read_pets(setup.data)), final=True),
    "busi": DataSet("breast ultrasound", lambda setup: _by_name(read_busi(setup.data)), final=True),
    "siim": DataSet("SIIM-ACR pneumothorax", _siim),
    "voc": DataSet("PASCAL VOC 2012", _voc),
    "phantoms": DataSet("X-ray phantoms with a pneumothorax", _phantoms, needs_data=False),
}


def write_parts(name: str, setup: Setup, *, masks: bool) -> None:
    """Write OUT/splits.csv and below OUT/cohorts/ the cohorts to learn from and to test on, unless they exist.

    Args:
        name: Of the data set.
        setup: The folder of the data set, and the output folder.
        masks: Whether to write the training pictures with their masks, too.

    Raises:
        UserError: The data set is incomplete, the output folder holds another split, or it cannot be written.
    """
    found, data, out = DATA_SETS[name].read(setup), setup.data, setup.out
    lacking = next((case for case in found.cohort.cases if case.truth is None and found.truth_of is None), None)
    if lacking is not None:
        raise UserError(
            f"{data}: {lacking.name} has no mask, and the table compares with masks; fetch the data set again"
        )
    splits = out / "splits.csv"
    if splits.exists() and read_splits(splits) != (found.split,):
        raise UserError(f"{splits}: is of other pictures than those in {data}; choose another output folder")
    write_splits([found.split], splits)
    parts = {TRAINING: found.split.train, TEST: found.split.test, **({MASKS: found.split.train} if masks else {})}
    for part, names in parts.items():
        cohort = _of(found.cohort, set(names))
        write_cohort(cohort, out / "cohorts" / part, truth=part != TRAINING, truth_of=found.truth_of)


def write_all(name: str, setup: Setup, folder: Path) -> None:
    """Write all pictures of a data set with their classes alone as a cohort.

    Raises:
        UserError: The data set is incomplete, or the folder cannot be written.
    """
    write_cohort(DATA_SETS[name].read(setup).cohort, folder, truth=False)


def _of(cohort: Cohort, names: Collection[str]) -> Cohort:
    return replace(cohort, cases=tuple(case for case in cohort.cases if case.name in names))
