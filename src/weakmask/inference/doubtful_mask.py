"""A note on masks that depend on the threshold of their map: many of these were found to be bad.

Measured for maps that are lesion probabilities of dRAM and of the supervised U-Net; docs/reliability.md has the
figures, and the other numbers that were tried.
"""

import numpy as np
from jaxtyping import Float, Integer

from weakmask.prediction import Prediction, Segmenter

LOW, HIGH = 0.3, 0.7  # thresholds
DOUBTFUL = 0.65  # chosen on phantoms: all masks of a Dice below 0.5 are above it, and no other


def threshold_dependence(activation: Float[np.ndarray, "z y x"], regions: Integer[np.ndarray, "z y x"]) -> float:
    """The share of the mask that is lost as the threshold of the map rises from 0.3 to 0.7; 0 for an empty mask.

    Args:
        activation: Lesion probabilities in [0, 1].
        regions: Region labels; voxels of no region, 0, do not count.
    """
    low = int(np.count_nonzero((activation >= LOW) & (regions > 0)))
    high = int(np.count_nonzero((activation >= HIGH) & (regions > 0)))
    return 1.0 - high / low if low else 0.0


def doubt_of(name: str, segmenter: Segmenter, found: Prediction) -> str:
    """A line about a doubtful mask; empty for another mask, and for models whose masks were not measured.

    Args:
        name: Of the scan.
        segmenter: The model; it has an attribute `has_probability_maps` if it was measured.
        found: Its prediction.
    """
    if not getattr(segmenter, "has_probability_maps", False) or found.regions is None:
        return ""
    lost = threshold_dependence(found.maps["activation"].voxels, found.regions.voxels)
    if lost < DOUBTFUL:
        return ""
    return (
        f"{name}: its mask is doubtful, as it depends on the threshold: with {HIGH:g} instead of {LOW:g} it would be "
        f"{100 * lost:.0f} % smaller; look at it before you use it"
    )
