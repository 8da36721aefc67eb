"""Vessels of the lungs: Otsu's threshold on the Frangi vesselness (Xie et al. 2021, section III-A-3).

from weakmask.refinement import vessel_mask
vessels = vessel_mask(scan, lungs.voxels > 0)   # a Volume, 1 in vessels
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Integer

from weakmask.refinement.frangi import vesselness
from weakmask.refinement.input_checks import as_mask, require_volume
from weakmask.refinement.otsu import otsu_threshold
from weakmask.volume.intensity import window
from weakmask.volume.morphology import object_boxes
from weakmask.volume.volume import Volume

LUNG_VESSELS_MM = (1.0, 1.75, 2.5)
_LUNG_WINDOW = (-1000.0, 0.0)


def vessel_mask(
    image: Volume,
    region: Bool[np.ndarray, "z y x"] | Integer[np.ndarray, "z y x"],
    sigmas_mm: Sequence[float] = LUNG_VESSELS_MM,
    device: str | torch.device = "cpu",
) -> Volume:
    """Vessel mask inside a region of a chest CT: Otsu's threshold on the vesselness (target of the vessel network).

    Voxels outside the region are first replaced by the region's median; otherwise the chest wall would give high
    vesselness along the pleura.

    Args:
        image: HU.
        region: True, or not 0, inside the lungs.
        sigmas_mm: scales (O: chosen on phantoms, see benchmarks/vessel_dice.py).
        device: device of the computation.

    Returns:
        A label volume on the image's grid, 1 in vessels; empty for an empty region.

    Raises:
        TypeError: The image is not a volume, or the region not an array of bool or whole numbers.
        ValueError: The region has another shape than the image.
    """
    require_volume("image", image)
    region = as_mask("region", region, image)
    mask = np.zeros(image.geometry.shape, dtype=np.uint8)
    for _, box in object_boxes(region.view(np.int8)):
        inside = region[box.slices]
        grey = window(image.voxels[box.slices], *_LUNG_WINDOW)
        grey[~inside] = np.median(grey[inside])
        values, within = (torch.from_numpy(array)[None, None].to(device) for array in (grey, inside))
        spacing = image.geometry.spacing_mm
        if len(grey) == 1:  # a single slice is two-dimensional
            values, within, spacing = values[:, :, 0], within[:, :, 0], spacing[1:]
        found = vesselness(values, sigmas_mm, spacing, within).cpu().numpy().reshape(grey.shape)
        mask[box.slices] = (found > otsu_threshold(found[inside])) & inside
    return image.with_voxels(mask, "label")
