"""Chest CT phantoms: scans with known truth, generated from a seed, and cohorts of them."""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from weakmask.atomic_write import atomic_folder
from weakmask.csv_table import write_csv
from weakmask.errors import UserError
from weakmask.phantoms.acquisition import acquire, draw_scanner
from weakmask.phantoms.chest_anatomy import LLL, LUL, RLL, RML, RUL, Patient, draw_patient, lung_box, lungs
from weakmask.phantoms.confounders import add_confounders, heart_motion
from weakmask.phantoms.lesions import plant_lesions
from weakmask.phantoms.noise import Grid, centred_geometry, coverage
from weakmask.phantoms.request import check_request, phantom_seeds
from weakmask.phantoms.score_draws import draw_fractions, draw_scores, misread
from weakmask.phantoms.tissue import AIR, BLOOD, blend, lung_tissue, paint_body
from weakmask.phantoms.tubes import draw_capsules
from weakmask.phantoms.vessel_trees import Trees, grow_trees
from weakmask.progress import track
from weakmask.scoring.severity import region_fractions
from weakmask.volume.files import write_volume
from weakmask.volume.geometry import Box, Float3, Index3
from weakmask.volume.volume import Volume
from weakmask.worker_processes import each_in_processes

VERSION = 1  # increased when the same seed gives another scan
LOBES = {"LUL": LUL, "LLL": LLL, "RUL": RUL, "RML": RML, "RLL": RLL}
SHAPE: Index3 = (160, 192, 192)
SPACING_MM: Float3 = (2.0, 2.0, 2.0)
MOST_VOXELS = 512**3
FINEST_MM, COARSEST_MM = 0.2, 20.0
CHEST_MM: Float3 = (240.0, 200.0, 240.0)  # less shows no whole lobe
QUICK_SHAPE: Index3 = (80, 90, 96)  # the same chest in fewer, larger voxels, for trainings on two cores
QUICK_SPACING_MM: Float3 = (4.0, 4.0, 4.0)


@dataclass(frozen=True)
class Phantom:
    """A chest CT and its truth; all volumes lie on one grid.

    Attributes:
        image: HU, int16.
        lobes: LUL 1, LLL 2, RUL 3, RML 4, RLL 5 (uint8).
        lesions: 0 none, 1 ground-glass, 2 consolidation, 3 mixed (uint8).
        vessels: 1 where at least half of a voxel is vessel (uint8), in the lobes.
        airways: 1 where at least half of a voxel is airway lumen (uint8), trachea included.
        scores: Severity 0-5 per lobe label.
        fractions: Lesion fraction per lobe label, computed from the masks.
    """

    image: Volume
    lobes: Volume
    lesions: Volume
    vessels: Volume
    airways: Volume
    scores: dict[int, int]
    fractions: dict[int, float]


def make_phantom(
    seed: int,
    shape: Index3 = SHAPE,
    spacing_mm: Float3 = SPACING_MM,
    scores: Mapping[int, int] | None = None,
) -> Phantom:
    """Make a chest CT phantom; the same arguments give the same bytes.

    The patient is defined in mm around the middle of the grid, so that other shapes and spacings show the same chest.
    About 300 x 250 x 300 mm contain both lungs.

    Args:
        seed: Seed of the patient, the disease and the scanner; not negative.
        shape: Voxels (z, y, x).
        spacing_mm: Voxel edges (z, y, x).
        scores: Severity per lobe label (1-5); other lobes have no lesions. Default: drawn as in the paper's Table I b.

    Raises:
        ValueError: A lobe or score is unknown, or a lobe with lesions has no voxels on the grid.
    """
    severity = draw_scores(seed) if scores is None else {label: scores.get(label, 0) for label in LOBES.values()}
    if scores is not None and not set(scores) <= set(LOBES.values()):
        raise ValueError(f"scores name lobes {sorted(scores)}; expected labels among {sorted(LOBES.values())}")
    geometry = centred_geometry(shape, spacing_mm)
    grid, patient = Grid.of(geometry), draw_patient(seed)
    image, lobes, vessels, airways = _healthy_chest(patient, grid)
    healthy = Volume(image, geometry)
    lobe_volume = Volume(lobes, geometry, "label")
    fractions = draw_fractions(severity, seed)
    ill, lesions = plant_lesions(healthy, lobe_volume, fractions, seed, vessels, airways)
    scan = acquire(ill.voxels, grid, draw_scanner(seed), seed)

    def mask(cover: np.ndarray, inside: np.ndarray | bool = True) -> Volume:  # noqa: FBT001, FBT002
        """The voxels inside that are covered by half or more."""
        return Volume(((cover >= 0.5) & inside).astype(np.uint8), geometry, "label")

    return Phantom(
        image=Volume(scan, geometry),
        lobes=lobe_volume,
        lesions=lesions,
        vessels=mask(vessels, lobes > 0),
        airways=mask(airways),
        scores=severity,
        fractions=region_fractions(lesions.voxels, lobes, list(LOBES.values())),
    )


def _healthy_chest(patient: Patient, grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """HU (float32), lobe labels, vessel coverage and airway coverage before the acquisition."""
    box = lung_box(patient, grid)
    part = grid.cropped(box)
    chest = lungs(patient, part)
    image = paint_body(patient, grid, box, chest)
    tissue = lung_tissue(patient, part, chest)
    add_confounders(patient, part, chest, tissue)
    voxel = float(np.cbrt(np.prod(grid.spacing_mm)))
    blend(image[box.slices], tissue, coverage(chest.depth_mm, voxel))
    vessels, airways = _draw_trees(grow_trees(patient), grid, box, image)
    heart_motion(patient, part, image[box.slices])
    lobes = np.zeros(grid.shape, np.uint8)
    lobes[box.slices] = chest.lobes
    return image, lobes, vessels, airways


def _draw_trees(trees: Trees, grid: Grid, box: Box, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Paint vessels, airway walls and lumina into `image`; return the coverage by vessels and by lumina."""
    vessels = np.zeros(grid.shape, np.float32)
    blood = trees.arteries.joined(trees.veins)
    vessels[box.slices] = draw_capsules(grid.cropped(box), blood.start, blood.stop, blood.radius)
    blend(image[box.slices], BLOOD, vessels[box.slices])
    air = trees.airways
    thickness = 0.3 + 0.12 * air.radius
    outer = draw_capsules(grid, air.start, air.stop, air.radius + thickness)
    blend(image, -40.0, outer)
    lumen = draw_capsules(grid, air.start, air.stop, air.radius)
    blend(image, AIR, lumen)
    return vessels, lumen


def write_phantom_cohort(
    folder: Path,
    scans: int,
    seed: int,
    shape: Index3 = SHAPE,
    spacing_mm: Float3 = SPACING_MM,
    reader_noise: float = 0.0,
    workers: int | None = None,
) -> None:
    """Write a cohort folder of phantoms, complete or not at all.

    It has `images/`, `regions/` (lobes), `truth/` (lesions) and `scores.csv` as every cohort, and also
    `anatomy/vessels/`, `anatomy/airways/`, `phantom.json` (its parameters), and `scores_true.csv` if `reader_noise` is
    above 0.

    Args:
        folder: The new folder; it may exist if it is empty.
        scans: Number of scans.
        seed: Seed of the cohort, part of the scans' names; scan k does not depend on the number of scans and workers.
        shape: Voxels (z, y, x) of every scan.
        spacing_mm: Voxel edges (z, y, x) of every scan.
        reader_noise: Probability that a score in `scores.csv` is one off.
        workers: Number of processes; default one per core.

    Raises:
        UserError: The folder is not empty, or a number is out of range.
        MachineError: The folder cannot be written.
    """
    check_request(folder, scans, seed)
    if not 0.0 <= reader_noise <= 1.0:
        raise UserError(f"reader noise is {reader_noise}; expected a probability between 0 and 1")
    _check_grid(shape, spacing_mm)
    jobs = phantom_seeds(scans, seed)
    workers = min(scans, workers or os.cpu_count() or 1)
    with atomic_folder(folder) as temporary:
        for name in ("images", "regions", "truth", "anatomy/vessels", "anatomy/airways"):
            (temporary / name).mkdir(parents=True)
        write = partial(_write_scan, temporary, shape, spacing_mm)
        scores = list(track(each_in_processes(write, jobs, workers), "phantoms", scans))
        rng = np.random.default_rng([seed, 1])
        read = [misread(row, reader_noise, rng) for row in scores]
        names = [name for name, _ in jobs]
        write_csv(_score_table(names, read), temporary / "scores.csv")
        if reader_noise > 0:
            write_csv(_score_table(names, scores), temporary / "scores_true.csv")
        recipe = {
            "version": VERSION,
            "seed": seed,
            "scans": dict(jobs),
            "shape": list(shape),
            "spacing_mm": list(spacing_mm),
            "reader_noise": reader_noise,
        }
        (temporary / "phantom.json").write_text(json.dumps(recipe, indent=2) + "\n", encoding="utf-8")


def check_phantom_cohort(folder: Path, scans: int, seed: int, shape: Index3, spacing_mm: Float3) -> None:
    """Check that a cohort was made with these arguments of `write_phantom_cohort`.

    Raises:
        UserError: The arguments differ, or its phantom.json cannot be read.
    """
    recipe = folder / "phantom.json"
    try:
        made = json.loads(recipe.read_text(encoding="utf-8"))
        existing = len(made["scans"]), made["seed"], tuple(made["shape"]), tuple(made["spacing_mm"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{recipe}: cannot be read as the recipe of phantoms; choose another output folder") from error
    if existing != (scans, seed, shape, spacing_mm):
        came, expected = (
            f"{count} phantoms with seed {of}, {size} voxels of {edge} mm"
            for count, of, size, edge in (existing, (scans, seed, shape, spacing_mm))
        )
        raise UserError(f"{folder}: {came}; expected {expected}; choose another output folder")


def _check_grid(shape: Index3, spacing_mm: Float3) -> None:
    """Refuse a grid that cannot hold a chest, or that no computer holds."""
    if not all(FINEST_MM <= edge <= COARSEST_MM for edge in spacing_mm):  # nan is not
        edges = " ".join(f"{edge:g}" for edge in spacing_mm)
        raise UserError(f"voxels of {edges} mm (--spacing); expected {FINEST_MM:g} to {COARSEST_MM:g} mm each")
    if min(shape) < 1 or math.prod(shape) > MOST_VOXELS:
        sides = " ".join(map(str, shape))
        raise UserError(f"a scan of {sides} voxels (--size); expected at least 1 a side and at most {MOST_VOXELS:,}")
    spans = [side * edge for side, edge in zip(shape, spacing_mm, strict=True)]
    if any(span < least for span, least in zip(spans, CHEST_MM, strict=True)):
        came, expected = (" x ".join(f"{span:g}" for span in sides) for sides in (spans, CHEST_MM))
        raise UserError(f"a scan of {came} mm (--size times --spacing); a chest needs {expected} mm (z y x)")


def _write_scan(folder: Path, shape: Index3, spacing_mm: Float3, job: tuple[str, int]) -> dict[int, int]:
    """Make and write one scan; return its scores."""
    name, seed = job
    phantom = make_phantom(seed, shape, spacing_mm)
    for place, volume in (
        ("images", phantom.image),
        ("regions", phantom.lobes),
        ("truth", phantom.lesions),
        ("anatomy/vessels", phantom.vessels),
        ("anatomy/airways", phantom.airways),
    ):
        write_volume(volume, folder / place / f"{name}.nii.gz")
    return phantom.scores


def _score_table(names: list[str], scores: list[dict[int, int]]) -> pd.DataFrame:
    """One row per scan and lobe."""
    rows = [(name, lobe, row[label]) for name, row in zip(names, scores, strict=True) for lobe, label in LOBES.items()]
    return pd.DataFrame(rows, columns=["scan", "region", "score"])
