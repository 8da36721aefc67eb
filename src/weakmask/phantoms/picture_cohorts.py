"""Cohorts of phantoms that are pictures: chest X-rays, some with a pneumothorax, and photographs of three classes.

FOLDER/
  images/NAME.png    labels.csv    truth/NAME.png    truth.yaml    phantom.json (the arguments)
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from weakmask.atomic_write import atomic_folder
from weakmask.csv_table import write_csv
from weakmask.errors import UserError
from weakmask.phantoms.chest_xray import make_xray
from weakmask.phantoms.photographs import CLASSES, make_photograph
from weakmask.phantoms.request import check_request, phantom_seeds
from weakmask.progress import track
from weakmask.worker_processes import each_in_processes

PNEUMOTHORAX = "pneumothorax"
LEAST_SIDE, MOST_SIDE = 32, 2048
VERSION = 1  # increased when the same seed gives another picture

Pixels = tuple[np.ndarray, np.ndarray]  # a picture and the class of each pixel


@dataclass(frozen=True)
class _Kind:
    """How pictures of a kind are made: (place in the cohort, seed) -> pixels."""

    classes: tuple[str, ...]
    make: Callable[[int, int], Pixels]
    arguments: Mapping[str, float]


def write_xray_cohort(
    folder: Path,
    images: int,
    seed: int,
    side_px: int = 256,
    *,
    positives: float = 0.4,
    size: float = 1.0,
    workers: int | None = None,
) -> None:
    """Write a cohort of chest X-ray phantoms with the class `pneumothorax`, complete or not at all.

    Args:
        folder: The new folder; it may exist if it is empty.
        images: Number of pictures, each of a patient of its own.
        seed: Seed of the cohort; picture k does not depend on the number of pictures and workers.
        side_px: Pixels of a side.
        positives: Share of the pictures with a pneumothorax.
        size: Factor on how far a lung retracts, see `make_xray`.
        workers: Number of processes; default one per core.

    Raises:
        UserError: The folder is not empty, or a number is out of range.
        MachineError: The folder cannot be written.
    """
    if not 0 <= positives <= 1 or not 0 < size <= 10:
        raise UserError(f"positives {positives} and size {size}; expected a share from 0 to 1, and above 0 up to 10")
    arguments = {"positives": positives, "size": size}
    _write(
        folder,
        _Kind((PNEUMOTHORAX,), partial(_xray, side_px, positives, size), arguments),
        images,
        seed,
        side_px,
        workers,
    )


def write_photograph_cohort(
    folder: Path, images: int, seed: int, side_px: int = 192, workers: int | None = None
) -> None:
    """Write a cohort of photograph-like phantoms with the classes of `photographs.CLASSES`, complete or not at all.

    Args:
        folder: The new folder; it may exist if it is empty.
        images: Number of pictures.
        seed: Seed of the cohort; picture k does not depend on the number of pictures and workers.
        side_px: Pixels of a side.
        workers: Number of processes; default one per core.

    Raises:
        UserError: The folder is not empty, or a number is out of range.
        MachineError: The folder cannot be written.
    """
    _write(folder, _Kind(CLASSES, partial(_photograph, side_px), {}), images, seed, side_px, workers)


def _xray(side_px: int, positives: float, size: float, place: int, seed: int) -> Pixels:
    planted = int((place + 1) * positives) > int(place * positives)  # spread evenly, whatever the number of pictures
    made = make_xray(seed, side_px, pneumothorax=planted, size=size)
    return made.image, made.truth


def _photograph(side_px: int, place: int, seed: int) -> Pixels:  # noqa: ARG001 (one signature for all kinds)
    made = make_photograph(seed, side_px)
    return made.image, made.truth


def _write(folder: Path, kind: _Kind, images: int, seed: int, side_px: int, workers: int | None) -> None:
    check_request(folder, images, seed)
    if not LEAST_SIDE <= side_px <= MOST_SIDE:
        raise UserError(f"a side of {side_px} pixels; expected {LEAST_SIDE} to {MOST_SIDE:,}")
    jobs = [(place, name, own) for place, (name, own) in enumerate(phantom_seeds(images, seed))]
    workers = min(images, workers or os.cpu_count() or 1)
    with atomic_folder(folder) as temporary:
        for name in ("images", "truth"):
            (temporary / name).mkdir()
        work = partial(_write_picture, temporary, kind)
        present = list(track(each_in_processes(work, jobs, workers), "phantoms", images))
        names = [name for _, name, _ in jobs]
        table = pd.DataFrame(present, columns=list(kind.classes))
        table.insert(0, "image", names)
        table.insert(1, "patient", names)
        write_csv(table, temporary / "labels.csv")
        truth = "binary" if len(kind.classes) == 1 else "classes"
        (temporary / "truth.yaml").write_text(f"kind: {truth}\n", encoding="utf-8")
        recipe = {"version": VERSION, "seed": seed, "side_px": side_px, **kind.arguments}
        recipe["images"] = {name: own for _, name, own in jobs}
        (temporary / "phantom.json").write_text(json.dumps(recipe, indent=2) + "\n", encoding="utf-8")


def _write_picture(folder: Path, kind: _Kind, job: tuple[int, str, int]) -> Sequence[int]:
    """Make and write one picture; returns 0 or 1 per class."""
    place, name, seed = job
    image, truth = kind.make(place, seed)
    Image.fromarray(image).save(folder / "images" / f"{name}.png")
    Image.fromarray(truth).save(folder / "truth" / f"{name}.png")
    return [int((truth == label).any()) for label in range(1, len(kind.classes) + 1)]
