"""The lobe networks side by side on phantoms they have not seen; after any stop the same command goes on.

OUT/
  test-PRESET/           the test scans with their lobes and lungs
  scans/                 the scans to learn from, on their grid; the same for all rows and seeds, as the test scans are
  rows/ROW/seed-S/       a run folder each; results.csv when the row is judged
  logs/                  what they say, where several are trained at a time
  lobes.csv  report.html
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd

from weakmask.anatomy.lung_field import lung_field
from weakmask.atomic_write import atomic_file, atomic_folder
from weakmask.errors import UserError
from weakmask.experiments.lobe_rows import SUBSETS, TEST_SEED, TITLES, Preset, preset_of
from weakmask.experiments.parallel_runs import Task, jobs_for, side_by_side
from weakmask.experiments.stage_reuse import share_first
from weakmask.methods.lobes import STAGES, LobeSettings
from weakmask.methods.lobes.evaluate_run import LOBES, lobe_dice
from weakmask.methods.lobes.scans import PHANTOM_MM, phantom_scan
from weakmask.phantoms.score_draws import draw_scores
from weakmask.pipeline import run_stages
from weakmask.progress import track
from weakmask.regions.find_lobes import find_lobes
from weakmask.regions.lobe_model import LobeModel, load_lobe_model
from weakmask.report.page import Page, write_report
from weakmask.training.devices import device_of
from weakmask.volume.files import read_volume, write_volume
from weakmask.volume.volume import Volume

LEAST_SCORE = 5  # in all, of a test scan with lesions
TIMED = 3  # scans that the seconds are the median of
PARTS = ("image", "lobes", "field")
NUMBERS = [*LOBES, "mean", "network_alone", "implausible", "seconds_per_scan", "parameters"]  # of a scan


def reproduce(out: Path, preset: str, rows: Sequence[str] | None, seeds: int, jobs: int | None = None) -> pd.DataFrame:
    """Train and judge what is not there yet, then write the table and the report of all that is.

    Args:
        out: Where everything goes.
        preset: quick or paper.
        rows: Names in `lobe_rows.TITLES`; None: all.
        seeds: How many seeds, from 0.
        jobs: Networks trained at a time; None: as `jobs_for` says.

    Returns:
        The table: a line per row, seed and subset of the test scans.

    Raises:
        UserError: An unknown preset or row, or a folder that cannot be written or holds another preset.
    """
    chosen = preset_of(preset)
    rows = list(TITLES) if rows is None else list(dict.fromkeys(rows))  # two trainings of a run would collide
    unknown = [row for row in rows if row not in TITLES]
    if unknown:
        raise UserError(f"unknown row {unknown[0]!r}; expected one of {', '.join(TITLES)}")
    for row, seed, run in _judged(out):
        run_stages([], run, chosen.settings(row, seed))  # refuses a run with other settings
    places = [(row, seed, out / "rows" / row / f"seed-{seed}") for seed in range(seeds) for row in rows]
    unjudged = [place for place in places if not _is_judged(place[2])]
    tasks = []
    for row, seed, run in unjudged:
        settings = chosen.settings(row, seed)
        share_first(STAGES, run, settings, out / "scans")
        log = out / "logs" / f"{row}-seed-{seed}.log"
        tasks.append(Task(f"{TITLES[row]}, seed {seed}", partial(_train, settings, run), log))
    test = out / f"test-{preset}"
    if not test.exists():
        _write_test_scans(test, chosen)
    side_by_side(tasks, jobs_for("auto") if jobs is None else jobs)
    for _, _, run in unjudged:  # alone on the machine, for the seconds count
        _judge(run, test)
    return _write_table(out, preset)


def _write_test_scans(folder: Path, preset: Preset) -> None:
    """NAME_image, NAME_lobes and NAME_field of every test scan, NAME beginning with its subset."""
    edge = preset.data.phantom_spacing_mm
    z, y, x = (round(mm / edge) for mm in PHANTOM_MM)
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
            image, lobes = harden(*phantom_scan(seed, (z, y, x), (edge, edge, edge), ill=lesions), seed)
            for part, volume in zip(PARTS, (image, lobes, lung_field(image)), strict=True):
                write_volume(volume, temporary / f"{subset.replace(' ', '-')}_{number:02d}_{part}.nii.gz")


def _train(settings: LobeSettings, run: Path) -> None:
    """The other stages of a run up to its model."""
    run_stages(STAGES[:3], run, settings)


def _is_judged(run: Path) -> bool:
    """Whether its results.csv is there and has all columns; an earlier version's may lack one."""
    file = run / "results.csv"
    return file.exists() and set(NUMBERS) <= set(pd.read_csv(file, nrows=0).columns)


def _judged(out: Path) -> Iterator[tuple[str, int, Path]]:
    """Row, seed and folder of all runs that are judged, asked for now or not."""
    for row in TITLES:
        for file in sorted((out / "rows" / row).glob("seed-*/results.csv")):
            if _is_judged(file.parent):
                yield row, int(file.parent.name.removeprefix("seed-")), file.parent


def _judge(run: Path, test: Path) -> None:
    """Write the run's results.csv: a line per test scan."""
    model = load_lobe_model(run, device_of("auto"))
    names = sorted(path.name.removesuffix("_image.nii.gz") for path in test.glob("*_image.nii.gz"))
    once = {
        "seconds_per_scan": _seconds(model, test, names),
        "parameters": sum(weight.numel() for weight in model.network.parameters()),
    }
    rows = []
    for name in track(names, "judging", len(names)):
        image, lobes, field = (_read(test, name, part) for part in PARTS)
        found = find_lobes(model, image, field)
        subset = name.rsplit("_", 1)[0].replace("-", " ")
        dice, drawn = lobe_dice(found.lobes, lobes), lobe_dice(found.drawn, lobes)["mean"]
        told = {"network_alone": drawn, "implausible": int(bool(found.faults))}
        rows.append({"subset": subset, "scan": name, **dice, **told, **once})
    with atomic_file(run / "results.csv") as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)


def _seconds(model: LobeModel, test: Path, names: Sequence[str]) -> float:
    """Median wall time of one whole prediction, lungs by threshold included."""
    taken = []
    for name in names[:TIMED]:
        image = _read(test, name, "image")
        start = perf_counter()
        find_lobes(model, image)
        taken.append(perf_counter() - start)
    return float(np.median(taken))


def _read(test: Path, name: str, part: str) -> Volume:
    return read_volume(test / f"{name}_{part}.nii.gz", "image" if part == "image" else "label")


def _write_table(out: Path, preset: str) -> pd.DataFrame:
    """lobes.csv and the report, of all rows that are judged."""
    lines: list[pd.DataFrame] = []
    for row, seed, run in _judged(out):
        results = pd.read_csv(run / "results.csv")
        both: Any = pd.concat([results, results.assign(subset="all")])
        means = both.groupby("subset", sort=False)[NUMBERS].mean().reset_index()
        means.insert(0, "seed", seed)
        means.insert(0, "row", TITLES[row])
        lines.append(means)
    table = pd.concat(lines, ignore_index=True).astype({"parameters": int})
    with atomic_file(out / "lobes.csv") as temporary:
        table.to_csv(temporary, index=False, float_format="%.5g")
    whole = [line for line in table.to_dict("records") if line["subset"] == "all"]
    titles = list(dict.fromkeys(str(line["row"]) for line in whole))
    overall = {t: float(np.mean([line["mean"] for line in whole if line["row"] == t])) for t in titles}
    told = ", ".join(f"{title} {dice:.3f}" for title, dice in overall.items())
    seeds = table["seed"].nunique()
    write_report(
        out / "report.html",
        Page(
            title=f"Lobe networks on phantoms ({preset})",
            summary=f"Mean Dice of the five lobes over all test scans, {seeds} seeds: {told}.",
            tiles=tuple((title, f"{dice:.3f}") for title, dice in overall.items()),
            table=table.rename(columns={"row": "method"}),
            table_caption="Dice per lobe on each scan's own grid, after cleaning; `network_alone` is the mean before "
            "borders were moved onto fissures, `implausible` a share of scans.",
        ),
    )
    return table
