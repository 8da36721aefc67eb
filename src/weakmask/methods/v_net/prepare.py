"""The prepare stage: cohort -> scans and masks on the network's grid."""

import numpy as np
import pandas as pd

from weakmask.csv_table import write_csv
from weakmask.datasets.case import Case
from weakmask.datasets.cohort import cases_with, read_cohort
from weakmask.datasets.seen_scans import refuse_seen
from weakmask.datasets.splits import hold_out
from weakmask.datasets.usable_truth import usable_truth
from weakmask.errors import UserError
from weakmask.evaluation.class_masks import IGNORED
from weakmask.memory import memory_for
from weakmask.methods.v_net.config import VNetSettings
from weakmask.methods.v_net.network_grid import framed_image, framed_labels
from weakmask.pipeline import Work
from weakmask.pipeline.cohort_cases import noted_cohort
from weakmask.progress import track
from weakmask.volume.files import refuse_nonfinite, write_volume
from weakmask.volume.storage_order import upright
from weakmask.volume.volume import Volume

TRAINING, VALIDATION = "training", "validation"


def prepare(work: Work[VNetSettings]) -> None:
    """Write images/ and labels/ of the training cohort and index.csv; faulty scans are noted.

    Raises:
        UserError: No scan has a usable truth, or test scans are trained on.
    """
    data = work.config.data
    cohort = noted_cohort(data.cohort, work)
    cases = cases_with(cohort, "truth")
    if data.test is not None and not data.seen:
        tested = read_cohort(data.test).cases
        refuse_seen(*({case.name: case.scan_file for case in some} for some in (cases, tested)))
    held_out = set(hold_out(cases, data.split_seed, data.validation, 0.0).validation) if data.validation else set()
    for folder in ("images", "labels"):
        (work.out / folder).mkdir()
    rows = []
    for case in track(cases, "scans", len(cases)):
        try:
            with memory_for(case.image, in_stage=True):
                image, truth = read_case(case, work)
        except UserError as error:
            work.note(f"left out {case.name}: {error}")
            continue
        if truth is None:
            work.note(f"left out {case.name}: no usable truth to learn from")
            continue
        labels = framed_labels(truth, work.config.prepare)
        write_volume(framed_image(image, work.config.prepare), work.out / "images" / f"{case.name}.nii")
        write_volume(labels, work.out / "labels" / f"{case.name}.nii")
        part = VALIDATION if case.name in held_out else TRAINING
        rows.append(
            {"scan": case.name, "patient": case.group, "split": part, "labelled": int((labels.voxels > 0).sum())}
        )
    if not any(row["labelled"] for row in rows if row["split"] == TRAINING):
        raise UserError(f"{data.cohort}: no training scan has a usable truth with a label; run `weakmask check` on it")
    write_csv(pd.DataFrame(rows), work.out / "index.csv")


def read_case(case: Case, work: Work[VNetSettings]) -> tuple[Volume, Volume | None]:
    """The upright scan and its classes; of a binary mask any label is class 1.

    Raises:
        UserError: A file is faulty, or the truth has more classes than the settings name.
    """
    work.hash_input(case.image)
    image = upright(case.read_image())
    refuse_nonfinite(image, case.image)
    truth = usable_truth(case, image.geometry)
    if truth is None or case.truth is None:
        return image, None
    work.hash_input(case.truth)
    voxels = truth.voxels.astype(np.int64)
    if case.truth_kind == "binary":
        voxels = (voxels > 0).astype(np.int64)
    known = voxels[voxels != IGNORED] if case.truth_kind == "classes" else voxels
    if int(known.max(initial=0)) > len(work.config.data.classes):
        raise UserError(
            f"{case.truth}: has the label {int(known.max())}, and data.classes names {len(work.config.data.classes)}; "
            "name every class"
        )
    return image, truth.with_voxels(voxels.astype(np.uint8), "label")
