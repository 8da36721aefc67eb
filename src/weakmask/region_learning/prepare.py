"""The first stage: cohort -> one crop per scored region, split into training and validation by patient."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from weakmask.csv_table import write_csv
from weakmask.datasets.case import Case, Cohort
from weakmask.datasets.cohort import cases_with, read_cohort
from weakmask.datasets.cohort_checks import refuse_unmakeable_regions
from weakmask.datasets.seen_scans import refuse_seen
from weakmask.datasets.splits import hold_out, write_splits
from weakmask.errors import UserError
from weakmask.memory import memory_for
from weakmask.pipeline import Work
from weakmask.pipeline.cohort_cases import noted_cohort
from weakmask.progress import track
from weakmask.region_learning.crops import region_crops
from weakmask.region_learning.settings import PrepareSettings
from weakmask.region_learning.usable_cases import read_case, unscored_regions, usable_case
from weakmask.volume.files import write_volume
from weakmask.volume.pictures import is_picture

SPACING_COLUMNS = ("spacing_mm_z", "spacing_mm_y", "spacing_mm_x")


def prepare(work: Work) -> None:
    """Write crops/*.nii and index.csv; a scan with a fault is left out and noted.

    Raises:
        UserError: No scan is left or has scores, the scored regions can neither be read nor made, pictures with a
            window in Hounsfield units, too few patients to split, no scan to evaluate the run on, or test scans that
            are trained on.
    """
    config = work.config
    if config.data.test is None and config.data.validation == 0:
        raise UserError("data.validation is 0 and data.test null, so no scan is left to evaluate; give one of them")
    cohort = noted_cohort(config.data.cohort, work)
    cohort = replace(cohort, cases=tuple(cases_with(cohort, "scores")))
    refuse_unmakeable_regions(cohort)
    _refuse_window(cohort, config.prepare)
    if config.data.test is not None and not config.data.seen:
        tested = read_cohort(config.data.test).cases
        refuse_seen(*({case.name: case.scan_file for case in cases} for cases in (cohort.cases, tested)))
    (work.out / "crops").mkdir()
    rows = []
    for case in track(cohort.cases, "crops", len(cohort.cases)):
        usable = usable_case(case, cohort, work)
        if usable is None:
            continue
        try:
            with memory_for(case.name, in_stage=True):
                rows += _prepare_case(usable, cohort, work)
        except UserError as error:
            work.note(f"left out {case.name}: {error}")
    if not rows:
        raise UserError(f"{config.data.cohort}: no scan could be prepared; run `weakmask check` on it")
    index = pd.DataFrame(rows)
    prepared = set(index["scan"])
    cases = [case for case in cohort.cases if case.name in prepared]
    split = hold_out(cases, config.data.split_seed, validation=config.data.validation, test=0.0)
    write_splits([split], work.out / "splits.csv")
    held_out = set(split.validation)
    index["split"] = ["validation" if scan in held_out else "training" for scan in index["scan"]]
    write_csv(index, work.out / "index.csv")


def _refuse_window(cohort: Cohort, settings: PrepareSettings) -> None:
    """Refuse pictures with a window that begins below all their grey values: it is in Hounsfield units."""
    low, high = settings.window
    pictures = [case for case in cohort.cases if is_picture(case.image)]
    if pictures and settings.needs_hounsfield:
        raise UserError(
            f"{pictures[0].image}: a picture is not in Hounsfield units, and prepare.window is [{low:g}, {high:g}] HU; "
            "set prepare.window to its grey values, [0, 255] for example, or prepare.grey_values: picture for CT slices"
        )


def _prepare_case(case: Case, cohort: Cohort, work: Work) -> list[dict[str, object]]:
    config = work.config
    image, regions = read_case(case, cohort, work)
    rows = []
    unscored = len(unscored_regions(regions, case.scores))
    for label, crop in region_crops(image, regions, list(case.scores), config.prepare).items():
        low, high = cohort.score_map.interval(case.scores[label])
        file = Path("crops") / f"{case.name}_{label}.nii"
        write_volume(crop, work.out / file)
        rows.append(
            {
                "scan": case.name,
                "patient": case.group,
                "region": label,
                "name": cohort.region_names.get(label, str(label)),
                "score": case.scores[label],
                "low": low,
                "high": high,
                "file": str(file),
                "unscored": unscored,
                **dict(zip(SPACING_COLUMNS, crop.geometry.spacing_mm, strict=True)),
            }
        )
    for label in sorted(set(case.scores) - {row["region"] for row in rows}):
        work.note(f"{case.name}: region {label} has a score and no voxel in the mask; left out")
    return rows
