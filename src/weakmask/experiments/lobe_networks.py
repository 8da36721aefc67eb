"""The lobe networks beside each other (Imran et al. 2019) on phantoms that they have not seen.

OUT/test-PRESET/ holds the test scans with their lobes and lungs. The networks share scans, grid, steps, loss and
cleaning; only the network differs. `quick` is for two cores and minutes; `paper` has the papers' widths and PDV-Net's
grid of the whole scan, and wants a GPU.
"""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd

from weakmask.atomic_write import atomic_file
from weakmask.csv_table import read_csv, write_csv
from weakmask.experiments.experiment import Experiment, Judged, Preset, Row, Setup, Tables
from weakmask.methods.lobes.config import TITLES, DataSettings, LobeSettings, SegmentationSettings
from weakmask.methods.lobes.hard_phantoms import NUMBERS, phantom_results, write_test_scans
from weakmask.regions.lobe_frame import FrameSettings
from weakmask.regions.lobe_model import NetworkSettings, load_lobe_model
from weakmask.training.devices import device_of

CAPTION = (
    "Dice per lobe on each scan's own grid, after cleaning; `network_alone` is the mean before borders were moved onto "
    "fissures, `implausible` a share of scans."
)


def _preset(shared: LobeSettings, width: int, unet_width: int, dropout: float, test_scans: int) -> Preset:
    networks = {
        "unet": NetworkSettings(name="unet", width=unet_width),
        "dense": NetworkSettings(name="dense_v_net", growth=(4, 8, 16), dropout=dropout),
        "vnet": NetworkSettings(name="v_net", width=width, dropout=dropout),
        "pdv": NetworkSettings(name="pdv_net", dropout=dropout),
    }
    settings = {row: shared.model_copy(update={"network": network}) for row, network in networks.items()}
    edge = shared.data.phantom_spacing_mm
    return Preset(settings, test_scans=test_scans, spacing_mm=(edge, edge, edge))


QUICK = LobeSettings(
    data=DataSettings(phantoms=200, validation=0.06),
    prepare=FrameSettings(shape=(64, 56, 80), frame="lungs", outside="blank"),
    segmentation=SegmentationSettings(
        steps=300,
        batch=1,
        schedule="cosine",
        cross_entropy=0.5,  # with Dice alone some seeds lose a lobe and never find it again
        average_decay=0.98,
        keep="last",
        validate_every=100,
        checkpoint_every=25,
    ),
)
PAPER = LobeSettings(data=DataSettings(phantoms=354, phantom_spacing_mm=1.5))
PRESETS = {
    "quick": _preset(QUICK, width=4, unet_width=8, dropout=0.0, test_scans=8),
    "paper": _preset(PAPER, width=16, unet_width=32, dropout=0.2, test_scans=84),
}
NETWORKS = {"unet": "unet", "dense": "dense_v_net", "vnet": "v_net", "pdv": "pdv_net"}  # row -> name in the settings
ROWS = {row: Row(TITLES[network], "lobes", template=row) for row, network in NETWORKS.items()}


def evaluate(run: Path, setup: Setup) -> None:
    """Write the run's results.csv, from the test scans of the preset, which are made once."""
    test = setup.out / f"test-{setup.preset_name}"
    write_test_scans(test, setup.preset.test_scans, setup.preset.spacing_mm)
    results = phantom_results(test, load_lobe_model(run, device_of("auto")))
    with atomic_file(run / "results.csv") as temporary:
        write_csv(results, temporary)


def is_judged(run: Path) -> bool:
    """Whether results.csv exists and has all columns; an earlier version's may lack one."""
    file = run / "results.csv"
    return file.exists() and set(NUMBERS) <= set(read_csv(file).columns)


def tabulate(runs: Sequence[Judged]) -> Tables:
    """A line per row, seed and subset."""
    lines: list[dict[str, object]] = []
    overall: dict[str, list[float]] = {}
    for run in runs:
        results: Any = run.results
        for subset in (*dict.fromkeys(results["subset"]), "all"):
            some = results if subset == "all" else results[results["subset"] == subset]
            means = {name: float(some[name].mean()) for name in NUMBERS}
            lines.append({"row": run.row.title, "seed": run.place.seed, "subset": subset, **means})
        overall.setdefault(run.row.title, []).append(float(results["mean"].mean()))
    table = pd.DataFrame(lines).astype({"parameters": int})
    names = {run.row.title: run.place.row for run in runs}
    means = ", ".join(f"{title} {fmean(dice):.3f}" for title, dice in overall.items())
    return Tables(
        files={"lobes.csv": table},
        report=table.rename(columns={"row": "method"}).assign(row=[names[title] for title in table["row"]]),
        console=table,
        summary=f"Mean Dice of the five lobes over all test scans, {table['seed'].nunique()} seeds: {means}.",
    )


EXPERIMENT = Experiment(
    title="Lobe networks on phantoms",
    paper="Imran et al. 2019, arXiv 1902.06362",
    rows=ROWS,
    presets=PRESETS,
    tabulate=tabulate,
    caption=CAPTION,
    read=read_csv,
    evaluate=evaluate,
    is_judged=is_judged,
    last_stage="model",
)
