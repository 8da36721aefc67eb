"""STOIC2021: chest CTs as MetaImage, and a table that says who had COVID-19 and for whom it became severe.

    FOLDER/
      data/mha/NUMBER.mha
      metadata/reference.csv     PatientID, probCOVID, probSevere; also in FOLDER itself

Revel et al., Radiology 301(1), 2021.
"""

from pathlib import Path

from weakmask.csv_table import read_csv
from weakmask.datasets.case import Case, Cohort
from weakmask.datasets.public.published import ALL, Published, folder_with
from weakmask.errors import UserError
from weakmask.scoring.severity import CT_SEVERITY

COLUMNS = {"covid": "probCOVID", "severe": "probSevere"}  # class -> column of 0 and 1


def read_stoic(folder: Path, part: str = ALL) -> Published:  # noqa: ARG001 (the set has no parts)
    """The scans that are there, with their classes; no voxel is read.

    Raises:
        UserError: The table is missing, lacks a column or holds other numbers than 0 and 1, or no scan is there.
    """
    folder = folder_with(folder, "data")
    table = next(
        (path for path in (folder / "metadata" / "reference.csv", folder / "reference.csv") if path.exists()), None
    )
    if table is None:
        raise UserError(f"{folder}: has no metadata/reference.csv; fetch the data set again")
    rows = read_csv(table)
    missing = [name for name in ("PatientID", *COLUMNS.values()) if name not in rows.columns]
    if missing:
        raise UserError(f"{table}: has no column {', '.join(missing)}; fetch the data set again")
    scans = {path.stem: path for path in sorted((folder / "data" / "mha").glob("*.mha"))}
    cases = []
    for row in rows.to_dict("records"):
        patient = str(row["PatientID"]).removesuffix(".0")
        wrong = next((name for name in COLUMNS.values() if row[name] not in (0, 1)), None)
        if wrong is not None:
            raise UserError(f"{table}: patient {patient} has {wrong} {row[wrong]}; expected 0 or 1")
        if patient in scans:
            classes = {of: bool(row[column]) for of, column in COLUMNS.items()}
            cases.append(Case(patient, scans[patient], None, None, {}, patient, {None: classes}))
    if not cases:
        raise UserError(f"{folder}: has none of the scans data/mha/NUMBER.mha that {table.name} names")
    absent = len(rows) - len(cases)
    notes = (f"{absent} of the {len(rows)} patients in {table.name} have no scan here",) if absent else ()
    return Published(Cohort(folder, CT_SEVERITY, {}, tuple(cases), (), tuple(COLUMNS)), notes=notes)
