"""The evaluation stage: every step's masks against the truth, and the classifier's probabilities against the labels."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Integer

from weakmask.atomic_write import atomic_files
from weakmask.csv_table import read_csv, write_csv
from weakmask.datasets.case import Case
from weakmask.datasets.usable_truth import usable_truth
from weakmask.errors import UserError
from weakmask.evaluation.class_masks import IGNORED, MaskScores, class_confusion, mask_scores, score_intervals
from weakmask.evaluation.classification import auc, f1, with_interval
from weakmask.evaluation.overlap import Overlap
from weakmask.evaluation.table import result_rows, results_table
from weakmask.methods.wsmis.boundary import LABELS
from weakmask.methods.wsmis.classification import PROBABILITIES
from weakmask.methods.wsmis.config import WsmisSettings
from weakmask.methods.wsmis.labels import CUT, REFINED
from weakmask.methods.wsmis.maps import learnt_and_evaluated
from weakmask.methods.wsmis.masks import TABLE, mask_file, prepared_cases
from weakmask.methods.wsmis.picture import on_grid
from weakmask.methods.wsmis.picture_set import CLASS, PictureSet, known_presence, read_labels, read_pictures
from weakmask.pipeline import Work
from weakmask.regions.segment_scan import read_scan
from weakmask.volume.files import read_volume
from weakmask.volume.geometry import Geometry
from weakmask.volume.storage_order import in_order_of, upright

ALL = "all"  # the subset of results.csv that is any class
DISC = 0.35  # radius of the centre disc, of the sides
NOTHING, EVERYTHING, CENTRE = "nothing", "everything", "centre disc"
MAP, WITH_CRF, WALKED, OWN = "map", "map + CRF", "map + walk", "WSMIS"
INTERVALS: dict[str, Callable[[MaskScores], float]] = {
    "positives": lambda scores: scores.positives,
    "mean_iou": lambda scores: scores.mean_iou,
}

Mask = Integer[np.ndarray, "y x"]


def evaluate(work: Work[WsmisSettings]) -> None:
    """Write summary.csv (a row per step), results.csv (a row per image and step) and classes.csv (a row per class).

    The rows above the last are made with the classes of the image known: of labels.csv, or where a class is unknown,
    of the classifier.
    """
    pictures = learnt_and_evaluated(read_pictures(work.stage("prepare"))).of("validation", "test")
    probabilities = read_csv(work.stage("classification") / PROBABILITIES)
    presence = known_presence(pictures, probabilities)
    row_of = {name: row for row, name in enumerate(pictures.table["scan"])}
    found: list[Comparison] = []
    for case in prepared_cases(work):
        row = row_of[case.name]
        if (work.stage("masks") / "masks" / mask_file(case)).exists():
            found += _comparisons(work, case, pictures, row, presence[row])
    tables = {
        "summary.csv": summary(found, pictures.classes),
        "results.csv": results(found, pictures.classes),
        "classes.csv": class_scores(pictures, probabilities),
        TABLE: read_csv(work.stage("masks") / TABLE),
    }
    with atomic_files([work.out / name for name in tables]) as temporaries:
        for temporary, table in zip(temporaries, tables.values(), strict=True):
            write_csv(table, temporary, "%.6g")


@dataclass(frozen=True)
class Comparison:
    """One step's mask of one image, compared with the truth.

    Attributes:
        method: Name of the step.
        scan: The image.
        patient: Its patient, or the image itself.
        confusion: Pixels of each true class (row) and predicted class (column).
    """

    method: str
    scan: str
    patient: str
    confusion: Integer[np.ndarray, "class class"]


def _comparisons(
    work: Work[WsmisSettings], case: Case, pictures: PictureSet, row: int, present: Float[np.ndarray, " class"]
) -> list[Comparison]:
    """All steps' masks of one case; none without a truth that can be used."""
    classes = len(pictures.classes)
    grid = upright(read_scan(case.image, case.name, case.series).image).geometry
    truth = read_truth(work, case, grid, present)
    if truth is None:
        return []
    own = read_volume(work.stage("masks") / "masks" / mask_file(case), "label")
    masks = {**floors(truth.shape, present), OWN: in_order_of(own, grid).voxels[0]}
    file = pictures.files[row]
    steps = {MAP: work.stage("labels") / CUT, WITH_CRF: work.stage("labels") / REFINED}
    if work.config.boundary.train:
        steps[WALKED] = work.stage("boundary") / LABELS
    for name, folder in steps.items():
        if (folder / file).exists():
            masks[name] = on_grid(read_labels(folder / file), truth.shape)
    order = [name for name in (NOTHING, EVERYTHING, CENTRE, MAP, WITH_CRF, WALKED, OWN) if name in masks]
    return [Comparison(name, case.name, case.group, class_confusion(masks[name], truth, classes + 1)) for name in order]


def read_truth(
    work: Work[WsmisSettings], case: Case, grid: Geometry, present: Float[np.ndarray, " class"]
) -> Mask | None:
    """The truth of a case as `class_truth` gives it; None without one that can be used, with a note of its fault.

    Args:
        work: Of the stage that compares.
        case: The case.
        grid: The geometry of its upright image.
        present: 1 for each class that is in the image.
    """
    if case.truth is None:
        return None
    work.hash_input(case.truth)
    try:
        return class_truth(case, usable_truth(case, grid).voxels[0], present)  # pyright: ignore[reportOptionalMemberAccess]
    except UserError as error:
        work.note(f"{case.name} is not evaluated: {error}")
        return None


def class_truth(case: Case, truth: Mask, present: Float[np.ndarray, " class"]) -> Mask:
    """The truth with 0 for background and then the classes, 255 to ignore.

    A truth of another kind than classes says where something is and not which class: with one class, or in an image
    with one, it is that.

    Args:
        case: The case.
        truth: Labels of its kind.
        present: 1 for each class that is in the image.

    Raises:
        UserError: The truth has another label, or does not say which of several classes a pixel is.
    """
    classes = len(present)
    if case.truth_kind == "classes" or (case.truth_kind == "subtypes" and classes > 1):
        labels = np.unique(truth)
        highest = int(labels[labels != IGNORED].max(initial=0))
        if highest > classes:
            raise UserError(f"{case.truth}: has the label {highest}; labels.csv has {classes} classes")
        return truth
    if not truth.any():
        return np.zeros_like(truth)
    those = np.flatnonzero(present) if classes > 1 else np.array([0])
    if len(those) != 1:
        raise UserError(
            f"{case.truth}: says where and not of which class, and the image has {len(those)} classes; give class "
            "numbers, and `kind: classes` in truth.yaml"
        )
    return np.where(truth != 0, those[0] + 1, 0)


def floors(shape: tuple[int, ...], present: Float[np.ndarray, " class"]) -> dict[str, Mask]:
    """Masks without a network: nothing, the first class that is present everywhere, or in a disc in the middle."""
    label = int(np.flatnonzero(present)[0]) + 1 if present.any() else 0
    y, x = (np.abs((np.arange(side) + 0.5) / side - 0.5) for side in shape)
    disc = y[:, None] ** 2 + x[None, :] ** 2 < DISC**2
    empty = np.zeros(shape, np.uint8)
    return {NOTHING: empty, EVERYTHING: empty + np.uint8(label), CENTRE: disc * np.uint8(label)}


def summary(found: list[Comparison], classes: tuple[str, ...]) -> pd.DataFrame:
    """One row per step, with the scores of `mask_scores` and two of them with their 95 % intervals by patient."""
    rows = []
    for method in dict.fromkeys(one.method for one in found):
        of_method = [one for one in found if one.method == method]
        confusions, patients = np.stack([one.confusion for one in of_method]), [one.patient for one in of_method]
        scores = mask_scores(confusions)
        intervals = score_intervals(confusions, patients, list(INTERVALS.values()))
        row: dict[str, object] = {"method": method, "scans": len(of_method), "patients": len(set(patients))}
        row |= {name: value for name, value in asdict(scores).items() if name != "classes"}
        for name, (low, high) in zip(INTERVALS, intervals, strict=True):
            row |= {f"{name}_low": low, f"{name}_high": high}
        rows.append({**row, **{f"iou {of}": value for of, value in zip(classes, scores.classes, strict=True)}})
    return pd.DataFrame(rows, columns=None if rows else ["method", "scans", "patients", "positives", "mean_iou"])


def results(found: list[Comparison], classes: tuple[str, ...]) -> pd.DataFrame:
    """The table `results.csv` of every method: counts of pixels per image, step and subset; `all` is any class."""
    rows = []
    for one in found:
        pixels = one.confusion
        counted = {ALL: _overlap(pixels, range(1, len(pixels)))}
        counted |= {name if name != ALL else f"class {ALL}": _overlap(pixels, [k]) for k, name in enumerate(classes, 1)}
        rows += result_rows(one.method, one.scan, counted, one.patient)
    return results_table(rows)


def _overlap(pixels: Integer[np.ndarray, "class class"], those: Sequence[int]) -> Overlap:
    """Pixels that are one of some classes in the truth, the mask or both."""
    inside = np.isin(np.arange(len(pixels)), list(those))
    both, marked, true = (
        int(pixels[np.ix_(rows, columns)].sum())
        for rows, columns in ((inside, inside), (~inside, inside), (inside, ~inside))
    )
    return Overlap(both, marked, true, int(pixels.sum()) - both - marked - true)


def class_scores(pictures: PictureSet, probabilities: pd.DataFrame) -> pd.DataFrame:
    """AUC and F1 of the classifier on the evaluated images, class by class, with 95 % intervals by patient."""
    found = probabilities.set_index("file").loc[pictures.files]
    rows = []
    for place, of in enumerate(pictures.classes):
        known = np.isfinite(pictures.presence[:, place])
        present = pictures.presence[known, place] == 1
        probability, groups = found[f"{CLASS}{of}"].to_numpy()[known], pictures.table["patient"][known].tolist()
        row: dict[str, object] = {"class": of, "scans": int(known.sum()), "patients": len(set(groups))}
        row["positives"] = int(present.sum())
        for name, score in (("auc", auc), ("f1", f1)):
            one = with_interval(score, present, probability, groups)
            row |= {name: one.value, f"{name}_low": one.low, f"{name}_high": one.high}
        rows.append(row)
    return pd.DataFrame(rows)
