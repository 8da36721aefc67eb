"""The overlap of predicted and true instances as a table, and intervals of its scores by drawing instances again.

A table has a line for each pair of a prediction and a truth that share voxels, and one with 0 for the other side where
an instance meets none; so every score can be computed from it again, of several volumes pooled.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from weakmask.evaluation.instance_overlap import InstanceOverlap

ENDS = (0.025, 0.975)  # of an interval of 95 %
COLUMNS = ("prediction", "truth", "predicted_voxels", "true_voxels", "shared", "grid_voxels")
Interval = tuple[float, float]
Score = Callable[[InstanceOverlap], float]


def overlap_table(overlap: InstanceOverlap) -> pd.DataFrame:
    """The lines of `COLUMNS` of an overlap; 0 stands for no prediction or no truth."""
    p, t = overlap.prediction_of, overlap.truth_of
    lone_p = np.setdiff1d(np.arange(len(overlap.predicted)), p)
    lone_t = np.setdiff1d(np.arange(len(overlap.true)), t)
    no_p, no_t = np.zeros_like(lone_t), np.zeros_like(lone_p)
    columns = (
        (overlap.predicted[p], overlap.predicted[lone_p], no_p),
        (overlap.true[t], no_t, overlap.true[lone_t]),
        (overlap.predicted_voxels[p], overlap.predicted_voxels[lone_p], no_p),
        (overlap.true_voxels[t], no_t, overlap.true_voxels[lone_t]),
        (overlap.shared, no_t, no_p),
    )
    table = dict(zip(COLUMNS, (np.concatenate(parts) for parts in columns), strict=False))
    return pd.DataFrame(table).assign(grid_voxels=overlap.grid_voxels)


def overlap_of(table: pd.DataFrame) -> InstanceOverlap:
    """The overlap of one volume, from its table."""
    numbers = {name: table[name].to_numpy(np.int64) for name in COLUMNS}
    predicted, first_p, of_p = np.unique(numbers["prediction"], return_index=True, return_inverse=True)
    true, first_t, of_t = np.unique(numbers["truth"], return_index=True, return_inverse=True)
    skip_p, skip_t = (int((one[:1] == 0).any()) for one in (predicted, true))
    both = (numbers["prediction"] > 0) & (numbers["truth"] > 0)
    return InstanceOverlap(
        predicted[skip_p:], numbers["predicted_voxels"][first_p[skip_p:]],
        true[skip_t:], numbers["true_voxels"][first_t[skip_t:]],
        of_p[both] - skip_p, of_t[both] - skip_t, numbers["shared"][both],
        int(numbers["grid_voxels"].max(initial=0)),
    )  # fmt: skip


def instance_interval(
    overlaps: Sequence[InstanceOverlap], score: Score, resamples: int = 400, seed: int = 0
) -> Interval:
    """The 95 % bootstrap interval of a score, by drawing instances again.

    The score is the mean over the overlaps, which are of the seeds of one row. A truth is drawn with the predictions
    that share the most with it; a prediction that shares nothing is drawn alone.

    Args:
        overlaps: Of each seed, all volumes pooled.
        score: Of an overlap; draws for which it is nan are left out.
        resamples: Number of draws.
        seed: Of the draws.

    Returns:
        The ends, nan where no draw has a score.
    """
    rng, drawers = np.random.default_rng(seed), [_Units(overlap) for overlap in overlaps]
    found = np.array([[score(units.draw(rng)) for units in drawers] for _ in range(resamples)]).mean(axis=1)
    found = found[np.isfinite(found)]
    if not len(found):
        return float("nan"), float("nan")
    low, high = np.quantile(found, ENDS)
    return float(low), float(high)


class _Units:
    """The truths with their predictions, and the predictions without a truth."""

    def __init__(self, overlap: InstanceOverlap) -> None:
        """Give each prediction to the truth that it shares the most with."""
        self.overlap = overlap
        order = np.lexsort((overlap.shared, overlap.prediction_of))
        last = np.append(overlap.prediction_of[order][1:] != overlap.prediction_of[order][:-1], True)[: len(order)]
        pairs = order[last]  # one of each prediction that shares anything
        pairs = pairs[np.argsort(overlap.truth_of[pairs], kind="stable")]
        self.pairs, self.starts = pairs, np.searchsorted(overlap.truth_of[pairs], np.arange(len(overlap.true) + 1))
        self.alone = np.setdiff1d(np.arange(len(overlap.predicted)), overlap.prediction_of)

    def draw(self, rng: np.random.Generator) -> InstanceOverlap:
        """As many truths and as many lone predictions as there are, each drawn with replacement."""
        own = self.overlap
        truths = rng.integers(0, max(len(own.true), 1), len(own.true))
        alone = self.alone[rng.integers(0, max(len(self.alone), 1), len(self.alone))]
        of_truth = [self.pairs[self.starts[t] : self.starts[t + 1]] for t in truths]
        pairs = np.concatenate([*of_truth, np.zeros(0, np.int64)])
        truth_of = np.repeat(np.arange(len(truths)), [len(some) for some in of_truth])
        predicted = np.concatenate([own.prediction_of[pairs], alone])
        return InstanceOverlap(
            np.arange(1, len(predicted) + 1), own.predicted_voxels[predicted],
            np.arange(1, len(truths) + 1), own.true_voxels[truths],
            np.arange(len(pairs)), truth_of, own.shared[pairs], own.grid_voxels,
        )  # fmt: skip
