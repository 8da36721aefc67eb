"""A volume on the disk through `weakmask predict`: seconds, peak memory of the process, and equality with one pass.

The volume is written block by block: OME-Zarr of 8 bits, sections of 1024 x 1024, with bodies of 40 sections that touch
in pairs and cross the borders of all blocks and slabs. The model is a Res-UNet of two levels and few channels whose
weights are set by hand, not trained: the middle weights pass grey values on, so that dark voxels are instances, and all
others are small random numbers, so that every voxel depends on its surroundings. A trained network of more channels
takes more seconds, and more memory for the feature maps of a window. `weakmask predict` runs in a process of its own,
whose peak memory, libraries and all, is that of the system's books.

Its windows do not overlap: with windows that overlap by half, each voxel would be computed eight times.

On a part of 24 x 320 x 256 voxels, the result in small blocks and slabs is compared with that of one block and one
slab; the windows of both are smaller and overlap by half.

Usage: large_volume.py [--json] [--gigabytes N] [--memory-gb N] [--width N] [--folder FOLDER] [--suffix .zarr|.h5]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # of this process and of the measured one

import numpy as np
import pandas as pd
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from weakmask.methods import load_segmenter
from weakmask.methods.mitochondria import MitochondriaSettings
from weakmask.methods.mitochondria.model import MitochondriaSegmenter
from weakmask.methods.mitochondria.stack_segmentation import BlockSizes
from weakmask.networks import build_network
from weakmask.networks.res_unet import ResUNetR
from weakmask.pipeline import provenance
from weakmask.training.checkpoints import save_weights
from weakmask.volume.geometry import Box
from weakmask.volume.new_arrays import OnDisk, in_memory
from weakmask.volume.stack_files import open_stack, write_stack

SIDE, PERIOD, COMPARED = 1024, (48, 256, 192), (24, 320, 256)
WINDOW, OVERLAPPING = (32, 256, 256), {"window": (16, 64, 64), "stride": (8, 32, 32)}
SPACING_NM = (30.0, 8.0, 8.0)
MEASURED = """
import atexit, pathlib, sys
from weakmask.cli import main
from weakmask.pipeline.peak_memory import peak_memory_mb
peak = pathlib.Path(sys.argv.pop(1))
atexit.register(lambda: peak.write_text(str(peak_memory_mb())))
main()
"""


class Synthetic:
    """A volume that is computed where it is read."""

    def __init__(self, sections: int) -> None:
        """Draw one period of it."""
        self.shape = (sections, SIDE, SIDE)
        cell = np.full(PERIOD, 220, np.uint8)
        cell[3:42, 41:81, 30:70] = 30  # two bodies, and two columns of less sure voxels between
        cell[3:42, 41:81, 49:51] = 75
        noise = np.random.default_rng(0).integers(0, 12, (PERIOD[0], SIDE, SIDE)).astype(np.uint8)
        self.period = np.tile(cell, (1, SIDE // PERIOD[1] + 1, SIDE // PERIOD[2] + 1))[:, :SIDE, :SIDE] + noise

    def __getitem__(self, index: tuple[slice, ...]) -> np.ndarray:
        """The voxels of slices along all axes."""
        z, y, x = index
        return self.period[np.arange(*z.indices(self.shape[0])) % PERIOD[0]][:, y, x]


def write_model(file: Path, width: int) -> None:
    """A model that takes dark voxels for instances."""
    windows = {"window": WINDOW, "stride": WINDOW, "padding": (0, 0, 0)}
    network = {"widths": [width, 2 * width], "padding": "zeros"}
    config = MitochondriaSettings.model_validate({"data": {"cohort": "c"}, "network": network, "predict": windows})
    name, arguments = config.network.described()
    built = build_network(name, arguments)
    if not isinstance(built, ResUNetR):
        raise TypeError(f"{name} is no Res-UNet-R")
    pass_grey_values_on(built)
    decoder = {"method": "watershed", "seed": 0.98, "contour": 0.5, "mask": 0.6, "grow_pixels": 3, "least_voxels": 99.0}
    header: dict[str, object] = {"method": "mitochondria", "network": name, "arguments": arguments, "decoder": decoder}
    header |= {"spacing_nm": list(SPACING_NM), "working_nm": list(SPACING_NM), "provenance": provenance()}
    save_weights(file, built, {**header, "config": config.model_dump(mode="json")})


def pass_grey_values_on(network: ResUNetR) -> None:
    """Set the weights: the logit of the mask is 30 (0.4 - grey value) and a little of the surroundings."""
    generator = torch.Generator().manual_seed(0)
    for weight in network.parameters():
        nn.init.normal_(weight, 0.0, 2e-4, generator) if weight.ndim > 1 else nn.init.zeros_(weight)
    decoder = network.decoders[0]
    on_the_way = [network.embedding, network.top.first, network.skip, decoder.blocks[-1].first]
    for layer in on_the_way:
        layer[0].weight.data[0, 0, 0, layer[0].weight.shape[3] // 2, layer[0].weight.shape[4] // 2] = 1.0
    last = decoder.head[0]
    last.weight.data[0, 0, 0, 2, 2] = -30.0
    last.bias.data[:] = torch.tensor([12.0, -20.0])


def predicted(folder: Path, volume: Path, memory_gb: float) -> dict[str, float]:
    """Run the command; its seconds, those of the processor, and its peak memory."""
    words = ["predict", folder / "model.safetensors", volume, "-o", folder / "out", "--device", "cpu"]
    command = [sys.executable, "-c", MEASURED, folder / "peak", *words, "--memory-gb", memory_gb]
    start, before = time.perf_counter(), os.times()
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    peak = float((folder / "peak").read_text(encoding="ascii"))
    return {"seconds": time.perf_counter() - start, "processor_seconds": processor, "peak_memory_mb": peak}


def differences(folder: Path, volume: Path) -> dict[str, float]:
    """A part in small blocks and in one: the largest difference of the maps, and the voxels with another label."""
    stack = open_stack(volume)
    part = stack.part(Box((0, 0, 0), COMPARED))
    segmenter = load_segmenter(folder / "model.safetensors", "cpu")
    if not isinstance(segmenter, MitochondriaSegmenter):
        raise TypeError(f"{segmenter!r} finds no mitochondria")
    overlapping = segmenter.config.predict.model_copy(update=OVERLAPPING)
    segmenter = replace(segmenter, config=segmenter.config.model_copy(update={"predict": overlapping}))
    small = replace(segmenter, sizes=BlockSizes(0.002, 1 << 18)).segment_stack("a", part, OnDisk(folder / "scratch"))
    whole = replace(segmenter, sizes=BlockSizes(64.0, 1 << 30)).segment_stack("a", part, in_memory)
    maps = [np.asarray(one.maps["activation"]).astype(int) for one in (small, whole)]
    labels = [np.asarray(one.mask) for one in (small, whole)]
    return {
        "instances": len(whole.instances),
        "maps_in_255ths": int(np.abs(maps[0] - maps[1]).max()),
        "maps_voxels": int((maps[0] != maps[1]).sum()),
        "labels_voxels": int((labels[0] != labels[1]).sum()),
        "voxels": labels[0].size,
    }


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, object]:
    """Write, segment and compare."""
    sections = max(WINDOW[0], round(arguments.gigabytes * 1e9 / SIDE**2))
    volume = folder / f"volume{arguments.suffix}"
    write_stack(Synthetic(sections), volume, SPACING_NM, np.uint8)
    write_model(folder / "model.safetensors", arguments.width)
    found = predicted(folder, volume, arguments.memory_gb)
    table = pd.read_csv(folder / "out" / "instances.csv")
    megabytes = sections * SIDE**2 / 2**20
    return {
        "case": f"{sections} x {SIDE} x {SIDE}, {arguments.suffix}",
        "volume_mb": megabytes,
        **found,
        "ratio": megabytes / found["peak_memory_mb"],
        "instances": len(table),
        "differences": differences(folder, volume),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--gigabytes", type=float, default=0.07, help="size of the volume, in 10^9 voxels of a byte")
    parser.add_argument("--memory-gb", type=float, default=4.0, help="as that of `weakmask predict`")
    parser.add_argument("--width", type=int, default=2, help="channels of the finest level")
    parser.add_argument("--suffix", choices=(".zarr", ".h5"), default=".zarr")
    parser.add_argument("--folder", type=Path, help="where the volume and the results are kept; else they are removed")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    os.environ.setdefault("PYTHONPATH", str(Path(__file__).parents[1] / "src"))
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        row = measure(folder, arguments)
    if arguments.json:
        print(json.dumps({"benchmark": "large_volume", "cases": [row]}))
        return
    table = Table("quantity", "value")
    for name, value in row.items():
        table.add_row(name, f"{value:.1f}" if isinstance(value, float) else str(value))
    Console().print(table)


if __name__ == "__main__":
    main()
