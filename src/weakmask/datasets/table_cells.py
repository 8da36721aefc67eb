"""The cells of a label table, from CSV or from the first sheet of an Excel file, and what its columns are called."""

import csv
import difflib
import re
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from weakmask.datasets.case import Fault
from weakmask.errors import UserError

PATIENT = "patient"
SUFFIXES = (".csv", ".xlsx")
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")


@dataclass(frozen=True)
class Cells:
    """A table as text.

    Attributes:
        path: The file.
        header: The names of the columns; those in `known` in lower case, a patient's column is called `patient`.
        lines: (line number, cells) of every line below the header that is not blank.
        notes: Cells that were read differently from their text.
    """

    path: Path
    header: tuple[str, ...]
    lines: tuple[tuple[int, tuple[str, ...]], ...]
    notes: tuple[str, ...]

    def column(self, name: str) -> list[str]:
        """The cells of a column that are not empty."""
        place = self.header.index(name)
        return [cells[place] for _, cells in self.lines if len(cells) > place and cells[place]]

    def has_numbers(self, name: str) -> bool:
        """Whether a column holds any number; otherwise it is free text, or empty."""
        return any(NUMBER.fullmatch(cell) for cell in self.column(name))


def find_table(folder: Path, stem: str) -> Path | None:
    """The label table of a cohort: `stem`.csv or `stem`.xlsx; None if there is none.

    Raises:
        UserError: Both are there.
    """
    found = [folder / f"{stem}{suffix}" for suffix in SUFFIXES if (folder / f"{stem}{suffix}").exists()]
    if len(found) > 1:
        raise UserError(f"{folder}: two tables, {found[0].name} and {found[1].name}; keep the one that is right")
    return found[0] if found else None


def read_cells(path: Path, known: Sequence[str], example: str) -> Cells:
    """Read a table; in CSV, commas, semicolons or tabs separate the cells.

    Where semicolons do, a number may have a decimal comma. `Patient ID`, `patient_id` and the like mean `patient`.

    Args:
        path: A .csv (UTF-8), or an .xlsx of which the first sheet counts.
        known: Names of columns to be recognised in any case, in lower case.
        example: An example of a table, for messages.

    Raises:
        UserError: No such file, no text, no rows, or a column's name twice.
    """
    lines = _from_sheet(path, example) if path.suffix == ".xlsx" else _from_text(path, example)
    lines = [(number, cells) for number, cells in lines if any(cells)]
    if not lines:
        raise UserError(f"{path}: the table is empty; {example}")
    width = max(place + 1 for place, cell in enumerate(lines[0][1]) if cell)
    notes: list[str] = []
    header = tuple(_column_name(cell, known, notes, path) for cell in lines[0][1][:width])
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{path}: the column {twice!r} stands there twice; {example}")
    below = tuple((number, tuple(_without_tail(cells, width))) for number, cells in lines[1:])
    return Cells(path, header, below, tuple(notes))


def refuse_unknown(table: Cells, unknown: Sequence[str], expected: Sequence[str], otherwise: str) -> tuple[str, ...]:
    """Sort out the columns that a table should not have.

    Args:
        table: The table.
        unknown: Its unknown columns.
        expected: The names that might have been meant.
        otherwise: A hint where none is near.

    Returns:
        Notes: columns of free text (no number in them) are ignored, and one note names them.

    Raises:
        UserError: A column of numbers, or one that is nearly called as an expected one; the line names all of them.
    """
    near = {name: close for name in unknown if (close := _nearest(name, [*expected, PATIENT])) is not None}
    wrong = [name for name in unknown if name in near or table.has_numbers(name)]
    if wrong:
        names = ", ".join(map(repr, wrong))
        meant = " or ".join(dict.fromkeys(repr(near[name]) for name in wrong if name in near))
        hints = [f"did you mean {meant}?"] if meant else []
        hints += [otherwise] if len(near) < len(wrong) else []
        raise UserError(f"{table.path}: unknown column{'s' if len(wrong) > 1 else ''} {names}; {' '.join(hints)}")
    if not unknown:
        return ()
    names = ", ".join(map(repr, unknown))
    return (f"{table.path.name}: the column{'s' if len(unknown) > 1 else ''} {names} with free text: ignored",)


def row_fault(scan: str, file: str, line: int, text: str, *, fatal: bool) -> Fault:
    """A fault in one line of a table, the message closed with what it costs."""
    of = f" ({scan})" if scan else ""
    costs = f"correct the line; until then {scan} is left out" if fatal else "the region is not used"
    costs = costs if scan else "the line is not used"
    return Fault(scan, file, f"{file} line {line}{of}: {text}; {costs}", fatal and bool(scan))


def nearest(word: str, words: Sequence[str], otherwise: str) -> str:
    """A hint for an unknown word: the expected one that was probably meant, else `otherwise`."""
    for candidate in words:  # spreadsheets turn 007 into 7
        if candidate.isdigit() and word.isdigit() and int(candidate) == int(word):
            return f"did a spreadsheet take the zeros off {candidate!r}?"
    near = _nearest(word, words)
    return otherwise if near is None else f"did you mean {near!r}?"


def _nearest(word: str, words: Sequence[str]) -> str | None:
    """The expected word that is spelt nearly like this one."""
    lowered = {candidate.lower(): candidate for candidate in words}
    near = difflib.get_close_matches(word.lower(), list(lowered), n=1, cutoff=0.6)
    return lowered[near[0]] if near else None


def _column_name(cell: str, known: Sequence[str], notes: list[str], path: Path) -> str:
    """The name of a column as the program knows it."""
    lowered = cell.lower()
    if lowered in (*known, PATIENT):
        return lowered
    if re.sub(r"[\s_.-]", "", lowered) in ("patientid", "patientname", "patientno", "patientnumber"):
        notes.append(f"{path.name}: the column {cell!r} is read as `{PATIENT}`")
        return PATIENT
    return cell


def _without_tail(cells: list[str], width: int) -> list[str]:
    """A spreadsheet's empty cells behind the last column taken off."""
    return cells[:width] if not any(cells[width:]) else cells


def _from_text(path: Path, example: str) -> list[tuple[int, list[str]]]:
    """(line number, cells) of every line of a CSV file."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise UserError(f"{path}: {reason}; {example}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start}); save the table as CSV UTF-8") from error
    if "\0" in text:
        raise UserError(f"{path}: a binary file, not a table; save it as CSV UTF-8")
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(text.splitlines(), delimiter=delimiter)
    try:
        return [(reader.line_num, [_plain(cell, delimiter) for cell in row]) for row in reader]
    except csv.Error as error:
        raise UserError(f"{path} line {reader.line_num}: {error}; {example}") from error


def _plain(cell: str, delimiter: str) -> str:
    """A cell without blanks around it, a decimal comma as a point."""
    cell = cell.strip()
    return cell.replace(",", ".") if delimiter == ";" and DECIMAL_COMMA.fullmatch(cell) else cell


def _from_sheet(path: Path, example: str) -> list[tuple[int, list[str]]]:
    """(row number, cells) of the first sheet of an Excel file."""
    try:
        with warnings.catch_warnings():  # openpyxl comments on styles and extensions that have no meaning here
            warnings.simplefilter("ignore")
            book = load_workbook(path, read_only=True, data_only=True)
            try:
                rows = [list(row) for row in book.worksheets[0].iter_rows(values_only=True)]
            finally:
                book.close()
    except (OSError, InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, IndexError) as error:
        raise UserError(
            f"{path}: cannot be read as an Excel file; save it again, or as CSV UTF-8; {example}"
        ) from error
    return [(number, [_cell_text(value) for value in row]) for number, row in enumerate(rows, start=1)]


def _cell_text(value: Any) -> str:
    """The value of a sheet's cell as a person sees it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
