"""A map and a mask of a scan -> its prediction: the lesion fraction and the score of each region."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float

from weakmask.errors import UserError
from weakmask.prediction import Prediction, Scan, Value, value_rows
from weakmask.scoring.severity import ScoreMap, region_fractions
from weakmask.volume.volume import Volume


def as_prediction(
    score_map: ScoreMap, scan: Scan, activation: Float[np.ndarray, "z y x"], mask: Bool[np.ndarray, "z y x"]
) -> Prediction:
    """The prediction of a scan, with one value per region.

    Args:
        score_map: Fractions to scores.
        scan: With its regions.
        activation: In [0, 1], on the scan's grid.
        mask: Likewise.
    """
    regions = regions_of(scan)
    labels = [int(v) for v in np.unique(regions.voxels) if v > 0]
    fractions = region_fractions(mask, regions.voxels, labels)
    values = tuple(
        Value("region", region_name(scan.region_names, label), "fraction", amount, score=score_map.score_of(amount))
        for label, amount in fractions.items()
    )
    return Prediction(
        mask=Volume(mask.astype(np.uint8), regions.geometry, "label"),
        maps={"activation": Volume(activation, regions.geometry, "image")},
        regions=regions,
        values=values,
    )


def regions_of(scan: Scan) -> Volume:
    """The regions of a scan.

    Raises:
        UserError: It has none.
    """
    if scan.regions is None:
        raise UserError(f"{scan.name}: the model needs regions, and the scan has none; give a region mask")
    return scan.regions


def region_name(names: Mapping[int, str], label: int) -> str:
    """The name of a region; the label where it has none."""
    return names.get(label, str(label))


def prediction_rows(scan: str, found: Prediction, given: Mapping[str, int] | None = None) -> list[dict[str, object]]:
    """One row per region: scan, region, fraction, score_predicted, score_given (empty where none was given).

    Args:
        scan: Its name.
        found: The prediction.
        given: Score by the region's name.
    """
    rows = value_rows(scan, found.values)
    return [{**row, "score_given": (given or {}).get(str(row["region"]))} for row in rows]
