"""Baselines without a network: every learned method must do better than these.

`otsu_in_regions`         Otsu's threshold in each region of each scan; needs no label
`choose_fixed_threshold`  one intensity for all scans, chosen on the training scores by dRAM's own loss
`opened_threshold`        the same for crops opened by a window
`predict_nothing`         the empty prediction, the lower bound of every table

All fixed thresholds are tried at once: the cumulative histogram of a region is its lesion fraction as a function of the
threshold.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Integer, Shaped

from weakmask.losses import inverse_frequency_weights
from weakmask.losses.interval_regression import interval_regression
from weakmask.refinement.grey_opening import opened
from weakmask.refinement.otsu import otsu_threshold
from weakmask.region_learning.crops import CropSet
from weakmask.scoring.severity import ScoreMap

HU_EDGES = np.arange(-1200.0, 301.0)  # every whole HU of the dRAM window, so that the choice is exact for CT
MOST_INTEGER_VALUES = 1 << 20


def value_histogram(values: Shaped[np.ndarray, " voxels"], edges: Float[np.ndarray, " edges"]) -> np.ndarray:
    """How many values lie below the first edge, between each two, and from the last edge on.

    Args:
        values: Of one region, finite.
        edges: The thresholds to be tried, ascending.

    Returns:
        `len(edges) + 1` counts; a value on an edge counts above it.
    """
    if values.dtype.kind in "iu" and edges[-1] - edges[0] < MOST_INTEGER_VALUES:
        low, high = int(np.floor(edges[0])) - 1, int(np.ceil(edges[-1]))
        occurrences = np.bincount(np.clip(values, low, high).astype(np.int64) - low, minlength=high - low + 1)
        bins = np.searchsorted(edges, np.arange(low, high + 1), side="right")
        return np.bincount(bins, weights=occurrences, minlength=len(edges) + 1).astype(np.int64)
    return np.bincount(np.searchsorted(edges, values.ravel(), side="right"), minlength=len(edges) + 1)


def region_histograms(
    voxels: Shaped[np.ndarray, "*space"],
    regions: Integer[np.ndarray, "*space"],
    labels: Sequence[int],
    edges: Float[np.ndarray, " edges"] = HU_EDGES,
) -> Integer[np.ndarray, "labels bins"]:
    """The histogram of each region of a scan, one row per label; all zero for a region without voxels."""
    return np.stack([value_histogram(voxels[regions == label], edges) for label in labels])


def choose_fixed_threshold(
    histograms: Integer[np.ndarray, "regions bins"],
    edges: Float[np.ndarray, " edges"],
    scores: Sequence[int] | Integer[np.ndarray, " regions"],
    score_map: ScoreMap,
    weights: Mapping[int, float] | None = None,
) -> float:
    """The edge whose masks fit the scores best: smallest mean interval regression loss (Xie et al. 2021, equation 1).

    Args:
        histograms: `value_histogram` of every training region; regions without voxels are passed over.
        edges: The edges they were made with.
        scores: The score of each region.
        score_map: Meaning of the scores.
        weights: Score -> weight (`inverse_frequency_weights`); None weighs all regions alike.

    Returns:
        One of the edges: a voxel is lesion where its value is at least that. Where neighbouring edges are equally
        good, the middle one of their longest run.

    Raises:
        ValueError: Shapes that do not fit, or no region with voxels.
    """
    scores = np.asarray(scores)
    if histograms.shape != (len(scores), len(edges) + 1):
        raise ValueError(f"histograms are {histograms.shape}; expected {(len(scores), len(edges) + 1)}")
    sizes = histograms.sum(axis=1)
    filled = sizes > 0
    if not filled.any():
        raise ValueError("no region has voxels; expected at least one to choose a threshold on")
    above = np.cumsum(histograms[filled, ::-1], axis=1)[:, -2::-1]  # [region, edge]: voxels at or above the edge
    fractions = above / sizes[filled, None]
    intervals = np.array([score_map.interval(int(score)) for score in scores[filled]])
    low, high = (np.repeat(bound, len(edges)) for bound in intervals.T)
    losses = interval_regression(*(torch.from_numpy(flat) for flat in (fractions.ravel(), low, high)))  # (1)
    share = np.array([1.0 if weights is None else weights[int(score)] for score in scores[filled]])
    mean = share @ losses.numpy().reshape(fractions.shape) / share.sum()
    return float(edges[_middle_of_longest_run(mean <= mean.min() + 1e-12)])


def opened_threshold(crops: CropSet, voxels: int, score_map: ScoreMap) -> float:
    """The threshold of the opened images at which the training regions' fractions fit their scores best.

    All scores weigh alike, however many regions have them.
    """
    edges = np.linspace(0.0, 1.0, 201)
    scores = crops.table["score"].tolist()
    histograms = [
        value_histogram(opened(image[None].float(), voxels)[0][region].numpy(), edges)
        for image, region in zip(crops.image, crops.region, strict=True)
    ]
    return choose_fixed_threshold(np.stack(histograms), edges, scores, score_map, inverse_frequency_weights(scores))


def fixed_threshold_mask(
    voxels: Shaped[np.ndarray, "*space"],
    regions: Integer[np.ndarray, "*space"],
    labels: Sequence[int],
    threshold: float,
) -> Bool[np.ndarray, "*space"]:
    """Mark the voxels of the regions whose value is at least the threshold."""
    return (voxels >= threshold) & np.isin(regions, list(labels))


def otsu_in_regions(
    voxels: Shaped[np.ndarray, "*space"], regions: Integer[np.ndarray, "*space"], labels: Sequence[int]
) -> Bool[np.ndarray, "*space"]:
    """Mark the brighter class of each region, each with a threshold of its own (Otsu 1979).

    It always finds two classes, so that in a healthy lobe it marks the vessels.

    Args:
        voxels: HU, or grey values of a window.
        regions: Integer region labels on the same grid.
        labels: The regions to segment.

    Returns:
        The mask; empty in regions that are absent or of one value.
    """
    mask = np.zeros(voxels.shape, dtype=bool)
    for label in labels:
        region = regions == label
        values = voxels[region]
        mask[region] = values > otsu_threshold(values)
    return mask


def predict_nothing(voxels: Shaped[np.ndarray, "*space"]) -> Bool[np.ndarray, "*space"]:
    """An empty mask of the scan's shape."""
    return np.zeros(voxels.shape, dtype=bool)


def _middle_of_longest_run(good: Bool[np.ndarray, " edges"]) -> int:
    """The middle index of the longest run of True; at least one is."""
    borders = np.flatnonzero(np.diff(np.concatenate([[False], good, [False]]).astype(np.int8)))
    starts, stops = borders[::2], borders[1::2]
    longest = int(np.argmax(stops - starts))
    return int(starts[longest] + stops[longest] - 1) // 2
