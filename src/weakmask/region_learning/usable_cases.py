"""The cases of a cohort as stages read them: faulty ones are noted and left out, missing regions are made."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from weakmask.anatomy.picture_to_hounsfield import picture_to_hounsfield
from weakmask.datasets.case import Case, Cohort
from weakmask.datasets.cohort import read_cohort
from weakmask.datasets.cohort_checks import check_case
from weakmask.pipeline import Work
from weakmask.region_learning.settings import PrepareSettings
from weakmask.regions.make_regions import make_regions, relabelled
from weakmask.regions.scan_regions import read_regions
from weakmask.volume.files import read_volume, refuse_nonfinite
from weakmask.volume.regions import region_boxes
from weakmask.volume.volume import Volume

TABLES = ("scores.csv", "scores.xlsx", "scores.yaml", "labels.csv", "labels.xlsx", "regions.yaml", "truth.yaml")
AIR_AT_MOST_HU = -500  # a window that begins below shows lung, so the images must be in Hounsfield units


def read_usable(folder: Path, work: Work) -> Cohort:
    """A cohort of which only tables and file names have been read; every fault is noted."""
    cohort = read_cohort(folder)
    for name in TABLES:
        work.hash_input(folder / name)
    for fault in cohort.faults:
        work.note(fault.message)
    return cohort


def checked(case: Case, cohort: Cohort, work: Work) -> Case | None:
    """The case as far as it is usable, or None; its voxels are read, and every fault is noted."""
    expects_hu = work.config.prepare.window[0] < AIR_AT_MOST_HU
    usable, faults = check_case(case, cohort, hounsfield=expects_hu)
    for fault in faults:
        work.note(f"left out {case.name}: {fault.message}" if usable is None else fault.message)
    return usable


def read_case(case: Case, names: Mapping[int, str], work: Work) -> tuple[Volume, Volume]:
    """A case's image and regions; without a region mask, lobes by the lobe network or lungs by threshold, and a note.

    Args:
        case: The case.
        names: Region label -> name in its cohort (`Cohort.region_names`).
        work: Of the stage.

    Raises:
        UserError: A file is faulty, or the grids do not fit.
    """
    image = read_volume(case.image)
    refuse_nonfinite(image, case.image)
    work.hash_input(case.image)
    if case.regions is None:
        made = make_regions(image, names.values(), device=work.config.device)
        work.note(f"{case.name}: no region mask; {made.told}")
        return image, relabelled(made, names)
    regions = read_regions(case.regions, image)
    work.hash_input(case.regions)
    return in_hounsfield(image, regions, work.config.prepare), regions


def in_hounsfield(image: Volume, regions: Volume, settings: PrepareSettings) -> Volume:
    """The image in (about) Hounsfield units, whatever its grey values are.

    Raises:
        UserError: A picture without lung or soft tissue.
    """
    return picture_to_hounsfield(image, regions) if settings.grey_values == "picture" else image


def unscored_regions(regions: Volume, scores: Mapping[int, int]) -> list[int]:
    """The labels of a region mask that have no score, whose regions may or may not have lesions."""
    return [label for label in region_boxes(regions) if label not in scores]


def judged_cases(work: Work) -> tuple[Cohort, list[Case]]:
    """The scans to evaluate on, and their cohort: those of `data.test`, or the validation scans without one."""
    config = work.config
    if config.data.test is not None:
        cohort = read_usable(config.data.test, work)
        return cohort, list(cohort.cases)
    cohort = read_usable(config.data.cohort, work)
    index = pd.read_csv(work.stage("prepare") / "index.csv", dtype={"scan": str})
    held_out = set(index.loc[index["split"] == "validation", "scan"])
    return cohort, [case for case in cohort.cases if case.name in held_out]
