"""MosMedData: chest CTs in a folder per grade, and masks of 50 of them.

    FOLDER/
      studies/CT-0/study_0001.nii.gz     no sign of pneumonia
      studies/CT-1/ ... CT-4/            at most 25, 50, 75 and 100 % of the lungs
      masks/study_0255_mask.nii.gz       ground glass and consolidation

Morozov et al. 2020, doi 10.1101/2020.05.20.20100362.
"""

from pathlib import Path

from weakmask.anatomy.lobe_numberings import BOTH_LUNGS
from weakmask.datasets.case import Case, Cohort
from weakmask.datasets.public.published import ALL, Published, folder_with
from weakmask.errors import UserError
from weakmask.scoring.severity import ScoreMap
from weakmask.volume.files import scan_name

GRADES = ScoreMap(
    "MosMed grade, share of both lungs",
    {0: (0.0, 0.0), 1: (0.0, 0.25), 2: (0.25, 0.5), 3: (0.5, 0.75), 4: (0.75, 1.0)},
)
LUNGS = BOTH_LUNGS["lungs"]


def read_mosmed(folder: Path, part: str = ALL) -> Published:
    """The scans with their grades; no voxel is read.

    Args:
        folder: The data set.
        part: `masks` (the scans that have one), `rest`, or `all`.

    Raises:
        UserError: No studies, or a study in two grades.
    """
    folder = folder_with(folder, "studies")
    cases: dict[str, Case] = {}
    for grade in GRADES.scores:
        for file in sorted((folder / "studies" / f"CT-{grade}").glob("*.nii*")):
            name = scan_name(file)
            if name in cases:
                raise UserError(f"{file}: {cases[name].image} is the same study; expected one grade; fetch both again")
            cases[name] = Case(name, file, None, _mask(folder, name), {LUNGS: grade}, truth_kind="binary")
    if not cases:
        raise UserError(f"{folder}: has no studies/CT-0/study_0001.nii.gz and so on; fetch the data set again")
    kept = tuple(case for case in cases.values() if part == ALL or (case.truth is not None) == (part == "masks"))
    return Published(Cohort(folder, GRADES, {LUNGS: "lungs"}, kept, ()))


def _mask(folder: Path, name: str) -> Path | None:
    files = [folder / "masks" / f"{name}_mask{suffix}" for suffix in (".nii.gz", ".nii")]
    return next((file for file in files if file.is_file()), None)
