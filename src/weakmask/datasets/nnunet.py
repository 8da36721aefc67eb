"""Export of a cohort for nnU-Net v2: nnUNet_raw/DatasetXXX_NAME with images, labels, dataset.json and our splits.

The format is that of nnU-Net's documentation/dataset_format.md. Cases keep their scans' names, so that what
`nnUNetv2_predict` writes is a folder of masks as `weakmask evaluate` takes it.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from weakmask.atomic_write import atomic_folder
from weakmask.datasets.case import Case, Cohort
from weakmask.datasets.cohort import cases_with, read_cohort
from weakmask.datasets.cohort_checks import check_case
from weakmask.datasets.splits import Split, k_fold
from weakmask.datasets.usable_truth import usable_truth
from weakmask.errors import UserError
from weakmask.evaluation.overlap import LESION_SUBTYPES
from weakmask.memory import memory_for
from weakmask.progress import track
from weakmask.volume.files import write_volume
from weakmask.volume.volume import Volume

ENDING = ".nii.gz"
CT = "CT"  # the channel name at which nnU-Net normalises by the intensities of the foreground


@dataclass(frozen=True)
class NnunetDataset:
    """Settings of the dataset.

    Attributes:
        number: Its id, 1 to 999; nnU-Net keeps 1 to 10 for the Medical Segmentation Decathlon.
        name: Letters, digits and hyphens.
        channel: Name of the one channel; `CT` makes nnU-Net normalise as for CT, anything else by z-score.
        subtypes: Labels 1 ground-glass, 2 consolidation, 3 mixed, as the cohort has them; else 1 for every lesion.
        folds: Of the cross-validation, 2 or more; no patient is in two.
        seed: Of the folds.

    Raises:
        UserError: A number or a name that nnU-Net does not take, or too few folds.
    """

    number: int
    name: str = "Lesions"
    channel: str = CT
    subtypes: bool = False
    folds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse settings that nnU-Net refuses."""
        if not 1 <= self.number <= 999:
            raise UserError(f"dataset id {self.number}: expected a number from 1 to 999, 501 for example")
        if not re.fullmatch(r"[A-Za-z0-9-]+", self.name):
            raise UserError(f"dataset name {self.name!r}: expected letters, digits and hyphens, Lesions for example")
        if self.folds < 2:
            raise UserError(f"{self.folds} folds: expected 2 or more; nnU-Net's own number is 5")

    @property
    def folder(self) -> str:
        """The folder's name in nnUNet_raw."""
        return f"Dataset{self.number:03d}_{self.name}"

    @property
    def labels(self) -> dict[str, int]:
        """Names to consecutive numbers, background first."""
        return {"background": 0, **(LESION_SUBTYPES if self.subtypes else {"lesion": 1})}


@dataclass(frozen=True)
class Exported:
    """Record of the written dataset.

    Attributes:
        folder: The dataset's.
        training: Names of the training cases.
        test: Names of the test cases.
        notes: Cases that were left out, with the reasons.
    """

    folder: Path
    training: tuple[str, ...]
    test: tuple[str, ...]
    notes: tuple[str, ...]


def export_nnunet(cohort_folder: Path, raw: Path, dataset: NnunetDataset, test_folder: Path | None = None) -> Exported:
    """Write a cohort with truth/ as an nnU-Net dataset; complete or not at all.

    imagesTr/ and labelsTr/ hold the scans with a usable truth, imagesTs/ those of the test cohort, splits_final.json
    the folds (to be copied into nnUNet_preprocessed). Voxels and grids are those of the cohort: nnU-Net resamples.

    Args:
        cohort_folder: Cohort to train on.
        raw: The folder that nnU-Net knows as nnUNet_raw.
        dataset: Number, name and labels.
        test_folder: Cohort whose images are to be predicted; its truth is not needed and not written.

    Raises:
        UserError: The number is taken, no scan has a truth, too few patients for the folds, or a folder that cannot be
            written.
    """
    taken = [path.name for path in sorted(raw.glob(f"Dataset{dataset.number:03d}_*"))]
    if taken:
        raise UserError(f"{raw} holds {taken[0]} already; choose another --dataset-id, or delete that folder")
    notes: list[str] = []
    cohort = read_cohort(cohort_folder)
    cases_with(cohort, "truth")
    tested = None if test_folder is None else read_cohort(test_folder)
    hounsfield = dataset.channel == CT
    with atomic_folder(raw / dataset.folder) as out:
        learned = []
        for case in track(cohort.cases, "training cases", len(cohort.cases)):
            usable = _usable(case, cohort, notes, hounsfield=hounsfield)
            if usable is not None and usable.truth is None:
                notes.append(f"left out {case.name}: no usable truth to learn from")
            elif usable is not None:
                _write_training_case(usable, out, dataset)
                learned.append(usable)
        if not learned:
            raise UserError(f"{cohort_folder}: no scan with a usable truth; nnU-Net learns from true masks")
        shown = [] if tested is None else _write_test_cases(tested, out, notes, hounsfield=hounsfield)
        splits = k_fold(learned, dataset.folds, dataset.seed)
        _write_json(out / "splits_final.json", [_fold(split) for split in splits])
        _write_json(out / "dataset.json", _description(dataset, len(learned)))
    return Exported(raw / dataset.folder, tuple(case.name for case in learned), tuple(shown), tuple(notes))


def _usable(case: Case, cohort: Cohort, notes: list[str], *, hounsfield: bool) -> Case | None:
    """The case as far as it can be used; its faults are noted."""
    try:
        with memory_for(case.image, in_stage=True):
            usable, faults = check_case(case, cohort, hounsfield=hounsfield)
    except UserError as error:
        notes.append(f"left out {case.name}: {error}")
        return None
    notes += [f"left out {case.name}: {f.message}" if usable is None else f.message for f in faults]
    return usable


def _write_training_case(case: Case, out: Path, dataset: NnunetDataset) -> None:
    image = case.read_image()
    found = usable_truth(case, image.geometry)
    if found is None:
        raise ValueError(f"{case.name} has no truth")
    labels = found.voxels
    if not dataset.subtypes or labels.max(initial=0) > max(LESION_SUBTYPES.values()):  # a picture writes 255 for 1
        labels = labels > 0
    write_volume(image, out / "imagesTr" / f"{case.name}_0000{ENDING}")
    # on the image's own grid: headers that differ by rounding fail nnU-Net's check
    truth = Volume(labels.astype(np.uint8), image.geometry, "label")
    write_volume(truth, out / "labelsTr" / f"{case.name}{ENDING}")


def _write_test_cases(cohort: Cohort, out: Path, notes: list[str], *, hounsfield: bool) -> list[str]:
    names = []
    for case in track(cohort.cases, "test cases", len(cohort.cases)):
        if _usable(case, cohort, notes, hounsfield=hounsfield) is not None:
            write_volume(case.read_image(), out / "imagesTs" / f"{case.name}_0000{ENDING}")
            names.append(case.name)
    return names


def _fold(split: Split) -> dict[str, list[str]]:
    """One fold for nnU-Net, whose validation part is the fold's test part."""
    return {"train": list(split.train), "val": list(split.test)}


def _description(dataset: NnunetDataset, cases: int) -> dict[str, object]:
    return {
        "name": dataset.name,
        "description": "exported by weakmask from a cohort folder",
        "channel_names": {"0": dataset.channel},
        "labels": dataset.labels,
        "numTraining": cases,
        "file_ending": ENDING,
    }


def _write_json(path: Path, values: dict[str, object] | Sequence[object]) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
