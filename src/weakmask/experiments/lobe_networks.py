"""The lobe networks beside each other (Imran et al. 2019) on phantoms that they have not seen.

OUT/test-PRESET/ holds the test scans with their lobes and lungs. The networks share scans, grid, steps, loss and
cleaning; only the network differs. `quick` is for two cores and minutes; `paper` has the papers' widths and PDV-Net's
grid of the whole scan, and wants a GPU.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd

from weakmask.anatomy.lung_field import lung_field
from weakmask.atomic_write import atomic_file, atomic_folder
from weakmask.experiments.experiment import Experiment, Judged, Preset, Row, Setup, Tables
from weakmask.methods.lobes.config import (
    DataSettings,
    FrameSettings,
    LobeSettings,
    NetworkSettings,
    SegmentationSettings,
)
from weakmask.methods.lobes.evaluate_run import LOBES, lobe_dice
from weakmask.methods.lobes.scans import PHANTOM_MM, phantom_scan
from weakmask.phantoms.poor_scans import with_noise, with_thick_slices
from weakmask.phantoms.score_draws import draw_scores
from weakmask.progress import track
from weakmask.regions.find_lobes import find_lobes
from weakmask.regions.lobe_model import load_lobe_model
from weakmask.training.devices import device_of
from weakmask.volume.files import read_volume, write_volume
from weakmask.volume.volume import Volume

TEST_SEED = 77_000  # of the test phantoms; no training seed comes near
LEAST_SCORE = 5  # the sum of the lobes' scores in a test scan with lesions
TIMED = 3  # scans whose median time is the row's
PARTS = ("image", "lobes", "field")
NUMBERS = [*LOBES, "mean", "network_alone", "implausible", "seconds_per_scan", "parameters"]  # of a scan
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
TITLES = {"unet": "2-D U-Net", "dense": "dense V-Net", "vnet": "V-Net", "pdv": "PDV-Net"}
ROWS = {name: Row(title, "lobes", template=name) for name, title in TITLES.items()}


def _unchanged(image: Volume, lobes: Volume, seed: int) -> tuple[Volume, Volume]:  # noqa: ARG001 (as the others)
    return image, lobes


SUBSETS: dict[str, tuple[bool, Callable[[Volume, Volume, int], tuple[Volume, Volume]]]] = {
    # name: whether the scans have lesions, and what makes them hard
    "healthy": (False, _unchanged),
    "lesions": (True, _unchanged),
    "noise": (True, with_noise),
    "thick slices": (True, with_thick_slices),
}


def test_folder(setup: Setup) -> Path:
    """The test scans of a preset."""
    return setup.out / f"test-{setup.preset_name}"


def write_test_scans(setup: Setup) -> None:
    """Write NAME_image, NAME_lobes and NAME_field of every test scan unless they exist; NAME begins with the subset."""
    preset, folder = setup.preset, test_folder(setup)
    if folder.exists():
        return
    z, y, x = (round(mm / edge) for mm, edge in zip(PHANTOM_MM, preset.spacing_mm, strict=True))
    candidates = range(TEST_SEED, TEST_SEED + 100 * preset.test_scans)
    ill = [seed for seed in candidates if sum(draw_scores(seed).values()) >= LEAST_SCORE]
    jobs = [
        (subset, number, seed)
        for subset, (lesions, _) in SUBSETS.items()
        for number, seed in enumerate((ill if lesions else list(candidates))[: preset.test_scans])
    ]
    with atomic_folder(folder) as temporary:
        for subset, number, seed in track(jobs, "test scans", len(jobs)):
            lesions, harden = SUBSETS[subset]
            image, lobes = harden(*phantom_scan(seed, (z, y, x), preset.spacing_mm, ill=lesions), seed)
            for part, volume in zip(PARTS, (image, lobes, lung_field(image)), strict=True):
                write_volume(volume, temporary / f"{subset.replace(' ', '-')}_{number:02d}_{part}.nii.gz")


def evaluate(run: Path, setup: Setup) -> None:
    """Write the run's results.csv: a line per test scan. The time is that of a whole prediction, lungs included."""
    write_test_scans(setup)
    test, model = test_folder(setup), load_lobe_model(run, device_of("auto"))
    names = sorted(path.name.removesuffix("_image.nii.gz") for path in test.glob("*_image.nii.gz"))
    seconds = []
    for name in names[:TIMED]:
        image = _read(test, name, "image")
        start = perf_counter()
        find_lobes(model, image)
        seconds.append(perf_counter() - start)
    parameters = sum(weight.numel() for weight in model.network.parameters())
    rows = []
    for name in track(names, "judging", len(names)):
        image, lobes, field = (_read(test, name, part) for part in PARTS)
        found = find_lobes(model, image, field)
        subset = name.rsplit("_", 1)[0].replace("-", " ")
        alone, implausible = lobe_dice(found.drawn, lobes)["mean"], int(bool(found.faults))
        values = (alone, implausible, float(np.median(seconds)), parameters)
        dice = lobe_dice(found.lobes, lobes)
        rows.append({"subset": subset, "scan": name, **dice, **dict(zip(NUMBERS[len(dice) :], values, strict=True))})
    with atomic_file(run / "results.csv") as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)


def _read(test: Path, name: str, part: str) -> Volume:
    return read_volume(test / f"{name}_{part}.nii.gz", "image" if part == "image" else "label")


def is_judged(run: Path) -> bool:
    """Whether results.csv exists and has all columns; an earlier version's may lack one."""
    file = run / "results.csv"
    return file.exists() and set(NUMBERS) <= set(pd.read_csv(file, nrows=0).columns)


def tabulate(runs: Sequence[Judged]) -> Tables:
    """A line per row, seed and subset."""
    lines: list[dict[str, object]] = []
    overall: dict[str, list[float]] = {}
    for run in runs:
        results: Any = run.results
        for subset in (*dict.fromkeys(results["subset"]), "all"):
            some = results if subset == "all" else results[results["subset"] == subset]
            means = {name: float(some[name].mean()) for name in NUMBERS}
            lines.append({"row": run.title, "seed": run.place.seed, "subset": subset, **means})
        overall.setdefault(run.title, []).append(float(results["mean"].mean()))
    table = pd.DataFrame(lines).astype({"parameters": int})
    names = {run.title: run.place.row for run in runs}
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
    cohorts=lambda setup, place: (Path(), test_folder(setup)),  # noqa: ARG005 (one test set; phantoms to train on)
    tabulate=tabulate,
    caption=CAPTION,
    evaluate=evaluate,
    is_judged=is_judged,
    last_stage="model",
)
