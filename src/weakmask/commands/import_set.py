"""`weakmask import`: a public data set, as it is published, -> a cohort."""

from pathlib import Path

import pandas as pd

from weakmask.datasets.cohort_writing import write_cohort
from weakmask.datasets.public import public_set, public_sets, read_public
from weakmask.errors import UserError
from weakmask.progress import note


def import_set(name: str, folder: Path, out: Path, part: str = "all", *, truth: bool = True, copy: bool = False) -> int:
    """Write a cohort of a public data set, complete or not at all.

    Args:
        name: Of the set, as `public_sets` has it.
        folder: Where it was unpacked; nothing in it is changed.
        out: The cohort folder to make.
        part: A part of the set, or `all`.
        truth: Whether the true masks go along.
        copy: Copy the files, where a second name for the same content would do.

    Returns:
        The number of images.

    Raises:
        UserError: An unknown set or part, files that are missing or faulty, or a folder that exists.
        MachineError: The folder cannot be written.
    """
    if out.exists():
        raise UserError(f"{out}: exists; choose a new folder for --out, or delete this one")
    found = read_public(name, folder, part)
    for line in found.notes:
        note(line, again=True)
    write_cohort(found.cohort, out, truth=truth, truth_of=found.truth_of, image_of=found.image_of, link=not copy)
    return len(found.cohort.cases)


def listed_sets() -> pd.DataFrame:
    """The data sets: a row each."""
    return pd.DataFrame(
        [{"data set": name, "holds": about.title, "licence": about.licence} for name, about in public_sets().items()]
    )


def described(name: str) -> list[str]:
    """A data set in lines: what it holds, where it is, how its files lie, and what becomes of it.

    Raises:
        UserError: An unknown name.
    """
    about = public_set(name)
    parts = [f"--part {part}: {text}" for part, text in about.parts.items()]
    return [
        about.title,
        f"source: {about.source}; licence: {about.licence}",
        f"cite: {about.cite}",
        "files, as they are published:",
        *(f"  {line}" for line in about.layout),
        f"the cohort has {about.cohort}",
        *parts,
        f"next: weakmask import {name} FOLDER --out cohort",
    ]
