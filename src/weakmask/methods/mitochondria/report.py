"""The report of a run: the table, and the worst errors in three planes with coloured instances."""

import math
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from jaxtyping import Bool, Integer, UInt8

from weakmask.csv_table import read_csv
from weakmask.evaluation.instance_overlap import instance_overlap
from weakmask.methods.mitochondria.config import MitochondriaSettings
from weakmask.methods.mitochondria.evaluation import TITLES, evaluated_stacks
from weakmask.methods.mitochondria.instances import OWN
from weakmask.methods.mitochondria.report_text import TITLE, methods_text
from weakmask.methods.mitochondria.training import CURVES
from weakmask.methods.mitochondria.worst_instances import worst_errors
from weakmask.pipeline import Run, Work
from weakmask.report.page import Page
from weakmask.report.picture_rows import PictureRow, draw_picture_rows, tinted
from weakmask.volume.geometry import Float3
from weakmask.volume.stack_files import open_stack

MOST_ROWS, MOST_STACKS = 14, 4
SIDE_NM = 1500.0  # of the pictures, at least
CAPTION = (
    "The largest errors: true instances that were missed, predictions that merge several, instances that were split, "
    "and predictions where there is none. Each in its largest section, and in cuts along y and along x, where z runs "
    "down; colours are instances."
)
TABLE_CAPTION = (
    "ap 75: average precision at IoU 0.75, instances ranked by size; accuracy 75: TP / (TP + FP + FN) at this IoU, "
    "with the counts; splits, merges: truths and predictions that hold several; no crumbs: without truths below 2,000 "
    "voxels. The threshold of the first row is chosen on the truth itself."
)
KEYS = {"ap_75": "AP-75", "ap_50": "AP-50", "dice": "Dice", "accuracy_75": "accuracy-75"}


def run_page(run: Run[MitochondriaSettings]) -> Page:
    """The report of a finished run; its table is the summary.

    Raises:
        UserError: The run is not finished.
    """
    summary = read_csv(run.stage("evaluation") / "summary.csv")
    rows = [row for row in summary.to_dict("records") if row["method"] == TITLES[OWN]]
    own = {name: float(rows[0][name]) for name in (*KEYS, "tp", "truths", "fp")} if rows else None
    return Page(
        title=f"{TITLE}: {run.folder.name}",
        summary=_sentence(own),
        tiles=tuple((text, f"{own[name]:.3f}") for name, text in KEYS.items() if own and math.isfinite(own[name])),
        table=summary if len(summary) else None,
        table_caption=TABLE_CAPTION,
        picture=draw_picture_rows(list(_rows(run))),
        picture_caption=CAPTION,
        curves=_curves(run),
        config=run.config.model_dump(mode="json"),
        methods_text=methods_text(run.config),
        provenance=run.manifest(),
    )


def _sentence(own: dict[str, float] | None) -> str:
    if own is None:
        return f"{TITLE} in stacks of electron microscopy; all sections were trained on, and nothing is evaluated."
    return (
        f"{TITLE} in stacks of electron microscopy: AP-75 {own['ap_75']:.3f}, with {own['tp']:g} of {own['truths']:g} "
        f"instances found at IoU 0.75 and {own['fp']:g} false ones; Dice {own['dice']:.3f}."
    )


def _curves(run: Run[MitochondriaSettings]) -> pd.DataFrame:
    return read_csv(run.stage("train") / CURVES)


def _rows(run: Run[MitochondriaSettings]) -> Iterator[PictureRow]:
    """The worst errors of the first stacks."""
    work = Work(run.folder, run.folder, run.config)
    count = 0
    for stacks, (row, _, image, truth) in enumerate(evaluated_stacks(work)):
        if stacks == MOST_STACKS or count >= MOST_ROWS:
            return
        found = open_stack(run.stage("instances") / OWN / f"{row.scan}.tif", "label")[:]
        for error in worst_errors(instance_overlap(found, truth)):
            count += 1
            where = truth if error.in_truth else found
            panels = error_panels(image, {"truth": truth, "found": found}, where == error.label, row.spacing_nm)
            yield PictureRow(row.scan, f"{error.kind}, {error.voxels:,} voxels", panels)


def error_panels(
    image: UInt8[np.ndarray, "z y x"],
    labels: Mapping[str, Integer[np.ndarray, "z y x"]],
    inside: Bool[np.ndarray, "z y x"],
    spacing_nm: Float3,
) -> dict[str, np.ndarray]:
    """Pictures around an instance: its largest section, and a cut along y and along x through its middle.

    Args:
        image: Grey values.
        labels: Title -> instances that tint the pictures.
        inside: The voxels of the instance.
        spacing_nm: Voxel size.
    """
    z = int(inside.sum(axis=(1, 2)).argmax())
    rows, columns = np.nonzero(inside[z])
    half = max(int(SIDE_NM / spacing_nm[1] / 2), int(np.ptp(rows)), int(np.ptp(columns)), 8)
    y, x = int(np.median(rows)), int(np.median(columns))
    along_y, along_x = (slice(max(0, middle - half), middle + half) for middle in (y, x))
    stretch = max(1, round(spacing_nm[0] / spacing_nm[1]))
    cuts = {
        "section": (z, along_y, along_x),
        "along y": (slice(None), along_y, x),
        "along x": (slice(None), y, along_x),
    }
    panels = {"section": _grey(image[cuts["section"]])}
    for name, cut in cuts.items():
        for title, instances in labels.items():
            grey, of = image[cut], instances[cut]
            if name != "section":
                grey, of = (np.repeat(one, stretch, axis=0) for one in (grey, of))
            panels[f"{title}, {name}"] = tinted(_grey(grey), of)
    return panels


def _grey(section: UInt8[np.ndarray, "rows columns"]) -> UInt8[np.ndarray, "rows columns 3"]:
    return np.stack([section] * 3, axis=-1)
