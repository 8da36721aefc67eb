"""Write images and their classes as a cohort folder, with or without the true masks."""

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path

from weakmask.atomic_write import atomic_folder
from weakmask.datasets.case import Case
from weakmask.outgoing_text import table_cell

UNKNOWN = ""  # the cell of a class that may or may not be in an image


def write_label_cohort(cases: Sequence[Case], folder: Path, classes: Sequence[str], *, truth: bool) -> None:
    """Copy images into a cohort folder, with the classes of whole images in labels.csv; complete or absent.

    Args:
        cases: The images; a truth is a mask of classes in the order of `classes`.
        folder: The folder to make; an existing one is not changed.
        classes: The columns of labels.csv; other classes of the cases are left out.
        truth: Whether truth/ goes along. A cohort to learn from without masks gets none, so that no training reads it.

    Raises:
        MachineError: The folder cannot be written.
    """
    if folder.exists():
        return
    with atomic_folder(folder) as temporary:
        for room in ("images", *(["truth"] if truth else [])):
            (temporary / room).mkdir()
        for case in cases:
            _copy(case.image, temporary / "images")
            if truth and case.truth is not None:
                _copy(case.truth, temporary / "truth")
        if truth:
            (temporary / "truth.yaml").write_text("kind: classes\n", encoding="utf-8")
        _write_labels(cases, temporary / "labels.csv", classes)


def _write_labels(cases: Sequence[Case], path: Path, classes: Sequence[str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("image", *map(table_cell, classes), "patient"))
        for case in cases:
            present = case.presence.get(None, {})
            cells = [int(present[name]) if name in present else UNKNOWN for name in classes]
            writer.writerow((table_cell(case.name), *cells, table_cell(case.group)))


def _copy(source: Path, folder: Path) -> None:
    """Copy a file, or a folder of DICOM files, under its own name."""
    if source.is_dir():
        shutil.copytree(source, folder / source.name)
    else:
        shutil.copyfile(source, folder / source.name)
