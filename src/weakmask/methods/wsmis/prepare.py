"""The prepare stage: cohort -> small square pictures and a table of their classes, split by patient."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from weakmask.csv_table import write_csv
from weakmask.datasets.case import Case, Cohort
from weakmask.datasets.cohort import cases_with, read_cohort
from weakmask.datasets.cohort_checks import check_case
from weakmask.datasets.seen_scans import refuse_seen
from weakmask.datasets.splits import hold_out, write_splits
from weakmask.errors import UserError
from weakmask.memory import memory_for
from weakmask.methods.wsmis.config import WsmisSettings
from weakmask.methods.wsmis.picture import picture_of, resized
from weakmask.methods.wsmis.picture_set import CLASS, INDEX, write_picture
from weakmask.pipeline import Work
from weakmask.pipeline.cohort_cases import noted_cohort
from weakmask.progress import track
from weakmask.regions.segment_scan import read_scan
from weakmask.volume.files import refuse_nonfinite
from weakmask.volume.storage_order import upright

MOST_CLASSES = 254  # 255 is ignored
COHORT, TEST = "cohort", "test"  # folders of the pictures


def prepare(work: Work[WsmisSettings]) -> None:
    """Write pictures/ and index.csv; an image with a fault is left out and noted.

    Raises:
        UserError: No image has a label, none is left to evaluate, or test images are trained on.
    """
    data = work.config.data
    if data.test is None and data.validation == 0:
        raise UserError("data.validation is 0 and data.test null, so no picture is left to evaluate; give one of them")
    cohort = noted_cohort(data.cohort, work)
    cases = [case for case in cases_with(cohort, "presence") if case.presence.get(None)]
    if not cases:
        raise UserError(f"{data.cohort}: labels.csv speaks of regions alone; wsmis learns the classes of whole images")
    if len(cohort.classes) > MOST_CLASSES:
        raise UserError(f"{data.cohort}: labels.csv has {len(cohort.classes)} classes; expected at most {MOST_CLASSES}")
    if data.test is not None and not data.seen:
        tested = read_cohort(data.test).cases
        refuse_seen(*({case.name: case.scan_file for case in some} for some in (cases, tested)))
    rows = list(_prepared(work, cohort, cases, COHORT, cohort.classes))
    if not rows:
        raise UserError(f"{data.cohort}: no image could be prepared; run `weakmask check` on it")
    known = {row["scan"] for row in rows}
    split = hold_out(
        [case for case in cases if case.name in known], data.split_seed, validation=data.validation, test=0.0
    )
    write_splits([split], work.out / "splits.csv")
    for row in rows:
        row["split"] = "validation" if row["scan"] in split.validation else "training"
    if data.test is not None:
        tested = noted_cohort(data.test, work)
        _note_classes(work, cohort, tested)
        rows += _prepared(work, tested, list(tested.cases), TEST, cohort.classes)
    write_csv(pd.DataFrame(rows), work.out / INDEX)


def _note_classes(work: Work[WsmisSettings], cohort: Cohort, tested: Cohort) -> None:
    """Say which classes of the test cohort the model does not learn."""
    other = [name for name in tested.classes if name not in cohort.classes]
    if other:
        work.note(f"{tested.folder}: the training cohort has no class {', '.join(other)}; it is not evaluated")


def _prepared(
    work: Work[WsmisSettings], cohort: Cohort, cases: list[Case], folder: str, classes: tuple[str, ...]
) -> Iterator[dict[str, object]]:
    """Write the picture of each usable case and give its row of the table; an unknown class has no value."""
    ranges: list[str] = []
    for case in track(cases, "pictures", len(cases)):
        try:
            with memory_for(case.image, in_stage=True):
                usable, faults = check_case(case, cohort, hounsfield=False)
                for fault in faults:
                    work.note(f"left out {case.name}: {fault.message}" if usable is None else fault.message)
                if usable is None:
                    continue
                row, own = _save_picture(case, work, folder)
        except UserError as error:
            work.note(f"left out {case.name}: {error}")
            continue
        ranges += [own] if own else []
        present = case.presence.get(None, {})
        of_classes = {f"{CLASS}{name}": int(present[name]) if name in present else np.nan for name in classes}
        yield {**row, **of_classes}
    if ranges:
        work.note(f"prepare.window is null: {len(ranges)} images have their own range of grey values, as {ranges[0]}")


def _save_picture(case: Case, work: Work[WsmisSettings], folder: str) -> tuple[dict[str, object], str]:
    """Write the small picture of an image; its row of the table, and its own range of grey values in words."""
    work.hash_input(case.image)
    scan = read_scan(case.image, case.name, case.series)
    refuse_nonfinite(scan.image, case.image)
    image = upright(scan.image)
    picture, (low, high) = picture_of(replace(scan, image=image), work.config.prepare.window)
    file = Path(folder) / f"{case.name}.png"
    write_picture(work.out / "pictures" / file, resized(picture, work.config.prepare.side))
    row = {
        "scan": case.name,
        "patient": case.group,
        "split": "test",
        "file": file.as_posix(),
        "rows": picture.shape[1],
        "columns": picture.shape[2],
        "colours": len(picture),
    }
    own = work.config.prepare.window is None and image.voxels.dtype != np.uint8
    return row, f"{case.name}: {low:g} to {high:g}" if own else ""
