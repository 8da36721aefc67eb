"""Do the phantoms look like real scans, and do cheap tricks fail on them as on real scans?

Prints the same figures of phantoms and of the real scans in the data folder (WEAKMASK_DATA, else ../shared/data beside
the project), measured in the same way at the same spacing, and what a threshold inside the lobes reaches on phantoms.
The paper's activation maps refined with Otsu's threshold reach an intersection over union of 0.34; a phantom that a
threshold solves would prove nothing.

Usage: phantom_realism.py [--json] [--scans N]
"""

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu

from weakmask.anatomy.lung_field import lung_field
from weakmask.errors import UserError
from weakmask.phantoms.chest_ct import Phantom, make_phantom
from weakmask.volume.files import read_volume
from weakmask.volume.geometry import Float3
from weakmask.volume.resample import resample_to_spacing
from weakmask.volume.volume import Volume

DATA = Path(os.environ.get("WEAKMASK_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
REAL = {"ricord (2 mm)": ("ricord1a_covid_ct/dicom", 2.0), "cip (4 mm)": ("cip_lowres_ct/ct-64.nrrd", 4.0)}
PERCENTILES = (5, 25, 50, 75, 95)


def figures(image: Volume, lungs: np.ndarray) -> dict[str, float]:
    """What describes a scan's lungs: HU percentiles, noise, texture, vessels, and what Otsu marks.

    Args:
        image: HU at the spacing of comparison.
        lungs: Bool mask on the same grid.
    """
    spacing = np.array(image.geometry.spacing_mm)
    where = ndimage.find_objects(lungs.astype(np.uint8))[0]
    hu, lungs = image.voxels[where].astype(np.float32), lungs[where]
    inside = hu[lungs]
    found = {f"p{q} HU": float(np.percentile(inside, q)) for q in PERCENTILES}
    core = np.asarray(ndimage.distance_transform_edt(np.pad(lungs, 1), sampling=spacing))[1:-1, 1:-1, 1:-1]
    bright = hu > -500
    thin = bright & np.logical_not(ndimage.binary_opening(bright, _ball(2.5, spacing)))
    found["vessels %"] = 100 * float(thin[core > 5].mean())
    calm = (core > 6) & (ndimage.maximum_filter(ndimage.gaussian_filter(hu, 0.7), 3) < -740)
    fine = hu - ndimage.uniform_filter(hu, 3)
    found["noise HU"] = float(1.4826 * np.median(np.abs(fine[calm])) / np.sqrt(26 / 27))
    for name, axis in (("grain z mm", 0), ("grain xy mm", 2)):
        found[name] = grain_mm(hu, calm, axis, spacing)
    cut = float(threshold_otsu(np.clip(inside, -1024, 200)))
    found["Otsu HU"] = cut
    found["Otsu marks %"] = 100 * float((inside > cut).mean())
    return found


def grain_mm(hu: np.ndarray, calm: np.ndarray, axis: int, spacing: np.ndarray) -> float:
    """Where the autocorrelation of calm lung tissue, freed of slow changes, falls to 1/e."""
    weight = ndimage.gaussian_filter(calm.astype(np.float32), 8.0 / spacing) + 1e-3
    slow = ndimage.gaussian_filter(np.where(calm, hu, 0), 8.0 / spacing) / weight
    fast = np.where(calm, hu - slow, 0)
    values, previous = [], 1.0
    variance = float((fast[calm] ** 2).mean())
    for lag in range(1, 8):
        a, b = np.moveaxis(fast, axis, 0)[lag:], np.moveaxis(fast, axis, 0)[:-lag]
        both = np.moveaxis(calm, axis, 0)[lag:] & np.moveaxis(calm, axis, 0)[:-lag]
        values.append(float((a[both] * b[both]).mean()) / variance)
        if values[-1] < np.exp(-1):
            return float(spacing[axis] * (lag - 1 + (previous - np.exp(-1)) / (previous - values[-1])))
        previous = values[-1]
    return float(8 * spacing[axis])


def _ball(radius_mm: float, spacing: np.ndarray) -> np.ndarray:
    """A ball as a mask of voxels, at least the six neighbours."""
    radius = max(radius_mm, 1.05 * float(spacing.max()))
    z, y, x = np.ogrid[tuple(slice(-n, n + 1) for n in np.floor(radius / spacing).astype(int))]
    return (z * spacing[0]) ** 2 + (y * spacing[1]) ** 2 + (x * spacing[2]) ** 2 <= radius**2


def cubic(spacing: float) -> Float3:
    """The same spacing along all axes."""
    return spacing, spacing, spacing


def real_scans() -> Iterator[tuple[str, float, dict[str, float]]]:
    """Name, spacing and figures of each real scan that is there."""
    for name, (place, spacing) in REAL.items():
        if not (DATA / place).exists():
            continue
        scan = read_volume(DATA / place)
        lungs = lung_field(scan)
        wide = [max(spacing / s - 1, 0) * 0.42 for s in scan.geometry.spacing_mm]  # a coarse voxel averages finer ones
        smooth = scan.with_voxels(ndimage.gaussian_filter(scan.voxels.astype(np.float32), wide))
        image = resample_to_spacing(smooth, cubic(spacing), -1024.0)
        yield name, spacing, figures(image, resample_to_spacing(lungs, cubic(spacing), 0).voxels > 0)


def phantoms(scans: int, spacing: float) -> list[Phantom]:
    """Phantoms on a grid that holds every chest."""
    z, xy = round(320 / spacing), round(384 / spacing)
    return [make_phantom(seed, (z, xy, xy), cubic(spacing)) for seed in range(100, 100 + scans)]


def threshold_overlap(made: list[Phantom]) -> dict[str, float]:
    """Intersection over union of thresholds inside the lobes, pooled over the scans that have lesions.

    `otsu`: Otsu's threshold of each lobe. `best fixed`: the one threshold for all scans that is best on the truth, an
    upper bound for any fixed threshold.
    """
    otsu, edges = np.zeros(2), np.arange(-1000.0, 101.0, 20.0)
    hits, unions = np.zeros(edges.size), np.zeros(edges.size)
    for phantom in made:
        truth = phantom.lesions.voxels > 0
        if not truth.any():
            continue
        for label in range(1, 6):
            lobe = phantom.lobes.voxels == label
            hu, ill = phantom.image.voxels[lobe].astype(float), truth[lobe]
            marked = hu > threshold_otsu(np.clip(hu, -1024, 200))
            otsu += (marked & ill).sum(), (marked | ill).sum()
            above = np.histogram(hu, [*edges, 1e9])[0][::-1].cumsum()[::-1]
            above_ill = np.histogram(hu[ill], [*edges, 1e9])[0][::-1].cumsum()[::-1]
            hits += above_ill
            unions += above + ill.sum() - above_ill
    best = hits / np.maximum(unions, 1)
    return {
        "otsu per lobe IoU": float(otsu[0] / max(otsu[1], 1)),
        "best fixed IoU": float(best.max()),
        "best fixed HU": float(edges[best.argmax()]),
    }


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--scans", type=int, default=16)
    arguments = parser.parse_args()
    made = {spacing: phantoms(arguments.scans, spacing) for spacing in (2.0, 4.0)}
    measured = {s: [figures(p.image, p.lobes.voxels > 0) for p in group] for s, group in made.items()}
    cases: list[dict[str, Any]] = []
    try:
        for name, spacing, real in real_scans():
            for figure, value in real.items():
                mine = [row[figure] for row in measured[spacing]]
                low, middle, high = (float(v) for v in np.percentile(mine, (10, 50, 90)))
                case = {"case": f"{name}: {figure}", "real": value, "phantom": middle, "p10": low, "p90": high}
                zero = 1000.0 if figure.endswith("HU") and figure != "noise HU" else 0.0  # HU compare as densities
                cases.append({**case, "ratio": (middle + zero) / (value + zero)})
    except UserError as error:
        raise SystemExit(str(error)) from error
    for figure, value in threshold_overlap(made[2.0]).items():
        cases.append({"case": f"threshold: {figure}", "phantom": value, "ratio": None})
    if arguments.json:
        print(json.dumps({"benchmark": "phantom_realism", "cases": cases}, indent=1))
        return
    print_table(cases)


def print_table(cases: list[dict[str, Any]]) -> None:
    """One line per figure."""
    columns = ("real", "phantom", "p10", "p90", "ratio")
    print(f"{'':34}" + "".join(f"{name:>10}" for name in columns))
    for case in cases:
        values = (case.get(name) for name in columns)
        print(f"{case['case']:34}" + "".join(f"{'' if v is None else format(v, '.2f'):>10}" for v in values))


if __name__ == "__main__":
    main()
