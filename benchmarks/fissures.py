"""What it brings to move lobe borders onto fissures, and what each number of it does.

The shipped lobe model finds the lobes of phantoms that it has not seen; its borders are moved with the numbers of
`weakmask.anatomy.lobe_fissures`, and with one of them changed at a time. Printed is the mean Dice of the five lobes
for each kind of phantom of `weakmask reproduce lobes`; `ratio` = Dice over that of the network alone, `seconds` the
median of the step by itself on one thread. The phantoms are none of those that that table is judged on, so that numbers
may be chosen here.

`--picture FILE` draws two sagittal slices of the first phantom instead: the scan, the borders of the network, and the
same moved onto fissures, beside the truth.

Usage: fissures.py [--json] [--scans N] [--picture FILE]
"""

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from weakmask.anatomy import lobe_fissures as fissures
from weakmask.anatomy.lung_field import lung_field
from weakmask.methods.lobes.evaluate_run import lobe_dice
from weakmask.methods.lobes.hard_phantoms import SUBSETS
from weakmask.methods.lobes.scans import PHANTOM_MM, phantom_scan
from weakmask.regions.find_lobes import find_lobes
from weakmask.regions.lobe_model import load_lobe_model
from weakmask.volume.volume import Volume

SEED, EDGE_MM = 55_000, 2.5
CHANGES: tuple[tuple[str, float], ...] = (
    ("EDGE_MM", 1.5),
    ("EDGE_MM", 2.5),
    ("LINE_MM", 1.75),
    ("BESIDE_MM", 2.0),
    ("BESIDE_MM", 4.0),
    ("VESSEL_HU", 40.0),
    ("VESSEL_HU", 120.0),
    ("BOUND_HU", 15.0),
    ("BOUND_HU", 60.0),
    ("REACH_MM", 20.0),
    ("MOVE_HU", 1 / 32),
    ("BEND_HU", 4.0),
    ("BEND_HU", 36.0),
)


@dataclass(frozen=True)
class Scan:
    """One scan with the lobes that the network draws.

    Attributes:
        kind: As in the lobe table.
        image: HU.
        field: Its lungs.
        drawn: Before the borders are moved.
        truth: The lobes that it has.
    """

    kind: str
    image: Volume
    field: Volume
    drawn: Volume
    truth: Volume


def scans(count: int) -> list[Scan]:
    """`count` healthy phantoms and as many of each other kind."""
    model = load_lobe_model(None, torch.device("cpu"))
    z, y, x = (round(mm / EDGE_MM) for mm in PHANTOM_MM)
    found = []
    for kind, (ill, harden) in SUBSETS.items():
        for number in range(count):
            seed = SEED + number
            image, truth = harden(*phantom_scan(seed, (z, y, x), (EDGE_MM, EDGE_MM, EDGE_MM), ill=ill), seed)
            field = lung_field(image)
            found.append(Scan(kind, image, field, find_lobes(model, image, field).drawn, truth))
    return found


@contextmanager
def changed(name: str, value: float) -> Iterator[None]:
    """One number of the step is another for a while."""
    before = getattr(fissures, name)
    setattr(fissures, name, value)
    try:
        yield
    finally:
        setattr(fissures, name, before)


def measured(case: str, chosen: list[Scan], alone: float | None) -> dict[str, object]:
    """The mean Dice of each kind; `alone` that of the network over all, None to leave its borders."""
    dice: dict[str, list[float]] = {}
    taken = []
    for scan in chosen:
        start = time.perf_counter()
        found = scan.drawn if alone is None else fissures.follow_fissures(scan.drawn, scan.image, scan.field)
        taken.append(time.perf_counter() - start)
        dice.setdefault(scan.kind, []).append(lobe_dice(found, scan.truth)["mean"])
    mean = float(np.mean([value for values in dice.values() for value in values]))
    return {
        "case": case,
        **{kind: float(np.mean(values)) for kind, values in dice.items()},
        "all": mean,
        "ratio": 1.0 if alone is None else mean / alone,
        "seconds": statistics.median(taken),
    }


def draw(scan: Scan, file: Path) -> None:
    """Borders before and after in orange, the truth in blue, in a sagittal slice of each lung."""
    moved = fissures.follow_fissures(scan.drawn, scan.image, scan.field)
    columns = np.flatnonzero((scan.truth.voxels > 0).any(axis=(0, 1)))
    figure, axes = plt.subplots(2, 3, figsize=(8, 6.4), layout="constrained")
    titles = ("scan", "network alone", "moved onto fissures")
    for row, share in zip(axes, (0.22, 0.8), strict=True):
        x = int(columns[0] + share * len(columns))
        y, z = (np.flatnonzero((scan.truth.voxels[:, :, x] > 0).any(axis=axis)) for axis in (0, 1))
        part = (slice(max(0, z[0] - 2), z[-1] + 3), slice(max(0, y[0] - 2), y[-1] + 3), x)
        for axis, title, labels in zip(row, titles, (None, scan.drawn, moved), strict=True):
            axis.imshow(scan.image.voxels[part], cmap="gray", vmin=-1000, vmax=-550, origin="lower")
            for colour, volume in () if labels is None else (("#56B4E9", scan.truth), ("#E69F00", labels)):
                for label in np.unique(volume.voxels[part][volume.voxels[part] > 0]):
                    axis.contour(volume.voxels[part] == label, [0.5], colors=colour, linewidths=1.2)
            axis.set_title(title, fontsize=9)
            axis.axis("off")
    figure.savefig(file, dpi=100, pil_kwargs={"quality": 80} if file.suffix == ".webp" else None)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--scans", type=int, default=6, help="of each kind")
    parser.add_argument("--picture", type=Path, help="draw this instead of measuring")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.picture is not None:
        draw(scans(1)[0], given.picture)
        return
    chosen = scans(given.scans)
    first = measured("network alone", chosen, None)
    alone = float(str(first["all"]))
    cases = [first, measured("as it is", chosen, alone)]
    for name, value in CHANGES:
        title = f"{name} {value:.3g}, not {getattr(fissures, name):.3g}"
        with changed(name, value):
            cases.append(measured(title, chosen, alone))
    if given.json:
        print(json.dumps({"benchmark": "fissures", "scans": len(chosen), "cases": cases}))
        return
    table = Table(*cases[0], title=f"Lobe borders on fissures, {len(chosen)} phantoms")
    for case in cases:
        table.add_row(*(f"{value:.4f}" if isinstance(value, float) else str(value) for value in case.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
