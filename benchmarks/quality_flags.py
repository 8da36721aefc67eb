"""Which numbers of a prediction tell that its mask is bad: the AUROC of each for "Dice below 0.5".

Starts from the folders of finished trainings whose test scans have true masks. Each candidate is a number of one
scan that is computed without its truth; higher should mean a worse mask. A scan counts once for each training; the
interval is that of 1,000 bootstraps over patients, as a scan of three seeds is one scan. Scans without true lesions are
left out, as their Dice says nothing. `found share` is no quality flag: it is what a flag has to be better than, because
small lesions have a low Dice.

Usage: quality_flags.py [--json] [--table FILE.csv] [--without-network] RUN...
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from scipy.ndimage import label, zoom
from scipy.stats import rankdata

from weakmask.config import parse
from weakmask.methods import METHODS, load_segmenter
from weakmask.pipeline import Work
from weakmask.pipeline.cohort_cases import evaluated_cases, noted_cohort
from weakmask.prediction import Scan, Segmenter
from weakmask.region_learning.usable_cases import in_hounsfield, read_scan
from weakmask.volume.files import read_volume
from weakmask.volume.storage_order import in_order_of, upright
from weakmask.volume.volume import Volume

BAD = 0.5  # a mask of a lower Dice
BOOTSTRAPS = 1_000
EDGES = np.linspace(-1200, 300, 61)  # HU
TRAINING_SCANS = 40  # whose histograms are compared with
BAND = (0.3, 0.7)  # thresholds of the map between which the mask may change
SMALLER = 0.8  # factor of the scan for another scale


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--table", type=Path, help="write the numbers of all scans into this file")
    parser.add_argument("--without-network", action="store_true", help="leave out flips and scales, which take longest")
    parser.add_argument("runs", type=Path, nargs="+")
    given = parser.parse_args()
    table = pd.DataFrame([row for run in given.runs for row in rows_of(run, network=not given.without_network)])
    if given.table:
        table.to_csv(given.table, index=False)
    cases = [case for name in table.columns[3:] if (case := measured(table, name))]
    bad = int((table["dice"] < BAD).sum())
    if given.json:
        print(json.dumps({"benchmark": "quality_flags", "scans": len(table), "bad": bad, "cases": cases}))
        return
    print(f"{len(table)} masks of {table['patient'].nunique()} patients, {bad} with a Dice below {BAD}")
    for case in cases:
        print(f"{case['case']:34} AUROC {case['auroc']:.3f} [{case['low']:.3f}, {case['high']:.3f}]")


def measured(table: pd.DataFrame, name: str) -> dict[str, Any]:
    """The AUROC of a candidate with its 95 % interval; empty where there is only one kind of mask."""
    rng, patients = np.random.default_rng(0), table["patient"].unique()
    rows_of_patient = [np.flatnonzero(table["patient"] == patient) for patient in patients]
    bad, values = (table["dice"] < BAD).to_numpy(), table[name].to_numpy(float)
    if bad.all() or not bad.any():
        return {}
    drawn = []
    for _ in range(BOOTSTRAPS):
        rows = np.concatenate([rows_of_patient[k] for k in rng.integers(len(patients), size=len(patients))])
        if bad[rows].any() and not bad[rows].all():
            drawn.append(auroc(bad[rows], values[rows]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {"case": name, "auroc": float(auroc(bad, values)), "low": float(low), "high": float(high)}


def auroc(bad: np.ndarray, values: np.ndarray) -> float:
    """The probability that a bad mask has a higher value than a good one; ties count half."""
    number = int(bad.sum())
    return float((rankdata(values)[bad].sum() - number * (number + 1) / 2) / (number * (len(bad) - number)))


def rows_of(run: Path, *, network: bool) -> Iterator[dict[str, Any]]:
    """A row per test scan with true lesions: patient, run, Dice, and the candidates."""
    values = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    config = parse(METHODS[values["method"]].settings, values, str(run))
    work = Work(run, run, config)
    results = pd.read_csv(run / "results.csv", dtype={"scan": str})
    own = results[(results["method"] == results["method"].iloc[0]) & (results["subset"] == "all")].set_index("scan")
    segmenter = load_segmenter(run, "cpu")
    usual = training_histogram(work)
    cohort, cases = evaluated_cases(work)
    for case in cases:
        if case.name not in own.index or own.loc[case.name, "tp"] + own.loc[case.name, "fn"] == 0:
            continue
        scan = upright_scan(read_scan(case, cohort, work))
        found = {
            kind: in_order_of(read_volume(work.stage("maps") / kind / f"{case.name}.nii.gz"), scan.image.geometry)
            for kind in ("masks", "activation")
        }
        mask = found["masks"].voxels > 0
        yield {
            "patient": case.group,
            "run": str(run),
            "dice": float(own.loc[case.name, "dice"]),
            **of_regions(scan),
            **of_map(found["activation"].voxels, mask, regions_in(scan)),
            "grey values unlike the training": distance_of(histogram_of(scan, work), usual),
            **(of_network(segmenter, scan, mask) if network else {}),
        }


def upright_scan(scan: Scan) -> Scan:
    """The scan as a network sees it."""
    image = upright(scan.image)
    return replace(scan, image=image, regions=Volume(regions_in(scan, image), image.geometry, "label"))


def regions_in(scan: Scan, image: Volume | None = None) -> np.ndarray:
    """The region labels of a scan."""
    if scan.regions is None:
        raise ValueError(f"{scan.name} has no regions")
    return scan.regions.voxels if image is None else in_order_of(scan.regions, image.geometry).voxels


def of_regions(scan: Scan) -> dict[str, float]:
    """Plausibility of the regions: parts that lie apart, volume, left beside right."""
    regions = regions_in(scan)
    inside = regions > 0
    apart, sizes = 0.0, []
    for region in np.unique(regions[inside]):
        counts = np.bincount(label(regions == region)[0].ravel())[1:]
        apart = max(apart, 1 - counts.max() / counts.sum())
        sizes.append(counts.sum())
    middle = float(np.average(np.arange(inside.shape[2]), weights=inside.sum((0, 1))))
    left = inside[:, :, int(middle) :].sum() / inside.sum()
    litres = inside.sum() * scan.image.geometry.voxel_volume_mm3 / 1e6
    return {
        "small regions": -litres,
        "parts of a region apart": apart,
        "left and right unequal": abs(float(left) - 0.5),
        "largest beside smallest region": float(np.log(max(sizes) / min(sizes))),
    }


def of_map(activation: np.ndarray, mask: np.ndarray, regions: np.ndarray) -> dict[str, float]:
    """Sensitivity of the mask to the threshold, how unsure the map is, and the share that was found."""
    inside = regions > 0
    values = np.clip(activation[inside].astype(np.float64), 1e-6, 1 - 1e-6)
    wide, narrow = ((activation >= cut) & inside for cut in BAND)
    entropy = -(values * np.log(values) + (1 - values) * np.log(1 - values))
    marked = activation[mask] if mask.any() else np.zeros(1)
    return {
        "found share (small)": -float(mask[inside].mean()),
        "mask depends on the threshold": 1 - narrow.sum() / max(1, wide.sum()),
        "entropy of the map": float(entropy.mean()),
        "entropy over found share": float(entropy.mean() / (mask[inside].mean() + 1e-3)),
        "low map in the mask": -float(marked.mean()),
        "pieces of the mask per ml found": float(label(mask)[1] / (mask.sum() + 1)),
    }


def of_network(segmenter: Segmenter, scan: Scan, mask: np.ndarray) -> dict[str, float]:
    """Disagreement with the masks of the mirrored scan and of the scan at another size."""
    regions = regions_in(scan)
    flips = []
    for axis in (1, 2):
        flipped = segmented(segmenter, scan, np.flip(scan.image.voxels, axis), np.flip(regions, axis))
        flips.append(1 - dice(np.flip(flipped, axis), mask))
    factors = [1.0 if side == 1 else SMALLER for side in mask.shape]
    smaller = zoom(scan.image.voxels.astype(np.float32), factors, order=1)
    found = segmented(segmenter, scan, smaller, zoom(regions, factors, order=0))
    scaled = dice(found, zoom(mask.astype(np.uint8), factors, order=0) > 0)
    return {"disagreement over flips": float(np.mean(flips)), "disagreement over scales": 1 - scaled}


def segmented(segmenter: Segmenter, scan: Scan, image: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """The mask of other voxels in the scan's place."""
    geometry = replace(scan.image.geometry, shape=image.shape)
    image, regions = (np.ascontiguousarray(each) for each in (image, regions))
    other = replace(scan, image=Volume(image, geometry), regions=Volume(regions, geometry, "label"))
    return segmenter.segment(other).mask.voxels > 0


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """The Dice of two masks; 1 if both are empty."""
    return 2 * float((one & other).sum()) / total if (total := int(one.sum() + other.sum())) else 1.0


def histogram_of(scan: Scan, work: Work[Any]) -> np.ndarray:
    """The shares of grey values inside the regions."""
    regions = Volume(regions_in(scan, upright(scan.image)), upright(scan.image).geometry, "label")
    image = in_hounsfield(upright(scan.image), regions, work.config.prepare)
    counts = np.histogram(np.clip(image.voxels[regions.voxels > 0], *EDGES[[0, -1]]), EDGES)[0]
    return counts / max(1, counts.sum())


def training_histogram(work: Work[Any]) -> np.ndarray:
    """The mean histogram of the first training scans."""
    cohort = noted_cohort(work.config.data.cohort, work)
    scans: Mapping[str, Any] = {case.name: case for case in cohort.cases}
    index = pd.read_csv(work.stage("prepare") / "index.csv", dtype={"scan": str})
    names = index.loc[index["split"] == "training", "scan"].unique()[:TRAINING_SCANS]
    return np.mean([histogram_of(read_scan(scans[name], cohort, work), work) for name in names], axis=0)


def distance_of(one: np.ndarray, other: np.ndarray) -> float:
    """The earth mover's distance of two histograms, in HU."""
    return float(np.abs(np.cumsum(one) - np.cumsum(other)).sum() * (EDGES[1] - EDGES[0]))


if __name__ == "__main__":
    main()
