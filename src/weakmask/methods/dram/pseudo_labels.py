"""Pseudo-labels: the regression's maps of the training scans, cut into voxel labels for the context network (III-A-5).

The map of a scan is sharpened by the dense CRF and cut. The paper cuts at 0.5. Here the cut also keeps each region's
lesion fraction within the interval of its score, which the context network never sees.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from weakmask.csv_table import read_csv
from weakmask.datasets.case import Case, Cohort
from weakmask.errors import UserError
from weakmask.memory import memory_for
from weakmask.methods.dram.config import DramSettings
from weakmask.methods.dram.context_grid import BACKGROUND, LESION, NOT_LEARNT, VESSEL, context_grid
from weakmask.methods.dram.maps import map_of_scan
from weakmask.methods.dram.model import DramModel, load_model
from weakmask.methods.dram.refinement import crf_of
from weakmask.methods.dram.vessels import asks_for_vessels
from weakmask.pipeline import Work
from weakmask.pipeline.cohort_cases import noted_cohort
from weakmask.progress import track
from weakmask.refinement import refine_map
from weakmask.refinement.score_consistent import score_consistent
from weakmask.region_learning.true_masks import true_mask_of
from weakmask.region_learning.usable_cases import read_case, unscored_regions
from weakmask.scoring.severity import ScoreMap
from weakmask.training.checkpoints import MODEL
from weakmask.training.devices import device_of
from weakmask.volume.files import read_volume, write_volume
from weakmask.volume.intensity import compacted, window
from weakmask.volume.resample import resample_onto
from weakmask.volume.volume import Volume


def pseudo_labels(work: Work) -> None:
    """Write images/*.npy and labels/*.nii.gz, one pair per training scan; nothing without a context network."""
    config: DramSettings = work.config
    if not config.context.train:
        return
    index = read_csv(work.stage("prepare") / "index.csv")
    training = set(index.loc[index["split"] == "training", "scan"])
    cohort = noted_cohort(config.data.cohort, work)
    trained = load_model(work.stage("model") / MODEL, device_of(config.device))
    (work.out / "images").mkdir()
    cases = [case for case in cohort.cases if case.name in training]
    unscored: list[int] = []  # per scan
    for case in track(cases, "pseudo-labels", len(cases)):
        try:
            with memory_for(case.name, in_stage=True):
                scan = _found_scan(case, cohort, work, trained, index.loc[index["scan"] == case.name, "file"].tolist())
                image, labels = labelled(scan, config, trained.threshold, cohort.score_map)
        except UserError as error:
            work.note(f"left out {case.name}: {error}")
            continue
        np.save(work.out / "images" / f"{case.name}.npy", image.voxels)
        write_volume(labels, work.out / "labels" / f"{case.name}.nii.gz")
        unscored.append(len(unscored_regions(scan.regions, case.scores)))
    if any(unscored):
        work.note(
            f"{sum(unscored)} regions of {np.count_nonzero(unscored)} training scans have no score: the context "
            "network does not learn from them"
        )


@dataclass(frozen=True)
class FoundScan:
    """A training scan with the volumes that its labels are made of; all lie on the scan's grid.

    Attributes:
        image: In Hounsfield units.
        regions: Region labels.
        activation: The regression's map, zero outside the regions.
        vessels: 1 in vessels, which are neither lesion nor background. None: the run has no vessels.
        scores: Region -> score; a region without one is not learnt.
        truth: The true mask, which makes the labels where it is known and may be learnt; None: scores do.
    """

    image: Volume
    regions: Volume
    activation: Volume
    vessels: Volume | None
    scores: Mapping[int, int]
    truth: Volume | None = None


def _found_scan(case: Case, cohort: Cohort, work: Work, trained: DramModel, crops: list[str]) -> FoundScan:
    """A training scan with the regression's map of it.

    Args:
        case: The scan.
        cohort: Its cohort.
        work: Of the stage.
        trained: The regression's model.
        crops: Files of the scan's crops, as index.csv names them.
    """
    image, regions = read_case(case, cohort, work)
    found = image.with_voxels(map_of_scan(trained, image, regions), "image")
    vessels = vessels_of(work.stage("vessels"), crops, image) if asks_for_vessels(work.config) else None
    truth = true_mask_of(case, cohort, work) if work.config.true_masks.use else None
    return FoundScan(image, regions, found, vessels, case.scores, truth)


def labelled(scan: FoundScan, config: DramSettings, threshold: float, score_map: ScoreMap) -> tuple[Volume, Volume]:
    """Resample a scan to the context network's grid and label its voxels.

    Args:
        scan: The scan.
        config: Settings of the run.
        threshold: Of the map.
        score_map: The lesion fractions that the scores mean.

    Returns:
        The scan with enough around the regions for windows to read, and labels of the same shape. A region
        without a score is `NOT_LEARNT`, since it may or may not have lesions.
    """
    grid = context_grid(scan.image, scan.regions, config.context).whole
    image, regions = resample_onto(scan.image, grid, fill=config.prepare.window[0]), resample_onto(scan.regions, grid)
    rank = resample_onto(scan.activation, grid).voxels
    vessel = np.zeros(rank.shape, bool) if scan.vessels is None else resample_onto(scan.vessels, grid).voxels > 0
    inside = regions.voxels > 0
    rank = np.where(inside & ~vessel, rank, 0.0).astype(np.float32)
    truth = None if scan.truth is None else inside & (resample_onto(scan.truth, grid).voxels > 0)
    lesion = _cut(rank, image, regions, scan, (config, threshold, score_map)) if truth is None else truth
    labels = np.where(lesion, LESION, np.where(vessel & inside, VESSEL, BACKGROUND)).astype(np.uint8)
    if truth is None:
        labels[inside & ~np.isin(regions.voxels, list(scan.scores))] = NOT_LEARNT
    if config.context.inside_only:
        labels[~inside] = NOT_LEARNT
        image = image.with_voxels(np.where(inside, image.voxels, config.prepare.window[0]))
    grey = compacted(image.voxels, scan.image.voxels.dtype, *config.prepare.window)
    return image.with_voxels(grey), image.with_voxels(labels, "label")


def _cut(
    rank: np.ndarray, image: Volume, regions: Volume, scan: FoundScan, how: tuple[DramSettings, float, ScoreMap]
) -> np.ndarray:
    """The lesions of a map, cut so that each region keeps to its score.

    Args:
        rank: The map on the grid of the labels, 0 outside the regions and in vessels.
        image: On that grid.
        regions: Likewise.
        scan: The scan, for its scores.
        how: Settings, threshold of the map, and the lesion fractions that scores mean.
    """
    config, threshold, score_map = how
    inside = regions.voxels > 0
    if config.context.crf and config.refinement.crf.iterations:
        sharp = _sharpened(rank / (2 * max(threshold, 1e-3)), image, inside, config)
        # the CRF says 0 or 1 nearly everywhere; the map tells which voxels go first where the score wants fewer
        rank, threshold = (sharp + rank) / 2, 0.5
    lesion = np.zeros(rank.shape, bool)
    for label, score in scan.scores.items():
        region = regions.voxels == label
        if not region.any() or score_map.healthy(score):
            continue
        bounds = score_map.interval(score) if config.context.keep_to_scores else (0.0, 1.0)
        low, high = (torch.tensor([bound], dtype=torch.float32) for bound in bounds)
        chosen = score_consistent(_tensor(rank), _tensor(region), low, high, threshold)
        lesion |= chosen[0, 0].numpy()
    return lesion


def _sharpened(activation: np.ndarray, image: Volume, inside: np.ndarray, config: DramSettings) -> np.ndarray:
    """The output of the dense CRF; the map was rescaled so that its threshold lies at 0.5."""
    grey = window(image.voxels, *config.prepare.window)
    spacing = image.geometry.spacing_mm
    flat = grey.shape[0] == 1
    tensors = [_tensor(np.minimum(activation, 1.0)), _tensor(grey), _tensor(inside)]
    if flat:  # a slice has no neighbours above and below
        tensors, spacing = [each[:, :, 0] for each in tensors], spacing[1:]
    found = refine_map(tensors[0], tensors[1], crf_of(config.refinement.crf), spacing, tensors[2])
    return found.numpy().reshape(grey.shape) * inside


def vessels_of(folder: Path, files: list[str], image: Volume) -> Volume:
    """The vessel masks of a scan's crops, put together on the scan's grid.

    Args:
        folder: Of the vessel stage.
        files: Of the crops, as index.csv names them.
        image: The scan that the crops were cut from.
    """
    found = np.zeros(image.geometry.shape, dtype=np.uint8)
    for file in files:
        mask = read_volume(folder / "masks" / Path(file).name, "label")
        found |= resample_onto(mask, image.geometry).voxels.astype(np.uint8)
    return image.with_voxels(found, "label")


def _tensor(voxels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(voxels))[None, None]
