"""A stack on the disk predicted and labelled in bounded memory: blended windows, 8-bit maps, watershed, table.

The stack is synthetic: HDF5 of 8 bits, sections of 1024 x 1024, with bodies of 40 sections that touch in pairs and pass
over all borders of blocks and slabs. The network is a threshold: it takes no time, so that the seconds are those of
reading, blending, writing and labelling. On the first sections, as many as fit, the maps and the labels are compared
with those of one pass in memory. The claim is 2 GB of memory for 4 GB of voxels.

Usage: em_large_stack.py [--json] [--gb N] [--folder FOLDER]
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np
import torch
import zarr
from rich.console import Console
from rich.table import Table

from weakmask.activation.blended_probabilities import BlendingWork, blended_probabilities
from weakmask.activation.blended_windows import Windows
from weakmask.networks.reach import Reach
from weakmask.pipeline.peak_memory import peak_memory_mb, reset_peak_memory
from weakmask.refinement.instance_table import instance_table
from weakmask.refinement.instances import watershed
from weakmask.volume.stack_files import open_stack

SIDE, PERIOD = 1024, (48, 256, 192)
WINDOWS = Windows((32, 256, 256), (16, 128, 128), (0, 0, 0))
THRESHOLDS = (0.8, 0.5, 0.6)
SPACING_NM = (30.0, 8.0, 8.0)
WORK = BlendingWork(memory_gb=0.5)
SLAB_VOXELS = 1 << 24


def write_synthetic(path: Path, sections: int) -> None:
    """Write the stack a few sections at a time."""
    cell = np.full(PERIOD, 30, np.uint8)
    cell[3:42, 41:81, 30:70] = 220  # two bodies, and two columns of less sure voxels between
    cell[3:42, 41:81, 49:51] = 170
    noise = np.random.default_rng(0).integers(0, 12, (PERIOD[0], SIDE, SIDE)).astype(np.uint8)
    repeated = np.tile(cell, (1, SIDE // PERIOD[1] + 1, SIDE // PERIOD[2] + 1))[:, :SIDE, :SIDE] + noise
    with h5py.File(path, "w") as file:
        data = file.create_dataset("raw", (sections, SIDE, SIDE), np.uint8, chunks=(8, 256, 256))
        data.attrs["resolution"] = SPACING_NM
        for start in range(0, sections, PERIOD[0]):
            data[start : start + PERIOD[0]] = repeated[: sections - start]


def threshold(voxels: torch.Tensor) -> torch.Tensor:
    """Mask and contour probability of each voxel by its value alone."""
    mask = voxels / 255
    return torch.cat([mask, 1 - mask], dim=1)


def segment(folder: Path, sections: int) -> dict[str, float]:
    """Maps, labels and table of the stack in a folder; seconds of the processor for each."""
    stack = open_stack(folder / "stack.h5")
    shape = (sections, *stack.shape[1:])
    group = zarr.open_group(str(folder / "result.zarr"), mode="w", zarr_format=2)
    maps = group.create_array("maps", shape=(2, *shape), chunks=(1, 16, 256, 256), dtype="uint8")
    labels = group.create_array("labels", shape=shape, chunks=(16, 256, 256), dtype="uint32")
    seconds: dict[str, float] = {}
    start = time.process_time()
    blended_probabilities(threshold, stack, WINDOWS, out=maps, reach=Reach(1, 0), work=WORK)
    seconds["predict"] = time.process_time() - start
    start = time.process_time()
    watershed(_Map(maps, 0), _Map(maps, 1), THRESHOLDS, out=labels, slab_voxels=SLAB_VOXELS)
    seconds["label"] = time.process_time() - start
    start = time.process_time()
    table = instance_table(labels, SPACING_NM, _Map(maps, 0))
    seconds["table"] = time.process_time() - start
    return seconds | {"instances": len(table), "voxels_of_instances": int(table["voxels"].sum())}


class _Map:
    """One channel of maps on the disk."""

    def __init__(self, maps: zarr.Array, channel: int) -> None:
        self.maps, self.channel = maps, channel
        self.shape = tuple(maps.shape[1:])

    def __getitem__(self, index: object) -> np.ndarray:
        """The voxels of slices."""
        along = index if isinstance(index, tuple) else (index,)
        return np.asarray(self.maps[(self.channel, *along)])


def differences(folder: Path, sections: int) -> dict[str, int]:
    """Voxels in which the first sections differ from one pass in memory, away from where they are cut off."""
    group = zarr.open_group(str(folder / "result.zarr"), mode="r")
    part = np.asarray(open_stack(folder / "stack.h5")[:sections])
    shape = np.array(group["labels"].shape)
    cut = sections - WINDOWS.size[0] if sections < shape[0] else sections  # the last window reaches beyond
    maps = blended_probabilities(threshold, part, WINDOWS, work=BlendingWork(memory_gb=64))
    found = np.asarray(group["maps"][:, :cut])
    one = watershed(found[0], found[1], THRESHOLDS)
    labels = np.asarray(group["labels"][:cut])
    pairs = np.unique(np.stack([one[labels != one], labels[labels != one]]), axis=1)
    renamed = np.zeros(int(one.max()) + 1, np.int64)  # other sections have instances between, by their first voxel
    renamed[pairs[0]] = pairs[1]
    same = np.where(labels == one, one, renamed[one])
    return {
        "maps_more_than_rounding": int((np.abs(maps[:, :cut].astype(int) - found) > 1).sum()),
        "labels": int((same != labels).sum()),
        "compared_sections": int(cut),
    }


def measure(gigabytes: float, folder: Path) -> dict[str, object]:
    """Write, segment and compare."""
    sections = max(64, round(gigabytes * 2**30 / SIDE**2))
    write_synthetic(folder / "stack.h5", sections)
    reset_peak_memory()
    found = segment(folder, sections)
    peak = peak_memory_mb()
    return {
        "case": f"{sections} x {SIDE} x {SIDE}",
        "stack_mb": sections * SIDE**2 / 2**20,
        "peak_memory_mb": peak,
        "ratio": sections * SIDE**2 / 2**20 / peak,
        **found,
        "differences": differences(folder, min(sections, 64)),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--gb", type=float, default=0.0625, help="size of the stack, in GiB")
    parser.add_argument("--folder", type=Path, help="where the stack and the results are kept; else they are removed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        row = measure(arguments.gb, folder)
    if arguments.json:
        print(json.dumps({"benchmark": "em_large_stack", "cases": [row]}))
        return
    table = Table("what", "value")
    for name, value in row.items():
        table.add_row(name, f"{value:.1f}" if isinstance(value, float) else str(value))
    Console().print(table)


if __name__ == "__main__":
    main()
