"""Names of scans, which name their results: each is unique, and the same scans get the same names again."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

from weakmask.errors import UserError
from weakmask.outgoing_text import file_name
from weakmask.volume.dicom import find_dicom
from weakmask.volume.dicom_series import Series
from weakmask.volume.files import scan_name
from weakmask.volume.scan_files import ScanFile

Naming = Literal["path", "dicom"]
LONGEST = 120  # characters of a name
_UNSAFE = re.compile(r"[^\w.-]+")


def names_of(scans: Sequence[ScanFile], naming: Naming = "path") -> list[str]:
    """A name for each scan, which a file may have under every system; no two are equal.

    Args:
        scans: Scans that differ in path or series.
        naming: path: the name of the file or folder; of equal names as many folders above it as tell them apart
            (`p1_CT`, `p2_CT`), and of several series of one folder their numbers. dicom: PatientID and series number
            of DICOM, the path for other files.
    """
    names = [file_name((_dicom_name(scan) if naming == "dicom" else "") or scan_name(scan.path)) for scan in scans]
    for tell_apart in (_by_series, _by_folders, _by_suffix):
        names = _told_apart(scans, names, tell_apart)
    while _equal(names):
        names = _told_apart(scans, names, _by_count)
    return names


def _told_apart(
    scans: Sequence[ScanFile], names: Sequence[str], tell_apart: Callable[[Sequence[ScanFile], str], list[str]]
) -> list[str]:
    """The names, with longer ones where they are equal."""
    longer = list(names)
    for places in _equal(names):
        for place, name in zip(places, tell_apart([scans[place] for place in places], names[places[0]]), strict=True):
            longer[place] = name
    return longer


def _equal(names: Sequence[str]) -> list[list[int]]:
    """The places of names that are equal on a file system, which may know no capitals."""
    groups: dict[str, list[int]] = defaultdict(list)
    for place, name in enumerate(names):
        groups[name.casefold()].append(place)
    return [places for places in groups.values() if len(places) > 1]


def _by_series(scans: Sequence[ScanFile], name: str) -> list[str]:
    """The series numbers of several series of one folder."""
    several = Counter(scan.path for scan in scans)
    numbers = [_series_of(scan) if several[scan.path] > 1 else None for scan in scans]
    return [name if one is None else _joined((name, one.number or _digits(one.uid), one.part)) for one in numbers]


def _by_folders(scans: Sequence[ScanFile], name: str) -> list[str]:
    """As many of the folders above as make the names unique; folders that all have at the top do not help."""
    above = [Path(os.path.abspath(scan.path)).parent.parts for scan in scans]  # noqa: PTH100 - `resolve` follows links
    for depth in range(1, 1 + max(len(parts) for parts in above)):
        names = [_joined((*parts[-depth:], name)) for parts in above]
        if len({longer.casefold() for longer in names}) == len(names):
            return names
    return [name] * len(scans)


def _by_suffix(scans: Sequence[ScanFile], name: str) -> list[str]:
    """The formats of files that lie beside each other."""
    return [_joined((name, "".join(scan.path.suffixes[-1:]).strip("."))) for scan in scans]


def _by_count(scans: Sequence[ScanFile], name: str) -> list[str]:
    """Numbers, where all else is equal."""
    return [f"{name}_{number}" for number, _ in enumerate(scans, 1)]


def _dicom_name(scan: ScanFile) -> str:
    """PatientID and series number of a DICOM scan, and its part of the series; empty for another."""
    series = _series_of(scan)
    return "" if series is None else _joined((series.patient, series.number, series.part))


def _series_of(scan: ScanFile) -> Series | None:
    """The series of a scan; None if it is not DICOM, or cannot be read, which reading it says."""
    try:
        return find_dicom(scan.path, scan.series)
    except (OSError, UserError):
        return None


def _digits(uid: str) -> str:
    return uid.rpartition(".")[2]


def _joined(parts: Iterable[str]) -> str:
    """Words as a name that is safe as that of a folder."""
    words = (_UNSAFE.sub("-", part).strip("-.") for part in parts)
    return "_".join(word for word in words if word)[-LONGEST:]
