"""The record of a result, `scan.json`: a folder that holds one is complete."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from weakmask.atomic_write import atomic_file
from weakmask.errors import refuse_machine_fault
from weakmask.inference.origin import Origin, read_origin

RECORD = "scan.json"
VIEWER = "view.html"
FORMAT = "weakmask result 1"


@dataclass(frozen=True)
class ScanRecord:
    """The content of `scan.json`.

    Attributes:
        scan: Name of the scan.
        image: Its file or folder; empty for an array.
        model_file: The model's file; empty for a model that is not in a file.
        origin: Its model, settings and inputs.
        ids: PatientID and UIDs, by column; empty where there are none.
        rows: Its rows of scores.csv.
        statistics: Its rows of statistics.csv.
        severity: The sum of its scores; None if the method gives none.
        region_names: Label -> name.
        hounsfield: Whether its image is in HU.
        window: Grey values that are black and white in pictures of it.
        is_empty: Whether its region mask has no region.
        warnings: Notes on it.
        seconds: Time of reading and segmenting.
        files: Path in the folder -> digest, of each file beside the record.
        provenance: Versions, machine and time.
    """

    scan: str
    image: str
    model_file: str
    origin: Origin
    ids: Mapping[str, str]
    rows: list[dict[str, Any]]
    statistics: list[dict[str, Any]]
    severity: int | None
    region_names: Mapping[int, str]
    hounsfield: bool
    window: tuple[float, float]
    is_empty: bool
    warnings: tuple[str, ...]
    seconds: float
    files: Mapping[str, str]
    provenance: Mapping[str, Any]

    @property
    def computed_files(self) -> list[str]:
        """The files that are computed with the result; the others are made from these."""
        return [name for name in self.files if "/" not in name and name != VIEWER]

    @property
    def written(self) -> str:
        """When, as `2026-11-28T09:08:22+0000`."""
        return str(self.provenance.get("written", ""))


def write_record(folder: Path, record: ScanRecord) -> None:
    """Write the record into a folder, complete or not at all."""
    plain = {
        "format": FORMAT,
        **record.__dict__,
        "origin": record.origin.plain(),
        "rows": [_without_nan(row) for row in record.rows],
        "region_names": {str(label): name for label, name in record.region_names.items()},
    }
    with atomic_file(folder / RECORD) as temporary:
        text = json.dumps(plain, indent=1, default=_plain, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def read_record(folder: Path) -> ScanRecord | None:
    """The record of a folder; None if it has none that can be read.

    Raises:
        MachineError: It cannot be read for a reason that is the machine's.
    """
    file = folder / RECORD
    try:
        plain = json.loads(file.read_text(encoding="utf-8"))
        if plain.pop("format") != FORMAT:
            return None
        plain["origin"] = read_origin(plain["origin"])
        plain["region_names"] = {int(label): str(name) for label, name in plain["region_names"].items()}
        plain["warnings"], plain["window"] = tuple(plain["warnings"]), tuple(plain["window"])
        return ScanRecord(**plain)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        refuse_machine_fault(error, file)
        return None


def _without_nan(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with None instead of NaN, which JSON does not know."""
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}


def _plain(value: object) -> Any:
    """A number of NumPy as one of Python."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} cannot stand in {RECORD}")
