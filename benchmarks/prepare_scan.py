"""Preparing one chest CT on one core: weakmask beside the straightforward way with SciPy and scikit-image.

The job is what dRAM needs of a scan: read it and its lobes, find the lungs, resample to 1.2 mm, crop each lobe to 80^3.
The scan is a phantom of 512 x 512 x 300 voxels, so both lung fields are also held against the truth. The peer works at
full resolution as tutorials do: threshold, clear the border, keep the largest components slice by slice, close with a
disk, fill holes, zoom. The claim is that weakmask needs at most 20 s.

Every round runs each of them once, one after the other, and counts processor time; the ratio is of the medians.

Usage: prepare_scan.py [--json] [--rounds N] [--small]
"""

import argparse
import json
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from rich.console import Console
from rich.table import Table
from scipy import ndimage
from skimage.measure import label as components
from skimage.morphology import disk
from skimage.segmentation import clear_border
from threadpoolctl import threadpool_limits

from weakmask.anatomy.lung_field import lung_field
from weakmask.phantoms.chest_ct import make_phantom
from weakmask.volume.files import read_volume, write_volume
from weakmask.volume.geometry import Float3, Index3
from weakmask.volume.regions import crop_region, region_boxes
from weakmask.volume.resample import resample_onto, resample_to_spacing
from weakmask.volume.volume import Volume

STEPS = ("read", "lung field", "to 1.2 mm", "crops")
EVEN: Float3 = (1.2, 1.2, 1.2)
CROP: Index3 = (80, 80, 80)
MARGIN_MM = 5.0


@dataclass
class Prepared:
    """What came out, in arrays that both ways have: lungs on the scan's grid, scan at 1.2 mm, crops by lobe."""

    lungs: np.ndarray
    even: np.ndarray
    crops: dict[int, np.ndarray]


def write_scan(folder: Path, shape: Index3) -> np.ndarray:
    """Write a phantom and its lobes on a grid of this shape over 320 x 384 x 384 mm; returns the true lungs."""
    phantom = make_phantom(seed=3)
    grid = phantom.image.geometry.with_shape(shape)
    hu = resample_onto(phantom.image, grid).voxels
    hu += np.random.default_rng(0).normal(0, 15, shape).astype(np.float32)  # interpolation has smoothed the noise away
    lobes = resample_onto(phantom.lobes, grid)
    write_volume(Volume(hu.astype(np.int16), grid), folder / "scan.nii")
    write_volume(lobes, folder / "lobes.nii")
    return lobes.voxels > 0


def by_weakmask(folder: Path, clock: Callable[[str], None]) -> Prepared:
    """The house's way."""
    scan = read_volume(folder / "scan.nii")
    lobes = read_volume(folder / "lobes.nii", kind="label")
    clock("read")
    lungs = lung_field(scan)
    clock("lung field")
    even, even_lobes = resample_to_spacing(scan, EVEN, fill=-1024), resample_to_spacing(lobes, EVEN)
    clock("to 1.2 mm")
    crops = {}
    for label in region_boxes(even_lobes):
        part, inside = crop_region(even, even_lobes, label, MARGIN_MM, CROP)
        crops[label] = part.voxels * inside.voxels
    clock("crops")
    return Prepared(lungs.voxels > 0, even.voxels, crops)


def by_tutorial(folder: Path, clock: Callable[[str], None]) -> Prepared:
    """The way one finds in tutorials, every step on every voxel."""
    image = sitk.ReadImage(str(folder / "scan.nii"))
    hu = sitk.GetArrayFromImage(image)
    lobes = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "lobes.nii")))
    clock("read")
    lungs = np.stack([tutorial_slice(plane) for plane in hu])
    pieces = components(lungs)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    lungs = np.isin(pieces, [n for n in np.argsort(sizes)[-2:] if sizes[n] > 0.1 * sizes.max()])
    clock("lung field")
    factors = np.array(image.GetSpacing()[::-1]) / EVEN
    even = ndimage.zoom(hu.astype(np.float32), factors, order=1, mode="nearest", grid_mode=True)
    even_lobes = ndimage.zoom(lobes, factors, order=0, mode="nearest", grid_mode=True)
    clock("to 1.2 mm")
    crops = {}
    margin = int(np.ceil(MARGIN_MM / EVEN[0]))
    for label in np.unique(even_lobes)[1:]:
        at = np.argwhere(even_lobes == label)
        start, stop = np.maximum(at.min(axis=0) - margin, 0), at.max(axis=0) + 1 + margin
        box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
        part, inside = even[box], even_lobes[box] == label
        scale = np.array(CROP) / part.shape
        zoomed = ndimage.zoom(part, scale, order=1, mode="nearest", grid_mode=True)
        crops[int(label)] = zoomed * ndimage.zoom(
            inside.astype(np.uint8), scale, order=0, mode="nearest", grid_mode=True
        )
    clock("crops")
    return Prepared(lungs, even, crops)


def tutorial_slice(hu: np.ndarray) -> np.ndarray:
    """The lungs of one axial slice: air that does not touch the border, its two largest pieces, closed and filled."""
    air = clear_border(hu < -400)
    pieces = components(air)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    air = np.isin(pieces, [n for n in np.argsort(sizes)[-2:] if sizes[n] > 0])
    closed = ndimage.binary_closing(np.pad(air, 10), disk(10))[10:-10, 10:-10]
    return ndimage.binary_fill_holes(closed)


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Overlap of two masks."""
    return 2 * float((one & other).sum()) / float(one.sum() + other.sum())


def close_share(ours: Prepared, theirs: Prepared) -> float:
    """The share of voxels of the 1.2 mm scan and of the crops that are within 20 HU of one another."""
    inner = tuple(slice(1, min(n, m) - 1) for n, m in zip(ours.even.shape, theirs.even.shape, strict=True))
    pairs = [(ours.even[inner], theirs.even[inner])]
    pairs += [(crop, theirs.crops[label]) for label, crop in ours.crops.items()]
    return float(np.mean([(np.abs(a - b) < 20).mean() for a, b in pairs]))


def timed(
    prepare: Callable[[Path, Callable[[str], None]], Prepared], folder: Path
) -> tuple[Prepared, dict[str, float]]:
    """One run with the processor seconds of each step."""
    seconds: dict[str, float] = {}
    last = time.process_time()

    def clock(step: str) -> None:
        nonlocal last
        now = time.process_time()
        seconds[step], last = now - last, now

    return prepare(folder, clock), seconds


def lung_field_memory_mib(path: Path) -> float:
    """Peak of what the lung field takes on top of the scan, in a run of its own, for watching it costs time."""
    scan = read_volume(path)
    tracemalloc.start()
    lung_field(scan)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def measure(folder: Path, truth: np.ndarray, rounds: int) -> dict[str, object]:
    """Both ways, alternating; rows for the whole job and for each step."""
    times: dict[str, list[dict[str, float]]] = {"weakmask": [], "tutorial": []}
    answers = {}
    for _ in range(rounds):
        for name, way in (("weakmask", by_weakmask), ("tutorial", by_tutorial)):
            answers[name], seconds = timed(way, folder)
            times[name].append(seconds)
    ours, theirs = answers["weakmask"], answers["tutorial"]

    def row(case: str, steps: tuple[str, ...], agreement: float) -> dict[str, object]:
        median = {name: statistics.median(sum(run[s] for s in steps) for run in runs) for name, runs in times.items()}
        return {
            "case": case,
            "ratio": median["tutorial"] / median["weakmask"],
            "seconds": median["weakmask"],
            "peer_seconds": median["tutorial"],
            "agreement": agreement,
        }

    lungs, same = dice(ours.lungs, theirs.lungs), close_share(ours, theirs)
    return {
        "benchmark": "prepare_scan",
        "shape": list(truth.shape),
        "dice_with_truth": {"weakmask": dice(ours.lungs, truth), "tutorial": dice(theirs.lungs, truth)},
        "lung_field_memory_mib": lung_field_memory_mib(folder / "scan.nii"),
        "cases": [
            row("whole job", STEPS, min(lungs, same)),
            row("read", ("read",), 1.0),
            row("lung field", ("lung field",), lungs),
            row("to 1.2 mm and crops", ("to 1.2 mm", "crops"), same),
        ],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--small", action="store_true", help="a scan of 80 x 128 x 128 voxels, to try the script")
    arguments = parser.parse_args()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    shape = (80, 128, 128) if arguments.small else (300, 512, 512)
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        truth = write_scan(Path(folder), shape)
        found = measure(Path(folder), truth, arguments.rounds)
    if arguments.json:
        print(json.dumps(found))
        return
    table = Table(title=f"preparing a scan of {' x '.join(map(str, shape))} on one core")
    for heading in ("case", "peer time / ours", "ours s", "peer s", "agreement"):
        table.add_column(heading, justify="right" if heading != "case" else "left")
    for row in found["cases"]:  # pyright: ignore[reportGeneralTypeIssues]
        table.add_row(row["case"], *(f"{row[n]:.3g}" for n in ("ratio", "seconds", "peer_seconds", "agreement")))
    console = Console()
    console.print(table)
    console.print(f"Dice with the true lungs: {found['dice_with_truth']}")
    console.print(f"memory of the lung field on top of the scan: {found['lung_field_memory_mib']:.0f} MiB")


if __name__ == "__main__":
    main()
