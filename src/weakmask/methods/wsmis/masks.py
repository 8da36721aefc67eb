"""The masks stage: model and the images to evaluate -> masks and maps on their own grids, and class probabilities."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from weakmask.csv_table import write_csv
from weakmask.datasets.case import Case
from weakmask.errors import UserError
from weakmask.memory import memory_for
from weakmask.methods.wsmis.config import WsmisSettings
from weakmask.methods.wsmis.model import load
from weakmask.methods.wsmis.picture_set import read_pictures
from weakmask.pipeline import Work
from weakmask.pipeline.cohort_cases import evaluated_cases
from weakmask.prediction import Limits, segment_in_any_order
from weakmask.progress import track
from weakmask.regions.segment_scan import read_scan
from weakmask.training.checkpoints import MODEL
from weakmask.training.devices import device_of
from weakmask.volume.files import write_volume
from weakmask.volume.pictures import is_picture

TABLE = "predictions.csv"


def masks(work: Work[WsmisSettings]) -> None:
    """Write masks/NAME, activation/NAME (.png of pictures, else .nii.gz) and predictions.csv.

    Raises:
        UserError: No image could be segmented.
    """
    segmenter = load(work.stage("model") / MODEL, device_of(work.config.device), Limits())
    rows = []
    for case in prepared_cases(work):
        work.hash_input(case.image)
        try:
            with memory_for(case.name, in_stage=True):
                scan = read_scan(case.image, case.name, case.series)
                found = segment_in_any_order(segmenter, scan)
        except UserError as error:
            work.note(f"left out {case.name}: {error}")
            continue
        file, activation = mask_file(case), found.maps["activation"]
        if is_picture(case.image):
            activation = activation.with_voxels(np.rint(255 * activation.voxels).astype(np.uint8))
        write_volume(found.mask, work.out / "masks" / file)
        write_volume(activation, work.out / "activation" / file)
        named = {"scan": case.name, "patient": case.group}
        rows += [{**named, "class": value.of, "probability": value.amount} for value in found.values]
    if not rows:
        raise UserError("no image could be segmented; the notes name each fault")
    write_csv(pd.DataFrame(rows), work.out / TABLE, "%.6g")


def prepared_cases(work: Work[WsmisSettings]) -> Iterator[Case]:
    """The cases to evaluate that the prepare stage found usable."""
    _, cases = evaluated_cases(work)
    tested = "validation" if work.config.data.test is None else "test"
    usable = set(read_pictures(work.stage("prepare")).of(tested).table["scan"])
    kept = [case for case in cases if case.name in usable]
    yield from track(kept, "masks", len(kept))


def mask_file(case: Case) -> str:
    """Name of the mask of a case: of a picture it is a picture, too."""
    return f"{case.name}{'.png' if is_picture(case.image) else '.nii.gz'}"
