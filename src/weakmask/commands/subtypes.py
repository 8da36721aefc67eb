"""The reference table of lesion subtypes out of a cohort's labelled lesions: what `weakmask subtypes-table` does."""

from pathlib import Path

import pandas as pd

from weakmask.datasets.cohort import cases_with, read_cohort
from weakmask.datasets.usable_truth import usable_truth
from weakmask.errors import UserError
from weakmask.memory import memory_for
from weakmask.progress import track
from weakmask.scoring.subtype_reference import read_reference, reference_components, write_reference
from weakmask.scoring.subtypes import SUBTYPES
from weakmask.terminal import say


def build_subtype_table(cohort_folder: Path, out: Path) -> pd.DataFrame:
    """Describe every lesion component of a cohort by volume and HU and write the table as CSV.

    The paper took six scans whose lesions analysts had labelled (section III-A-6).

    Args:
        cohort_folder: With a truth that tells ground-glass (1), consolidation (2) and mixed (3) apart.
        out: The CSV file.

    Returns:
        Components, scans and volume in ml per subtype, for a person to look at.

    Raises:
        UserError: The cohort cannot be read, no lesion in it has a subtype, or the file cannot be written or would
            replace another one.
    """
    if out.exists():  # only such a table may be replaced
        try:
            read_reference(out)
        except UserError as error:
            raise UserError(f"{out}: exists and is not a table of subtypes; choose another file for --out") from error
    labelled = cases_with(read_cohort(cohort_folder), "truth")
    tables = []
    for case in track(labelled, "lesions", len(labelled)):
        try:
            with memory_for(case.image):
                image = case.read_image()
                lesions = usable_truth(case, image.geometry)
                if lesions is not None:
                    tables.append(reference_components([(case.name, image, lesions)]))
        except UserError as error:
            say("left out", str(error))
    table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["subtype"])
    if set(table["subtype"]) <= {"ground-glass"}:  # a plain 0/1 truth reads as nothing but ground-glass
        expected = ", ".join(f"{label} {name}" for name, label in SUBTYPES.items())
        raise UserError(f"{cohort_folder}: no lesions in it are told apart; expected labels in truth/: {expected}")
    write_reference(table, out)
    return (
        table.groupby("subtype")
        .agg(components=("scan", "size"), scans=("scan", "nunique"), volume_ml=("volume_ml", "sum"))
        .reindex([name for name in SUBTYPES if name in set(table["subtype"])])
        .reset_index()
    )
