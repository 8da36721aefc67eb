"""What a cohort holds: cases, and the faults that were found on the way to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from weakmask.errors import UserError
from weakmask.scoring.severity import ScoreMap


@dataclass(frozen=True)
class Fault:
    """Something in a cohort that is not as it should be.

    Attributes:
        scan: The scan it concerns; empty if it concerns none in particular.
        file: The file at fault, relative to the cohort folder.
        message: One line that begins with the file and says what came, what was expected and what to do.
        fatal: The scan is left out. What is not fatal costs at most the region or the truth it speaks of.
    """

    scan: str
    file: str
    message: str
    fatal: bool


@dataclass(frozen=True)
class Case:
    """One scan with its weak labels.

    Attributes:
        name: The scan's name, as in scores.csv.
        image: An image file, or a folder of DICOM files.
        regions: Integer region labels on the image's grid; None if the cohort has none.
        lesions: The truth, read by evaluation and by supervised methods alone; None if there is none.
        scores: Region label (as in `regions`) -> score, the usable ones.
        patient: Whose scan it is; empty means that the scan stands for its own patient.
    """

    name: str
    image: Path
    regions: Path | None
    lesions: Path | None
    scores: Mapping[int, int]
    patient: str = ""

    @property
    def group(self) -> str:
        """What must never be torn apart by a split: the patient, else the scan."""
        return self.patient or self.name


@dataclass(frozen=True)
class Cohort:
    """The good cases of a cohort folder and everything that was wrong with it.

    Attributes:
        folder: The cohort folder.
        score_map: What its scores mean.
        region_names: Region label -> name, of the whole numbering that the region files follow.
        cases: In the order of scores.csv.
        faults: In the order in which they were found.
    """

    folder: Path
    score_map: ScoreMap
    region_names: Mapping[int, str]
    cases: tuple[Case, ...]
    faults: tuple[Fault, ...]


class NoUsableScanError(UserError):
    """Nothing good is left of a cohort; `faults` says why, scan by scan."""

    def __init__(self, folder: Path, faults: Sequence[Fault]) -> None:
        """Make the one line out of the first fault that cost a scan."""
        first = next((fault for fault in faults if fault.fatal), None)
        reason = f"; the first fault: {first.message}" if first else ""
        super().__init__(f"{folder}: no scan can be used ({len(faults)} faults){reason}")
        self.faults = tuple(faults)
