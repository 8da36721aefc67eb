"""The prepare stage: cohort -> small colour pictures, and a table of their classes, split by patient."""

import numpy as np
import pandas as pd
from PIL import Image

from weakmask.datasets.case import Case
from weakmask.datasets.cohort import cases_with, read_cohort
from weakmask.datasets.splits import hold_out
from weakmask.methods.prototypes.config import PrototypeSettings
from weakmask.pipeline import Work
from weakmask.volume.pictures import read_rgb


def prepare(work: Work[PrototypeSettings]) -> None:
    """Write pictures/NAME.png and index.csv: scan, split, and for each class 1, 0 or nothing (unknown)."""
    data = work.config.data
    cohort = read_cohort(data.cohort)
    work.hash_input(data.cohort / "labels.csv")
    for fault in cohort.faults:
        work.note(fault.message)
    cases = cases_with(cohort, "presence")
    held_out = set(hold_out(cases, data.split_seed, validation=data.validation, test=0.0).validation)
    (work.out / "pictures").mkdir()
    rows = []
    for case in cases:
        work.hash_input(case.image)
        save_small(case, work)
        present = case.presence.get(None, {})
        classes = {name: int(present[name]) if name in present else None for name in cohort.classes}
        rows.append({"scan": case.name, "split": "validation" if case.name in held_out else "training", **classes})
    pd.DataFrame(rows).to_csv(work.out / "index.csv", index=False)


def save_small(case: Case, work: Work[PrototypeSettings]) -> None:
    """Write a small copy of one picture."""
    colours, _ = read_rgb(case.image)
    side = work.config.prepare.side
    small = Image.fromarray(np.ascontiguousarray(colours.transpose(1, 2, 0))).resize((side, side), Image.Resampling.BOX)
    small.save(work.out / "pictures" / f"{case.name}.png")
