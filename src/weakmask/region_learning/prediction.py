"""Prediction for one scan: its map, its mask, and the lesion fraction and score of each region."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from weakmask.scoring.severity import ScoreMap, region_fractions
from weakmask.volume.volume import Volume


@dataclass(frozen=True)
class Prediction:
    """Prediction for one scan.

    Attributes:
        activation: Map in [0, 1] on the scan's grid.
        mask: Lesion mask on the scan's grid.
        regions: The regions it was made in.
        fractions: Lesion fraction per region label, of the mask.
        scores: Score per region label.
    """

    activation: Volume
    mask: Volume
    regions: Volume
    fractions: dict[int, float]
    scores: dict[int, int]


def as_prediction(
    score_map: ScoreMap, regions: Volume, activation: Float[np.ndarray, "z y x"], mask: Bool[np.ndarray, "z y x"]
) -> Prediction:
    """A map and the mask cut from it, with the lesion fraction and the score of each region.

    Args:
        score_map: Fractions to scores.
        regions: Region labels on the scan's grid.
        activation: On that grid.
        mask: Likewise.
    """
    labels = [int(v) for v in np.unique(regions.voxels) if v > 0]
    fractions = region_fractions(mask, regions.voxels, labels)
    return Prediction(
        activation=Volume(activation, regions.geometry, "image"),
        mask=Volume(mask.astype(np.uint8), regions.geometry, "label"),
        regions=regions,
        fractions=fractions,
        scores={label: score_map.score_of(fraction) for label, fraction in fractions.items()},
    )


def score_rows(
    scan: str, found: Prediction, names: Mapping[int, str], given: Mapping[int, int] | None = None
) -> list[dict[str, object]]:
    """One row per region: scan, region, fraction, score_predicted, score_given (empty where none was)."""
    return [
        {
            "scan": scan,
            "region": names.get(label, str(label)),
            "fraction": round(found.fractions[label], 6),
            "score_predicted": found.scores[label],
            "score_given": (given or {}).get(label),
        }
        for label in sorted(found.fractions)
    ]
