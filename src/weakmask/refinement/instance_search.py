"""Choice of a decoder's thresholds and least size on validation volumes with known instances."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from weakmask.evaluation.instance_overlap import instance_overlap, pooled_overlap
from weakmask.evaluation.instances import instance_scores
from weakmask.refinement.instances import LEAST_VOXELS, SLAB_VOXELS, grow_seeds, mask_components, watershed
from weakmask.volume.label_pairs import Planes

Method = Literal["watershed", "grow", "components"]
Example = tuple[Planes, Planes, Planes]  # mask map, contour map, true instances
SEARCHED = {
    "seed": (0.5, 0.6, 0.7, 0.8, 0.9, 0.95),
    "contour": (0.5, 0.65, 0.8, 0.9, 1.0),
    "mask": (0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9),
    "grow_pixels": (0, 1, 2, 3, 4, 6),
    "least_voxels": (128.0, 500.0, 2000.0),
}
_READ: dict[Method, tuple[str, ...]] = {
    "watershed": ("seed", "contour", "mask"),
    "grow": ("seed", "contour", "grow_pixels"),
    "components": ("mask",),
}


@dataclass(frozen=True)
class Decoder:
    """A way from probability maps to instances, with its thresholds; the defaults are those of Li et al. 2021.

    Attributes:
        method: One of the functions of `refinement.instances`.
        seed: T1: seeds have a mask probability above it.
        contour: T2: seeds have a contour probability below it.
        mask: T3: the watershed floods, and `components` labels, where the mask probability is above it.
        grow_pixels: Steps of growth of `grow`, in each section.
        least_voxels: Smaller instances are dropped.
    """

    method: Method = "watershed"
    seed: float = 0.9
    contour: float = 0.8
    mask: float = 0.85
    grow_pixels: int = 3
    least_voxels: float = LEAST_VOXELS

    def decode(self, mask: Planes, contour: Planes, out: Any = None, slab_voxels: int = SLAB_VOXELS) -> Any:
        """The instances of two maps; arguments as in `watershed`."""
        if self.method == "watershed":
            thresholds = (self.seed, self.contour, self.mask)
            return watershed(mask, contour, thresholds, self.least_voxels, out, slab_voxels)
        if self.method == "grow":
            thresholds = (self.seed, self.contour)
            return grow_seeds(mask, contour, thresholds, self.grow_pixels, self.least_voxels, out, slab_voxels)
        return mask_components(mask, self.mask, self.least_voxels, out, slab_voxels)


@dataclass(frozen=True)
class Search:
    """Result of a search.

    Attributes:
        best: The decoder with the highest criterion.
        table: One row for each decoder, in the order tried: its settings and all scores, of the volumes pooled.
    """

    best: Decoder
    table: pd.DataFrame


def decoders(method: Method, least_voxels: Sequence[float] | None = None) -> list[Decoder]:
    """The decoders of a method with every combination of the numbers in `SEARCHED` that the method reads.

    Seeds of a watershed lie where it floods: decoders with a seed threshold below that of the mask are left out.

    Args:
        method: Name of the method.
        least_voxels: Least sizes to try; None: those of `SEARCHED`. `voxels_of_nm3` makes them from volumes.
    """
    names = (*_READ[method], "least_voxels")
    ranges = SEARCHED if least_voxels is None else SEARCHED | {"least_voxels": tuple(least_voxels)}
    tried = itertools.product(*(ranges[name] for name in names))
    found = [replace(Decoder(method), **dict(zip(names, numbers, strict=True))) for numbers in tried]
    return [one for one in found if method != "watershed" or one.seed >= one.mask]


def search_decoder(examples: Sequence[Example], tried: Iterable[Decoder], criterion: str = "ap_75") -> Search:
    """Try decoders on validation volumes and take the best.

    The volumes are scored as one. Decoders that differ in the least size alone share one labelling. Of several with an
    equal criterion, the one with the higher panoptic quality is taken, then the first. Few instances make average
    precision jump; panoptic quality, the sum of their IoUs above 0.5, is smoother.

    Args:
        examples: (mask map, contour map, true instances) of each volume.
        tried: The decoders.
        criterion: Name of the score to raise, one of `InstanceScores`.

    Raises:
        ValueError: No volume or no decoder is given.
    """
    groups: dict[Decoder, list[Decoder]] = {}
    for decoder in tried:
        groups.setdefault(replace(decoder, least_voxels=0), []).append(decoder)
    if not examples or not groups:
        raise ValueError(f"a search of {len(groups)} decoders on {len(examples)} volumes; expected at least one each")
    rows: list[tuple[Decoder, dict[str, float]]] = []
    for every, group in groups.items():
        overlap = pooled_overlap(
            [instance_overlap(every.decode(mask, contour), truth) for mask, contour, truth in examples]
        )
        fewer = [overlap.without_small_predictions(decoder.least_voxels) for decoder in group]
        rows += [(decoder, instance_scores(one).row()) for decoder, one in zip(group, fewer, strict=True)]
    goodness = [[np.nan_to_num(scores[name], nan=-1.0) for name in (criterion, "panoptic")] for _, scores in rows]
    best = max(range(len(rows)), key=lambda row: tuple(goodness[row]))
    table = pd.DataFrame([asdict(decoder) | scores for decoder, scores in rows])
    return Search(rows[best][0], table)
