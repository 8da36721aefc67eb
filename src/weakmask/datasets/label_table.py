"""labels.csv (or labels.xlsx): the classes that are present in each image or region.

Long, one row per class that is present; an image with an empty label has none of the classes::

    image,label
    2007_000033,aeroplane
    2007_000042,train

Wide, one column of 0 and 1 per class; an empty cell is unknown, and is not learnt::

    image,pneumothorax,effusion
    cxr_0001,1,0
    cxr_0002,0,

Both may have the columns `region` (the row speaks of that region alone) and `patient`.
"""

from dataclasses import dataclass
from pathlib import Path

from weakmask.datasets.case import Fault
from weakmask.datasets.score_table import patient_fault, split_rows
from weakmask.datasets.table_cells import PATIENT, Cells, read_cells, refuse_unknown, row_fault
from weakmask.errors import UserError

EXAMPLE = "expected a table `image,label` or `image,CLASS,CLASS,...` of 0 and 1"
VALUES = {"0": False, "1": True, "0.0": False, "1.0": True}

ByRegion = dict[str, dict[str, bool]]


@dataclass(frozen=True)
class LabelTable:
    """The content of a table of classes.

    Attributes:
        classes: In the order of the table.
        presence: Image -> region as written ("": the whole image) -> class -> present or not; unknown classes have no
            entry.
        patients: Image -> patient, where the table names one.
        faults: Rows that could not be used, and notes on columns.
    """

    classes: tuple[str, ...]
    presence: dict[str, ByRegion]
    patients: dict[str, str]
    faults: tuple[Fault, ...]


def read_label_table(path: Path) -> LabelTable:
    """Read a table of classes, long or wide.

    Raises:
        UserError: No such file, no table, no rows, or columns that make no such table.
    """
    cells = read_cells(path, ("image", "scan", "label", "region"), EXAMPLE)
    key = next((name for name in ("image", "scan") if name in cells.header), None)
    if key is None:
        raise UserError(f"{path}: no column `image` among {', '.join(cells.header)}; {EXAMPLE}")
    long = "label" in cells.header
    classes, notes = _classes(cells, key, long=long)
    presence: dict[str, ByRegion] = {}
    patients: dict[str, str] = {}
    faults = [Fault("", path.name, note, fatal=False) for note in (*cells.notes, *notes)]
    for line, values, wrong in split_rows(cells, key):
        image = values.get(key, "")
        wrongs = [wrong] if wrong else patient_fault(image, values, patients)
        if not wrong:
            regions = presence.setdefault(image, {})
            wrongs += _add_long(regions, values, classes) if long else _add_wide(regions, values, classes)
        faults += [row_fault(image, path.name, line, text, fatal=True) for text in wrongs]
    if not presence:
        raise UserError(f"{path}: the table has no rows below its header that can be used; {EXAMPLE}")
    return LabelTable(classes, presence, {image: name for image, name in patients.items() if name}, tuple(faults))


def _classes(cells: Cells, key: str, *, long: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The classes of the table, and notes on the columns that are ignored."""
    rest = [name for name in cells.header if name not in {key, "label", "region", PATIENT}]
    columns = f"the columns may be {key}, label, region and {PATIENT}"
    if long:
        return tuple(dict.fromkeys(cells.column("label"))), refuse_unknown(cells, rest, [], columns)
    classes = tuple(name for name in rest if cells.has_numbers(name))
    if not classes:
        raise UserError(f"{cells.path}: no column of 0 and 1 among {', '.join(cells.header)}; {EXAMPLE}")
    return classes, refuse_unknown(cells, [name for name in rest if name not in classes], [], columns)


def _add_long(regions: ByRegion, values: dict[str, str], classes: tuple[str, ...]) -> list[str]:
    """Take in a row of a long table: a class that is present; every class without a row is absent."""
    known = regions.setdefault(values.get("region", ""), dict.fromkeys(classes, False))
    if values["label"]:
        known[values["label"]] = True
    return []


def _add_wide(regions: ByRegion, values: dict[str, str], classes: tuple[str, ...]) -> list[str]:
    """Take in a row of a wide table; returns what is wrong with it."""
    region = values.get("region", "")
    if region in regions:
        return ["stands there twice" if not region else f"has the region {region} twice"]
    regions[region] = {name: VALUES[values[name]] for name in classes if values[name] in VALUES}
    wrong = [name for name in classes if values[name] not in {"", *VALUES}]
    return [f"label {values[name]!r} of class {name} is not 0 or 1" for name in wrong[:1]]
