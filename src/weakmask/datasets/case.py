"""The cases of a cohort, and the faults of those that cannot be used."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from weakmask.errors import UserError
from weakmask.scoring.severity import ScoreMap
from weakmask.volume.files import read_volume
from weakmask.volume.scan_files import ScanFile
from weakmask.volume.volume import Volume

TruthKind = Literal["binary", "subtypes", "classes", "instances"]  # see `usable_truth`
Presence = Mapping[int | None, Mapping[str, bool]]
"""Region label, or None for the whole image -> class -> whether it is there. An unknown class has no entry."""


@dataclass(frozen=True)
class Fault:
    """A fault or a note about one file of a cohort.

    Attributes:
        scan: The scan it concerns; empty if it concerns none in particular.
        file: The file at fault, relative to the cohort folder.
        message: One line that begins with the file and says what came, what was expected and what to do.
        fatal: Whether the scan is left out; otherwise at most its region or its truth is left out.
    """

    scan: str
    file: str
    message: str
    fatal: bool

    @property
    def kind(self) -> str:
        """The message without what names the case: equal for the same fault of other scans."""
        name = re.escape(self.scan or self.file)
        of_case = rf"(?<!\w){name}(?!\w)|'[^']*'|\d[\w.]*"
        return re.sub(of_case, "#", self.message)


@dataclass(frozen=True)
class Case:
    """One image with its weak labels.

    Attributes:
        name: The image's name, as in the label tables.
        image: An image file, or a folder of DICOM files.
        regions: Integer region labels on the image's grid; None if the cohort has none.
        truth: The true labels, read by evaluation and by supervised methods alone; None if there are none. See
            `usable_truth`.
        scores: Region label (as in `regions`) -> severity score, from scores.csv. A region without an entry has no
            score and is not learnt.
        patient: The patient of the image; empty means that the image has its own patient.
        presence: The classes that are present or absent, from labels.csv.
        truth_kind: The kind of labels in `truth`.
        series: UID, number or description of the DICOM series to read, where the image's folder holds several; None:
            the only one.
    """

    name: str
    image: Path
    regions: Path | None
    truth: Path | None
    scores: Mapping[int, int]
    patient: str = ""
    presence: Presence = field(default_factory=dict)
    truth_kind: TruthKind = "subtypes"
    series: str | None = None

    def read_image(self) -> Volume:
        """The voxels of the image, in the order of its file.

        Raises:
            UserError: As `read_volume`.
        """
        return read_volume(self.image, series=self.series)

    @property
    def scan_file(self) -> ScanFile:
        """Its image, and the series in it."""
        return ScanFile(self.image, self.series)

    @property
    def group(self) -> str:
        """The patient, else the image: splits, intervals and tests keep a group together."""
        return self.patient or self.name


@dataclass(frozen=True)
class Cohort:
    """The good cases of a cohort folder, and its faults.

    Attributes:
        folder: The cohort folder.
        score_map: Meaning of its scores.
        region_names: Region label -> name, of the whole numbering that the region files follow.
        cases: In the order of the label tables (scores.csv first), else of the images' names.
        faults: In the order in which they were found.
        classes: The classes of labels.csv, in the order of the table.
    """

    folder: Path
    score_map: ScoreMap
    region_names: Mapping[int, str]
    cases: tuple[Case, ...]
    faults: tuple[Fault, ...]
    classes: tuple[str, ...] = ()


class NoUsableScanError(UserError):
    """No image of a cohort can be used; `faults` says why, image by image."""

    def __init__(self, folder: Path, faults: Sequence[Fault]) -> None:
        """Take the message from the first fault that excluded a scan."""
        first = next((fault for fault in faults if fault.fatal), None)
        reason = f"; the first fault: {first.message}" if first else ""
        count = f"{len(faults)} fault{'' if len(faults) == 1 else 's'}"
        super().__init__(f"{folder}: no scan can be used ({count}){reason}")
        self.faults = tuple(faults)
