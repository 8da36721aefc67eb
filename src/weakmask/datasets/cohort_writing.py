"""Cohort folders made of the images of a public data set."""

import csv
import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from weakmask.atomic_write import atomic_folder
from weakmask.datasets.case import Case, Cohort
from weakmask.outgoing_text import table_cell
from weakmask.progress import track
from weakmask.scoring.severity import CT_SEVERITY, write_score_map
from weakmask.volume.files import scan_name, write_volume
from weakmask.volume.volume import Volume

Made = np.ndarray | Volume | Sequence[Path]  # uint8 (y, x), a volume, or the files of a stack's sections
MadeOf = Callable[[Case], Made | None]
TruthOf = Callable[[Case], np.ndarray | None]  # the true labels of an image, uint8 (y, x); None: not known


def write_cohort(
    cohort: Cohort,
    folder: Path,
    *,
    truth: bool,
    truth_of: MadeOf | None = None,
    image_of: MadeOf | None = None,
    link: bool = False,
) -> None:
    """Copy images, regions, labels and truth into a cohort folder, complete or absent.

    Args:
        cohort: The images with their labels; `dataclasses.replace(cohort, cases=...)` makes one of a part of them.
        folder: The folder to make; an existing one is not changed.
        truth: Whether truth/ goes along. A cohort to learn weak labels from gets none, so that no training can see it.
        truth_of: Makes the true labels where no file holds them; None: the files of `Case.truth` are copied.
        image_of: Makes images that a file does not hold as they are needed; where it makes none, the file is copied.
        link: Whether files of the data set get a second name (a hard link) where the disk allows it, instead of a copy.

    Raises:
        MachineError: The folder cannot be written.
    """
    if folder.exists():
        return
    place = _link if link else _copy
    with atomic_folder(folder) as temporary:
        for case in track(cohort.cases, "images", len(cohort.cases)):
            _write(case.image, None if image_of is None else image_of(case), temporary / "images" / case.name, place)
            if case.regions is not None:
                _write(case.regions, None, temporary / "regions" / case.name, place)
            if not truth:
                continue
            true = None if truth_of is None else truth_of(case)
            if true is not None or (truth_of is None and case.truth is not None):
                _write(case.truth, true, temporary / "truth" / case.name, place)
        _write_tables(cohort, temporary, truth=truth)


def _write(path: Path | None, made: Made | None, stem: Path, place: Callable[[Path, Path], object]) -> None:
    """Write what was made, else place the file or the folder, under a name without its suffix."""
    stem.parent.mkdir(exist_ok=True)
    if isinstance(made, np.ndarray):
        Image.fromarray(made).save(stem.with_name(f"{stem.name}.png"))
    elif isinstance(made, Volume):
        write_volume(made, stem.with_name(f"{stem.name}.nii.gz"))
    elif made is not None:
        stem.mkdir()
        for file in made:
            place(file, stem / file.name)
    elif path is not None and path.is_dir():
        shutil.copytree(path, stem, copy_function=lambda source, target: place(Path(source), Path(target)))
    elif path is not None:
        place(path, stem.with_name(f"{stem.name}{path.name[len(scan_name(path)) :].lower()}"))


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


def _link(source: Path, target: Path) -> None:
    """A second name of the file where the file system knows such names, else a copy."""
    with suppress(OSError):
        target.hardlink_to(source.resolve())
        return
    _copy(source, target)


def _write_tables(cohort: Cohort, folder: Path, *, truth: bool) -> None:
    """Write the label tables that have rows, and what their numbers mean."""
    names = cohort.region_names
    scores = [(*_who(case), names[label], score) for case in cohort.cases for label, score in case.scores.items()]
    if scores:
        _write_rows(folder / "scores.csv", ("scan", "patient", "region", "score"), scores)
    if scores and cohort.score_map != CT_SEVERITY:
        write_score_map(cohort.score_map, folder / "scores.yaml")
    if cohort.classes:
        whole = {case.name: case.presence.get(None, {}) for case in cohort.cases}
        rows = [
            (*_who(case), *("" if known is None else int(known) for known in map(whole[case.name].get, cohort.classes)))
            for case in cohort.cases
        ]
        _write_rows(folder / "labels.csv", ("image", "patient", *cohort.classes), rows)
    if names:
        labels = ", ".join(f"{name}: {label}" for label, name in names.items())
        (folder / "regions.yaml").write_text(f"labels: {{{labels}}}\n", encoding="utf-8")
    kind = next((case.truth_kind for case in cohort.cases), "subtypes")
    if truth and kind != "subtypes":
        (folder / "truth.yaml").write_text(f"kind: {kind}\n", encoding="utf-8")


def _who(case: Case) -> tuple[str, str]:
    return table_cell(case.name), table_cell(case.group)


def _write_rows(path: Path, header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
