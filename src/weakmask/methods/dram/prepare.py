"""Stage 1: cohort -> one crop per scored region, split into training and validation by patient."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import pandas as pd

from weakmask.datasets.case import Case, Cohort
from weakmask.datasets.cohort import read_cohort
from weakmask.datasets.cohort_checks import check_case
from weakmask.datasets.splits import hold_out, write_splits
from weakmask.errors import UserError
from weakmask.methods.dram.config import DramSettings, PrepareSettings
from weakmask.methods.dram.crops import region_crops
from weakmask.methods.lobes.regions import make_regions, relabelled
from weakmask.pipeline import Work
from weakmask.progress import track
from weakmask.volume.files import read_volume, refuse_nonfinite, write_volume
from weakmask.volume.picture_levels import picture_to_hounsfield
from weakmask.volume.volume import Volume

AIR_AT_MOST_HU = -500  # a window that begins below shows lung, so the images must be in Hounsfield units
SPACING_COLUMNS = ("spacing_mm_z", "spacing_mm_y", "spacing_mm_x")


def prepare(work: Work) -> None:
    """Write crops/*.nii and index.csv; a scan with a fault is left out and noted."""
    config: DramSettings = work.config
    cohort = read_usable(config.data.cohort, work)
    work.hash_input(config.data.cohort / "scores.csv")
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
    split = hold_out(cohort.cases, config.seed, validation=config.data.validation, test=0.0)
    write_splits([split], work.out / "splits.csv")
    table = pd.DataFrame(rows)
    held_out = set(split.validation)
    table["split"] = ["validation" if scan in held_out else "training" for scan in table["scan"]]
    table.to_csv(work.out / "index.csv", index=False)


def read_usable(folder: Path, work: Work) -> Cohort:
    """The cases of a cohort whose tables and files are there; every fault is noted."""
    cohort = read_cohort(folder)
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


def read_case(case: Case, work: Work) -> tuple[Volume, Volume]:
    """A case's image and regions; without a region mask, lobes by the lobe network or lungs by threshold, saying so.

    Raises:
        UserError: A file is faulty, or the grids do not fit.
    """
    image = read_volume(case.image)
    refuse_nonfinite(image, case.image)
    if case.regions is None:
        names = _region_names(case.image.parent.parent)
        made = make_regions(image, names.values(), device=work.config.device)
        work.note(f"{case.name}: no region mask; {made.told}")
        return image, relabelled(made, names)
    regions = read_regions(case.regions, image)
    return in_hounsfield(image, regions, work.config.prepare), regions


def in_hounsfield(image: Volume, regions: Volume, settings: PrepareSettings) -> Volume:
    """The image in (about) Hounsfield units, whatever its grey values are.

    Raises:
        UserError: A picture without lung or soft tissue.
    """
    return picture_to_hounsfield(image, regions) if settings.grey_values == "picture" else image


def read_regions(path: Path, image: Volume) -> Volume:
    """A region mask on the image's own grid.

    Raises:
        UserError: The file is faulty or lies on another grid.
    """
    regions = read_volume(path, "label")
    if not regions.geometry.same_grid(image.geometry):
        raise UserError(
            f"{path}: grid {regions.geometry.shape} at {regions.geometry.spacing_mm} mm is not the image's "
            f"{image.geometry.shape} at {image.geometry.spacing_mm} mm; resample the mask onto the image"
        )
    # headers that differ by rounding must not let maps and images drift apart
    return Volume(regions.voxels, image.geometry, "label")


@lru_cache(maxsize=8)
def _region_names(cohort: Path) -> Mapping[int, str]:
    """Label -> name in a cohort without region masks: what its scores speak of."""
    return read_cohort(cohort).region_names


def _prepare_case(case: Case, cohort: Cohort, work: Work) -> list[dict[str, object]]:
    config: DramSettings = work.config
    image, regions = read_case(case, work)
    work.hash_input(case.image)
    rows = []
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
                **dict(zip(SPACING_COLUMNS, crop.geometry.spacing_mm, strict=True)),
            }
        )
    for label in sorted(set(case.scores) - {row["region"] for row in rows}):
        work.note(f"{case.name}: region {label} has a score and no voxel in the mask; left out")
    return rows
