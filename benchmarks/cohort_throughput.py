"""Scans per minute of `weakmask predict` on Ray with 1 and 2 workers, beside the plain single process; driver's memory.

The scans are phantoms of a chest CT with region masks, the model is an untrained dRAM of one channel. All runs segment
the same scans with one thread a process, one after the other in the same call, and their masks are compared byte by
byte. Seconds are those of the clock; the start of Ray and of its workers, which a long run pays once, stands in a
column of its own. The memory of the driver is its growth over runs of 10, 100 and 1,000 scans whose answers have 5 kB,
as records of results have, and whose work takes no time.

Usage: cohort_throughput.py [--json] [--scans N] [--side VOXELS] [--without-memory]
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # of this process and of the workers alike

import torch
from rich.console import Console
from rich.table import Table

from weakmask.commands.cluster_scans import each_scan_on
from weakmask.commands.predict import Asked, RegionSource, predict
from weakmask.commands.scan_jobs import ScanJob
from weakmask.inference.trained_model import load
from weakmask.methods.dram.config import DramSettings
from weakmask.methods.dram.model import network_of, save_model
from weakmask.networks import build_network
from weakmask.phantoms.chest_ct import make_phantom
from weakmask.pipeline.peak_memory import peak_memory_mb, reset_peak_memory
from weakmask.ray_cluster import Cluster
from weakmask.region_learning.settings import DataSettings, NetworkSettings, PrepareSettings
from weakmask.scoring.severity import CT_SEVERITY
from weakmask.volume.files import write_volume

ANSWER_BYTES = 5_000
DRIVER_SCANS = (10, 100, 1_000)
NAMES = {str(label): name for label, name in enumerate(("LUL", "LLL", "RUL", "RML", "RLL"), start=1)}


def write_model(file: Path) -> None:
    """An untrained model of one channel."""
    config = DramSettings(
        data=DataSettings(cohort=Path("none")),
        prepare=PrepareSettings(spacing_mm=None, crop_shape=(16, 32, 32)),
        network=NetworkSettings(width=1),
    )
    torch.manual_seed(0)
    network = build_network(*network_of(config))
    trained_on = {"region_names": NAMES, "crop_spacing_mm": [3.0, 3.0, 3.0]}
    save_model(file, network, config, threshold=0.1034, score_map=CT_SEVERITY, trained_on=trained_on)


def write_scans(folder: Path, count: int, side: int) -> None:
    """Phantoms and their lobes."""
    phantom = make_phantom(0, (side // 2, side, side), (640 / side, 384 / side, 384 / side))
    for number in range(count):
        write_volume(phantom.image, folder / "images" / f"p{number:04}.nii.gz")
        write_volume(phantom.lobes, folder / "regions" / f"p{number:04}.nii.gz")


def run(folder: Path, name: str, cluster: Cluster | None) -> dict[str, float]:
    """Segment all scans; seconds until the first result, and scans per minute from then on."""
    times: list[float] = []
    start = time.perf_counter()
    predict(
        load(folder / "model.safetensors", "cpu"),
        [folder / "images"],
        folder / name,
        RegionSource(folder / "regions"),
        "cpu",
        Asked(listener=lambda _: times.append(time.perf_counter())),
        cluster,
    )
    first, last = times[0] - start, times[-1] - times[0]
    return {"start_s": first, "scans_per_minute": 60 * (len(times) - 1) / last, "seconds": time.perf_counter() - start}


def masks_of(folder: Path) -> dict[str, bytes]:
    """The masks of all scans."""
    return {file.parent.name: file.read_bytes() for file in folder.glob("*/mask.nii.gz")}


def answer() -> Callable[[ScanJob], str]:
    """Work that takes no time and answers as much as a record holds."""
    return lambda job: job.name.ljust(ANSWER_BYTES)


def driver_memory(count: int) -> float:
    """Growth of this process over a run of so many scans, in MB."""
    jobs = [ScanJob(f"scan{number}", Path(f"scan{number}.nii.gz"), {}) for number in range(count)]
    reset_peak_memory()
    before = peak_memory_mb()
    each_scan_on(Cluster("local", 1, "cpu"), jobs, "scans", answer, lambda _job, _result: None)
    return peak_memory_mb() - before


def measure(count: int, side: int) -> list[dict[str, object]]:
    """All runs on the same scans."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_model(folder / "model.safetensors")
        write_scans(folder, count, side)
        clusters = {"plain": None, **{f"ray_{n}": Cluster("local", n, "cpu") for n in (1, 2)}}
        rows = {name: run(folder, name, cluster) for name, cluster in clusters.items()}
        plain = masks_of(folder / "plain")
        same = {name: len(plain) == count and masks_of(folder / name) == plain for name in clusters}
    speed = rows["plain"]["scans_per_minute"]
    return [
        {
            "case": name,
            **row,
            "ratio": row["scans_per_minute"] / speed,
            "efficiency": row["scans_per_minute"] / (speed * max(1, getattr(clusters[name], "workers", 1) or 1)),
            "same_masks": same[name],
        }
        for name, row in rows.items()
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--scans", type=int, default=24, help="number of phantoms")
    parser.add_argument("--side", type=int, default=64, help="voxels of a phantom's rows and columns")
    parser.add_argument("--without-memory", action="store_true", help="leave out the memory of the driver")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    os.environ.setdefault("PYTHONPATH", str(Path(__file__).parents[1] / "src"))
    rows = measure(arguments.scans, arguments.side)
    counts = () if arguments.without_memory else DRIVER_SCANS
    memory = dict(zip(counts, map(driver_memory, counts), strict=True))
    if arguments.json:
        print(json.dumps({"benchmark": "cohort_throughput", "cases": rows, "driver_growth_mb": memory}))
        return
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(f"{value:.2f}" if isinstance(value, float) else str(value) for value in row.values()))
    Console().print(table)
    for count, growth in memory.items():
        print(f"driver's memory over {count} scans: {growth:+.1f} MB")


if __name__ == "__main__":
    main()
