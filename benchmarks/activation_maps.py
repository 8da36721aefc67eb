"""Grad-CAM and Grad-CAM++ beside torch-cam, on VGG16, and on a classifier of volumes.

Both get the same network, images and class, alternate in one process, and leave the maps as they are: no range is
changed, nothing is enlarged. Printed are medians of wall time, `ratio` = peer / ours, the largest difference between
the maps relative to their maximum, and both times as a share of one forward and backward pass of the whole network,
which is what the maps cost without care. Most of the time of either is the forward pass, which no code can leave out.
The last layer has 64 x 64 places at 512 x 512 pixels (the stride of WSMIS is 8).

Usage: activation_maps.py [--json] [--rounds N] [--threads N] [--batch N] [--side N]
"""

import argparse
import json
import resource
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from weakmask.activation import gradient_maps
from weakmask.networks.backbones import BackboneClassifier
from weakmask.networks.classifiers import EncoderClassifier

try:
    from torchcam.methods import GradCAM, GradCAMpp
except ImportError:
    sys.exit("this benchmark needs its peer: pip install torchcam (or make benchmarks)")

PEERS = {"gradcam": GradCAM, "gradcam++ torch-cam": GradCAMpp}


@dataclass(frozen=True)
class Case:
    """A network, its layer, images and a variant that both sides have."""

    name: str
    network: nn.Module
    layer: str
    image: Tensor
    variant: str


def main() -> None:
    """Run every case."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--rounds", type=int, default=3, help="alternating runs per case (default 3)")
    parser.add_argument("--threads", type=int, default=2, help="threads of both (default 2)")
    parser.add_argument("--batch", type=int, default=16, help="images in a batch (default 16)")
    parser.add_argument("--side", type=int, default=512, help="pixels of an image's side (default 512)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    results = [measure(case, arguments.rounds) for case in cases(arguments.batch, arguments.side)]
    if arguments.json:
        print(json.dumps({"benchmark": "activation_maps", "device": "cpu", "cases": results}))
        return
    for r in results:
        print(
            f"{r['case']:52} peer {r['peer_ms']:7.0f} ms, ours {r['ours_ms']:7.0f} ms, ratio {r['ratio']:5.2f}; "
            f"of a forward and backward pass ({r['full_ms']:.0f} ms): peer {r['peer_share']:.2f}, "
            f"ours {r['ours_share']:.2f}; forward pass alone {r['forward_share']:.2f}; "
            f"largest difference {r['difference']:.1e}"
        )
    print(f"largest memory of the process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GB")


def cases(batch: int, side: int) -> list[Case]:
    """Photographs for VGG16 at stride 8, and volumes of 64^3."""
    vgg = BackboneClassifier("vgg16_bn", 20, stride=8).eval()
    pictures = torch.rand(batch, 3, side, side)
    volumes = EncoderClassifier(3, width=16, out_channels=2).eval()
    crops = torch.rand(4, 1, 64, 64, 64)
    return [
        *(Case(f"VGG16, {batch} x {side}^2, {name}", vgg, "encoder.added", pictures, name) for name in PEERS),
        *(Case(f"3-D classifier, 4 x 64^3, {name}", volumes, "bottom", crops, name) for name in PEERS),
    ]


def measure(case: Case, rounds: int) -> dict[str, Any]:
    """Alternate; the first round warms up and is not counted."""
    ours_s, peer_s, full_s, forward_s = [], [], [], []
    ours = peer = torch.empty(0)
    for _ in range(rounds + 1):
        seconds, ours = timed(lambda: run_ours(case))
        ours_s.append(seconds)
        seconds, peer = timed(lambda: run_peer(case))
        peer_s.append(seconds)
        full_s.append(timed(lambda: whole_pass(case))[0])
        forward_s.append(timed(lambda: forward_pass(case))[0])
    mine, theirs, full, forward = (1e3 * statistics.median(s[1:]) for s in (ours_s, peer_s, full_s, forward_s))
    return {
        "case": case.name,
        "ratio": theirs / mine,
        "ours_ms": mine,
        "peer_ms": theirs,
        "full_ms": full,
        "ours_share": mine / full,
        "peer_share": theirs / full,
        "forward_share": forward / full,
        "difference": float((ours - peer).abs().max() / peer.abs().max()),
    }


def timed(run: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """Wall seconds and the answer."""
    start = perf_counter()
    answer = run()
    return perf_counter() - start, answer


def run_ours(case: Case) -> Tensor:
    """The map of class 1 of every image."""
    return gradient_maps(case.network, case.layer, case.image, [1], case.variant)[0][:, 0]


def run_peer(case: Case) -> Tensor:
    """The same by torch-cam, as its documentation has it."""
    with PEERS[case.variant](case.network, case.layer) as extractor:
        scores = case.network(case.image)
        return extractor(1, scores, normalized=False)[0]


def whole_pass(case: Case) -> Tensor:
    """A forward pass and the gradients of all parameters."""
    score = case.network(case.image)[:, 1].sum()
    score.backward()
    case.network.zero_grad(set_to_none=True)
    return score.detach()


def forward_pass(case: Case) -> Tensor:
    """A forward pass without a graph."""
    with torch.inference_mode():
        return case.network(case.image)


if __name__ == "__main__":
    main()
