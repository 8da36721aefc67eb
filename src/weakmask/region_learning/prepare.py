"""The first stage: cohort -> one crop per scored region, split into training and validation by patient."""

from pathlib import Path

import pandas as pd

from weakmask.datasets.case import Case, Cohort
from weakmask.datasets.splits import hold_out, write_splits
from weakmask.errors import UserError
from weakmask.pipeline import Work
from weakmask.progress import track
from weakmask.region_learning.crops import region_crops
from weakmask.region_learning.usable_cases import checked, read_case, read_usable, unscored_regions
from weakmask.volume.files import write_volume

SPACING_COLUMNS = ("spacing_mm_z", "spacing_mm_y", "spacing_mm_x")


def prepare(work: Work) -> None:
    """Write crops/*.nii and index.csv; a scan with a fault is left out and noted.

    Raises:
        UserError: No scan is left, too few patients to split, or nothing that the run could be judged on at its end.
    """
    config = work.config
    if config.data.test is None and config.data.validation == 0:
        raise UserError("data.validation is 0 and data.test null, so no scan is left to judge; give one of them")
    cohort = read_usable(config.data.cohort, work)
    (work.out / "crops").mkdir()
    rows = []
    for case in track(cohort.cases, "crops", len(cohort.cases)):
        usable = checked(case, cohort, work)
        if usable is None:
            continue
        try:
            rows += _prepare_case(usable, cohort, work)
        except UserError as error:
            work.note(f"left out {case.name}: {error}")
    if not rows:
        raise UserError(f"{config.data.cohort}: no scan could be prepared; run `weakmask check` on it")
    table = pd.DataFrame(rows)
    prepared = set(table["scan"])
    cases = [case for case in cohort.cases if case.name in prepared]
    split = hold_out(cases, config.data.split_seed, validation=config.data.validation, test=0.0)
    write_splits([split], work.out / "splits.csv")
    held_out = set(split.validation)
    table["split"] = ["validation" if scan in held_out else "training" for scan in table["scan"]]
    table.to_csv(work.out / "index.csv", index=False)


def _prepare_case(case: Case, cohort: Cohort, work: Work) -> list[dict[str, object]]:
    config = work.config
    image, regions = read_case(case, work)
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
