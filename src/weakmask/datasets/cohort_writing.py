"""Cohort folders made of the images of a public data set."""

import csv
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from weakmask.atomic_write import atomic_folder
from weakmask.datasets.case import Case, Cohort
from weakmask.outgoing_text import table_cell
from weakmask.scoring.severity import CT_SEVERITY, write_score_map

TruthOf = Callable[[Case], np.ndarray | None]  # the true labels of an image, uint8 (y, x); None: not known


def write_cohort(cohort: Cohort, folder: Path, *, truth: bool, truth_of: TruthOf | None = None) -> None:
    """Copy images, regions, labels and truth into a cohort folder, complete or absent.

    Args:
        cohort: The images with their labels; `dataclasses.replace(cohort, cases=...)` makes one of a part of them.
        folder: The folder to make; an existing one is not changed.
        truth: Whether truth/ goes along. A cohort to learn weak labels from gets none, so that no training can see it.
        truth_of: Makes the true labels where no file holds them; None: the files of `Case.truth` are copied.

    Raises:
        MachineError: The folder cannot be written.
    """
    if folder.exists():
        return
    with atomic_folder(folder) as temporary:
        for case in cohort.cases:
            _copy(case.image, temporary / "images", case.name)
            if case.regions is not None:
                _copy(case.regions, temporary / "regions", case.name)
            if truth and truth_of is not None:
                _save(truth_of(case), temporary / "truth", case.name)
            elif truth and case.truth is not None:
                _copy(case.truth, temporary / "truth", case.name)
        _write_tables(cohort, temporary, truth=truth)


def _copy(path: Path, folder: Path, name: str) -> None:
    folder.mkdir(exist_ok=True)
    shutil.copyfile(path, folder / f"{name}{path.suffix.lower()}")


def _save(labels: np.ndarray | None, folder: Path, name: str) -> None:
    if labels is not None:
        folder.mkdir(exist_ok=True)
        Image.fromarray(labels).save(folder / f"{name}.png")


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
