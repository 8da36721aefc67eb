"""labels.csv (or labels.xlsx): the classes that are present in each image or region.

Long, one row per class that is present; an image with an empty label has none of the classes::

    image,label
    2007_000033,aeroplane
    2007_000042,train

Wide, one column of 0 and 1 per class; an empty cell is unknown, and is not learnt::

    image,pneumothorax,effusion
    cxr_0001,1,0
    cxr_0002,0,

Both may have the columns `region` (the row speaks of that region alone), `patient` and `series`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from weakmask.datasets.case import Fault
from weakmask.datasets.cell_values import is_missing, name_in, truth_in
from weakmask.datasets.score_table import ScanColumns, split_rows
from weakmask.datasets.table_cells import OF_SCANS, Cells, is_of_redcap, read_cells, refuse_unknown, row_fault
from weakmask.errors import UserError
from weakmask.outgoing_text import some_of

EXAMPLE = "expected a table `image,label` or `image,CLASS,CLASS,...` of 0 and 1"

LEAST_TRUTHS = 0.1  # share of a column's values that are 0 or 1, in a class

ByRegion = dict[str, dict[str, bool]]


@dataclass(frozen=True)
class LabelTable:
    """The content of a table of classes.

    Attributes:
        classes: In the order of the table.
        presence: Image -> region as written ("": the whole image) -> class -> present or not; unknown classes have no
            entry.
        patients: Image -> patient, where the table names one.
        series: Image -> DICOM series, where the table names one.
        faults: Rows that could not be used, and notes on columns.
        long: Whether a row names a class that is present, so that rows about one region add up.
    """

    classes: tuple[str, ...]
    presence: dict[str, ByRegion]
    patients: dict[str, str]
    series: dict[str, str]
    faults: tuple[Fault, ...]
    long: bool


def read_label_table(path: Path, scan_of: Callable[[str], str] = name_in) -> LabelTable:
    """Read a table of classes, long or wide.

    Args:
        path: The table.
        scan_of: Cell -> the name of the image that it means; see `ScanNames`.

    Raises:
        UserError: No such file, no table, no rows, or columns that make no such table.
    """
    cells = read_cells(path, ("image", "scan", "label", "region"), EXAMPLE)
    key = next((name for name in ("image", "scan") if name in cells.header), None)
    if key is None:
        raise UserError(f"{path}: no column `image` among {some_of(list(cells.header))}; {EXAMPLE}")
    long = "label" in cells.header
    classes, notes = _classes(cells, key, long=long)
    presence: dict[str, ByRegion] = {}
    of_scans, rows = ScanColumns(), _Rows(classes)
    faults = [Fault("", path.name, note, fatal=False) for note in (*cells.notes, *notes)]
    for line, values, wrong in split_rows(cells, key):
        image = scan_of(values.get(key, ""))
        wrongs = [wrong] if wrong else of_scans.take(image, values, line)
        if not wrong:
            region = "" if is_missing(values.get("region", "")) else name_in(values["region"])
            known = presence.setdefault(image, {}).setdefault(region, dict.fromkeys(classes, False) if long else {})
            wrongs += rows.add_long(known, values) if long else rows.add_wide(known, values, (image, region), line)
        faults += [row_fault(image, path.name, line, text, fatal=True) for text in wrongs]
    if not presence:
        raise UserError(f"{path}: the table has no rows below its header that can be used; {EXAMPLE}")
    faults += of_scans.notes(path.name)
    return LabelTable(classes, presence, of_scans.patients, of_scans.series, tuple(faults), long)


def _classes(cells: Cells, key: str, *, long: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The classes of the table, and notes on the columns that are ignored."""
    rest = [name for name in cells.header if name not in {key, "label", "region", *OF_SCANS}]
    columns = f"the columns may be {key}, label, region, {' and '.join(OF_SCANS)}"
    if long:
        return tuple(dict.fromkeys(map(name_in, cells.column("label")))), refuse_unknown(cells, rest, [], columns)
    classes = tuple(name for name in rest if not is_of_redcap(name) and _holds_truth(cells, name))
    if not classes:
        raise UserError(f"{cells.path}: no column of 0 and 1 among {some_of(list(cells.header))}; {EXAMPLE}")
    return classes, refuse_unknown(cells, [name for name in rest if name not in set(classes)], [], columns)


def _holds_truth(cells: Cells, name: str) -> bool:
    """Whether a column is a class: all its words are yes or no, or a tenth or more of its values are 0 or 1.

    Other values in a class are mistakes in single lines; a column of ages has fewer of 0 and 1.
    """
    words = cells.column(name)
    truths = sum(truth_in(word) is not None for word in words)
    return bool(words) and (truths == len(words) or (cells.has_numbers(name) and truths >= LEAST_TRUTHS * len(words)))


class _Rows:
    """The rows of a table as they are taken in, with the lines in which each value stands."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self._classes = classes
        self._lines: dict[tuple[str, str, str], int] = {}

    def add_long(self, known: dict[str, bool], values: dict[str, str]) -> list[str]:
        """Take in a row that names a class that is present; every class without a row is absent."""
        label = values["label"]
        if label and is_missing(label):
            return [f"label {label!r} is missing; leave the cell empty if the image has none of the classes"]
        if label:
            known[name_in(label)] = True
        return []

    def add_wide(self, known: dict[str, bool], values: dict[str, str], place: tuple[str, str], line: int) -> list[str]:
        """Take in a row with a value per class; a missing value says nothing. Returns what is wrong with it."""
        wrong = []
        for name in self._classes:
            cell, value = values[name], truth_in(values[name])
            if is_missing(cell):
                continue
            if value is None:
                wrong.append(f"label {cell!r} of class {name} is not 0 or 1")
                continue
            above = self._lines.setdefault((*place, name), line)
            if known.setdefault(name, value) != value:
                wrong.append(f"class {name} is {int(value)}, in line {above} it is {int(not value)}")
        return wrong[:1]
