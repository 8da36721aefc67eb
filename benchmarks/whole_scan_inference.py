"""Segmenting a whole scan with a valid 3-D U-Net: weakmask beside MONAI's sliding_window_inference.

The network and its weights are the same, the scan has 200 x 240 x 240 voxels, and both give the same answer. The peer
walks as the dRAM paper does, 132^3 voxels in, 44^3 out (section III-A-5). MONAI's inferer wants an answer of the size
of its window, so its windows are the 44^3 of the answer, and the predictor it calls reads the 132^3 around a window
from a padded copy of the scan (`with_coord=True` tells it where): no window is computed twice and no margin is thrown
away. Windows step by 40, for at steps of 44 the network's poolings fall elsewhere in every window and no two tilings
agree; on this scan both take 5 x 6 x 6 windows. weakmask takes tiles as large as the memory of the case allows.

The last case holds the inference form of the network against the network itself in one tile of one size, to show
what is owed to it and what to the tiles. Every round runs each of them once; wall time, 2 threads for both; the ratio
is of the medians. The claim is 5 times at the least.

Usage: whole_scan_inference.py [--json] [--rounds N] [--width W] [--small]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from monai.inferers.utils import sliding_window_inference
from rich.console import Console
from rich.table import Table

from weakmask.activation.whole_scan import Workspace, class_probabilities
from weakmask.networks import UNet
from weakmask.networks.unet_inference import LeanUNet

WINDOW, STEP, MARGIN = 44, 40, 44
MEMORY_GB = (4.0, 1.0)
TILE = 132 + 72  # of the last case


@dataclass(frozen=True)
class Case:
    """Two ways to one answer, as (class, z, y, x) arrays."""

    name: str
    peer: str
    ours: Callable[[], np.ndarray]


def trained_network(width: int) -> UNet:
    """Random weights, batch norms with the statistics of noise, logits of ordinary size."""
    torch.manual_seed(0)
    network = UNet(3, out_channels=3, width=width, padding="valid")
    with torch.inference_mode():
        network(torch.rand(1, 1, 100, 100, 100))
        network.head.weight *= 3
    return network.eval()


def by_monai(network: UNet, scan: np.ndarray) -> np.ndarray:
    """Windows of 44^3 stepping by 40, each computed from the 132^3 around it."""
    whole = [STEP * -(-(n - WINDOW + STEP) // STEP) + WINDOW - STEP for n in scan.shape]  # so that windows end with it
    filled = torch.zeros(1, 1, *whole)
    z, y, x = scan.shape
    filled[0, 0, :z, :y, :x] = torch.from_numpy(scan)
    padded = torch.nn.functional.pad(filled, [MARGIN] * 6)

    def predict(_: torch.Tensor, windows: list[list[slice]]) -> torch.Tensor:
        read = [(..., *(slice(s.start, s.stop + 2 * MARGIN) for s in window[2:])) for window in windows]
        return torch.softmax(network(torch.cat([padded[place] for place in read])), dim=1)

    overlap = (WINDOW - STEP) / WINDOW - 1e-6  # a little less, for MONAI rounds the step down
    with torch.inference_mode():
        found = sliding_window_inference(filled, (WINDOW,) * 3, 1, predict, overlap, with_coord=True)
    return np.asarray(found)[0, :, :z, :y, :x]


def cases_for(network: UNet, scan: np.ndarray) -> tuple[dict[str, Callable[[], np.ndarray]], list[Case]]:
    """The peers by name, and what runs against which."""
    tile = torch.rand(1, 1, TILE, TILE, TILE)

    def on_one_tile(whichever: torch.nn.Module) -> np.ndarray:
        with torch.inference_mode():
            return torch.softmax(whichever(tile), dim=1)[0].numpy()

    peers = {"MONAI, 132 -> 44": partial(by_monai, network, scan), "the network": partial(on_one_tile, network)}
    first, second = peers
    cases = [
        Case(f"float32, {gb:g} GB", first, partial(class_probabilities, network, scan, Workspace(gb)))
        for gb in MEMORY_GB
    ]
    rough = Workspace(MEMORY_GB[0], dtype=torch.bfloat16)
    cases.append(Case("bfloat16, 4 GB", first, partial(class_probabilities, network, scan, rough)))
    cases.append(Case(f"one tile of {TILE}", second, partial(on_one_tile, LeanUNet(network))))
    return peers, cases


def timed(way: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """Seconds and answer of one run."""
    start = time.perf_counter()
    answer = way()
    return time.perf_counter() - start, answer


def measure(network: UNet, scan: np.ndarray, rounds: int) -> list[dict[str, object]]:
    """Every peer and every case, one after the other, in each round."""
    peers, cases = cases_for(network, scan)
    ways = {**peers, **{case.name: case.ours for case in cases}}
    runs: dict[str, list[float]] = {name: [] for name in ways}
    answers: dict[str, np.ndarray] = {}
    for _ in range(rounds):
        for name, way in ways.items():
            seconds, answers[name] = timed(way)
            runs[name].append(seconds)
    median = {name: statistics.median(seconds) for name, seconds in runs.items()}
    rows = []
    for case in cases:
        ours, theirs = answers[case.name], answers[case.peer]
        rows.append(
            {
                "case": case.name,
                "peer": case.peer,
                "ratio": median[case.peer] / median[case.name],
                "seconds": median[case.name],
                "peer_seconds": median[case.peer],
                "largest_difference": float(np.abs(ours - theirs).max()),
                "same_label": float((ours.argmax(axis=0) == theirs.argmax(axis=0)).mean()),
            }
        )
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--width", type=int, default=4, help="the network's base width; the paper's is 32")
    parser.add_argument("--small", action="store_true", help="a scan of 60 x 90 x 90 voxels, to try the script")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    shape = (60, 90, 90) if arguments.small else (200, 240, 240)
    scan = np.random.default_rng(0).random(shape, dtype=np.float32)
    rows = measure(trained_network(arguments.width), scan, arguments.rounds)
    if arguments.json:
        found = {"benchmark": "whole_scan_inference", "shape": list(shape), "width": arguments.width, "cases": rows}
        print(json.dumps(found))
        return
    table = Table(title=f"{' x '.join(map(str, shape))} voxels, width {arguments.width}, 2 threads")
    for heading in ("case", "peer", "peer time / ours", "ours s", "peer s", "largest difference", "same label"):
        table.add_column(heading, justify="left" if heading in {"case", "peer"} else "right")
    for row in rows:
        numbers = (row[n] for n in ("ratio", "seconds", "peer_seconds", "largest_difference", "same_label"))
        table.add_row(str(row["case"]), str(row["peer"]), *(f"{number:.3g}" for number in numbers))
    Console().print(table)


if __name__ == "__main__":
    main()
