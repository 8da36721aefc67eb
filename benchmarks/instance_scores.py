"""AP-75 of two label volumes: weakmask's joint histogram beside two plain ways in NumPy.

The first peer counts all pairs of labels with one `np.unique`; the second does as the scorer mAP_3Dvolume: sizes by
`np.unique`, then the overlaps of each prediction in its own box. Both match predictions, largest first, in a plain
loop. The volumes hold ellipsoids; of the predictions some are moved, split, merged, missing or false. All three give
the same number. One thread for all; wall time; the ratio is of the medians. The claim is 10 times at the least.

Usage: instance_scores.py [--json] [--rounds N] [--side N]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import ndimage

from weakmask.evaluation.instance_overlap import instance_overlap
from weakmask.evaluation.instances import average_precision


def two_volumes(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Truth and prediction: about 5 % of the volume in ellipsoids of 5 to 20 voxels."""
    rng = np.random.default_rng(0)
    truth, found = (np.zeros((side,) * 3, np.uint32) for _ in range(2))
    number = max(8, side**3 // 200_000)
    for label in range(1, number + 1):
        radii = rng.uniform(5, min(20, side / 6), 3)
        centre = rng.uniform(21, side - 21, 3)
        _ellipsoid(truth, centre, radii, label)
        way = rng.integers(0, 10)
        if way == 0:  # missed
            continue
        moved = centre + rng.normal(0, 1.2, 3)
        _ellipsoid(found, moved, radii * rng.uniform(0.9, 1.1), label)
        if way == 1:  # split
            half = found[int(moved[0]) :]
            half[half == label] = label + number
        if way == 2:  # merged with the one before
            found[found == label] = max(1, label - 1)
    return found, truth


def _ellipsoid(volume: np.ndarray, centre: np.ndarray, radii: np.ndarray, label: int) -> None:
    low = np.maximum(np.floor(centre - radii), 0).astype(int)
    high = np.minimum(np.ceil(centre + radii) + 1, volume.shape).astype(int)
    place = np.ogrid[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    inside = sum(((at - c) / r) ** 2 for at, c, r in zip(place, centre, radii, strict=True)) <= 1
    volume[tuple(slice(a, b) for a, b in zip(low, high, strict=True))][inside] = label


def by_weakmask(found: np.ndarray, truth: np.ndarray) -> float:
    """The joint histogram, run by run."""
    return average_precision(instance_overlap(found, truth))


def by_one_unique(found: np.ndarray, truth: np.ndarray) -> float:
    """All pairs of labels by one `np.unique`."""
    factor = int(truth.max()) + 1
    keys, voxels = np.unique(found.astype(np.int64) * factor + truth, return_counts=True)
    sizes: dict[int, int] = {}
    true_sizes: dict[int, int] = {}
    shared: dict[int, dict[int, int]] = {}
    for key, count in zip(keys.tolist(), voxels.tolist(), strict=True):
        one, other = divmod(key, factor)
        sizes[one] = sizes.get(one, 0) + count
        true_sizes[other] = true_sizes.get(other, 0) + count
        shared.setdefault(one, {})[other] = count
    return _plain_precision(sizes, true_sizes, shared)


def by_boxes(found: np.ndarray, truth: np.ndarray) -> float:
    """Sizes by `np.unique`, and the overlaps of each prediction in its own box."""
    sizes, true_sizes = (
        dict(zip(*(part.tolist() for part in np.unique(labels, return_counts=True)), strict=True))
        for labels in (found, truth)
    )
    shared = {}
    for label, box in enumerate(ndimage.find_objects(found.astype(np.int64)), 1):
        if box is not None:
            met = np.unique(truth[box][found[box] == label], return_counts=True)
            shared[label] = dict(zip(*(part.tolist() for part in met), strict=True))
    return _plain_precision(sizes, true_sizes, shared)


def _plain_precision(sizes: dict[int, int], true_sizes: dict[int, int], shared: dict[int, dict[int, int]]) -> float:
    """AP-75 from sizes and shared voxels, predictions ranked by size."""
    taken: set[int] = set()
    right, points = 0, []
    truths = len(true_sizes) - (0 in true_sizes)
    ranked = sorted((label for label in sizes if label), key=lambda label: (-sizes[label], label))
    for rank, label in enumerate(ranked, 1):
        for other, count in shared[label].items():
            iou = count / (sizes[label] + true_sizes[other] - count)
            if other and iou >= 0.75 and other not in taken:
                taken.add(other)
                right += 1
                break
        points.append((right / truths, right / rank))
    best = [max((q for r, q in points if r >= k / 100 - 1e-12), default=0.0) for k in range(101)]
    return statistics.fmean(best)


def measure(side: int, rounds: int) -> list[dict[str, object]]:
    """Every way, one after the other, in each round."""
    found, truth = two_volumes(side)
    ways: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
        "weakmask": by_weakmask,
        "one np.unique": by_one_unique,
        "a box a prediction": by_boxes,
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    answers: dict[str, float] = {}
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            answers[name] = way(found, truth)
            seconds[name].append(time.perf_counter() - start)
    median = {name: statistics.median(runs) for name, runs in seconds.items()}
    return [
        {
            "case": f"{side}^3, {len(np.unique(truth)) - 1} truths",
            "peer": name,
            "ratio": median[name] / median["weakmask"],
            "seconds": median["weakmask"],
            "peer_seconds": median[name],
            "ap_75": answers["weakmask"],
            "largest_difference": abs(answers[name] - answers["weakmask"]),
        }
        for name in list(ways)[1:]
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--side", type=int, default=512, help="voxels along each axis")
    arguments = parser.parse_args()
    rows = measure(arguments.side, arguments.rounds)
    if arguments.json:
        print(json.dumps({"benchmark": "instance_scores", "cases": rows}))
        return
    table = Table("case", "peer", "ratio", "weakmask", "peer's time", "AP-75", "difference")
    for row in rows:
        times = (f"{row['ratio']:.1f}", f"{row['seconds']:.2f} s", f"{row['peer_seconds']:.1f} s")
        table.add_row(
            str(row["case"]), str(row["peer"]), *times, f"{row['ap_75']:.4f}", f"{row['largest_difference']:.0e}"
        )
    Console().print(table)


if __name__ == "__main__":
    main()
