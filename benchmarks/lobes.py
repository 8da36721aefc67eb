"""The lobes of a whole chest CT: the shipped model beside a MONAI DynUNet of as many weights in sliding windows.

The scan is a phantom of 300 x 512 x 512 voxels (0.6 mm pixels, 1 mm slices). Ours is all that `weakmask lobes` does
after reading the file: lungs by threshold, one pass over the grid of the lungs, cleaning, lobes on the scan's own grid.
The peer does what lobe tools built on nnU-Net do: the scan at 1.5 mm, windows of 96^3 that overlap by a quarter,
likeliest class, nearest neighbour back onto the scan. Its weights are random, for nobody ships such a network, so that
the two answers cannot agree; beside the times stands how well ours agrees with the phantom's truth. Both alternate in
one process with 2 threads, wall time, medians; memory is the peak of a fresh process that reads the scan and does one.

Usage: lobes.py [--json] [--rounds N] [--small]
"""

import argparse
import json
import multiprocessing
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from monai.inferers.utils import sliding_window_inference
from monai.networks.nets.dynunet import DynUNet
from rich.console import Console
from rich.table import Table

from weakmask.methods.lobes.evaluate_run import lobe_dice
from weakmask.phantoms.chest_ct import make_phantom
from weakmask.regions.find_lobes import find_lobes
from weakmask.regions.lobe_model import load_lobe_model
from weakmask.volume.files import read_volume, write_volume
from weakmask.volume.intensity import window
from weakmask.volume.resample import resample_onto, resample_to_shape, resample_to_spacing
from weakmask.volume.volume import Volume

THREADS, SEED = 2, 77_003
PEER_MM, PEER_WINDOW, PEER_OVERLAP = 1.5, 96, 0.25
LIMIT_SECONDS = 60.0


def write_scan(folder: Path, *, small: bool) -> None:
    """A phantom, drawn coarse and brought to the fine grid; and its lobes."""
    phantom = make_phantom(SEED, (120, 104, 120), (2.5, 2.5, 2.5))
    shape = (75, 128, 128) if small else (300, 512, 512)
    image = resample_to_shape(phantom.image, shape)
    write_volume(image.with_voxels(np.rint(image.voxels).astype(np.int16)), folder / "image.nii")
    write_volume(resample_to_shape(phantom.lobes, shape), folder / "lobes.nii")


def ours(image: Volume) -> Volume:
    """What `weakmask lobes` does."""
    return find_lobes(load_lobe_model(None, torch.device("cpu")), image).lobes


def peer_network(weights: int) -> torch.nn.Module:
    """A DynUNet of four levels with the number of weights nearest to `weights`."""
    torch.manual_seed(0)

    def built(width: int) -> torch.nn.Module:
        filters = [width, 2 * width, 4 * width, 8 * width]
        return DynUNet(3, 1, 6, [3] * 4, [1, 2, 2, 2], [2] * 3, filters=filters)

    return min((built(width) for width in range(4, 20)), key=lambda network: abs(size_of(network) - weights)).eval()


def size_of(network: torch.nn.Module) -> int:
    """How many weights."""
    return sum(weight.numel() for weight in network.parameters())


def peer(weights: int, image: Volume) -> Volume:
    """What a lobe tool built on nnU-Net does."""
    network = peer_network(weights)
    coarse = resample_to_spacing(image, (PEER_MM,) * 3, fill=-1024.0)
    values = torch.from_numpy(window(coarse.voxels, -1000.0, 400.0))[None, None]
    with torch.inference_mode():
        logits = sliding_window_inference(values, (PEER_WINDOW,) * 3, 1, network, PEER_OVERLAP, mode="gaussian")
    found = coarse.with_voxels(np.asarray(logits)[0].argmax(axis=0).astype(np.uint8), "label")
    return resample_onto(found, image.geometry)


def peak_mb(way: Callable[[Volume], Volume], file: Path) -> float:
    """Peak resident memory of a fresh process that reads the scan and finds its lobes once."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_one_alone, (way, file))


def _one_alone(way: Callable[[Volume], Volume], file: Path) -> float:
    torch.set_num_threads(THREADS)
    way(read_volume(file))
    status = Path("/proc/self/status")
    if status.exists():  # Linux hands the peak of getrusage down from the parent
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(folder: Path, rounds: int) -> dict[str, object]:
    """Both, alternating."""
    image, truth = read_volume(folder / "image.nii"), read_volume(folder / "lobes.nii", "label")
    weights = size_of(load_lobe_model(None, torch.device("cpu")).network)
    ways: dict[str, Callable[[Volume], Volume]] = {"ours": ours, "peer": partial(peer, weights)}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    dice = 0.0
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            found = way(image)
            seconds[name].append(time.perf_counter() - start)
            dice = lobe_dice(found, truth)["mean"] if name == "ours" else dice
    median = {name: statistics.median(each) for name, each in seconds.items()}
    return {
        "case": " x ".join(map(str, image.geometry.shape)),
        "peer": "MONAI DynUNet, sliding windows at 1.5 mm",
        "ratio": median["peer"] / median["ours"],
        "seconds": median["ours"],
        "peer_seconds": median["peer"],
        "within_limit": median["ours"] <= LIMIT_SECONDS,
        "peak_mb": peak_mb(ours, folder / "image.nii"),
        "peer_peak_mb": peak_mb(partial(peer, weights), folder / "image.nii"),
        "weights": weights,
        "peer_weights": size_of(peer_network(weights)),
        "dice_with_truth": dice,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--small", action="store_true", help="a scan of 75 x 128 x 128 voxels, to try the script")
    arguments = parser.parse_args()
    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory() as folder:
        write_scan(Path(folder), small=arguments.small)
        case = measure(Path(folder), arguments.rounds)
    if arguments.json:
        print(json.dumps({"benchmark": "lobes", "cases": [case]}))
        return
    table = Table("what", "value", title="Lobes of one chest CT, 2 threads")
    for name, value in case.items():
        table.add_row(name, f"{value:.3g}" if isinstance(value, float) else str(value))
    Console().print(table)


if __name__ == "__main__":
    main()
