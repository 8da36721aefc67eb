"""Cohort folders of electron microscopy phantoms: images/ and truth/ with the instances."""

import json
import os
from functools import partial
from pathlib import Path

import numpy as np

from weakmask.atomic_write import atomic_folder
from weakmask.errors import UserError
from weakmask.phantoms.em_stack import STYLES, make_em_phantom
from weakmask.progress import track
from weakmask.volume.files import write_volume
from weakmask.volume.geometry import Float3, Index3
from weakmask.worker_processes import each_in_processes

SHAPE: Index3 = (16, 256, 256)
SPACING_NM: Float3 = (30.0, 16.0, 16.0)
MOST_VOXELS = 2**28
FINEST_NM, COARSEST_NM = 1.0, 200.0
VERSION = 2  # of the recipe; 2: no instance of a few voxels


def write_em_cohort(
    folder: Path,
    stacks: int,
    seed: int,
    shape: Index3 = SHAPE,
    spacing_nm: Float3 = SPACING_NM,
    style: str = "plain",
    workers: int | None = None,
) -> None:
    """Write a cohort of phantoms, complete or not at all.

    Args:
        folder: The new folder; it may exist if it is empty.
        stacks: Number of stacks.
        seed: Of the cohort; stack k does not depend on the number of stacks and workers.
        shape: Voxels (z, y, x) of each stack.
        spacing_nm: Thickness of a section and size of a pixel.
        style: One of `STYLES`.
        workers: Number of processes; None: one per core.

    Raises:
        UserError: The folder is not empty, or a number is out of range.
        MachineError: The folder cannot be written.
    """
    _check(folder, stacks, shape, spacing_nm, style)
    seeds = [int(np.random.SeedSequence([seed, k]).generate_state(1)[0]) for k in range(stacks)]
    jobs = [(f"phantom_{seed}_{k:04d}", own) for k, own in enumerate(seeds)]
    with atomic_folder(folder) as temporary:
        for name in ("images", "truth", "clean"):
            (temporary / name).mkdir(parents=True)
        write = partial(_write_stack, temporary, shape, spacing_nm, style)
        workers = min(stacks, workers or os.cpu_count() or 1)
        touching = list(track(each_in_processes(write, jobs, workers), "phantoms", stacks))
        (temporary / "truth.yaml").write_text("kind: instances\n", encoding="utf-8")
        recipe = {
            "version": VERSION,
            "seed": seed,
            "scans": dict(jobs),
            "shape": list(shape),
            "spacing_nm": list(spacing_nm),
            "style": style,
            "touching": dict(zip([name for name, _ in jobs], touching, strict=True)),
        }
        (temporary / "phantom.json").write_text(json.dumps(recipe, indent=2) + "\n", encoding="utf-8")


def _write_stack(
    folder: Path, shape: Index3, spacing_nm: Float3, style: str, job: tuple[str, int]
) -> list[tuple[int, int]]:
    """Make and write one stack; returns the pairs of instances that touch."""
    name, seed = job
    phantom = make_em_phantom(seed, shape, spacing_nm, STYLES[style])
    for place, volume in (("images", phantom.image), ("truth", phantom.instances), ("clean", phantom.clean)):
        write_volume(volume, folder / place / f"{name}.nii.gz")
    return sorted(phantom.touching)


def _check(folder: Path, stacks: int, shape: Index3, spacing_nm: Float3, style: str) -> None:
    """Refuse invalid arguments before any work is done."""
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UserError(f"{folder} exists and is not an empty folder; choose a new name or remove it")
    if style not in STYLES:
        raise UserError(f"the style is {style}; expected one of {', '.join(STYLES)}")
    if stacks < 1:
        raise UserError(f"the number of stacks is {stacks}; expected 1 or more")
    if not all(FINEST_NM <= edge <= COARSEST_NM for edge in spacing_nm):
        edges = " ".join(f"{edge:g}" for edge in spacing_nm)
        raise UserError(f"voxels of {edges} nm; expected {FINEST_NM:g} to {COARSEST_NM:g} nm each")
    if min(shape) < 1 or int(np.prod(shape, dtype=object)) > MOST_VOXELS:
        sides = " ".join(map(str, shape))
        raise UserError(f"a stack of {sides} voxels; expected at least 1 a side and at most {MOST_VOXELS:,}")
