"""The prepare stage: cohort -> dRAM's crops, and on the grid of each crop the true lesions."""

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from weakmask.csv_table import read_csv, write_csv
from weakmask.errors import UserError
from weakmask.methods.supervised.config import SupervisedSettings
from weakmask.pipeline import Work
from weakmask.pipeline.cohort_cases import noted_cohort
from weakmask.progress import track
from weakmask.region_learning.crops import CropSet, as_batch
from weakmask.region_learning.prepare import prepare as prepare_crops
from weakmask.region_learning.true_masks import true_lesions
from weakmask.region_learning.usable_cases import usable_case
from weakmask.volume.files import read_volume, write_volume
from weakmask.volume.resample import resample_onto

TRUTH = "lesions"


def prepare(work: Work) -> None:
    """Write crops/*.nii, lesions/*.nii and index.csv; a scan without usable truth is left out and noted.

    Raises:
        UserError: No scan has a truth.
    """
    config: SupervisedSettings = work.config
    prepare_crops(work)
    index = read_csv(work.out / "index.csv")
    cohort = noted_cohort(config.data.cohort, work)
    (work.out / TRUTH).mkdir()
    learnable: list[str] = []
    cases = [case for case in cohort.cases if case.name in set(index["scan"])]
    for case in track(cases, "true masks", len(cases)):
        usable = usable_case(case, cohort, work)
        if usable is None or usable.truth is None:
            work.note(f"left out {case.name}: no usable truth to learn from")
            continue
        work.hash_input(usable.truth)
        lesions = true_lesions(usable)
        for file in index.loc[index["scan"] == case.name, "file"]:
            crop = read_volume(work.out / file)
            write_volume(resample_onto(lesions, crop.geometry), work.out / TRUTH / Path(file).name)
        learnable.append(case.name)
    if not learnable:
        raise UserError(
            f"{config.data.cohort}: no scan has a usable truth; the supervised method learns from true masks"
        )
    write_csv(index.loc[index["scan"].isin(learnable)], work.out / "index.csv")


def load_truth(folder: Path, crops: CropSet) -> Bool[Tensor, "crops 1 *space"]:
    """The lesions of crops that were read from `folder`, in their order; True in lesions."""
    masks = [read_volume(folder / TRUTH / Path(file).name, "label").voxels > 0 for file in crops.table["file"]]
    if not masks:
        return torch.zeros_like(crops.region)
    return as_batch(torch.from_numpy(np.stack(masks)))
