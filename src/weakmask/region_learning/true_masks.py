"""True masks of some scans on the grids of their crops, for methods that learn from them beside weak labels."""

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from weakmask.datasets.case import Case, Cohort
from weakmask.datasets.usable_truth import usable_truth
from weakmask.errors import UserError
from weakmask.pipeline import Work
from weakmask.pipeline.cohort_cases import noted_cohort
from weakmask.progress import track
from weakmask.region_learning.crops import CropSet, as_batch
from weakmask.region_learning.usable_cases import usable_case
from weakmask.volume.files import read_volume
from weakmask.volume.resample import resample_onto
from weakmask.volume.storage_order import upright
from weakmask.volume.volume import Volume


def true_masks(crops: CropSet, work: Work) -> tuple[Bool[Tensor, "crops 1 *space"], Bool[Tensor, " crops"]]:
    """The true lesions of the crops whose scan has a usable true mask.

    Args:
        crops: Of the prepare stage.
        work: Of a stage that comes after it.

    Returns:
        True in lesions, False everywhere in crops without a mask; and whether each crop has a mask.

    Raises:
        UserError: No scan has a usable true mask.
    """
    prepared = work.stage("prepare")
    cohort = noted_cohort(work.config.data.cohort, work)
    cases = {case.name: case for case in cohort.cases}
    masks, known = np.zeros((len(crops), *work.config.prepare.crop_shape), bool), np.zeros(len(crops), bool)
    by_scan = crops.table.groupby("scan", sort=False).groups
    for scan, rows in track(by_scan.items(), "true masks", len(by_scan)):
        lesions = true_mask_of(cases[str(scan)], cohort, work)
        if lesions is None:
            continue
        for row in rows:
            crop = read_volume(prepared / str(crops.table["file"][row]))
            masks[row], known[row] = resample_onto(lesions, crop.geometry).voxels > 0, True
    if not known.any():
        raise UserError(
            f"{work.config.data.cohort}: no training scan has a usable true mask in truth/; set true_masks.use to "
            "false to learn from scores alone"
        )
    with_mask = len(set(crops.table["scan"].to_numpy()[known]))
    work.note(f"{with_mask} of {len(by_scan)} training scans have a true mask, which is learnt beside the scores")
    return as_batch(torch.from_numpy(masks)), torch.from_numpy(known)


def true_mask_of(case: Case, cohort: Cohort, work: Work) -> Volume | None:
    """The true mask of a scan as `true_lesions` gives it; None without one that can be used, which a note says."""
    usable = usable_case(case, cohort, work)
    if usable is None or usable.truth is None:
        return None
    work.hash_input(usable.truth)
    return true_lesions(usable)


def true_lesions(case: Case) -> Volume:
    """The true mask of a case on the image's upright grid, 1 in lesions of any kind.

    Raises:
        ValueError: The case has no usable truth.
    """
    truth = usable_truth(case, upright(case.read_image()).geometry)
    if truth is None:
        raise ValueError(f"{case.name} has no truth")
    return truth.with_voxels((truth.voxels > 0).astype(np.uint8), "label")
