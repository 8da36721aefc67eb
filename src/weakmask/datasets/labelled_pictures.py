"""Pictures with a table of their classes and a class mask each: cats and dogs (Oxford-IIIT Pet), ultrasound (BUSI).

    FOLDER/
      labels.csv        image, a column of 0 and 1 per class, others
      images/NAME.jpg   or .png
      masks/NAME.png    optional; 0 nothing, then the classes in the order of the data set, 255 ignored

Parkhi et al., "Cats and Dogs", CVPR 2012. Al-Dhabyani et al., "Dataset of breast ultrasound images", Data in Brief 28,
2020.
"""

from dataclasses import replace
from pathlib import Path

from weakmask.datasets.case import Case, Cohort, Presence
from weakmask.datasets.label_table import read_label_table
from weakmask.datasets.near_copies import groups_of_copies
from weakmask.errors import UserError
from weakmask.scoring.severity import CT_SEVERITY
from weakmask.volume.pictures import SUFFIXES

PETS = ("cat", "dog")
BUSI = ("benign", "malignant")


def read_pets(folder: Path) -> Cohort:
    """The photographs of cats and dogs; each counts as a patient of its own.

    Raises:
        UserError: The table or a file is missing or faulty.
    """
    return read_labelled_pictures(folder, PETS)


def read_busi(folder: Path) -> Cohort:
    """The ultrasound pictures; near copies of one picture count as one patient, because the patients are not known.

    Raises:
        UserError: The table or a file is missing or faulty.
    """
    cohort = read_labelled_pictures(folder, BUSI)
    groups = groups_of_copies([case.image for case in cohort.cases])
    grouped = (
        replace(case, patient=cohort.cases[group].name) for case, group in zip(cohort.cases, groups, strict=True)
    )
    return replace(cohort, cases=tuple(grouped))


def read_labelled_pictures(folder: Path, classes: tuple[str, ...]) -> Cohort:
    """Read the table and look for the files; no pixel is read.

    Args:
        folder: The data set.
        classes: Its classes in the order of their numbers in the masks; other columns are ignored.

    Raises:
        UserError: The table cannot be read or lacks a class, or a picture is missing.
    """
    table = folder / "labels.csv"
    found = read_label_table(table)
    missing = [name for name in classes if name not in found.classes]
    if missing:
        raise UserError(f"{table}: has no column {', '.join(missing)} of 0 and 1; expected {', '.join(classes)}")
    cases = []
    for name, by_region in found.presence.items():
        images = [folder / "images" / f"{name}{suffix}" for suffix in SUFFIXES]
        image = next((path for path in images if path.is_file()), None)
        mask = folder / "masks" / f"{name}.png"
        if image is None:
            picture = folder / "images" / name
            raise UserError(f"{picture}: no such file; {table.name} names it; fetch the data set again")
        presence: Presence = {None: {of: known for of, known in by_region.get("", {}).items() if of in classes}}
        patient = found.patients.get(name, "")
        cases.append(Case(name, image, None, mask if mask.is_file() else None, {}, patient, presence, "classes"))
    return Cohort(folder, CT_SEVERITY, {}, tuple(cases), (), classes)
