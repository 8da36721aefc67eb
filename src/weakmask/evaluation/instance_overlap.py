"""Overlap of predicted and true instances, from one joint histogram of two label volumes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from weakmask.evaluation.overlap import Overlap
from weakmask.volume.label_pairs import SLAB_VOXELS, Planes, label_pairs

Predictions = Int[np.ndarray, " predictions"]  # one number for each prediction
Truths = Int[np.ndarray, " truths"]


@dataclass(frozen=True, eq=False)
class InstanceOverlap:
    """Sizes of all instances, and how many voxels each prediction shares with each truth.

    Attributes:
        predicted: Labels of the predictions, ascending, without 0.
        predicted_voxels: Their sizes.
        true: Labels of the truths, ascending, without 0.
        true_voxels: Their sizes.
        prediction_of: Index of the prediction of each pair that shares voxels.
        truth_of: Index of the truth of each pair.
        shared: Voxels that a pair shares.
        grid_voxels: Voxels of the whole grid.
    """

    predicted: Predictions
    predicted_voxels: Predictions
    true: Truths
    true_voxels: Truths
    prediction_of: Int[np.ndarray, " pairs"]
    truth_of: Int[np.ndarray, " pairs"]
    shared: Int[np.ndarray, " pairs"]
    grid_voxels: int

    @cached_property
    def iou(self) -> Float[np.ndarray, " pairs"]:
        """Shared voxels divided by the voxels of either, for each pair."""
        return self.shared / (self.predicted_voxels[self.prediction_of] + self.true_voxels[self.truth_of] - self.shared)

    @property
    def foreground(self) -> Overlap:
        """The voxels of all instances together, predicted against true."""
        both = int(self.shared.sum())
        predicted, true = int(self.predicted_voxels.sum()), int(self.true_voxels.sum())
        return Overlap(both, predicted - both, true - both, self.grid_voxels - predicted - true + both)

    def matches(self, threshold: float) -> Iterator[tuple[int, int, int]]:
        """(pair, prediction, truth) of the pairs whose IoU reaches a threshold.

        From 0.5 on, a prediction has one such truth at most, unless it shares exactly half with two.
        """
        for pair in np.flatnonzero(self.iou >= threshold).tolist():
            yield pair, int(self.prediction_of[pair]), int(self.truth_of[pair])

    def without_small_predictions(self, least_voxels: float) -> "InstanceOverlap":
        """The overlap with predictions of fewer voxels removed."""
        kept = self.predicted_voxels >= least_voxels
        place = np.cumsum(kept) - 1
        pairs = kept[self.prediction_of]
        return InstanceOverlap(
            self.predicted[kept], self.predicted_voxels[kept], self.true, self.true_voxels,
            place[self.prediction_of[pairs]], self.truth_of[pairs], self.shared[pairs], self.grid_voxels,
        )  # fmt: skip

    def without_small_truths(self, least_voxels: float) -> "InstanceOverlap":
        """The overlap with truths of fewer voxels removed; predictions that find them remain."""
        kept = self.true_voxels >= least_voxels
        place = np.cumsum(kept) - 1
        pairs = kept[self.truth_of]
        return InstanceOverlap(
            self.predicted, self.predicted_voxels, self.true[kept], self.true_voxels[kept],
            self.prediction_of[pairs], place[self.truth_of[pairs]], self.shared[pairs], self.grid_voxels,
        )  # fmt: skip


def instance_overlap(prediction: Planes, truth: Planes, slab_voxels: int = SLAB_VOXELS) -> InstanceOverlap:
    """Count what predicted and true instances share; 0 is the background.

    Args:
        prediction: Labels (z, y, x), whole numbers from 0; an array, or a volume on the disk that is read by planes.
        truth: The same, on the same grid.
        slab_voxels: Voxels read at a time.

    Raises:
        ValueError: The shapes differ, or labels are negative or not whole numbers.
    """
    pairs, voxels = label_pairs(prediction, truth, slab_voxels)
    predicted, prediction_of = np.unique(pairs[:, 0], return_inverse=True)
    true, truth_of = np.unique(pairs[:, 1], return_inverse=True)
    predicted_voxels = np.bincount(prediction_of, weights=voxels, minlength=len(predicted)).astype(np.int64)
    true_voxels = np.bincount(truth_of, weights=voxels, minlength=len(true)).astype(np.int64)
    empty = (int((predicted[:1] == 0).any()), int((true[:1] == 0).any()))  # whether 0 comes first
    both = (pairs != 0).all(axis=1)
    return InstanceOverlap(
        predicted[empty[0] :], predicted_voxels[empty[0] :], true[empty[1] :], true_voxels[empty[1] :],
        prediction_of[both] - empty[0], truth_of[both] - empty[1], voxels[both], int(voxels.sum()),
    )  # fmt: skip


def pooled_overlap(overlaps: Sequence[InstanceOverlap]) -> InstanceOverlap:
    """Several volumes as one; instances are numbered from 1 in the order of the volumes.

    Args:
        overlaps: Of each volume; at least one.
    """
    predictions = np.cumsum([0, *(len(one.predicted) for one in overlaps)])
    truths = np.cumsum([0, *(len(one.true) for one in overlaps)])
    return InstanceOverlap(
        np.arange(1, predictions[-1] + 1), np.concatenate([one.predicted_voxels for one in overlaps]),
        np.arange(1, truths[-1] + 1), np.concatenate([one.true_voxels for one in overlaps]),
        np.concatenate([one.prediction_of + start for one, start in zip(overlaps, predictions[:-1], strict=True)]),
        np.concatenate([one.truth_of + start for one, start in zip(overlaps, truths[:-1], strict=True)]),
        np.concatenate([one.shared for one in overlaps]), sum(one.grid_voxels for one in overlaps),
    )  # fmt: skip
