"""Comparisons for WSMIS: methods that share its stages and that experiments alone know.

`wsmis-floor`       masks without a network; the classes of the picture are known
`wsmis-labels`      WSMIS up to the labels of its maps; the classes are known
`wsmis-supervised`  WSMIS's segmentation network and gate, learnt from the true masks of the training pictures
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, UInt8
from pydantic import Field

from weakmask.atomic_write import atomic_files
from weakmask.config import Seed, Settings
from weakmask.csv_table import read_csv, write_csv
from weakmask.datasets.cohort import read_cohort
from weakmask.evaluation.class_masks import IGNORED, class_confusion
from weakmask.methods.method import Method
from weakmask.methods.wsmis import METHOD, WsmisSettings
from weakmask.methods.wsmis.boundary import LABELS
from weakmask.methods.wsmis.classification import PROBABILITIES
from weakmask.methods.wsmis.config import DataSettings, PrepareSettings
from weakmask.methods.wsmis.evaluation import (
    EVERYTHING,
    OWN,
    Comparison,
    Mask,
    class_scores,
    floors,
    read_truth,
    results,
    summary,
)
from weakmask.methods.wsmis.labels import CUT, REFINED
from weakmask.methods.wsmis.masks import prepared_cases
from weakmask.methods.wsmis.picture import on_grid
from weakmask.methods.wsmis.picture_set import (
    PictureSet,
    known_presence,
    read_labels,
    read_picture,
    read_pictures,
    write_picture,
)
from weakmask.pipeline import Run, Stage, Work
from weakmask.progress import track
from weakmask.refinement import otsu_threshold
from weakmask.refinement.saliency import border_colour_saliency, dark_centre_saliency
from weakmask.regions.segment_scan import read_scan
from weakmask.report.page import Page
from weakmask.volume.storage_order import upright

MASKS = "masks"  # the cohort beside the training cohort, with the true masks of the same pictures
SALIENCIES = {"border colour": border_colour_saliency, "dark centre": dark_centre_saliency}
Floor = Literal["nothing", "everything", "centre disc", "border colour", "dark centre"]
MaskOf = Callable[[int, tuple[int, ...]], Mask]  # row of the picture and its shape -> mask


class MaskSettings(Settings):
    """The mask without a network."""

    mask: Floor = Field(default="nothing", description="the last two: Otsu's threshold of a saliency")


class FloorSettings(Settings):
    """Everything that changes a number of a row without a network."""

    method: Literal["wsmis-floor"] = "wsmis-floor"
    seed: Seed = Field(default=0, description="not used")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field(default="auto", description="as in all rows; not used")
    data: DataSettings
    prepare: PrepareSettings = PrepareSettings()
    floor: MaskSettings = MaskSettings()


def evaluate_floor(work: Work[Any]) -> None:
    """Write the tables of a mask without a network; a class that is unknown counts as absent."""
    pictures = _tested(work)
    presence = np.nan_to_num(pictures.presence)
    kind = work.config.floor.mask

    def mask_of(row: int, shape: tuple[int, ...]) -> Mask:
        """The mask of a picture."""
        picture = read_picture(pictures.folder / "pictures" / pictures.files[row])
        return floor_mask(kind, picture, presence[row], shape)

    _write_tables(work, pictures, presence, mask_of)


def floor_mask(
    kind: Floor,
    picture: UInt8[np.ndarray, "colour side side"],
    present: Float[np.ndarray, " class"],
    shape: tuple[int, ...],
) -> Mask:
    """The mask of a picture without a network, with the number of the first class that is present.

    Args:
        kind: Which mask.
        picture: The small square picture.
        present: 1 for each class that is in the picture; none of them: the mask is empty.
        shape: Pixels of the mask.
    """
    simple = floors(shape, present)
    if kind not in SALIENCIES:
        return simple[kind]
    saliency = SALIENCIES[kind](picture)
    salient = (saliency > otsu_threshold(saliency)).astype(np.uint8)
    return on_grid(salient, shape) * simple[EVERYTHING].max()


def evaluate_labels(work: Work[WsmisSettings]) -> None:
    """Write the tables of the labels that the segmentation learns from, of pictures that are not learnt."""
    pictures = _tested(work)
    probabilities = read_csv(work.stage("classification") / PROBABILITIES)
    folder = work.stage("labels") / (REFINED if work.config.labels.crf else CUT)
    if work.config.boundary.train:
        folder = work.stage("boundary") / LABELS
    presence = known_presence(pictures, probabilities)
    _write_tables(
        work, pictures, presence, lambda row, shape: on_grid(read_labels(folder / pictures.files[row]), shape)
    )
    write_csv(class_scores(pictures, probabilities), work.out / "classes.csv", "%.6g")


def true_labels(work: Work[WsmisSettings]) -> None:
    """Write labels/FILE of the training pictures from the cohort `MASKS`; one without a usable mask teaches nothing."""
    pictures = read_pictures(work.stage("prepare")).of("training")
    cases = {case.name: case for case in read_cohort(work.config.data.cohort.with_name(MASKS)).cases}
    side, names = work.config.prepare.side, pictures.table["scan"].tolist()
    for row in track(range(len(pictures)), "labels", len(pictures)):
        case, present = cases[names[row]], np.nan_to_num(pictures.presence[row])
        grid = upright(read_scan(case.image, case.name, case.series).image).geometry
        truth = read_truth(work, case, grid, present)
        if truth is None:
            truth = np.full(grid.shape[1:], IGNORED if present.any() else 0)
        square = on_grid(truth.astype(np.uint8), (side, side))
        write_picture(work.out / LABELS / pictures.files[row], square[None])


def _tested(work: Work[WsmisSettings]) -> PictureSet:
    """The pictures of the tables."""
    return read_pictures(work.stage("prepare")).of("test")


def _write_tables(
    work: Work[WsmisSettings], pictures: PictureSet, presence: Float[np.ndarray, "picture class"], mask_of: MaskOf
) -> None:
    """Write summary.csv and results.csv, as the whole method does."""
    row_of = {name: row for row, name in enumerate(pictures.table["scan"])}
    found = []
    for case in prepared_cases(work):
        row = row_of[case.name]
        truth = read_truth(
            work, case, upright(read_scan(case.image, case.name, case.series).image).geometry, presence[row]
        )
        if truth is not None:
            confusion = class_confusion(mask_of(row, truth.shape), truth, len(pictures.classes) + 1)
            found.append(Comparison(OWN, case.name, case.group, confusion))
    tables = {"summary.csv": summary(found, pictures.classes), "results.csv": results(found, pictures.classes)}
    with atomic_files([work.out / name for name in tables]) as temporaries:
        for temporary, table in zip(temporaries, tables.values(), strict=True):
            write_csv(table, temporary, "%.6g")


def page(run: Run[Settings]) -> Page:
    """The report of such a run."""
    return Page(
        title=run.folder.name,
        summary="A row of the tables of WSMIS.",
        table=read_csv(run.stage("evaluation") / "summary.csv"),
        config=run.config.model_dump(mode="json"),
        provenance=run.manifest(),
    )


STAGES = {stage.name: stage for stage in METHOD.stages}
MAP_STAGES = ("prepare", "classification", "maps", "labels", "boundary")
SEEN_BY_EVALUATION = ("data", "labels.crf", "boundary.train")

FLOOR = Method(
    title="masks of pictures without a network",
    paper="none",
    labels="classes per image, of the pictures to segment",
    settings=FloorSettings,
    stages=(
        STAGES["prepare"],
        Stage("evaluation", evaluate_floor, after=("prepare",), settings=("data", "floor")),
    ),
    report=page,
)
LABELLING = Method(
    title="labels of pixels from activation maps",
    paper=METHOD.paper,
    labels=METHOD.labels,
    settings=WsmisSettings,
    stages=(
        *(STAGES[name] for name in MAP_STAGES),
        Stage("evaluation", evaluate_labels, after=MAP_STAGES, settings=SEEN_BY_EVALUATION),
    ),
    report=page,
)
SUPERVISED = Method(
    title="WSMIS's segmentation network on true masks",
    paper="none",
    labels="masks",
    settings=WsmisSettings,
    stages=(
        STAGES["prepare"],
        STAGES["classification"],
        Stage("labels", true_labels, after=("prepare",), settings=("data", "prepare")),
        replace(STAGES["segmentation"], after=("prepare", "labels")),
        STAGES["model"],
        STAGES["masks"],
        replace(STAGES["evaluation"], after=("prepare", "classification", "labels", "masks")),
    ),
    report=page,
)
BASELINES = {"wsmis-floor": FLOOR, "wsmis-labels": LABELLING, "wsmis-supervised": SUPERVISED}
