"""The cells of a label table and the names of its columns, as spreadsheets and statistics write them."""

import difflib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from weakmask.datasets.case import Fault
from weakmask.datasets.cell_values import is_missing, name_in, number_in
from weakmask.datasets.table_files import read_lines
from weakmask.errors import UserError
from weakmask.outgoing_text import some_of

PATIENT = "patient"
SERIES = "series"  # of a DICOM folder that holds several: UID, number or description
OF_SCANS = (PATIENT, SERIES)  # columns that any table may have
SUFFIXES = (".csv", ".xlsx")
MOST_HINTS = 50  # more unknown columns are no typing mistakes
INDEX = re.compile(r"(unnamed: ?\d+(\.\d+)*|x)?", re.IGNORECASE)  # the column of row numbers of pandas, and of R
OTHER_NAMES = {  # what tables call the scan, its patient or its series, without blanks and marks
    "scan": ("scanid", "scanname", "image", "imageid", "imagename", "file", "filename", "recordid"),
    "image": ("imageid", "imagename", "scanid", "scanname", "file", "filename", "recordid"),
    PATIENT: ("patientid", "patientname", "patientno", "patientnumber", "recordid"),
    SERIES: ("seriesuid", "seriesinstanceuid", "seriesnumber", "seriesdescription"),
}


@dataclass(frozen=True)
class Cells:
    """A table as text.

    Attributes:
        path: The file.
        header: The names of the columns; those in `known` in lower case, a patient's column is called `patient`. A
            column of row numbers is left out.
        lines: (line number, cells) of every line below the header that is not blank.
        notes: Columns that were read otherwise than by their names, or left out.
    """

    path: Path
    header: tuple[str, ...]
    lines: tuple[tuple[int, tuple[str, ...]], ...]
    notes: tuple[str, ...]

    @cached_property
    def places(self) -> dict[str, int]:
        """Column -> its place."""
        return {name: place for place, name in enumerate(self.header)}

    def column(self, name: str) -> list[str]:
        """The cells of a column that have a value."""
        place = self.places[name]
        return [cells[place] for _, cells in self.lines if len(cells) > place and not is_missing(cells[place])]

    def has_numbers(self, name: str) -> bool:
        """Whether a column holds any number; otherwise it is free text, or empty."""
        return any(number_in(cell) is not None for cell in self.column(name))


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

    `Patient ID`, `patient_id` and the like mean `patient`, and likewise for the series and the first of `known`, the
    scan. The column of row numbers that pandas and R write in front is left out.

    Args:
        path: A .csv, or an .xlsx of which the first sheet counts.
        known: Names of columns to be recognised in any case, in lower case; the first is the scan's.
        example: An example of a table, for messages.

    Raises:
        UserError: No such file, no text, no rows, or a column's name twice.
    """
    lines, notes = read_lines(path, example)
    if not lines:
        raise UserError(f"{path}: the table is empty; {example}")
    width = max(place + 1 for place, cell in enumerate(lines[0][1]) if cell)
    names = [name_in(cell) for cell in lines[0][1][:width]]
    below = [(number, _without_tail(cells, width)) for number, cells in lines[1:]]
    if below and all(len(cells) == width + 1 for _, cells in below) and _counts_up([row[0] for _, row in below]):
        names.insert(0, "")  # R's write.table gives the row names no column
    notes = [f"{path.name}: {note}" for note in notes]
    kept = _without_index(names, [cells for _, cells in below], notes, path)
    called = [names[place] or f"column {place + 1}, without a name," for place in kept]
    header = _column_names(called, known, notes, path)
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        raise UserError(f"{path}: the column {some_of([repr(name) for name in twice])} stands there twice; {example}")
    rows = tuple((number, (*(row[k] for k in kept if k < len(row)), *row[len(names) :])) for number, row in below)
    return Cells(path, tuple(header), rows, tuple(notes))


def refuse_unknown(
    table: Cells, unknown: Sequence[str], expected: Sequence[str], known: str, instead: str = ""
) -> tuple[str, ...]:
    """Sort out the columns that a table should not have.

    Args:
        table: The table.
        unknown: Its unknown columns.
        expected: The names that might have been meant.
        known: A list of the columns that there may be, where none is near.
        instead: Another remedy than to delete such a column.

    Returns:
        Notes: columns of free text (no number in them) are ignored, and one note names them.

    Raises:
        UserError: A column of numbers, or one that is nearly called as an expected one; the line names all of them.
    """
    of_redcap = [name for name in unknown if is_of_redcap(name)]
    unknown = [name for name in unknown if not is_of_redcap(name)]
    near = {name: close for name in unknown[:MOST_HINTS] if (close := _nearest(name, [*expected, *OF_SCANS]))}
    wrong = [name for name in unknown if name in near or table.has_numbers(name)]
    if wrong:
        meant = " or ".join(dict.fromkeys(repr(near[name]) for name in wrong if name in near))
        hints = [f"did you mean {meant}?"] if meant else []
        rest = len(wrong) - len(near)
        which = f"{'other ' if near else ''}column{'s' if rest > 1 else ''}"
        hints += [f"{known}; delete the {which}{instead}"] if rest else []
        raise UserError(f"{table.path}: unknown {_columns(wrong)}; {' '.join(hints)}")
    kinds = ((unknown, "with free text"), (of_redcap, "of REDCap"))
    return tuple(f"{table.path.name}: the {_columns(names)} {kind}: ignored" for names, kind in kinds if names)


def is_of_redcap(name: str) -> bool:
    """Whether REDCap adds a column of this name to what it exports; it says nothing about the image."""
    return name.lower().startswith("redcap_") or name.lower().endswith("_complete")


def row_fault(scan: str, file: str, line: int, text: str, *, fatal: bool) -> Fault:
    """A fault in one line of a table, the message closed with what it costs."""
    of = f" ({scan})" if scan else ""
    costs = f"correct the line; until then {scan} is left out" if fatal else "the region is not used"
    costs = costs if scan else "the line is not used"
    return Fault(scan, file, f"{file} line {line}{of}: {text}; {costs}", fatal and bool(scan))


def nearest(word: str, words: Sequence[str], otherwise: str) -> str:
    """A hint for an unknown word: the expected one that was probably meant, else `otherwise`."""
    for candidate in words:  # spreadsheets turn 007 into 7
        if _is_number(candidate) and _is_number(word) and int(candidate) == int(word):
            return f"did a spreadsheet take the zeros off {candidate!r}?"
    near = _nearest(word, words)
    return otherwise if near is None else f"did you mean {near!r}?"


def _columns(names: Sequence[str]) -> str:
    return f"column{'s' if len(names) > 1 else ''} {some_of([repr(name) for name in names])}"


def _is_number(word: str) -> bool:
    return len(word) < 20 and word.isdecimal()


def _nearest(word: str, words: Sequence[str]) -> str | None:
    """The expected word that is spelt nearly like this one."""
    lowered = {candidate.lower(): candidate for candidate in words}
    near = difflib.get_close_matches(word[:80].lower(), list(lowered), n=1, cutoff=0.6)
    return lowered[near[0]] if near else None


def _column_names(names: Sequence[str], known: Sequence[str], notes: list[str], path: Path) -> list[str]:
    """The names of the columns as the program knows them."""
    header = [name.lower() if name.lower() in (*known, *OF_SCANS) else name for name in names]
    for wanted in (known[0], *OF_SCANS):
        if wanted in header or (wanted == known[0] and "scan" in header):
            continue
        others = {re.sub(r"[\s_.-]", "", name.lower()): place for place, name in reversed(list(enumerate(header)))}
        place = next((others[other] for other in OTHER_NAMES.get(wanted, ()) if other in others), None)
        if place is not None:
            notes.append(f"{path.name}: the column {header[place]!r} is read as `{wanted}`")
            header[place] = wanted
    return header


def _without_index(names: Sequence[str], rows: Sequence[Sequence[str]], notes: list[str], path: Path) -> list[int]:
    """The places of the columns, without a column of row numbers and without nameless columns that are empty."""
    kept: list[int] = []
    in_front = True
    for place, name in enumerate(names):
        cells = [row[place] for row in rows if len(row) > place]
        in_front = in_front and INDEX.fullmatch(name) is not None
        if in_front and _numbers_rows(cells, consecutive=name.lower() == "x"):
            called = repr(name) if name else f"{place + 1}, which has no name,"
            notes.append(f"{path.name}: the column {called} numbers the rows: ignored")
        elif name or any(cells):
            kept.append(place)
    return kept


def _numbers_rows(cells: Sequence[str], *, consecutive: bool) -> bool:
    """Whether a column numbers the rows: whole numbers, none twice; of a filtered table some are left out."""
    numbered = all(cell.isdecimal() for cell in cells) and len(set(cells)) == len(cells)
    return numbered and (_counts_up(cells) or not consecutive)


def _counts_up(cells: Sequence[str]) -> bool:
    """Whether cells are 1, 2, 3, ... or 0, 1, 2, ..."""
    return any(list(cells) == [str(number + first) for number in range(len(cells))] for first in (0, 1))


def _without_tail(cells: list[str], width: int) -> list[str]:
    """A spreadsheet's empty cells behind the last column taken off."""
    return cells[:width] if not any(cells[width:]) else cells
