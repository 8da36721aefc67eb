"""Depthwise convolutions beside torch's own: forward and backward pass of single layers, and of whole training steps.

Both get the same maps and weights and alternate in one process. Printed are medians of wall time, `ratio` = peer /
ours, and the largest difference of the weight gradients relative to their maximum. The layers are those of
EfficientNet-Lite0 at stride 16 on 224 x 224 pixels.

Usage: depthwise.py [--json] [--rounds N] [--threads N] [--batch N]
"""

import argparse
import json
import statistics
from collections.abc import Callable
from time import perf_counter
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from weakmask.networks import build_network
from weakmask.networks.depthwise import DepthwiseLayer
from weakmask.training.devices import lay_out

LAYERS = ((672, 14, 5, 1), (1152, 14, 5, 2), (1152, 14, 3, 2))  # channels, side of the map, of the kernel, dilation
SIDES = {"ours": DepthwiseLayer.forward, "peer": nn.Conv2d.forward}
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def main() -> None:
    """Run every case."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--rounds", type=int, default=5, help="alternating runs per case (default 5)")
    parser.add_argument("--threads", type=int, default=2, help="threads of both (default 2)")
    parser.add_argument("--batch", type=int, default=8, help="images in a batch (default 8)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    results = [
        measure(f"{name}, {precision}", run, kind, arguments.rounds)
        for name, run in cases(arguments.batch)
        for precision, kind in PRECISIONS.items()
    ]
    if arguments.json:
        print(json.dumps({"benchmark": "depthwise", "device": "cpu", "cases": results}))
        return
    for r in results:
        print(
            f"{r['case']:58} peer {r['peer_ms']:6.0f} ms, ours {r['ours_ms']:6.0f} ms, ratio {r['ratio']:5.2f}; "
            f"largest difference {r['difference']:.1e}"
        )


def cases(batch: int) -> list[tuple[str, Callable[[], Tensor]]]:
    """Name -> a forward and backward pass that returns a weight gradient."""
    found = []
    for channels, side, kernel, dilation in LAYERS:
        layer = DepthwiseLayer(
            channels, channels, kernel, padding=dilation * (kernel // 2), dilation=dilation, groups=channels, bias=False
        )
        maps = torch.randn(batch, channels, side, side).to(memory_format=torch.channels_last).requires_grad_()
        name = f"{channels} channels, {side} x {side}, kernel {kernel}, dilation {dilation}"
        found.append((name, step_of(layer, layer.weight, maps)))
    network = build_network("encoder_unet", {"stride": 16, "widths": [64, 32, 16]}).train()
    network.get_submodule("encoder").freeze(8)
    weight = next(
        module.weight
        for module in network.modules()
        if isinstance(module, DepthwiseLayer) and module.weight.requires_grad and module.groups == LAYERS[-1][0]
    )
    found.append(("a training step of the U-Net of WSMIS", step_of(network, weight, torch.rand(batch, 3, 224, 224))))
    return found


def step_of(module: nn.Module, weight: nn.Parameter, maps: Tensor) -> Callable[[], Tensor]:
    """A function that runs the module forward and backward and returns the gradient of a weight."""
    lay_out(module, torch.device("cpu"))

    def step() -> Tensor:
        """The gradient of the mean square of the output."""
        module.zero_grad()
        module(maps).float().square().mean().backward()
        return torch.zeros_like(weight) if weight.grad is None else weight.grad.clone()

    return step


def measure(name: str, run: Callable[[], Tensor], kind: torch.dtype, rounds: int) -> dict[str, Any]:
    """Alternate; the first round warms up and is not counted."""
    seconds: dict[str, list[float]] = {side: [] for side in SIDES}
    gradients: dict[str, Tensor] = {}
    with torch.autocast("cpu", torch.bfloat16, enabled=kind == torch.bfloat16):
        for _ in range(rounds + 1):
            for side, forward in SIDES.items():
                with patch.object(DepthwiseLayer, "forward", forward):
                    start = perf_counter()
                    gradients[side] = run()
                    seconds[side].append(perf_counter() - start)
    ours, peer = (1e3 * statistics.median(seconds[side][1:]) for side in SIDES)
    largest = float(gradients["peer"].abs().max())
    difference = float((gradients["ours"] - gradients["peer"]).abs().max()) / largest
    return {"case": name, "ratio": peer / ours, "ours_ms": ours, "peer_ms": peer, "difference": difference}


if __name__ == "__main__":
    main()
