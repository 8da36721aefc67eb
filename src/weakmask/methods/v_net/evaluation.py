"""The evaluation stage: Dice and surface distance of each class, on each scan's own grid."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from weakmask.csv_table import read_csv, write_csv
from weakmask.errors import UserError
from weakmask.evaluation.class_masks import IGNORED
from weakmask.evaluation.surface_distance import mean_surface_distance
from weakmask.methods.v_net.config import VNetSettings
from weakmask.methods.v_net.model import TITLES, load
from weakmask.methods.v_net.prepare import read_case
from weakmask.pipeline import Work
from weakmask.pipeline.cohort_cases import evaluated_cases
from weakmask.prediction import Limits, Scan
from weakmask.progress import track
from weakmask.training.checkpoints import MODEL
from weakmask.training.devices import device_of
from weakmask.volume.files import write_volume
from weakmask.volume.volume import Volume

Scores = dict[str, str | float]
COLUMNS = ("method", "scan", "patient", "class", "dice", "surface_mm")


def evaluate(work: Work[VNetSettings]) -> None:
    """Write masks/, results.csv (a row per scan and class) and summary.csv (a row per class and their mean)."""
    rows = [row for scan in _evaluated(work) for row in scan]
    results = pd.DataFrame(rows, columns=list(COLUMNS))
    write_csv(results, work.out / "results.csv", "%.6g")
    write_csv(summarised(results), work.out / "summary.csv", "%.6g")


def summarised(results: pd.DataFrame) -> pd.DataFrame:
    """A row per class with its mean Dice and surface distance, and the mean over the classes."""
    lines: list[Scores] = []
    for name in dict.fromkeys(results["class"]):
        some = results.loc[results["class"] == name, :]
        means = {column: float(some[column].mean()) for column in ("dice", "surface_mm")}
        lines.append({"method": some["method"].iloc[0], "class": name, "scans": len(some), **means})
    if lines:
        means = {name: float(np.mean([float(line[name]) for line in lines])) for name in ("dice", "surface_mm")}
        lines.append({**lines[0], "class": "mean", **means})
    return pd.DataFrame(lines, columns=["method", "class", "scans", "dice", "surface_mm"])


def _evaluated(work: Work[VNetSettings]) -> Iterator[list[Scores]]:
    """The rows of each scan; its mask is written."""
    config = work.config
    segmenter = load(work.stage("model") / MODEL, device_of(config.device), Limits())
    _, cases = evaluated_cases(work)
    (work.out / "masks").mkdir()
    for case in track(cases, "scans", len(cases)):
        try:
            image, truth = read_case(case, work)
        except UserError as error:
            work.note(f"{case.name} is not evaluated: {error}")
            continue
        mask = segmenter.segment(Scan(case.name, image)).mask
        write_volume(mask, mask_file(work.out, case.name))
        if truth is not None:
            words = {"method": TITLES[config.network.name], "scan": case.name, "patient": case.group}
            yield [{**words, **scores} for scores in class_scores(mask, truth, config.data.classes)]


def class_scores(mask: Volume, truth: Volume, classes: tuple[str, ...]) -> Iterator[Scores]:
    """Dice and mean surface distance of each class; Dice is nan where mask and truth lack it."""
    counted = truth.voxels != IGNORED
    for k, name in enumerate(classes, 1):
        marked, true = (mask.voxels == k) & counted, truth.voxels == k
        size = int(marked.sum() + true.sum())
        dice = 2 * int((marked & true).sum()) / size if size else float("nan")
        yield {"class": name, "dice": dice, "surface_mm": mean_surface_distance(marked, true, mask.geometry.spacing_mm)}


def mask_file(folder: Path, name: str) -> Path:
    """The mask of a scan in the folder of the stage."""
    return folder / "masks" / f"{name}.nii.gz"


def read_summary(folder: Path) -> pd.DataFrame:
    """The table of `summarised`."""
    return read_csv(folder / "summary.csv")
