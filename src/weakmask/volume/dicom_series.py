"""The DICOM series in a folder: their images, sorted, each once."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby
from pathlib import Path

import numpy as np

from weakmask.errors import UserError
from weakmask.progress import note
from weakmask.volume.dicom_file import read_dataset
from weakmask.volume.dicom_header import Header, read_headers
from weakmask.volume.file_tree import folders_below
from weakmask.volume.slice_stack import Slice

_SHORT = 3  # a series with fewer slices is no scan beside a longer one
_LISTED = 4


@dataclass(frozen=True)
class Series:
    """The images of one series that have one matrix and one orientation, sorted along the slice normal.

    Attributes:
        uid: SeriesInstanceUID; may be empty.
        description: SeriesDescription; may be empty.
        modality: CT, MR, CR, DX ...
        localizer: Whether it is a scout view.
        frames: Frames in a file that states no place of each, and cannot be read; else 1.
        slices: At least one.
        study: StudyInstanceUID; may be empty.
        number: SeriesNumber; may be empty.
        patient: PatientID; may be empty.
        part: Name of the stack or the time, `stack 2` or `time 3`, if enhanced DICOM holds several; else empty.
    """

    uid: str
    description: str
    modality: str
    localizer: bool
    frames: int
    slices: tuple[Slice, ...]
    study: str = ""
    number: str = ""
    patient: str = ""
    part: str = ""

    def __str__(self) -> str:
        """One line that describes the series."""
        rows, columns = self.slices[0].shape
        name = self.description[:40] or "no description"
        count = f"{len(self.slices)} slice{'s' if len(self.slices) > 1 else ''}"
        number = f"number {self.number}, " if self.number else ""
        kind = f"{number}{self.modality} {name!r}{self.part and f', {self.part}'}"
        return f"{self.uid[:64] or 'no UID'} ({kind}, {count} of {rows} x {columns})"

    @property
    def key(self) -> str:
        """The name by which it is chosen among the series of a folder: its UID, and its part if it is one."""
        return f"{self.uid} {self.part}".strip()

    @property
    def files(self) -> list[Path]:
        """The files of its slices, each once."""
        return list(dict.fromkeys(one.path for one in self.slices))

    def is_called(self, words: str) -> bool:
        """Whether this is the series with a UID, a number, a description (in capitals or not), or a part of it."""
        names = {self.uid, self.number, self.description, self.part}
        names |= {f"{name} {self.part}" for name in names} if self.part else set()
        return bool(words) and words.casefold() in {name.casefold() for name in names}

    @property
    def projections(self) -> bool:
        """Whether the images are X-rays or the like, which are never stacked."""
        return not any(one.in_patient for one in self.slices)


def find_series(folder: str | Path) -> list[Series]:
    """All grey-value image series in a folder and the folders in it, the longest first.

    Other files, DICOMDIR, hidden files, reports and colour pictures are ignored; of two files with the same
    SOPInstanceUID, position and pixels one is used.

    Raises:
        UserError: There is no such folder, or a file named .dcm is not readable as DICOM.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give the folder that holds the DICOM files")
    files = (path for _, files in folders_below(folder) for path in files)
    return series_of(header for path in files for header in read_headers(path))


def series_of(headers: Iterable[Header]) -> list[Series]:
    """Sort images into series, the longest first; copies are left out."""
    groups: dict[str, list[Header]] = defaultdict(list)
    for header in headers:
        groups[header.series_uid].append(header)
    alike = (part for group in groups.values() for part in _alike(without_copies(group)))
    series = [_series(part, name) for images in alike for name, part in _parts(images)]
    return sorted(series, key=lambda one: (-len(one.slices), one.uid, one.part, str(one.slices[0].path)))


def choose_series(found: Sequence[Series], asked: str | None, folder: Path) -> Series:
    """The requested series of a folder, or the only one.

    Args:
        found: All series of the folder.
        asked: UID, number or description of a series; None: the only one.
        folder: For messages.

    Localizers are ignored, and so are series of fewer than 3 slices beside a longer one; a note counts their images.
    Slices that have a series UID each are one series, and a note says so.

    Raises:
        UserError: No such series, or several.
    """
    if asked is not None:
        real = [one for one in found if one.is_called(asked)]
        if not real:
            raise UserError(f"{folder}: no series {asked}; the folder holds: {_listed(found) or 'none'}")
    else:
        real = [one for one in found if not one.localizer]
        if not real:
            reason = "only localizers" if found else "no DICOM images"
            raise UserError(f"{folder}: {reason} in this folder; give the folder of a scan's DICOM files")
    together = _one_of_single_slices(real)
    if together is not None:
        note(f"{folder}: each of its {len(real)} images has a series UID of its own; they are read as one series")
        return together
    chosen = real
    if len(real[0].slices) >= _SHORT:  # the longest comes first
        chosen = [one for one in real if len(one.slices) >= _SHORT]
    if len(chosen) == 1:
        _note_unused(real, chosen[0], folder)
        return chosen[0]
    if len({one.uid for one in chosen}) == 1 and all(one.part for one in chosen):
        raise UserError(
            f"{folder}: {len(chosen)} stacks or times in one series; expected one; choose by its name, "
            f"`--series {chosen[0].part!r}` (series={chosen[0].part!r} in Python): {_listed(chosen)}"
        )
    if len({one.uid for one in chosen}) == 1:
        raise UserError(
            f"{folder}: slices of different orientation or matrix in one series ({_listed(chosen)}); separate them"
        )
    raise UserError(
        f"{folder}: {len(chosen)} series; expected one; choose by its UID, number or description (`--series UID`, "
        f"series=UID in Python, or a column `series` in a cohort's table), or keep one in the folder: {_listed(chosen)}"
    )


def without_copies(headers: Sequence[Header]) -> list[Header]:
    """One of several files with the same UID, the same position and the same pixels.

    Tools that remove names leave one UID, or none, in all images of a scan.
    """
    kept: dict[tuple[object, ...], list[Header]] = defaultdict(list)
    pixels_of = cache(_pixel_hash)  # a file may hold many frames
    for header in headers:
        one = header.slice
        same = kept[header.image_uid, one.position, one.orientation, one.shape, one.frame and one.frame.index]
        if not same or pixels_of(one.path) not in {pixels_of(other.slice.path) for other in same}:
            same.append(header)
    remaining = {id(header) for same in kept.values() for header in same}
    return [header for header in headers if id(header) in remaining]


def _pixel_hash(path: Path) -> bytes:
    """A hash of the stored pixels; of the whole file if they cannot be found."""
    try:
        pixels = read_dataset(path, only=["PixelData"], force=True).get("PixelData", None)
    except (OSError, MemoryError):
        raise
    except Exception:  # noqa: BLE001 (the header was readable; a damaged file is refused when its pixels are decoded)
        pixels = None
    return hashlib.sha256(pixels or path.read_bytes()).digest()


def _alike(images: list[Header]) -> list[list[Header]]:
    """Split a series by matrix, orientation (up to rounding) and whether the images are localizers."""
    parts: list[list[Header]] = []
    for image in images:
        for part in parts:
            if _fits(image, part[0]):
                part.append(image)
                break
        else:
            parts.append([image])
    return parts


def _fits(image: Header, first: Header) -> bool:
    turned = np.abs(np.subtract(image.slice.directions, first.slice.directions)).max()
    same_matrix = (image.slice.shape, image.frames) == (first.slice.shape, first.frames)
    return same_matrix and bool(turned < 1e-3) and image.localizer == first.localizer


def _parts(images: list[Header]) -> list[tuple[str, list[Header]]]:
    """Name and images of each stack and time that enhanced DICOM tells apart; the name of a single one is empty.

    Each slice of a scan has a time of its own, so that times count where several frames lie at one place.
    """
    stacks = {image.stack for image in images}
    several = 1 < len(stacks) < len(images)
    groups: dict[tuple[str, ...], list[Header]] = defaultdict(list)
    for image in images:
        groups[(f"stack {image.stack}",) if several else ()].append(image)
    parts: dict[str, list[Header]] = defaultdict(list)
    for stack, group in groups.items():
        timed = len({image.slice.position for image in group}) < len(group) and len({image.time for image in group}) > 1
        for image in group:
            parts[" ".join((*stack, f"time {image.time}") if timed else stack)].append(image)
    return list(parts.items())


def _series(images: list[Header], part: str) -> Series:
    first = images[0]
    # one orientation for all, so that rounding in the headers cannot change the order
    shared = first.slice.directions
    slices = [replace(one.slice, orientation=one.slice.orientation and shared) for one in images]
    return Series(
        uid=first.series_uid,
        description=first.description,
        modality=first.modality,
        localizer=first.localizer,
        frames=first.frames,
        slices=_sorted(slices),
        study=first.study_uid,
        number=first.series_number,
        patient=first.patient,
        part=part,
    )


def _sorted(slices: Iterable[Slice]) -> tuple[Slice, ...]:
    return tuple(sorted(slices, key=lambda one: (one.height_mm, one.number, str(one.path))))


def _one_of_single_slices(series: Sequence[Series]) -> Series | None:
    """One series of slices that have a UID each; None if they do not look like one scan."""
    first = series[0]
    slices: list[Slice] = [one.slices[0] for one in series]
    if len(series) < _SHORT or len(first.slices) > 1 or first.projections:
        return None
    if any(one.position is None for one in slices):
        return None
    for one, image in zip(series, slices, strict=True):
        turned = np.abs(np.subtract(image.directions, slices[0].directions)).max()
        same = (one.study, one.modality, one.frames) == (first.study, first.modality, first.frames)
        if not same or turned >= 1e-3 or image.shape != slices[0].shape:
            return None
    shared = slices[0].orientation
    return replace(first, slices=_sorted(replace(one, orientation=one.orientation and shared) for one in slices))


def _note_unused(real: Sequence[Series], used: Series, folder: Path) -> None:
    """Note the images that belong to shorter series."""
    unused = [one for one in real if one is not used]
    if not unused:
        return
    count, total = sum(len(one.slices) for one in unused), sum(len(one.slices) for one in real)
    others = "another" if len(unused) == 1 else str(len(unused))
    note(
        f"{folder}: {total - count} of {total} images are used; {count} of {others} shorter series "
        f"{'is' if count == 1 else 'are'} not: {_listed(unused)}"
    )


def _listed(series: Sequence[Series]) -> str:
    """The longest series, for a message; equal lines once."""
    lines = [line for line, _ in groupby(map(str, series))]
    more = f"; and {len(lines) - _LISTED} more" if len(lines) > _LISTED else ""
    return "; ".join(lines[:_LISTED]) + more
