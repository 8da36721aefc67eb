"""Masks of scans without a network: nothing, whole regions, Otsu in each region, and thresholds from training scores.

A threshold is chosen on the crops that networks learn from, at which the regions' fractions fit their scores best.
Where all regions weigh alike and most are healthy, it comes out far too high; hence there is one for which all scores
weigh alike. The opened picture is where dRAM's anchored training starts from: the network adds the difference.
"""

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from weakmask.activation.dram import dense_regression_map
from weakmask.errors import UserError
from weakmask.losses import inverse_frequency_weights
from weakmask.pipeline import Work
from weakmask.refinement.clean_cut import clean_cut
from weakmask.refinement.grey_opening import opened
from weakmask.region_learning.crops import CropSet, load_crops
from weakmask.region_learning.evaluate_run import fixed_threshold
from weakmask.region_learning.region_model import RegionModel
from weakmask.region_learning.scan_map import scan_map
from weakmask.region_learning.threshold_baselines import (
    fixed_threshold_mask,
    opened_threshold,
    otsu_in_regions,
    predict_nothing,
)
from weakmask.scoring.severity import ScoreMap
from weakmask.volume.volume import Volume

ThresholdMask = Literal[
    "nothing",
    "everything",
    "Otsu in the region",
    "fixed threshold",
    "fixed threshold, balanced",
    "opened picture",
    "opened picture, clean cut",
]
Mask = Callable[[Volume, Volume, list[int]], np.ndarray]  # image, regions, their labels -> mask
STEEP = 200.0  # slope of the sigmoid that stands for a threshold


class OpenedPicture(nn.Module):
    """A stand-in for a network: its logits are positive where the opened picture exceeds a threshold."""

    def __init__(self, voxels: int, threshold: float) -> None:
        """Take the window of the opening and the threshold of the opened picture in [0, 1]."""
        super().__init__()
        self.voxels = voxels
        self.threshold = nn.Parameter(torch.tensor(threshold), requires_grad=False)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of windowed crops."""
        return STEEP * (opened(image, self.voxels) - self.threshold)


def mask_function(work: Work[Any], kind: ThresholdMask, opening_voxels: int, score_map: ScoreMap) -> Mask:
    """The function that makes the masks; its threshold is chosen once, on the training scores, and noted.

    Args:
        work: Of a stage that reads the crops of `prepare`.
        kind: Which mask.
        opening_voxels: The window of the opened picture.
        score_map: Meaning of the training scores.

    Raises:
        UserError: A threshold is asked for, and there are no training crops.
    """
    if kind == "nothing":
        return lambda image, regions, labels: predict_nothing(image.voxels)  # noqa: ARG005 (one signature for all)
    if kind == "everything":
        return lambda image, regions, labels: np.isin(regions.voxels, labels)  # noqa: ARG005 (as above)
    if kind == "Otsu in the region":
        return lambda image, regions, labels: otsu_in_regions(image.voxels, regions.voxels, labels)
    prepared, prepare = work.stage("prepare"), work.config.prepare
    if kind == "opened picture, clean cut":
        threshold = opened_clean_cut(load_crops(prepared, "validation", prepare), opening_voxels, score_map)
        work.note(f"cut of the opened picture chosen on held-out regions without lesions: {threshold:.3f}")
        return partial(_opened_mask, _opened_model(work, opening_voxels, threshold, score_map))
    crops = load_crops(prepared, "training", prepare)
    if kind == "opened picture":
        threshold = opened_threshold(crops, opening_voxels, score_map)
        work.note(f"threshold of the opened picture chosen on the training scores: {threshold:.3f} of the window")
        return partial(_opened_mask, _opened_model(work, opening_voxels, threshold, score_map))
    weights = inverse_frequency_weights(crops.table["score"].tolist()) if kind.endswith("balanced") else None
    threshold = fixed_threshold(prepared, prepare, score_map, weights)
    work.note(f"fixed threshold chosen on the training scores: {threshold:.0f}")
    return lambda image, regions, labels: fixed_threshold_mask(image.voxels, regions.voxels, labels, threshold)


def opened_clean_cut(held_out: CropSet, voxels: int, score_map: ScoreMap) -> float:
    """The lowest cut of the opened images at which half of the held-out healthy regions have less than 1 % marked.

    Raises:
        UserError: No region without lesions is held out.
    """
    healthy = [row for row, score in enumerate(held_out.table["score"]) if score_map.healthy(score)]
    if not healthy:
        raise UserError("no region without lesions is held out; expected some to choose the cut on")
    found = []
    for image, region in zip(held_out.image[healthy], held_out.region[healthy], strict=True):
        found.append(opened(image[None].float(), voxels)[0][region].numpy())
    return clean_cut(found)


def _opened_model(work: Work[Any], voxels: int, threshold: float, score_map: ScoreMap) -> RegionModel:
    return RegionModel(
        network=OpenedPicture(voxels, threshold).eval(),
        config=SimpleNamespace(prepare=work.config.prepare, maps=SimpleNamespace(scales=(1.0,))),
        score_map=score_map,
        region_names={},
        crop_spacing_mm=(1.0, 1.0, 1.0),
        header={},
    )


def _opened_mask(model: RegionModel, image: Volume, regions: Volume, labels: list[int]) -> np.ndarray:
    found = scan_map(model, partial(dense_regression_map, model.network), image, regions)
    return (found >= 0.5) & np.isin(regions.voxels, labels)
