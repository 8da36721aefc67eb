"""The report of a run: the table of steps, every intermediate of the worst images, and their masks."""

import math
from functools import partial

import numpy as np
import pandas as pd

from weakmask.csv_table import read_csv
from weakmask.datasets.case import Case
from weakmask.datasets.usable_truth import usable_truth
from weakmask.errors import UserError
from weakmask.methods.wsmis.boundary import EDGES
from weakmask.methods.wsmis.config import WsmisSettings
from weakmask.methods.wsmis.evaluation import ALL, OWN
from weakmask.methods.wsmis.labels import LABELS, REFINED
from weakmask.methods.wsmis.maps import learnt_and_evaluated, read_maps
from weakmask.methods.wsmis.masks import mask_file, prepared_cases
from weakmask.methods.wsmis.picture import picture_of
from weakmask.methods.wsmis.picture_set import PictureSet, read_labels, read_picture, read_pictures
from weakmask.methods.wsmis.report_text import TITLE, methods_text
from weakmask.methods.wsmis.segmentation import last_round
from weakmask.pipeline import Run, Work
from weakmask.prediction import Scan
from weakmask.regions.segment_scan import read_scan
from weakmask.report.page import Page, ScanView
from weakmask.report.picture_rows import PictureRow, draw_picture_rows, heated, tinted
from weakmask.volume.files import read_volume
from weakmask.volume.storage_order import in_order_of, upright

TABLES = ("summary", "results", "classes")
MOST_ROWS, MOST_SCANS = 8, 12
CAPTION = (
    "The images that WSMIS marks worst, and the steps on the way to its mask; colours are classes, grey pixels teach "
    "nothing."
)
TABLE_CAPTION = (
    "positives: mean IoU of images with a class; all empty 1: mean IoU of all images, 1 where mask and truth are "
    "empty; pooled, background and classes: pixels of all images together; mean iou: their mean over background and "
    "classes; empties right: share of the images without a class that stay empty. Intervals are 95 % over "
    "patients. All rows but the last know the classes of the image."
)


def run_page(run: Run[WsmisSettings]) -> Page:
    """The report of a finished run; its table is the summary.

    Raises:
        UserError: The run is not finished.
    """
    evaluated = run.stage("evaluation")
    summary, results, classes = (read_csv(evaluated / f"{name}.csv") for name in TABLES)
    rows = [row for row in summary.to_dict("records") if row["method"] == OWN]
    own = {name: float(rows[0][name]) for name in ("scans", "mean_iou", "positives", "empties_right")} if rows else None
    own_rows = results[(results["subset"] == ALL) & (results["method"] == OWN)]
    ious = dict(zip(own_rows["scan"].tolist(), own_rows["iou"].tolist(), strict=True))
    work = Work(run.folder, run.folder, run.config)
    cases = sorted(prepared_cases(work), key=lambda case: _place(ious.get(case.name, math.nan)))
    scans = {case.name: partial(_view, work, case, ious.get(case.name, math.nan)) for case in cases}
    return Page(
        title=f"{TITLE}: {run.folder.name}",
        summary=_sentence(own, classes),
        tiles=_tiles(own, classes),
        table=summary if len(summary) else None,
        table_caption=TABLE_CAPTION,
        picture=draw_picture_rows(_rows(work, cases[:MOST_ROWS], ious)),
        picture_caption=CAPTION,
        views=list(scans.values())[:MOST_SCANS],
        scans=scans,
        curves=_curves(run),
        config=run.config.model_dump(mode="json"),
        methods_text=methods_text(run.config),
        provenance=run.manifest(),
    )


def _place(iou: float) -> float:
    """The place of an image among the others, the worst first; without a class or truth it comes last."""
    return math.inf if math.isnan(iou) else iou


def _sentence(own: dict[str, float] | None, classes: pd.DataFrame) -> str:
    known = classes["auc"].dropna()
    learnt = f" The classifier's mean AUC is {known.mean():.3f}." if len(known) else ""
    if own is None:
        return (
            f"{TITLE}, trained on the classes of whole images; no image has a truth to compare its mask with.{learnt}"
        )
    return (
        f"{TITLE}, trained on the classes of whole images, reaches a mean IoU of {own['mean_iou']:.3f} over background "
        f"and classes on {own['scans']:g} images.{learnt}"
    )


def _tiles(own: dict[str, float] | None, classes: pd.DataFrame) -> tuple[tuple[str, str], ...]:
    names = {"mean_iou": "mean IoU", "positives": "IoU of positives", "empties_right": "empties right"}
    found = [] if own is None else [(text, own[name]) for name, text in names.items()]
    found += [(f"AUC, {row['class']}", row["auc"]) for row in classes.to_dict("records")]
    return tuple((text, f"{value:.3f}") for text, value in found if math.isfinite(value))


def _curves(run: Run[WsmisSettings]) -> pd.DataFrame:
    """The curves of all trainings, each with its name in the column `stage`."""
    folders = {"classification": run.stage("classification"), "segmentation": last_round(run.stage("segmentation"))}
    if run.config.boundary.train:
        folders["boundary"] = run.stage("boundary")
    return pd.concat([read_csv(folder / "curves.csv").assign(stage=name) for name, folder in folders.items()])


def _rows(work: Work[WsmisSettings], cases: list[Case], ious: dict[str, float]) -> list[PictureRow]:
    """Every intermediate of some images, on the small square picture."""
    pictures = learnt_and_evaluated(read_pictures(work.stage("prepare"))).of("validation", "test")
    row_of = {name: row for row, name in enumerate(pictures.table["scan"])}
    rows = []
    for case in cases:
        headline = f"IoU {ious[case.name]:.2f}" if math.isfinite(ious.get(case.name, math.nan)) else ""
        rows.append(PictureRow(case.name, headline, _panels(work, case, pictures, row_of[case.name])))
    return rows


def _panels(work: Work[WsmisSettings], case: Case, pictures: PictureSet, row: int) -> dict[str, np.ndarray]:
    file = pictures.files[row]
    pixels = read_picture(work.stage("prepare") / "pictures" / file)
    picture = np.ascontiguousarray(np.broadcast_to(pixels, (3, *pixels.shape[1:])).transpose(1, 2, 0))
    panels = {"image": picture, "map": heated(picture, read_maps(work, pictures, row)[0].amax(0).numpy())}
    steps = {"after the CRF": work.stage("labels") / REFINED, "labels": work.stage("labels") / LABELS}
    if work.config.boundary.train:
        edge = work.stage("boundary") / EDGES / file
        if edge.exists():
            panels["boundary"] = heated(picture, _square(read_labels(edge), picture.shape) / np.float32(255))
        steps["labels"] = work.stage("boundary") / LABELS
    for title, folder in steps.items():
        if (folder / file).exists():
            panels[title] = tinted(picture, read_labels(folder / file))
    mask, truth = _mask_and_truth(work, case)
    panels["mask"] = tinted(picture, _square(mask, picture.shape))
    if truth is not None:
        panels["truth"] = tinted(picture, _square(truth, picture.shape))
    return panels


def _square(labels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Labels at the size of the square picture, each that of the nearest pixel."""
    places = [
        np.minimum((np.arange(new) + 0.5) * old / new, old - 1).astype(int)
        for new, old in zip(shape, labels.shape, strict=False)
    ]
    return labels[np.ix_(*places)]


def _mask_and_truth(work: Work[WsmisSettings], case: Case) -> tuple[np.ndarray, np.ndarray | None]:
    """Mask and truth of a case in upright order; None where no truth can be used."""
    image = upright(read_scan(case.image, case.name, case.series).image)
    mask = read_volume(work.stage("masks") / "masks" / mask_file(case), "label")
    try:
        truth = usable_truth(case, image.geometry)
    except UserError:  # the evaluation has noted it
        truth = None
    return in_order_of(mask, image.geometry).voxels[0], None if truth is None else truth.voxels[0]


def _view(work: Work[WsmisSettings], case: Case, iou: float) -> ScanView:
    image = upright(read_scan(case.image, case.name, case.series).image)
    _, window = picture_of(Scan(case.name, image), work.config.prepare.window)
    mask, truth = _mask_and_truth(work, case)
    activation = read_volume(work.stage("masks") / "activation" / mask_file(case))
    scale = np.float32(255) if mask_file(case).endswith(".png") else np.float32(1)
    found = in_order_of(activation, image.geometry).voxels / scale
    return ScanView(
        name=case.name,
        image=image,
        window_hu=window,
        mask=image.with_voxels(mask[None], "label"),
        activation=image.with_voxels(found),
        truth=None if truth is None else image.with_voxels(truth[None], "label"),
        headline=f"IoU {iou:.3f}" if math.isfinite(iou) else "no truth",
        rank=iou,
    )
