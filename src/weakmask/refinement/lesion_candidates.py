"""Lesion candidates: dense voxels of a lung that are not vessels (lesion proposal, Xie et al. 2021, IV-C-2).

from weakmask.refinement import lesion_candidates, vessel_mask
vessels = vessel_mask(scan, lobes.voxels > 0)
candidates = lesion_candidates(scan, lobes.voxels, vessels.voxels > 0)   # a Volume, 1 in candidates
"""

import numpy as np
from jaxtyping import Bool, Integer

from weakmask.refinement.input_checks import as_mask, require_volume
from weakmask.refinement.otsu import otsu_threshold
from weakmask.volume.morphology import object_boxes
from weakmask.volume.volume import Volume

WINDOW_HU = (-1150.0, 350.0)  # (C); the paper names none


def lesion_candidates(
    image: Volume,
    regions: Integer[np.ndarray, "z y x"] | Bool[np.ndarray, "z y x"],
    vessels: Bool[np.ndarray, "z y x"] | Integer[np.ndarray, "z y x"] | None = None,
    factor: float = 1.0,
    window_hu: tuple[float, float] = WINDOW_HU,
) -> Volume:
    """High attenuation inside each region by Otsu's threshold, vessels excluded.

    Otsu's threshold is computed from all voxels of a region including vessels, which keep it high in regions with few
    lesions (O: the paper's sentence can be read either way; on phantoms this reading is better unless most of a lung is
    diseased). It splits every region into two classes, so a healthy region has candidates too.

    Args:
        image: HU.
        regions: Region labels, 0 outside; each region gets its own threshold. A mask is one region, as the lungs are in
            the paper.
        vessels: True, or not 0, in vessels; None excludes nothing.
        factor: Factor of the threshold, measured from the window's lower end: 1 (P) or 0.75 (C). 0.75 includes faint
            ground-glass and also more normal tissue.
        window_hu: Values are clipped to this range.

    Returns:
        A label volume on the image's grid, 1 in candidates. A constant region has none.

    Raises:
        TypeError: The image is not a volume, or a mask not an array of bool or whole numbers.
        ValueError: A mask has another shape than the image.
    """
    require_volume("image", image)
    as_mask("regions", regions, image)
    outside = None if vessels is None else ~as_mask("vessels", vessels, image)
    low, high = window_hu
    mask = np.zeros(image.geometry.shape, dtype=np.uint8)
    for label, box in object_boxes(regions.view(np.int8) if regions.dtype == bool else regions):
        region = regions[box.slices] == label
        hu = image.voxels[box.slices]
        threshold = low + factor * (otsu_threshold(np.clip(hu[region], low, high)) - low)
        found = region & (hu > threshold)
        if outside is not None:
            found &= outside[box.slices]
        mask[box.slices][found] = 1
    return image.with_voxels(mask, "label")
