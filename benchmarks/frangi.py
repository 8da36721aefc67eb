"""Frangi vesselness on the processor: weakmask beside scikit-image, and how far the answers are apart.

Cases: 128^3 voxels and a picture of 512 x 512, three scales, smooth noise with a few bright tubes. Both compute the
same definition (gamma from the first scale, as scikit-image has it), ours in float32 and in float64, the peer in the
image's own type. Both run in one process, alternating; `ratio` is peer / ours of the median wall times, `difference`
the largest one of the answers where both have one: where the second or third eigenvalue has the sign of the wrong
brightness ours is 0, while scikit-image sets such eigenvalues to 1e-10 and may answer. `apart` is the share of voxels
where that happens.

Usage: frangi.py [--json] [--rounds N] [--threads N]
"""

import argparse
import json
import statistics
from time import perf_counter

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from scipy import ndimage, special
from skimage.feature import hessian_matrix, hessian_matrix_eigvals
from skimage.filters import frangi

from weakmask.refinement.frangi import vesselness

CASES = {"128^3": (128, 128, 128), "512 x 512": (512, 512)}
SIGMAS = (1.0, 2.0, 3.0)


def main() -> None:
    """Run every case."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--rounds", type=int, default=3, help="alternating runs per case (default 3)")
    parser.add_argument("--threads", type=int, default=2, help="of ours; scikit-image takes one (default 2)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    results = [
        measure(f"{name}, {dtype.__name__}", shape, dtype, arguments.rounds)
        for name, shape in CASES.items()
        for dtype in (np.float32, np.float64)
    ]
    if arguments.json:
        print(json.dumps({"benchmark": "frangi", "threads": arguments.threads, "cases": results}))
        return
    table = Table("case", "ours s", "scikit-image s", "ratio", "difference", "apart")
    for row in results:
        numbers = (row["seconds"], row["peer_seconds"], row["ratio"], row["difference"], row["apart"])
        table.add_row(str(row["case"]), *(f"{number:.3g}" for number in numbers))
    Console().print(table)


def measure(name: str, shape: tuple[int, ...], dtype: type, rounds: int) -> dict[str, object]:
    """Both on one image, in turn."""
    image = tubes(shape).astype(dtype)
    given = torch.from_numpy(image)[None, None]
    seconds: dict[str, list[float]] = {"ours": [], "peer": []}
    vesselness(given, SIGMAS, gamma="first")  # threads and allocator warm
    for _ in range(rounds):
        start = perf_counter()
        ours = vesselness(given, SIGMAS, gamma="first")[0, 0].numpy()
        between = perf_counter()
        theirs = frangi(image, SIGMAS, black_ridges=False)
        seconds["peer"].append(perf_counter() - between)
        seconds["ours"].append(between - start)
    judged = ~wrong_brightness(image)
    mine, peer = (statistics.median(seconds[side]) for side in ("ours", "peer"))
    return {
        "case": name,
        "ratio": peer / mine,
        "seconds": mine,
        "peer_seconds": peer,
        "difference": float(np.abs(ours - theirs)[judged].max()),
        "apart": float((np.abs(ours - theirs) > 1e-3)[~judged].sum() / image.size),
    }


def tubes(shape: tuple[int, ...]) -> np.ndarray:
    """Smooth noise with bright tubes of several widths along the last axis."""
    random = np.random.default_rng(0)
    image = 0.1 * ndimage.gaussian_filter(random.standard_normal(shape), 1.0)
    across = np.indices(shape[:-1])
    for radius in (1.0, 1.5, 2.5, 4.0):
        for _ in range(6):
            middle = random.uniform(0, shape[0], len(across)).reshape(-1, *[1] * len(across))
            distance = np.sqrt(np.square(across - middle).sum(0))
            image += special.expit(2 * (radius - distance))[..., None]
    return image


def wrong_brightness(image: np.ndarray) -> np.ndarray:
    """Where at some scale the second or third eigenvalue belongs to something dark."""
    wrong = np.zeros(image.shape, dtype=bool)
    for sigma in SIGMAS:
        entries = hessian_matrix(-image, sigma, mode="reflect", use_gaussian_derivatives=True)
        found = hessian_matrix_eigvals(entries)
        ordered = np.take_along_axis(found, np.abs(found).argsort(0), 0)
        wrong |= ordered[1:].min(axis=0) < 0
    return wrong


if __name__ == "__main__":
    main()
