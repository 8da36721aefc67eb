"""scores.csv (or scores.xlsx), long or wide, as rows of text before their interpretation."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from weakmask.datasets.case import Fault
from weakmask.datasets.cell_values import name_in, word_in
from weakmask.datasets.table_cells import OF_SCANS, PATIENT, SERIES, Cells, read_cells, refuse_unknown, row_fault
from weakmask.errors import UserError
from weakmask.outgoing_text import some_of

LONG = ("scan", "region", "score")
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
    """The content of a table of scores.

    Attributes:
        rows: All scores, in the order of the file; a wide row gives one for each of its regions.
        wide: Whether the regions are columns.
        patients: Scan -> patient, where the table has a column `patient`.
        series: Scan -> DICOM series, where the table has a column `series`.
        faults: Rows that could not be used, and notes on columns.
        cells: The cells that the rows were made of.
    """

    rows: tuple[ScoreRow, ...]
    wide: bool
    patients: dict[str, str]
    series: dict[str, str]
    faults: tuple[Fault, ...]
    cells: Cells


def read_score_table(path: Path, scan_of: Callable[[str], str] = name_in) -> ScoreTable:
    """Read a label table: `scan,region,score`, or `scan` and one column per region.

    Either may have the columns `patient` and `series`. A line with too few or too many cells, without a scan, or with
    another patient or series than a line above is a fault, and the others are read.

    Args:
        path: The table.
        scan_of: Cell -> the name of the scan that it means; see `ScanNames`.

    Raises:
        UserError: No such file, no table, no rows, or columns that make no such table.
    """
    cells = read_cells(path, LONG, EXAMPLE)
    wide = _is_wide(cells)
    unknown = [] if wide else [name for name in cells.header if name not in {*LONG, *OF_SCANS}]
    notes = refuse_unknown(cells, unknown, [], f"the columns may be scan, region, score, {PATIENT} and {SERIES}")
    rows: list[ScoreRow] = []
    of_scans = ScanColumns()
    faults = [Fault("", path.name, note, fatal=False) for note in (*cells.notes, *notes)]
    for line, values, wrong in split_rows(cells, "scan"):
        scan = scan_of(values.pop("scan", ""))
        if wrong:
            faults.append(row_fault(scan, path.name, line, wrong, fatal=True))
            continue
        faults += [row_fault(scan, path.name, line, text, fatal=True) for text in of_scans.take(scan, values, line)]
        pairs = values.items() if wide else [(values["region"], values["score"])]
        rows += [ScoreRow(scan, region, score, line) for region, score in pairs]
    if not rows:
        raise UserError(f"{path}: the table has no rows below its header that can be used; {EXAMPLE}")
    faults += of_scans.notes(path.name)
    return ScoreTable(tuple(rows), wide, of_scans.patients, of_scans.series, tuple(faults), cells)


def split_rows(cells: Cells, key: str) -> list[tuple[int, dict[str, str], str]]:
    """(line number, column -> cell, what is wrong with the line) of every line.

    Args:
        cells: The table.
        key: The column that no line may leave empty.
    """
    rows = []
    for line, row in cells.lines:
        values = dict(zip(cells.header, row, strict=False))
        wrong = "" if values.get(key) else f"names no {key}"
        if len(row) != len(cells.header):
            wrong = f"has {len(row)} cells; expected {len(cells.header)}"
        rows.append((line, values, wrong))
    return rows


class ScanColumns:
    """The columns of a table that say one thing of each scan: its patient and its series.

    Attributes:
        patients: Scan -> patient; a scan whose patient is missing in every line has no entry.
        series: Scan -> series, likewise.
    """

    def __init__(self) -> None:
        """Begin without any."""
        self.patients: dict[str, str] = {}
        self.series: dict[str, str] = {}
        self._lines: dict[tuple[str, str], int] = {}
        self._missing: dict[str, str] = {}

    def take(self, scan: str, values: dict[str, str], line: int) -> list[str]:
        """Take the columns of a line out of its `values`; returns a text for each that a line above contradicts."""
        wrong: list[str] = []
        for column, named in ((PATIENT, self.patients), (SERIES, self.series)):
            cell = values.pop(column, "")
            word = word_in(cell)
            if not word:
                if column == PATIENT:
                    self._missing.setdefault(scan, cell)
                continue
            known = named.setdefault(scan, word)
            above = self._lines.setdefault((column, scan), line)
            if known != word:
                wrong.append(f"calls the {column} {word!r}, line {above} calls it {known!r}")
        return wrong

    def notes(self, file: str) -> list[Fault]:
        """A note that some patients are said to be missing, by NA for instance; an empty cell needs none."""
        words = {scan: word for scan, word in self._missing.items() if word and scan not in self.patients}
        if not words:
            return []
        first = next(iter(words.values()))
        text = f"{file}: the patient of {len(words)} scan{'s' if len(words) > 1 else ''} is {first!r}, missing; "
        return [Fault("", file, f"{text}each of them counts as a patient of its own", fatal=False)]


def _is_wide(cells: Cells) -> bool:
    """Whether the regions are columns; refuses headers that make no table."""
    header, path = cells.header, cells.path
    columns = some_of(list(header))
    if "scan" not in header:
        raise UserError(f"{path}: no column `scan` among {columns}; {EXAMPLE}")
    if not {"region", "score"} & set(header):
        if not set(header) - {"scan", *OF_SCANS}:
            raise UserError(f"{path}: no column with scores among {columns}; {EXAMPLE}")
        return True
    missing = [f"`{name}`" for name in LONG if name not in header]
    if missing:
        raise UserError(f"{path}: no column {' and '.join(missing)} among {columns}; {EXAMPLE}")
    return False
