"""The worst errors of a stack: instances that were missed, merged, split or found where there is none."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from weakmask.evaluation.instance_overlap import InstanceOverlap

Kind = Literal["missed", "merged", "split", "false"]
MOST_OF_A_KIND = 3


@dataclass(frozen=True)
class Error:
    """One error.

    Attributes:
        kind: Kind of the error.
        voxels: Of the instance.
        label: Of the true instance (missed, split) or the predicted one (merged, false).
        in_truth: Whether the label is a true instance's.
    """

    kind: Kind
    voxels: int
    label: int
    in_truth: bool


def worst_errors(overlap: InstanceOverlap) -> list[Error]:
    """The largest errors of each kind, at most `MOST_OF_A_KIND`: missed, merged, split, then false ones.

    A true instance is missed if less than half of its voxels are predicted; a prediction is false if less than half of
    its voxels are true; it merges true instances if it holds more than half of each of two, and a true instance is
    split if it holds more than half of each of two predictions.
    """
    found: list[Error] = []
    for kind in ("missed", "merged", "split", "false"):
        errors = sorted(_errors(overlap, kind), key=lambda error: -error.voxels)
        found += errors[:MOST_OF_A_KIND]
    return found


def _errors(overlap: InstanceOverlap, kind: Kind) -> Iterator[Error]:
    in_truth = kind in ("missed", "split")
    own, other = (overlap.truth_of, overlap.prediction_of) if in_truth else (overlap.prediction_of, overlap.truth_of)
    labels, voxels = (overlap.true, overlap.true_voxels) if in_truth else (overlap.predicted, overlap.predicted_voxels)
    other_voxels = overlap.predicted_voxels if in_truth else overlap.true_voxels
    if kind in ("missed", "false"):
        wrong = 2 * np.bincount(own, weights=overlap.shared, minlength=len(labels)) < voxels
    else:
        held = np.bincount(own[2 * overlap.shared > other_voxels[other]], minlength=len(labels))
        wrong = held > 1
    for place in np.flatnonzero(wrong).tolist():
        yield Error(kind, int(voxels[place]), int(labels[place]), in_truth)
