"""scores.csv, long or wide, as rows of text: what stands in the file, before anybody asks what it means."""

import csv
import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from weakmask.datasets.case import Fault
from weakmask.errors import UserError

LONG = ("scan", "region", "score")
PATIENT = "patient"
EXAMPLE = "expected a table `scan,region,score` or `scan,LUL,LLL,RUL,RML,RLL`"


@dataclass(frozen=True)
class ScoreRow:
    """One score as it stands in the table: the score of a region of a scan, all text, with the line it stands in."""

    scan: str
    region: str
    score: str
    line: int


@dataclass(frozen=True)
class ScoreTable:
    """What scores.csv says.

    Attributes:
        rows: All scores, in the order of the file; a wide row gives one for each of its regions.
        wide: Whether the regions are columns.
        patients: Scan -> patient, where the table has a column `patient`.
        faults: Rows that could not be used.
    """

    rows: tuple[ScoreRow, ...]
    wide: bool
    patients: dict[str, str]
    faults: tuple[Fault, ...]


def read_score_table(path: Path) -> ScoreTable:
    """Read a label table: `scan,region,score`, or `scan` and one column per region; each may have `patient`.

    Cells are separated by commas, semicolons or tabs. A line with too few or too many cells, without a scan, or with
    another patient than the scan's first line is a fault, and the others are read.

    Raises:
        UserError: No such file, not UTF-8 text, no rows, or columns that make no such table.
    """
    lines = _cells(path)
    if not lines:
        raise UserError(f"{path}: the table is empty; {EXAMPLE}")
    header = [cell.lower() if cell.lower() in {*LONG, PATIENT} else cell for cell in lines[0][1]]
    wide = _is_wide(header, path)
    rows: list[ScoreRow] = []
    patients: dict[str, str] = {}
    faults: list[Fault] = []
    for line, cells in lines[1:]:
        values = dict(zip(header, cells, strict=False))
        scan, patient = values.pop("scan", ""), values.pop(PATIENT, "")
        if len(cells) != len(header) or not scan:
            wrong = f"has {len(cells)} cells; expected {len(header)}" if len(cells) != len(header) else "names no scan"
            faults.append(row_fault(scan, path.name, line, wrong, fatal=True))
            continue
        if patients.setdefault(scan, patient) != patient:
            text = f"calls the patient {patient!r}, a line above {patients[scan]!r}"
            faults.append(row_fault(scan, path.name, line, text, fatal=True))
        pairs = values.items() if wide else [(values["region"], values["score"])]
        rows += [ScoreRow(scan, region, score, line) for region, score in pairs]
    if not rows:
        raise UserError(f"{path}: the table has no rows below its header that can be used; {EXAMPLE}")
    return ScoreTable(tuple(rows), wide, {scan: name for scan, name in patients.items() if name}, tuple(faults))


def row_fault(scan: str, file: str, line: int, text: str, *, fatal: bool) -> Fault:
    """A fault in one line of a table, the message closed with what it costs."""
    of = f" ({scan})" if scan else ""
    costs = f"correct the line; until then {scan} is left out" if fatal else "the region is not used"
    costs = costs if scan else "the line is not used"
    return Fault(scan, file, f"{file} line {line}{of}: {text}; {costs}", fatal and bool(scan))


def nearest(word: str, words: Sequence[str], otherwise: str) -> str:
    """A hint for a word that is not among those expected: the one meant, as far as spelling can tell."""
    for candidate in words:  # spreadsheets turn 007 into 7
        if candidate.isdigit() and word.isdigit() and int(candidate) == int(word):
            return f"did a spreadsheet take the zeros off {candidate!r}?"
    lowered = {candidate.lower(): candidate for candidate in words}
    near = difflib.get_close_matches(word.lower(), list(lowered), n=1, cutoff=0.6)
    return f"did you mean {lowered[near[0]]!r}?" if near else otherwise


def _cells(path: Path) -> list[tuple[int, list[str]]]:
    """(line number, cells) of every line that is not blank."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise UserError(f"{path}: {reason}; {EXAMPLE}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start}); save the table as CSV UTF-8") from error
    if "\0" in text:
        raise UserError(f"{path}: a binary file, not a table; save it as CSV UTF-8")
    first = text.partition("\n")[0]
    reader = csv.reader(text.splitlines(), delimiter=max(",;\t", key=first.count))
    try:
        lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise UserError(f"{path} line {reader.line_num}: {error}; {EXAMPLE}") from error
    lines = [(number, cells) for number, cells in lines if any(cells)]
    width = max((place + 1 for place, cell in enumerate(lines[0][1]) if cell), default=0) if lines else 0
    return [(number, _without_tail(cells, width)) for number, cells in lines]


def _without_tail(cells: list[str], width: int) -> list[str]:
    """A spreadsheet's empty cells behind the last column taken off."""
    return cells[:width] if not any(cells[width:]) else cells


def _is_wide(header: list[str], path: Path) -> bool:
    """Whether the regions are columns; refuses headers that make no table."""
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{path}: the column {twice!r} stands there twice; {EXAMPLE}")
    columns = ", ".join(header)
    if "scan" not in header:
        raise UserError(f"{path}: no column `scan` among {columns}; {EXAMPLE}")
    if not {"region", "score"} & set(header):
        if not set(header) - {"scan", PATIENT}:
            raise UserError(f"{path}: no column with scores among {columns}; {EXAMPLE}")
        return True
    missing = [name for name in LONG if name not in header]
    unknown = [name for name in header if name not in {*LONG, PATIENT}]
    if missing:
        raise UserError(f"{path}: no column `{missing[0]}` among {columns}; {EXAMPLE}")
    if unknown:
        hint = nearest(unknown[0], [PATIENT], f"the columns may be scan, region, score and {PATIENT}")
        raise UserError(f"{path}: unknown column {unknown[0]!r}; {hint}")
    return False
