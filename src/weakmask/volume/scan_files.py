"""The scans in a folder, known by content: image files, Zarr, and the DICOM series of each folder below it.

Cohorts, the commands and the Python interface ask the same functions.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from os.path import commonpath
from pathlib import Path

from weakmask.errors import UserError
from weakmask.progress import note
from weakmask.volume.dicom_header import Header, is_dicom, is_segmentation, read_headers
from weakmask.volume.dicom_series import Series, choose_series, series_of
from weakmask.volume.file_tree import folders_below
from weakmask.volume.files import IMAGE_SUFFIXES, scan_name
from weakmask.volume.zarr_stack import is_zarr


@dataclass(frozen=True)
class ScanFile:
    """One scan.

    Attributes:
        path: A file, a folder of DICOM files, or a folder of Zarr.
        series: Key of its series, if the folder or the file holds others; None: the only one.
    """

    path: Path
    series: str | None = None


def is_scan_file(path: Path) -> bool:
    """Whether an entry of a folder is an image or a mask: by its suffix, or else by its content if that is DICOM.

    A file that cannot be read counts as one, so that reading it says why.
    """
    if path.name.startswith(".") or path.is_dir():
        return False
    if path.name.lower().endswith(IMAGE_SUFFIXES):
        return True
    try:
        return is_dicom(path) and (is_segmentation(path) or bool(read_headers(path)))
    except (OSError, UserError):
        return True


def has_series(path: Path) -> bool:
    """Whether an image is a file or a folder of DICOM, whose series can be chosen."""
    try:
        return (path.is_dir() and not is_zarr(path)) or is_dicom(path)
    except OSError:  # reading it says why
        return False


def entries_by_name(folder: Path, folders: Collection[str] | None = None) -> dict[str, list[Path]]:
    """The images or masks in a folder, by the name of their scan; other and hidden files are ignored.

    A folder inside it is an entry, too: of images it holds DICOM files, of masks one for each structure.

    Args:
        folder: The folder; without one, there are no entries.
        folders: Names of the folders inside that are entries; None: all are.
    """
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        counts = (folders is None or path.name in folders) if path.is_dir() else is_scan_file(path)
        if counts and not path.name.startswith("."):
            found.setdefault(scan_name(path), []).append(path)
    return found


def scans_below(folder: Path, series: Collection[str] = ()) -> list[ScanFile]:
    """The scans in a folder and in the folders inside, by path.

    A folder of DICOM files is one scan, and so is a series that fills several folders. X-rays, which are not stacked,
    are a scan each, and so are images of one slice, or files of enhanced DICOM, that belong to several patients. A
    DICOMDIR is no scan.

    Args:
        folder: The folder.
        series: UIDs, numbers or descriptions of series to read where a folder has several.

    Raises:
        UserError: A folder cannot be listed.
    """
    scans: list[ScanFile] = []
    headers: dict[Path, list[Header]] = {}
    for place, files in folders_below(folder, closed=is_zarr):
        if is_zarr(place):
            scans.append(ScanFile(place))
            continue
        images, faulty = _images(files)
        scans += [ScanFile(file) for file in files if _is_other_format(file)]
        if images:
            headers[place] = images
        elif faulty:  # reading the folder says what is wrong
            scans.append(ScanFile(place))
    scans += _dicom_scans(headers, set(series), {scan.path.parent for scan in scans})
    return sorted(scans, key=lambda scan: scan.path)


def scans_in_file(path: Path, series: Collection[str] = ()) -> list[ScanFile]:
    """The scan in a file, or the chosen ones of the stacks and times in a file of enhanced DICOM.

    Args:
        path: The file.
        series: UIDs, numbers or descriptions of series, or names of stacks and times.
    """
    images, _ = _images([path]) if series else ([], False)
    return _series_scans(path, series_of(images), set(series), alone=True) if images else [ScanFile(path)]


def _images(files: Iterable[Path]) -> tuple[list[Header], bool]:
    """The headers of the DICOM images among some files, and whether a file is called DICOM and is not."""
    headers: list[Header] = []
    faulty = False
    for file in files:
        if _is_other_format(file):
            continue
        try:
            headers += read_headers(file)
        except UserError:
            faulty = True
    return headers, faulty


def _is_other_format(path: Path) -> bool:
    name = path.name.lower()
    return name.endswith(IMAGE_SUFFIXES) and not name.endswith(".dcm")


def _dicom_scans(headers: dict[Path, list[Header]], chosen: set[str], shared: set[Path]) -> list[ScanFile]:
    """The scans among the DICOM images of several folders.

    Args:
        headers: Folder -> its images.
        chosen: UIDs, numbers or descriptions of the series to read where a folder has several.
        shared: Folders that hold other scans, too.
    """
    spread = _spread_series(headers)
    scans: list[ScanFile] = []
    groups: dict[Path, list[Header]] = defaultdict(list)
    for place, images in headers.items():
        for header in images:
            groups[spread.get(header.series_uid, place)].append(header)
    localizers: list[Path] = []
    for place, images in groups.items():
        found = series_of(images)
        real = [one for one in found if not one.localizer]
        alone = not any(other != place and other.is_relative_to(place) for other in groups)
        if not real:
            localizers.append(place)
        elif _are_single_images(real) and (len(images) > 1 or place in shared or not alone):
            files: dict[Path, list[Series]] = defaultdict(list)
            for one in real:
                for file in one.files:
                    files[file].append(one)
            scans += [scan for file, held in files.items() for scan in _series_scans(file, held, chosen, alone=True)]
        else:
            scans += _series_scans(place, real, chosen, alone=alone)
    if not scans and not shared:
        return [ScanFile(place) for place in localizers]  # reading them says that they are localizers
    for place in localizers:
        note(f"{place}: only localizers; not a scan")
    return scans


def _spread_series(headers: dict[Path, list[Header]]) -> dict[str, Path]:
    """UID of each series that fills several folders -> the folder that holds them all.

    Each folder has a part of the stack of its own: anonymised scans of several patients may have one UID.
    """
    places: dict[str, dict[Path, list[float]]] = defaultdict(lambda: defaultdict(list))
    for place, images in headers.items():
        for header in images:
            if header.series_uid and header.slice.position is not None and not header.localizer:
                places[header.series_uid][place].append(header.slice.height_mm)
    spread: dict[str, Path] = {}
    for uid, parts in places.items():
        spans = sorted((min(heights), max(heights)) for heights in parts.values())
        apart = all(before[1] < after[0] for before, after in pairwise(spans))
        if len(parts) > 1 and apart:
            spread[uid] = Path(commonpath(parts))
    return spread


def _are_single_images(series: Sequence[Series]) -> bool:
    """Whether every file is a scan of its own: X-rays, or one slice or one enhanced file per patient or study."""
    if all(one.projections for one in series):
        return True
    files = {(one.study, file) for one in series for file in one.files}
    studies = Counter(study for study, _ in files)
    return len(files) > 1 and all(len(one.files) == 1 for one in series) and max(studies.values()) == 1


def _series_scans(place: Path, real: Sequence[Series], chosen: set[str], *, alone: bool) -> list[ScanFile]:
    """The scans of a folder, or of a file, whose images are slices."""
    asked = sorted({one.key for one in real if any(one.is_called(words) for words in chosen)})
    if asked:
        return [ScanFile(place, key) for key in asked]
    if alone:
        return [ScanFile(place)]
    try:  # other scans lie in folders inside
        return [ScanFile(place, choose_series(real, None, place).key)]
    except UserError:
        return [ScanFile(place)]
