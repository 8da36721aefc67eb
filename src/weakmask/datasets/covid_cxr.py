"""COVID-19 chest X-rays with the lungs and their opacities outlined, and the share of each lung that is opaque.

    FOLDER/
      table.csv                  image, right_lung_fraction, left_lung_fraction, patient, others
      images/NAME.jpg            or .png
      masks/NAME_lungs.png       1 right lung, 2 left lung (the patient's)
      masks/NAME_lesions.png     1 ground glass, 2 consolidation, 3 both

github.com/GeneralBlockchain/covid-19-chest-xray-segmentations-dataset, X-rays of Cohen et al., arXiv 2006.11988.
"""

import csv
from collections.abc import Mapping
from pathlib import Path

from weakmask.datasets.case import Case, Cohort
from weakmask.errors import UserError, refuse_machine_fault
from weakmask.scoring.severity import ScoreMap
from weakmask.volume.pictures import SUFFIXES

REGIONS = {"right": 1, "left": 2}
COLUMNS = ("image", "patient", *(f"{side}_lung_fraction" for side in REGIONS))
TENTHS = ScoreMap(
    "share of a lung that is opaque, in tenths",
    {0: (0.0, 0.0), **{score: ((score - 1) / 10, score / 10) for score in range(1, 11)}},
)


def read_covid_cxr(folder: Path, score_map: ScoreMap = TENTHS) -> Cohort:
    """The X-rays with a score per lung, made of the share that is opaque; no pixel is read.

    Args:
        folder: The data set.
        score_map: Meaning of the scores.

    Raises:
        UserError: The table cannot be read, lacks a column or holds a share outside [0, 1], or a file is missing.
    """
    table = folder / "table.csv"
    names = {label: side for side, label in REGIONS.items()}
    cases = tuple(_case(folder, row, score_map, f"{table}: line {line}") for line, row in _rows(table))
    return Cohort(folder, score_map, names, cases, ())


def _rows(table: Path) -> list[tuple[int, Mapping[str, str]]]:
    """The lines of the table with their numbers."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise UserError(f"{table}: has no column {', '.join(missing)}; expected {', '.join(COLUMNS)}")
            return [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        refuse_machine_fault(error, table)
        raise UserError(f"{table}: cannot be read ({error}); expected the table of the data set") from error


def _case(folder: Path, row: Mapping[str, str], score_map: ScoreMap, where: str) -> Case:
    name = row["image"]
    scores = {}
    for side, label in REGIONS.items():
        text = row[f"{side}_lung_fraction"] or ""
        try:
            scores[label] = score_map.score_of(float(text))
        except ValueError as error:
            raise UserError(f"{where}: the {side} lung has the share {text!r}; expected a number in [0, 1]") from error
    images = [folder / "images" / f"{name}{suffix}" for suffix in SUFFIXES]
    image = next((path for path in images if path.is_file()), images[-1])
    regions, truth = (folder / "masks" / f"{name}_{kind}.png" for kind in ("lungs", "lesions"))
    for path in (image, regions, truth):
        if not path.is_file():
            raise UserError(f"{path}: no such file; {where} names it; fetch the data set again")
    return Case(name, image, regions, truth, scores, row["patient"] or "")
