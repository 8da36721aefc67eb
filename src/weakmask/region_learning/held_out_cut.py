"""The cut of a method's maps, chosen on held-out regions without lesions: no mask is needed."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from weakmask.activation.multi_scale import average_over_scales
from weakmask.errors import UserError
from weakmask.pipeline import Work
from weakmask.refinement.clean_cut import clean_cut
from weakmask.region_learning.bag_batches import load_bags, positive
from weakmask.region_learning.crops import CropSet
from weakmask.region_learning.scan_map import Activation
from weakmask.training.devices import device_of

AT_ONCE = 16  # crops


def held_out_cut(work: Work, activation: Activation, scales: tuple[float, ...] = (1.0,)) -> float:
    """The lowest cut at which half of the held-out regions without lesions have less than 1 % marked.

    Args:
        work: Of a stage that reads `prepare`.
        activation: Crops and regions -> maps.
        scales: Sizes at which the map is computed and averaged.

    Raises:
        UserError: No region without lesions is held out.
    """
    held_out = load_bags(work, "validation")
    healthy = [row for row, has in enumerate(positive(held_out).tolist()) if not has]
    if not healthy:
        raise UserError(
            f"{work.config.data.cohort}: no region without lesions is held out, and the cut of the maps is chosen on "
            "such; give more scans with a no, or a larger data.validation"
        )
    found = maps_of_crops(held_out.only(healthy), activation, device_of(work.config.device), scales)
    cut = clean_cut([values[inside].astype(np.float32) for values, inside in found])
    work.note(f"cut of the maps chosen on {len(healthy)} held-out regions without lesions: {cut:.3f}")
    return cut


def maps_of_crops(
    crops: CropSet, activation: Activation, device: torch.device, scales: tuple[float, ...] = (1.0,)
) -> Iterator[tuple[Float[np.ndarray, "*space"], Bool[np.ndarray, "*space"]]]:
    """The map and the region of each crop, in order; arguments as for `held_out_cut`."""
    mapped = partial(average_over_scales, activation, scales=scales)
    for start in range(0, len(crops), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        image, region = (part[rows].float().to(device) for part in (crops.image, crops.region))
        with torch.no_grad():  # not around the function: a generator leaves it at the first value
            found: Tensor = mapped(image, region)
        yield from zip(found[:, 0].cpu().numpy(), crops.region[rows, 0].numpy(), strict=True)
