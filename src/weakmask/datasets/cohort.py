"""The cohort folder of a user: images, and the weak labels that are known of them.

    cohort/
      scores.csv     scan,region,score, or scan and one column per region
      scores.yaml    the score map; without it, the CT severity score
      labels.csv     image,label, or image and one column of 0 and 1 per class
      regions.yaml   the names of the labels in regions/; without it, those of lobes, lungs, or plain labels
      images/        NAME.nii.gz, .mha, .nrrd, .png, ... or a folder NAME/ of DICOM files
      regions/       region labels on the image's grid; optional
      truth/         the truth; optional; lesions/ is the older name
      truth.yaml     the kind of truth; optional

A table may be an .xlsx as well, and may have a column `patient`. There may be both tables, one or none: without any,
every image is a case, for methods that need no weak label.

A missing part is left out alone: a region without a score or without voxels is not used, and neither is a truth that
cannot be read. A wrong part excludes its image until it is corrected, because a mistyped score may belong to another
image. Faulty images never stop the good ones.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from weakmask.datasets.case import Case, Cohort, Fault, NoUsableScanError
from weakmask.datasets.cohort_checks import check_case, refuse_unmakeable_regions
from weakmask.datasets.cohort_files import CohortFiles
from weakmask.datasets.cohort_labels import ImageLabels, read_labels
from weakmask.datasets.picture_checks import picture_notes
from weakmask.errors import UserError
from weakmask.memory import memory_for
from weakmask.progress import track

Need = Literal["scores", "presence", "truth"]
NEEDS: dict[Need, str] = {
    "scores": "a score per region; give a table scores.csv with the columns scan,region,score",
    "presence": "a known class; give a table labels.csv with the columns image,label",
    "truth": "true masks; give truth/NAME.nii.gz with the names of images",
}


def read_cohort(folder: str | Path) -> Cohort:
    """Read a cohort's tables and list its files; no voxel is read.

    Raises:
        UserError: No such folder, no images/, two folders of truth, or a table or YAML file that cannot be understood.
        NoUsableScanError: A UserError that carries the faults: no image can be used.
    """
    folder = Path(folder)
    cohort = _read(folder)
    if not cohort.cases:
        raise NoUsableScanError(folder, cohort.faults)
    return cohort


@dataclass(frozen=True)
class CheckedCase:
    """Result of the check of one case.

    Attributes:
        case: Without the regions and the truth that cannot be used; None: it must be left out.
        faults: The faults that say so.
    """

    case: Case | None
    faults: tuple[Fault, ...]


EachCase = Callable[[Sequence[Case], Callable[[Case], CheckedCase]], Iterable[CheckedCase]]


def one_by_one(cases: Sequence[Case], checked: Callable[[Case], CheckedCase]) -> Iterator[CheckedCase]:
    """Check cases one after the other in this process."""
    return (checked(case) for case in track(cases, "check", len(cases)))


def check_cohort(folder: str | Path, *, hounsfield: bool = True, each: EachCase = one_by_one) -> Cohort:
    """As `read_cohort`, and then read every voxel.

    Args:
        folder: The cohort folder.
        hounsfield: Expect Hounsfield units where there are severity scores; False lets other modalities pass. Pictures
            (PNG, JPEG) always do.
        each: Applies the check of one case, which can be pickled, to all cases and returns the results in their order.

    Raises:
        UserError: As `read_cohort`, or scored regions that are neither there nor can be made.
        NoUsableScanError: No image can be used.
    """
    folder = Path(folder)
    cohort = _read(folder)
    refuse_unmakeable_regions(cohort)
    faults = [*cohort.faults, *picture_notes(cohort)]
    cases = []
    for one in each(cohort.cases, partial(_checked, cohort, hounsfield)):
        faults += one.faults
        cases += [] if one.case is None else [one.case]
    if not cases:
        raise NoUsableScanError(folder, faults)
    return replace(cohort, cases=tuple(cases), faults=tuple(faults))


def _checked(cohort: Cohort, hounsfield: bool, case: Case) -> CheckedCase:  # noqa: FBT001 - of a partial
    """Check one case; a fault that ends the check is a fault of its image."""
    try:
        with memory_for(case.image):
            checked, found = check_case(case, cohort, hounsfield=hounsfield and bool(case.scores))
    except UserError as error:
        return CheckedCase(None, (Fault(case.name, f"images/{case.image.name}", str(error), fatal=True),))
    return CheckedCase(checked, tuple(found))


def cases_with(cohort: Cohort, need: Need) -> list[Case]:
    """The cases that have what a method learns from.

    Args:
        cohort: The cohort.
        need: `scores` of regions, `presence` of classes, or `truth`.

    Raises:
        UserError: No case has it; the line says which table or folder to give.
    """
    cases = [case for case in cohort.cases if getattr(case, need)]
    if not cases:
        raise UserError(f"{cohort.folder}: no image has {NEEDS[need]}")
    return cases


def _read(folder: Path) -> Cohort:
    files = CohortFiles(folder)
    labels = read_labels(folder, files.images)
    faults, cases = list(labels.faults), list[Case]()
    bad, names = labels.bad, set(labels.region_names.values())
    images = labels.images if labels.table else {name: ImageLabels() for name in files.images}
    for name, of_image in images.items():
        if name in bad:
            continue
        if labels.table and not of_image.scores and not of_image.presence:
            text = f"{labels.table}: {name} has no score at all; the scan is left out"
            faults.append(Fault(name, labels.table, text, fatal=True))
            continue
        case, found = files.case(name, of_image, labels.table, names)
        faults += found
        cases += [] if case is None else [case]
    if labels.table:
        faults += files.unlabelled({*images, *bad}, labels.table)
    else:
        text = "scores.csv: no such file, and no labels.csv: only methods that need no weak label can use the images"
        faults.append(Fault("", "scores.csv", text, fatal=False))
    return Cohort(folder, labels.score_map, labels.region_names, tuple(cases), tuple(faults), labels.classes)
