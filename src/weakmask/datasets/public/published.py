"""A public data set as its reader returns it."""

from dataclasses import dataclass
from pathlib import Path

from weakmask.datasets.case import Cohort
from weakmask.datasets.cohort_writing import MadeOf
from weakmask.errors import UserError

ALL = "all"  # the part that is the whole set


@dataclass(frozen=True)
class Published:
    """A public data set, ready for `write_cohort`.

    Attributes:
        cohort: Its images with their weak labels.
        image_of: Makes the images that no file holds as they are needed; None: files hold all.
        truth_of: Makes the true labels, likewise.
        notes: Lines that a user should read.
    """

    cohort: Cohort
    image_of: MadeOf | None = None
    truth_of: MadeOf | None = None
    notes: tuple[str, ...] = ()


def folder_with(folder: Path, inside: str) -> Path:
    """The folder, or the one folder in it, that holds a file or folder of a name: archives unpack either way.

    Raises:
        UserError: None does.
    """
    if (folder / inside).exists():
        return folder
    below = [path for path in sorted(folder.glob("*/")) if (path / inside).exists()] if folder.is_dir() else []
    if len(below) != 1:
        raise UserError(f"{folder}: has no {inside} in it; unpack the data set there, or give the folder that has it")
    return below[0]
