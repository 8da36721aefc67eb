"""Reference table of lesion subtypes: one component of a known subtype per row of a CSV file."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from weakmask.atomic_write import atomic_file
from weakmask.csv_table import read_csv, write_csv
from weakmask.errors import UserError
from weakmask.scoring.subtypes import SUBTYPES, lesion_components
from weakmask.volume.storage_order import upright
from weakmask.volume.volume import Volume

REFERENCE_COLUMNS = ("scan", "subtype", "voxels", "volume_ml", "mean_hu", "sd_hu")
NUMBERS = ("volume_ml", "mean_hu", "sd_hu")  # the columns that `vote` reads


def reference_components(scans: Iterable[tuple[str, Volume, Volume]]) -> pd.DataFrame:
    """Describe every connected component of labelled lesions.

    Args:
        scans: (name, image in HU, lesions: 1 ground-glass, 2 consolidation, 3 mixed, on the image's grid).

    Returns:
        One row per component with `REFERENCE_COLUMNS`, subtypes by name.

    Raises:
        UserError: A label is not a subtype.
        ValueError: The grids of a scan differ.
    """
    names = {label: name for name, label in SUBTYPES.items()}
    tables = []
    for scan, image, lesions in scans:
        _, table = lesion_components(upright(image), upright(lesions))
        strange = sorted(set(table["label"]) - names.keys())
        if strange:
            listed = ", ".join(f"{label} {name}" for label, name in names.items())
            raise UserError(f"{scan}: its lesions have the label {strange[0]}; expected {listed}")
        table["scan"], table["subtype"] = scan, [names[label] for label in table["label"]]
        tables.append(table)
    whole = pd.concat(tables, ignore_index=True) if tables else None
    return pd.DataFrame(whole, columns=list(REFERENCE_COLUMNS))


def write_reference(reference: pd.DataFrame, path: Path) -> None:
    """Write a reference table, complete or not at all.

    Raises:
        MachineError: The folder cannot be written.
    """
    with atomic_file(path) as temporary:
        write_csv(reference, temporary, "%.6g")


def read_reference(path: Path) -> pd.DataFrame:
    """Read a reference table; it needs the columns subtype, volume_ml, mean_hu and sd_hu, and keeps others.

    Raises:
        UserError: The file cannot be read, a column or all rows are missing, or a value is invalid; its line is named.
    """
    try:
        table = read_csv(path)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not a CSV table"
        raise UserError(f"cannot read the subtype table {path}: {reason}") from error
    missing = [name for name in ("subtype", *NUMBERS) if name not in table]
    if missing or table.empty:
        lack = f"column {missing[0]}" if missing else "rows"
        raise UserError(f"{path} has no {lack}; make a table with `weakmask subtypes-table`")
    for name in NUMBERS:
        try:
            table[name] = pd.to_numeric(table[name], errors="coerce")
        except OverflowError as error:  # a whole number beyond all floats
            raise UserError(f"{path}: a number of the column {name} is too large; correct it") from error
    volume, _, sd = values = table[list(NUMBERS)].to_numpy(float).T
    good = np.isfinite(values).all(axis=0) & (volume > 0) & (sd >= 0) & np.isin(table["subtype"], list(SUBTYPES))
    if not good.all():
        row = int(np.argmin(good))
        found = ", ".join(f"{name} {table[name].iloc[row]}" for name in ("subtype", *NUMBERS))
        raise UserError(
            f"{path}, line {row + 2}: {found}; expected a subtype of {', '.join(SUBTYPES)}, a volume above 0, a mean "
            "and a standard deviation of at least 0"
        )
    return table
