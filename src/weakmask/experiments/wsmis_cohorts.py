"""The data sets of the tables of WSMIS, and their split into pictures to learn from and pictures to test on."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

from weakmask.datasets.case import Cohort
from weakmask.datasets.cohort_writing import TruthOf, write_cohort
from weakmask.datasets.labelled_pictures import read_busi, read_pets
from weakmask.datasets.siim_acr import read_siim_acr
from weakmask.datasets.splits import Split, hold_out_by_name, read_splits, write_splits
from weakmask.datasets.voc import read_voc
from weakmask.errors import UserError
from weakmask.methods.wsmis.baselines import MASKS

TRAINING, TEST = "training", "test"
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
        read: Folder -> its pictures.
        final: Whether `--final` may train on all of them: no mask is read for their classes.
    """

    title: str
    read: Callable[[Path], Pictures]
    final: bool = False


def _by_name(cohort: Cohort, truth_of: TruthOf | None = None) -> Pictures:
    """Hold out a fifth of the patients; near copies count as one patient where the reader says so."""
    return Pictures(cohort, hold_out_by_name(cohort.cases), truth_of)


def _siim(folder: Path) -> Pictures:
    found = read_siim_acr(folder)
    return _by_name(found.cohort, found.truth_of)


def _voc(folder: Path) -> Pictures:
    """PASCAL VOC's own parts `train` and `val` where they are listed; else a fifth is held out."""
    if not (folder / VAL).exists():
        return _by_name(read_voc(folder))
    train, val = read_voc(folder, "train"), read_voc(folder, "val")
    names = [tuple(sorted(case.name for case in part.cases)) for part in (train, val)]
    return Pictures(replace(train, cases=(*train.cases, *val.cases)), Split(names[0], (), names[1]))


DATA_SETS = {
    "pets": DataSet("photographs of cats and dogs", lambda folder: _by_name(read_pets(folder)), final=True),
    "busi": DataSet("breast ultrasound", lambda folder: _by_name(read_busi(folder)), final=True),
    "siim": DataSet("SIIM-ACR pneumothorax", _siim),
    "voc": DataSet("PASCAL VOC 2012", _voc),
}


def write_parts(name: str, data: Path, out: Path, *, masks: bool) -> None:
    """Write OUT/splits.csv and below OUT/cohorts/ the cohorts to learn from and to test on, unless they exist.

    Args:
        name: Of the data set.
        data: Its folder.
        out: The output folder.
        masks: Whether to write the training pictures with their masks, too.

    Raises:
        UserError: The data set is incomplete, the output folder holds another split, or it cannot be written.
    """
    found = DATA_SETS[name].read(data)
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


def write_all(name: str, data: Path, folder: Path) -> None:
    """Write all pictures of a data set with their classes alone as a cohort.

    Raises:
        UserError: The data set is incomplete, or the folder cannot be written.
    """
    write_cohort(DATA_SETS[name].read(data).cohort, folder, truth=False)


def _of(cohort: Cohort, names: Collection[str]) -> Cohort:
    return replace(cohort, cases=tuple(case for case in cohort.cases if case.name in names))
