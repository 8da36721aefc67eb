"""Resampling on one core: weakmask beside SimpleITK and SciPy, with the agreement of the answers.

The grids are those of the dRAM method: a chest CT to 1.2 mm, a lobe to 80^3, maps and masks back onto the scan. Every
round runs each of them once, one after the other, and counts processor time; the ratio is of the medians.

Usage: resample.py [--json] [--rounds N] [--small]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from rich.console import Console
from rich.table import Table
from scipy import ndimage
from scipy.spatial.transform import Rotation

from weakmask.volume.geometry import Box, Geometry
from weakmask.volume.itk import to_itk
from weakmask.volume.resample import resample_onto
from weakmask.volume.volume import Volume


@dataclass(frozen=True)
class Case:
    """One thing that the method does: a volume and the grid it goes to."""

    name: str
    volume: Volume
    grid: Geometry


def cases(shape: tuple[int, int, int]) -> list[Case]:
    """The method's resamplings of a scan of this shape with the spacing of a chest CT."""
    rng = np.random.default_rng(0)
    hu = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), 2) * 8000 - 500
    scan = Volume(hu.astype(np.int16), Geometry(shape, (1.25, 0.7, 0.7), (-20.5, -156.5, -172.0)))
    lobes = scan.with_voxels((hu // 200 % 6).astype(np.uint8), "label")
    even = scan.geometry.with_spacing((1.2, 1.2, 1.2))
    z, y, x = shape
    lobe = scan.geometry.cropped(Box((z // 8, y // 4, x // 8), (z * 7 // 8, y * 3 // 4, x // 2)))
    crop = lobe.with_shape((80, 80, 80))
    activation = Volume(rng.random(crop.shape, dtype=np.float32), crop)
    turn = Rotation.from_euler("zyx", [10, 5, -8], degrees=True).as_matrix()
    oblique = Geometry(even.shape, even.spacing_mm, even.origin_mm, turn.tolist())
    return [
        Case("scan to 1.2 mm", scan, even),
        Case("lobes to 1.2 mm", lobes, even),
        Case("lobe to 80^3", scan, crop),
        Case("map of 80^3 back to the lobe", activation, lobe),
        Case("map of 80^3 back to the scan", activation, scan.geometry),
        Case("mask of 1.2 mm back to the scan", resample_onto(lobes, even), scan.geometry),
        Case("scan onto a turned grid", scan, oblique),
    ]


def by_itk(case: Case) -> Callable[[], np.ndarray]:
    """SimpleITK from its own image to an array; the copy into its image is not counted."""
    source = to_itk(case.volume.voxels, case.volume.geometry)
    label = case.volume.kind == "label"
    resampler = sitk.ResampleImageFilter()
    resampler.SetInterpolator(sitk.sitkNearestNeighbor if label else sitk.sitkLinear)
    resampler.SetOutputPixelType(source.GetPixelID() if label else sitk.sitkFloat32)
    resampler.SetSize(case.grid.shape[::-1])
    resampler.SetOutputSpacing(case.grid.spacing_mm[::-1])
    resampler.SetOutputOrigin(case.grid.origin_mm[::-1])
    resampler.SetOutputDirection(case.grid.direction_xyz.ravel().tolist())
    return lambda: sitk.GetArrayFromImage(resampler.Execute(source))


def by_scipy(case: Case) -> Callable[[], np.ndarray]:
    """scipy.ndimage.affine_transform; outside the scan it repeats the edge where the others fill."""
    matrix = case.grid.index_map(case.volume.geometry)
    straight = np.allclose(matrix[:3, :3], np.diag(np.diag(matrix)[:3]))
    label = case.volume.kind == "label"
    return lambda: ndimage.affine_transform(
        case.volume.voxels,
        np.diag(matrix)[:3] if straight else matrix[:3, :3],
        matrix[:3, 3],
        case.grid.shape,
        output=case.volume.voxels.dtype if label else np.float32,
        order=0 if label else 1,
        mode="nearest",
    )


def agreement(case: Case, ours: np.ndarray, theirs: np.ndarray, *, fills: bool) -> dict[str, float]:
    """How the answers differ, where both have one.

    Labels halfway between two voxels go up here, and wherever rounding takes them there: these are the share that
    differs.
    """
    compared = np.ones(ours.shape, bool)
    if not fills:
        whole = case.volume.with_voxels(np.ones(case.volume.voxels.shape, np.uint8), "label")
        compared = resample_onto(whole, case.grid).voxels > 0
    apart = np.abs(ours.astype(np.float32) - theirs.astype(np.float32))[compared]
    return {"largest_difference": float(apart.max()), "differing_share": float((apart > 0.01).mean())}


def measure(case: Case, rounds: int) -> list[dict[str, str | float]]:
    """The rows of one case, one per peer."""
    runs: dict[str, Callable[[], np.ndarray]] = {
        "weakmask": lambda: resample_onto(case.volume, case.grid).voxels,
        "SimpleITK": by_itk(case),
        "SciPy": by_scipy(case),
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    answers: dict[str, np.ndarray] = {}
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.process_time()
            answers[name] = run()
            seconds[name].append(time.process_time() - start)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    return [
        {
            "case": f"{case.name} / {peer}",
            "ratio": median[peer] / median["weakmask"],
            "seconds": median["weakmask"],
            "peer_seconds": median[peer],
            **agreement(case, answers["weakmask"], answers[peer], fills=peer == "SimpleITK"),
        }
        for peer in ("SimpleITK", "SciPy")
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--small", action="store_true", help="a scan of 64 x 128 x 128 voxels, to try the script")
    arguments = parser.parse_args()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    shape = (64, 128, 128) if arguments.small else (192, 384, 384)
    rows = [row for case in cases(shape) for row in measure(case, arguments.rounds)]
    if arguments.json:
        print(json.dumps({"benchmark": "resample", "shape": shape, "cases": rows}))
        return
    table = Table("case / peer", title=f"resampling a scan of {' x '.join(map(str, shape))} on one core")
    for heading in ("peer time / ours", "ours s", "peer s", "largest difference", "share that differs"):
        table.add_column(heading, justify="right")
    for row in rows:
        numbers = ("ratio", "seconds", "peer_seconds", "largest_difference", "differing_share")
        table.add_row(str(row["case"]), *(f"{row[name]:.3g}" for name in numbers))
    Console().print(table)


if __name__ == "__main__":
    main()
