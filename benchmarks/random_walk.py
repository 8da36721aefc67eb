"""The random walk beside IRNet's way, a dense matrix squared again and again, and beside a sparse matrix, step by step.

Cases, all of 2^8 steps over affinities from an edge map, one map of seeds: 64 x 64 nodes within radius 5, against the
dense power; 128 x 128 nodes (a picture of 512 x 512 at stride 4) and a volume of 80^3 within radius 2, against SciPy's
compressed rows, for the dense power of 128 x 128 is 70 TFLOP. Each side starts from the same affinities; building its
matrix counts. `ratio` is peer / ours of the median wall times, alternating in one process; `ours_error` and
`peer_error` are the largest differences from the walk in double precision. `ours_mb` is what a fresh process needs at
its peak beyond its inputs; `memory_ratio` holds it against a dense matrix and its square, the least for squaring.

Usage: random_walk.py [--json] [--rounds N] [--threads N] [--device cuda]
"""

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from scipy import ndimage, sparse
from torch import Tensor

from weakmask.refinement import edge_affinity, pair_offsets, random_walk

BETA = 10.0
SQUARINGS = 8


@dataclass(frozen=True)
class Case:
    """A grid, and who walks it beside us."""

    name: str
    space: tuple[int, ...]
    radius: int
    peer: Callable[["Case", Tensor, Tensor], Tensor]

    def inputs(self) -> tuple[Tensor, Tensor]:
        """Seeds and affinities of a few blobs with soft edges."""
        random = np.random.default_rng(0)
        noise = ndimage.gaussian_filter(random.normal(size=self.space), 4)
        steepness = ndimage.gaussian_gradient_magnitude((noise > 0).astype(np.float32), 1.0)
        edge = torch.from_numpy(np.clip(3 * steepness + 0.05 * random.random(self.space), 0, 1)).float()[None, None]
        seeds = torch.from_numpy(random.random(self.space)).float()[None, None] ** 4
        return seeds * (1 - edge), edge_affinity(edge, self.radius)


def main() -> None:
    """Run every case; as its own child, weigh one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--rounds", type=int, default=3, help="alternating runs per case (default 3)")
    parser.add_argument("--threads", type=int, default=2, help="of both, where it can use them (default 2)")
    parser.add_argument("--device", default="cpu", help="of ours and of the dense power: cpu or cuda (default cpu)")
    parser.add_argument("--weigh", type=int, metavar="CASE", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.weigh is not None:
        print(weigh(CASES[arguments.weigh]))
        return
    # before anything is timed: a child's peak counts that of the process it was started from
    megabytes = [weigh_in_child(number) for number in range(len(CASES))]
    results = []
    for case, ours_mb in zip(CASES, megabytes, strict=True):
        dense_mb = 2 * 4 * math.prod(case.space) ** 2 / 2**20
        memory = {"memory_ratio": dense_mb / ours_mb, "ours_mb": ours_mb, "dense_mb": dense_mb}
        results.append({"case": case.name, **measure(case, arguments.rounds, arguments.device), **memory})
    if arguments.json:
        print(json.dumps({"benchmark": "random_walk", "device": arguments.device, "cases": results}))
        return
    for r in results:
        print(
            f"{r['case']:44} peer {r['peer_ms']:8.1f} ms, ours {r['ours_ms']:6.1f} ms, ratio {r['ratio']:7.1f}; "
            f"error ours {r['ours_error']:.1e}, peer {r['peer_error']:.1e}; ours {r['ours_mb']:5.1f} MB, "
            f"dense at least {r['dense_mb']:9.0f} MB, ratio {r['memory_ratio']:9.0f}"
        )


def measure(case: Case, rounds: int, device: str) -> dict[str, Any]:
    """Alternate, then hold both against double precision."""
    seeds, affinity = (tensor.to(device) for tensor in case.inputs())
    ours_ms, peer_ms = [], []
    ours = peer = seeds
    for _ in range(rounds):
        seconds, ours = timed(lambda: walked(case, seeds, affinity))
        ours_ms.append(1e3 * seconds)
        seconds, peer = timed(lambda: case.peer(case, seeds, affinity))
        peer_ms.append(1e3 * seconds)
    truth = sparse_steps(case, seeds.double(), affinity.double())
    return {
        "ratio": statistics.median(peer_ms) / statistics.median(ours_ms),
        "ours_ms": statistics.median(ours_ms),
        "peer_ms": statistics.median(peer_ms),
        "ours_error": float((ours.cpu().double() - truth).abs().max()),
        "peer_error": float((peer.cpu().double() - truth).abs().max()),
    }


def timed(run: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """Wall seconds and the answer, on this machine's memory."""
    start = perf_counter()
    answer = run().cpu()
    return perf_counter() - start, answer


def weigh_in_child(number: int) -> float:
    """Megabytes, in a process that has done nothing else and gives back what it frees."""
    command = [sys.executable, __file__, "--threads", "1", "--weigh", str(number)]
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}
    return float(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


def weigh(case: Case) -> float:
    """Megabytes at the peak, beyond those of the inputs; of one in a batch that is large beside all else."""
    small = Case("", (12,) * len(case.space), case.radius, case.peer)
    walked(small, *small.inputs())
    copies = max(1, 2**20 // math.prod(case.space))
    seeds, affinity = (tensor.expand(copies, *tensor.shape[1:]).contiguous() for tensor in case.inputs())
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    walked(case, seeds, affinity)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return (peak_mb - pages * resource.getpagesize() / 2**20) / copies


def walked(case: Case, seeds: Tensor, affinity: Tensor) -> Tensor:
    """Ours."""
    return random_walk(seeds, affinity, radius=case.radius, beta=BETA, steps=2**SQUARINGS)


def pairs(case: Case, affinity: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows, columns and powers of all affinities of a grid, both ways and of each place with itself."""
    number = torch.arange(math.prod(case.space), device=affinity.device).reshape(case.space)
    rows, columns, powers = [number.flatten()], [number.flatten()], [affinity.new_ones(number.numel())]
    for pair, offset in enumerate(pair_offsets(case.radius, len(case.space))):
        near = tuple(slice(max(0, -step), side - max(0, step)) for step, side in zip(offset, case.space, strict=True))
        far = tuple(slice(max(0, step), side + min(0, step)) for step, side in zip(offset, case.space, strict=True))
        one, other = number[near].flatten(), number[far].flatten()
        rows += [one, other]
        columns += [other, one]
        powers += 2 * [affinity[0, pair][near].flatten() ** BETA]
    return torch.cat(rows), torch.cat(columns), torch.cat(powers)


def dense_power(case: Case, seeds: Tensor, affinity: Tensor) -> Tensor:
    """IRNet's way."""
    rows, columns, powers = pairs(case, affinity)
    matrix = affinity.new_zeros(seeds.numel(), seeds.numel())
    matrix[rows, columns] = powers
    matrix /= matrix.sum(0, keepdim=True)
    for _ in range(SQUARINGS):
        matrix = matrix @ matrix
    return (seeds.flatten(2) @ matrix).view(seeds.shape)


def sparse_steps(case: Case, seeds: Tensor, affinity: Tensor) -> Tensor:
    """One product of a sparse matrix after the other, in the precision given."""
    rows, columns, powers = (tensor.cpu().numpy() for tensor in pairs(case, affinity))
    matrix = sparse.csr_array((powers, (rows, columns)), shape=(seeds.numel(), seeds.numel()))
    # symmetric: the rows divided by their sums are the columns of the walk's matrix
    matrix = sparse.diags_array(1 / matrix.sum(1), dtype=powers.dtype) @ matrix
    spread = seeds.cpu().numpy().ravel()
    for _ in range(2**SQUARINGS):
        spread = matrix @ spread
    return torch.from_numpy(spread).view(seeds.shape)


CASES = [
    Case("64 x 64, radius 5, against the dense power", (64, 64), 5, dense_power),
    Case("128 x 128, radius 5, against sparse steps", (128, 128), 5, sparse_steps),
    Case("80^3, radius 2, against sparse steps", (80, 80, 80), 2, sparse_steps),
]


if __name__ == "__main__":
    main()
