"""The dense CRF beside pydensecrf2, set-up included, and both beside the plain mean field of all pairs.

Cases: a volume of 80^3 with two classes and 5 iterations (three pairs of sigmas), a grey picture of 512 x 512 with two
classes and 10 iterations, a colour picture of 500 x 375 with 21 classes and 10 iterations (VOC). Both start from the
same probabilities and run in one process, alternating; printed are medians of wall time and `ratio` = peer / ours, the
share of equal labels, and, on six small pieces of each case, the mean and the largest difference of both from the
brute-force mean field, which is the truth that both approximate: after one iteration, which is the error of the
kernels, and at the end, where a voxel on the edge of two labels may have flipped. Ours uses the threads given; the peer
has one by construction.

Usage: dense_crf.py [--json] [--rounds N] [--threads N] [--device cuda]
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from skimage import data, transform

from weakmask.refinement import CRF, dense_crf

try:
    from pydensecrf import densecrf as peer_library
except ImportError:
    sys.exit("this benchmark needs its peer: pip install pydensecrf2 (or make benchmarks)")


@dataclass(frozen=True)
class Case:
    """A picture, what a network would say of it, and a CRF."""

    name: str
    image: np.ndarray  # channels, *space; 0 ... 255
    probabilities: np.ndarray  # classes, *space
    crf: CRF

    def pieces(self, length: int, count: int = 6) -> "list[Case]":
        """Where the network is least sure, each small enough for all pairs."""
        doubt = ndimage.uniform_filter(1 - self.probabilities.max(0), length, mode="constant")
        found = []
        for _ in range(count):
            centre = np.unravel_index(doubt.argmax(), doubt.shape)
            cut = tuple(slice(max(0, c - length // 2), c + length // 2) for c in centre)
            doubt[cut] = 0
            found.append(replace(self, image=self.image[:, *cut], probabilities=self.probabilities[:, *cut]))
        return found


def main() -> None:
    """Run every case."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--rounds", type=int, default=7, help="alternating runs per case (default 7)")
    parser.add_argument("--threads", type=int, default=2, help="threads of ours (default 2)")
    parser.add_argument("--device", default="cpu", help="of ours: cpu or cuda (default cpu)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    results = [measure(case, arguments.rounds, arguments.device) for case in cases()]
    if arguments.json:
        print(json.dumps({"benchmark": "dense_crf", "device": arguments.device, "cases": results}))
        return
    for r in results:
        print(
            f"{r['case']:42} peer {r['peer_ms']:6.0f} ms, ours {r['ours_ms']:6.1f} ms, ratio {r['ratio']:5.2f}, "
            f"labels equal {r['labels_equal']:.4f}; mean (largest) error after one iteration: "
            f"ours {r['ours_error_after_1']:.6f} ({r['ours_largest_error_after_1']:.4f}), "
            f"peer {r['peer_error_after_1']:.6f} ({r['peer_largest_error_after_1']:.4f}); at the end: "
            f"ours {r['ours_error_at_end']:.6f} ({r['ours_largest_error_at_end']:.4f}), "
            f"peer {r['peer_error_at_end']:.6f} ({r['peer_largest_error_at_end']:.4f})"
        )


def measure(case: Case, rounds: int, device: str) -> dict[str, Any]:
    """Alternate, then judge both on a piece that all pairs can be computed for."""
    ours_ms, peer_ms = [], []
    ours = peer = np.empty(0)
    for _ in range(rounds + 1):
        seconds, ours = timed(lambda: run_ours(case, device))
        ours_ms.append(1e3 * seconds)
        seconds, peer = timed(lambda: run_peer(case))
        peer_ms.append(1e3 * seconds)
    ours_ms, peer_ms = ours_ms[1:], peer_ms[1:]  # the first of each warms up
    errors = {}
    for iterations in (1, case.crf.iterations):
        off: dict[str, list[np.ndarray]] = {"ours": [], "peer": []}
        for piece in case.pieces(14 if case.image.ndim == 4 else 52):
            shorter = replace(piece, crf=replace(case.crf, iterations=iterations))
            truth = brute_force(shorter)
            off["ours"].append(np.abs(run_ours(shorter, device) - truth).ravel())
            off["peer"].append(np.abs(run_peer(shorter) - truth).ravel())
        for side, parts in off.items():
            both = np.concatenate(parts)
            when = "after_1" if iterations == 1 else "at_end"
            errors[f"{side}_error_{when}"] = float(both.mean())
            errors[f"{side}_largest_error_{when}"] = float(both.max())
    return {
        "case": case.name,
        "ratio": statistics.median(peer_ms) / statistics.median(ours_ms),
        "ours_ms": statistics.median(ours_ms),
        "peer_ms": statistics.median(peer_ms),
        "labels_equal": float((ours.argmax(0) == peer.argmax(0)).mean()),
        "foreground": float((peer.argmax(0) > 0).mean()),
        **errors,
    }


def timed(run: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """Wall seconds and the answer."""
    start = perf_counter()
    answer = run()
    return perf_counter() - start, answer


def run_ours(case: Case, device: str) -> np.ndarray:
    """Classes, *space."""
    with torch.inference_mode():
        probabilities = torch.from_numpy(case.probabilities)[None].to(device)
        image = torch.from_numpy(case.image)[None].to(device)
        return dense_crf(probabilities, image, case.crf)[0].cpu().numpy()


def run_peer(case: Case) -> np.ndarray:
    """The peer with the same kernels; its two-dimensional shortcuts where the picture has colours."""
    classes, *space = case.probabilities.shape
    energy = np.ascontiguousarray(-np.log(np.maximum(case.probabilities, 1e-5)).reshape(classes, -1))
    crf = peer_library.DenseCRF(energy.shape[1], classes)
    crf.setUnaryEnergy(energy)
    for features, weight in kernels(case):
        crf.addPairwiseEnergy(np.ascontiguousarray(features, dtype=np.float32), compat=weight)
    return np.array(crf.inference(case.crf.iterations)).reshape(classes, *space)


def kernels(case: Case) -> list[tuple[np.ndarray, float]]:
    """Features over sigmas (features, points), and the weight."""
    crf, space = case.crf, case.image.shape[1:]
    places = np.indices(space, dtype=np.float32).reshape(len(space), -1)
    colours = case.image.reshape(len(case.image), -1)
    looks = np.concatenate([places / crf.appearance_mm, colours / crf.appearance_intensity])
    return [(places / crf.smoothness_mm, crf.smoothness_weight), (looks, crf.appearance_weight)]


def brute_force(case: Case) -> np.ndarray:
    """Mean field with every pair of voxels, in double precision."""
    classes, *space = case.probabilities.shape
    log_p = np.log(np.maximum(case.probabilities, 1e-5).astype(np.float64)).reshape(classes, -1)
    matrix = 0.0
    for features, weight in kernels(case):
        squares = (features.astype(np.float64) ** 2).sum(0)
        pairs = np.exp(-0.5 * np.maximum(squares[:, None] + squares - 2 * features.T @ features.astype(np.float64), 0))
        scale = 1 / np.sqrt(pairs.sum(1))
        matrix = matrix + weight * scale[:, None] * pairs * scale
    belief = softmax(log_p)
    for _ in range(case.crf.iterations):
        belief = softmax(log_p + belief @ matrix)
    return belief.reshape(classes, *space)


def softmax(energy: np.ndarray) -> np.ndarray:
    """Over the classes."""
    shifted = np.exp(energy - energy.max(0))
    return shifted / shifted.sum(0)


def cases() -> list[Case]:
    """A lesion in a volume, a grey picture, a colour picture."""
    random = np.random.default_rng(0)
    lesion = ndimage.gaussian_filter(random.normal(size=(80, 80, 80)), 6) * 6**1.5 * 4 > 0.9
    grey_volume = np.clip(lesion * 90 + 60 + random.normal(0, 14, lesion.shape), 0, 255)
    volume = grey_volume[None].astype(np.float32), blurred_probabilities(lesion.astype(int), 2, 3.0, random)
    cell = transform.resize(data.camera(), (512, 512), preserve_range=True)
    grey = cell[None].astype(np.float32), blurred_probabilities((cell < 80).astype(int), 2, 4.0, random)
    person = transform.resize(data.astronaut(), (375, 500), preserve_range=True)
    # 21 labels: the picture's own colours, in as many groups
    labels = np.digitize(ndimage.gaussian_filter(person.mean(-1), 6), np.linspace(20, 230, 20))
    colour = np.moveaxis(person, -1, 0).astype(np.float32), blurred_probabilities(labels, 21, 5.0, random)
    return [
        Case("80^3, 2 classes, 10 / 20, 5 iterations", *volume, CRF(3, 3, 10, 20, 10, iterations=5)),
        Case("80^3, 2 classes, 80 / 13, 5 iterations", *volume, CRF(3, 3, 80, 13, 10, iterations=5)),
        Case("80^3, 2 classes, 5 / 10, 5 iterations", *volume, CRF(3, 3, 5, 10, 10, iterations=5)),
        Case("512 x 512 grey, 2 classes, 10 iterations", *grey, CRF(3, 3, 80, 13, 10, iterations=10)),
        Case("500 x 375 RGB, 21 classes, 10 iterations", *colour, CRF(3, 3, 80, 13, 10, iterations=10)),
        Case("500 x 375 RGB, 21 classes, 50 / 5", *colour, CRF(3, 3, 50, 5, 10, iterations=10)),
    ]


def blurred_probabilities(labels: np.ndarray, classes: int, blur: float, random: np.random.Generator) -> np.ndarray:
    """What a network of low resolution would say: right on the whole, soft at borders, with noise."""
    shares = np.stack([ndimage.gaussian_filter((labels == k).astype(np.float32), blur) for k in range(classes)])
    shares += np.abs(random.normal(0, 0.08, shares.shape)) + 0.02
    return (shares / shares.sum(0)).astype(np.float32)


if __name__ == "__main__":
    main()
