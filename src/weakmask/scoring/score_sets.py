"""Sets of scores with a stated coverage: split conformal prediction for the severity of a region.

A predicted share of 6 % gives score 2, but may as well come from a region of score 1. Held-out regions whose scores are
known tell how far apart predicted shares and given scores are; a set holds all scores within that distance.

Regions of one patient resemble each other, so that patients are exchangeable and regions are not. Each patient
therefore has the same weight: hierarchical conformal prediction (Lee, Barber, Willett, "Distribution-free inference
with hierarchical data", 2023, arXiv 2306.06342), which is split conformal prediction where each patient has one region.
"""

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from weakmask.scoring.severity import ScoreMap

ROUNDING = 1e-9  # of sums of weights


@dataclass(frozen=True)
class ScoreSets:
    """The result of a calibration.

    Attributes:
        coverage: The probability, at least, that the set of a region of a new patient holds the given score.
        distance: A set holds the scores within this distance of the predicted share, see `score_distance`.
        regions: Number of regions that it was calibrated on.
        patients: Number of their patients.
    """

    coverage: float
    distance: float
    regions: int
    patients: int

    def of(self, score_map: ScoreMap, fraction: float) -> tuple[int, ...]:
        """The scores that a region may have, ascending; `ScoreMap.score_of` is among them.

        Args:
            score_map: Of the calibration.
            fraction: Predicted share of the region; NaN, for a region without voxels, has no scores.
        """
        if math.isnan(fraction):
            return ()
        return tuple(k for k in score_map.scores if score_distance(score_map, k, fraction) <= self.distance)


def score_distance(score_map: ScoreMap, score: int, fraction: float) -> float:
    """The distance of a predicted share from a score: d = max(0, √low - √p, √p - √high).

    Square roots, because 0 % and 4 % differ more than 40 % and 44 %. The share p is 0 away from the score that
    `ScoreMap.score_of` gives it, as low and high are the shares that get the score: a gap belongs to the score below.

    Args:
        score_map: Meaning of the scores.
        score: A score.
        fraction: The share, in [0, 1].
    """
    low, high = score_map.interval(score)
    above = [other for other in score_map.scores if other > score]
    low = 0.0 if score == score_map.scores[0] else low
    high = max(high, score_map.interval(above[0])[0]) if above else 1.0
    root = math.sqrt(fraction)
    return max(0.0, math.sqrt(low) - root, root - math.sqrt(high))


def patients_needed(coverage: float) -> int:
    """The number of patients below which no distance is sure enough: ⌈1 / (1 - coverage)⌉ - 1; 9 for 90 %."""
    return math.ceil(1.0 / (1.0 - coverage) - ROUNDING) - 1


def calibrated(distances: Sequence[float], patients: Sequence[Hashable], coverage: float) -> ScoreSets | None:
    """Sets of scores with a coverage, from held-out regions.

    With K patients, of whom patient k has n_k regions, a region weighs 1 / (n_k (K + 1)); the weight 1 / (K + 1) that
    is left belongs to the new patient, whose distance may be infinite. The distance of the sets is the smallest one
    up to which the weights reach the coverage.

    Args:
        distances: `score_distance` of each region's given score and predicted share.
        patients: The patient of each region.
        coverage: In (0, 1).

    Returns:
        None for fewer than `patients_needed(coverage)` patients.
    """
    regions_of = Counter(patients)
    reached, wanted = 0.0, coverage * (len(regions_of) + 1) - ROUNDING
    for distance, patient in sorted(zip(distances, patients, strict=True), key=lambda pair: pair[0]):
        reached += 1.0 / regions_of[patient]
        if reached >= wanted:
            return ScoreSets(coverage, distance, len(distances), len(regions_of))
    return None


def span_of(scores: Sequence[int]) -> str:
    """A set of scores as text: "2", or "1 to 3"; empty for none.

    Not "1-3": spreadsheets take that for a date. A set has no gaps, as the intervals ascend.
    """
    return " to ".join(str(score) for score in dict.fromkeys((scores[0], scores[-1]))) if scores else ""
