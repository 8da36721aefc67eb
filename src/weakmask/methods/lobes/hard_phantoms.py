"""A test of lobe networks on phantoms that they have not seen: healthy, with lesions, with noise, in thick slices.

The test scans lie in one folder, as NAME_image, NAME_lobes and NAME_field, so that each is made once for all networks;
NAME begins with the subset.
"""

from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd

from weakmask.anatomy.lung_field import lung_field
from weakmask.atomic_write import atomic_folder
from weakmask.methods.lobes.evaluate_run import LOBES, lobe_dice
from weakmask.methods.lobes.scans import PHANTOM_MM, phantom_scan
from weakmask.phantoms.poor_scans import with_noise, with_thick_slices
from weakmask.phantoms.score_draws import draw_scores
from weakmask.progress import track
from weakmask.regions.find_lobes import find_lobes
from weakmask.regions.lobe_model import LobeModel
from weakmask.volume.files import read_volume, write_volume
from weakmask.volume.geometry import Float3
from weakmask.volume.volume import Volume

TEST_SEED = 77_000  # of the test phantoms; no training seed comes near
LEAST_SCORE = 5  # the sum of the lobes' scores in a test scan with lesions
TIMED = 3  # scans whose median time is the network's
PARTS = ("image", "lobes", "field")
NUMBERS = [*LOBES, "mean", "network_alone", "implausible", "seconds_per_scan", "parameters"]  # of a scan


def _unchanged(image: Volume, lobes: Volume, seed: int) -> tuple[Volume, Volume]:  # noqa: ARG001 (as the others)
    return image, lobes


SUBSETS: dict[str, tuple[bool, Callable[[Volume, Volume, int], tuple[Volume, Volume]]]] = {
    # name: whether the scans have lesions, and what makes them hard
    "healthy": (False, _unchanged),
    "lesions": (True, _unchanged),
    "noise": (True, with_noise),
    "thick slices": (True, with_thick_slices),
}


def write_test_scans(folder: Path, count: int, spacing_mm: Float3) -> None:
    """Write the test scans unless the folder exists.

    Args:
        folder: The folder to make, complete or absent.
        count: Scans of each subset.
        spacing_mm: Edges of a voxel.
    """
    if folder.exists():
        return
    z, y, x = (round(mm / edge) for mm, edge in zip(PHANTOM_MM, spacing_mm, strict=True))
    candidates = range(TEST_SEED, TEST_SEED + 100 * count)
    ill = [seed for seed in candidates if sum(draw_scores(seed).values()) >= LEAST_SCORE]
    jobs = [
        (subset, number, seed)
        for subset, (lesions, _) in SUBSETS.items()
        for number, seed in enumerate((ill if lesions else list(candidates))[:count])
    ]
    with atomic_folder(folder) as temporary:
        for subset, number, seed in track(jobs, "test scans", len(jobs)):
            lesions, harden = SUBSETS[subset]
            image, lobes = harden(*phantom_scan(seed, (z, y, x), spacing_mm, ill=lesions), seed)
            for part, volume in zip(PARTS, (image, lobes, lung_field(image)), strict=True):
                write_volume(volume, temporary / f"{subset.replace(' ', '-')}_{number:02d}_{part}.nii.gz")


def phantom_results(folder: Path, model: LobeModel) -> pd.DataFrame:
    """A line per test scan: `subset`, `scan` and `NUMBERS`. The time is that of a whole prediction, lungs included."""
    names = sorted(path.name.removesuffix("_image.nii.gz") for path in folder.glob("*_image.nii.gz"))
    seconds = []
    for name in names[:TIMED]:
        image = _read(folder, name, "image")
        start = perf_counter()
        find_lobes(model, image)
        seconds.append(perf_counter() - start)
    parameters = sum(weight.numel() for weight in model.network.parameters())
    rows = []
    for name in track(names, "evaluation", len(names)):
        image, lobes, field = (_read(folder, name, part) for part in PARTS)
        found = find_lobes(model, image, field)
        subset = name.rsplit("_", 1)[0].replace("-", " ")
        alone, implausible = lobe_dice(found.drawn, lobes)["mean"], int(bool(found.faults))
        values = (alone, implausible, float(np.median(seconds)), parameters)
        dice = lobe_dice(found.lobes, lobes)
        rows.append({"subset": subset, "scan": name, **dice, **dict(zip(NUMBERS[len(dice) :], values, strict=True))})
    return pd.DataFrame(rows)


def _read(folder: Path, name: str, part: str) -> Volume:
    return read_volume(folder / f"{name}_{part}.nii.gz", "image" if part == "image" else "label")
