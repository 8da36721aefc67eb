"""Tables as CSV files that a spreadsheet opens without running anything in them; what is written reads back equal."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from weakmask.errors import refuse_machine_fault
from weakmask.outgoing_text import cell_text, table_cell

TEXT = ("scan", "image", "patient", "name", "file", "region", "method", "subset", "subtype", "class", "split", "row")


def write_csv(table: pd.DataFrame, path: Path, float_format: str | None = None) -> None:
    """Write a table without its index; text becomes harmless (see `table_cell`), numbers stay numbers.

    Args:
        table: The table.
        path: The file.
        float_format: `%.6g`, for instance; None writes all digits.
    """
    plain = table.rename(columns=str).rename(columns=table_cell)
    for place in range(len(table.columns)):
        column = table.iloc[:, place]
        if not pd.api.types.is_numeric_dtype(column):
            values = [table_cell(value) if isinstance(value, str) else value for value in column]
            plain.isetitem(place, pd.Series(values, index=plain.index, dtype=object))
    plain.to_csv(path, index=False, float_format=float_format, lineterminator="\n")


def read_csv(path: Path, text: Iterable[str] = TEXT) -> pd.DataFrame:
    """Read a table of `write_csv`.

    Args:
        path: The file.
        text: Names of columns that stay text: a scan may be called 007, or NA.

    Raises:
        OSError: The file cannot be read.
        MachineError: Likewise, by a fault of the machine.
        ValueError: It is not a CSV table, or not UTF-8.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = next(csv.reader(file), [])
    except csv.Error as error:
        raise ValueError(str(error)) from error
    except OSError as error:
        refuse_machine_fault(error, path)
        raise
    of_text = set(text)
    types: Any = {column: str for column in header if cell_text(column) in of_text}
    table = pd.read_csv(path, dtype=types, na_values=[""], keep_default_na=False, index_col=False).rename(
        columns=cell_text
    )
    for column in table.columns:
        if not pd.api.types.is_numeric_dtype(table[column]):
            table[column] = [cell_text(value) if isinstance(value, str) else value for value in table[column]]
    return table
