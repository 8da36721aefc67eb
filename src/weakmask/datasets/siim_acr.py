"""SIIM-ACR pneumothorax: X-rays as DICOM files and a table of run-length masks.

    FOLDER/
      train-rle.csv          or another name with `rle` in it, .csv or .csv.gz: ImageId, EncodedPixels
      .../ImageId.dcm        in any folders

An image has the class `pneumothorax` if one of its rows is a mask. The masks of its rows are united.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from weakmask.datasets.case import Case, Cohort
from weakmask.datasets.run_length import EMPTY, read_run_lengths, united
from weakmask.errors import UserError
from weakmask.scoring.severity import CT_SEVERITY

CLASS = "pneumothorax"


@dataclass(frozen=True)
class SiimAcr:
    """The X-rays of the challenge that a folder holds.

    Attributes:
        cohort: The X-rays, in the order of the table; no file holds their truth. Each counts as a patient of its own.
        table: The table of run-length masks.
        runs: ImageId -> the texts of its masks, of the whole table.
    """

    cohort: Cohort
    table: Path
    runs: Mapping[str, list[str]]

    def truth_of(self, case: Case) -> UInt8[np.ndarray, "y x"]:
        """The true labels of an X-ray: 1 is pneumothorax, as `write_cohort` takes them.

        Raises:
            UserError: The masks of the X-ray cannot be decoded.
        """
        try:
            return united(self.runs[case.name]).astype(np.uint8)
        except ValueError as error:
            raise UserError(f"{self.table}: {case.name}: {error}; fetch the table again") from error


def read_siim_acr(folder: Path) -> SiimAcr:
    """Read the table and look for the X-rays that it names; no mask and no pixel is read.

    X-rays without a row, and rows without an X-ray, are left out.

    Raises:
        UserError: Not exactly one table, one that cannot be read, or none of its X-rays.
    """
    tables = sorted(path for path in folder.glob("*rle*.csv*") if path.name.endswith((".csv", ".csv.gz")))
    if len(tables) != 1:
        came = ", ".join(path.name for path in tables) or "none"
        raise UserError(f"{folder}: tables with `rle` in their name: {came}; expected one, such as train-rle.csv")
    runs = read_run_lengths(tables[0])
    files = {path.stem: path for path in sorted(folder.rglob("*.dcm"))}
    cases = tuple(
        Case(
            name, files[name], None, None, {}, "", {None: {CLASS: any(row.strip() != EMPTY for row in rows)}}, "classes"
        )
        for name, rows in runs.items()
        if name in files
    )
    if not cases:
        raise UserError(f"{folder}: has none of the X-rays that {tables[0].name} names; expected ImageId.dcm")
    return SiimAcr(Cohort(folder, CT_SEVERITY, {}, cases, (), (CLASS,)), tables[0], runs)
