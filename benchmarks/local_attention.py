"""Local attention beside the same formula with all neighbours unfolded, forward and backward.

Cases: a volume of 80^3 (19 neighbours) and a picture of 512 x 512 (9 neighbours), with 8 channels of queries and keys
and one of values, as dRAM has them. The peer stacks shifted copies and leaves the gradient to autograd, as one does
without a graph library. Both run in one process, alternating; `ratio` is peer / ours of the median wall times,
`memory_ratio` the same of what a fresh process needs at its peak beyond the inputs and the library (of the card's
memory with --device cuda), `difference` the largest one of averages, `gradient_difference` of gradients.

Usage: local_attention.py [--json] [--rounds N] [--threads N] [--device cuda]
"""

import argparse
import itertools
import json
import math
import resource
import statistics
import subprocess
import sys
from time import perf_counter
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from weakmask.networks.local_attention import local_attention

CASES = {"80^3": (80, 80, 80), "512 x 512": (512, 512)}
CHANNELS = 8


def main() -> None:
    """Run every case; as its own child, weigh one side of one case."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--rounds", type=int, default=7, help="alternating runs per case (default 7)")
    parser.add_argument("--threads", type=int, default=2, help="of both (default 2)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    parser.add_argument("--weigh", nargs=2, metavar=("SIDE", "CASE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.weigh:
        side, case = arguments.weigh
        print(weigh(side, case, arguments.device))
        return
    # before anything is timed: a child's peak counts that of the process it was started from
    megabytes = {
        (case, side): weigh_in_child(side, case, arguments.device) for case in CASES for side in ("ours", "peer")
    }
    results = []
    for case in CASES:
        ours_mb, peer_mb = megabytes[case, "ours"], megabytes[case, "peer"]
        memory = {"memory_ratio": peer_mb / ours_mb, "ours_mb": ours_mb, "peer_mb": peer_mb}
        results.append({"case": case, **measure(case, arguments.rounds, arguments.device), **memory})
    if arguments.json:
        print(json.dumps({"benchmark": "local_attention", "device": arguments.device, "cases": results}))
        return
    for r in results:
        print(
            f"{r['case']:10} peer {r['peer_ms']:7.1f} ms, ours {r['ours_ms']:6.1f} ms, ratio {r['ratio']:5.1f}; "
            f"memory peer {r['peer_mb']:6.0f} MB, ours {r['ours_mb']:5.0f} MB, ratio {r['memory_ratio']:5.1f}; "
            f"largest difference {r['difference']:.1e} in averages, {r['gradient_difference']:.1e} in gradients"
        )


def measure(case: str, rounds: int, device: str) -> dict[str, Any]:
    """Alternate and compare."""
    given = inputs(case, device)
    seconds: dict[str, list[float]] = {side: [] for side in SIDES}
    answers: dict[str, list[Tensor]] = {}
    for _ in range(rounds + 1):
        for side in SIDES:
            synchronise(device)
            start = perf_counter()
            answers[side] = forward_and_backward(side, given)
            synchronise(device)
            seconds[side].append(perf_counter() - start)
    ours_ms, peer_ms = (1e3 * statistics.median(seconds[side][1:]) for side in ("ours", "peer"))  # the first warms up
    averages, *gradients = (float((a - b).abs().max()) for a, b in zip(answers["ours"], answers["peer"], strict=True))
    return {
        "ratio": peer_ms / ours_ms,
        "ours_ms": ours_ms,
        "peer_ms": peer_ms,
        "difference": averages,
        "gradient_difference": max(gradients),
    }


def weigh_in_child(side: str, case: str, device: str) -> float:
    """Megabytes, in a process that has done nothing else."""
    command = [sys.executable, __file__, "--threads", "1", "--device", device, "--weigh", side, case]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def weigh(side: str, case: str, device: str) -> float:
    """Megabytes at the peak, beyond those of the inputs and of a small run."""
    forward_and_backward(side, [tensor[..., :8].contiguous() for tensor in inputs(case, device)])
    given = inputs(case, device)
    before = peak(device)
    forward_and_backward(side, given)
    return (peak(device) - before) / 2**20


def peak(device: str) -> int:
    """Bytes, the most so far."""
    if device == "cpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return torch.cuda.max_memory_allocated()


def synchronise(device: str) -> None:
    """Wait for the card."""
    if device != "cpu":
        torch.cuda.synchronize()


def inputs(case: str, device: str) -> list[Tensor]:
    """Queries, keys, values and the gradient of the averages."""
    generator = torch.Generator().manual_seed(0)
    channels = (CHANNELS, CHANNELS, 1, 1)
    return [torch.randn(1, count, *CASES[case], generator=generator).to(device) for count in channels]


def forward_and_backward(side: str, given: list[Tensor]) -> list[Tensor]:
    """Averages and the three gradients."""
    leaves = [tensor.detach().requires_grad_() for tensor in given[:3]]
    averages = SIDES[side](*leaves)
    return [averages.detach(), *torch.autograd.grad(averages, leaves, given[3])]


def unfolded(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Softmax over stacked shifts; what lies outside the grid has no weight."""
    space = queries.shape[2:]
    shifts = [s for s in itertools.product((-1, 0, 1), repeat=len(space)) if sum(map(abs, s)) <= 2]

    def neighbours(maps: Tensor) -> Tensor:
        padded = F.pad(maps, (1, 1) * len(space))
        cuts = [tuple(slice(1 + by, 1 + by + n) for by, n in zip(shift, space, strict=True)) for shift in shifts]
        return torch.stack([padded[:, :, *cut] for cut in cuts], 2)

    outside = neighbours(torch.ones_like(values[:1]))[:, 0] == 0
    logits = (queries[:, :, None] * neighbours(keys)).sum(1).masked_fill(outside, -math.inf)
    return (logits.softmax(1)[:, None] * neighbours(values)).sum(2)


SIDES = {"ours": local_attention, "peer": unfolded}


if __name__ == "__main__":
    main()
