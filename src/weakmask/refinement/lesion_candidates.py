"""Where lesions may be: what is dense in a lung and is no vessel (lesion proposal, Xie et al. 2021, IV-C-2).

from weakmask.refinement import lesion_candidates, vessel_mask
vessels = vessel_mask(scan, lobes.voxels > 0)
candidates = lesion_candidates(scan, lobes.voxels, vessels.voxels > 0)   # a Volume, 1 in candidates
"""

import numpy as np
from jaxtyping import Bool, Integer

from weakmask.refinement.otsu import otsu_threshold
from weakmask.volume.morphology import object_boxes
from weakmask.volume.volume import Volume

WINDOW_HU = (-1150.0, 350.0)  # (C); the paper names none


def lesion_candidates(
    image: Volume,
    regions: Integer[np.ndarray, "z y x"] | Bool[np.ndarray, "z y x"],
    vessels: Bool[np.ndarray, "z y x"] | None = None,
    factor: float = 1.0,
    window_hu: tuple[float, float] = WINDOW_HU,
) -> Volume:
    """High attenuation inside each region by Otsu's threshold, vessels excluded.

    Otsu sees all voxels of a region, the vessels among them, which keep its threshold up where there is little else
    (O: the paper's sentence can be read either way; on phantoms this is the better reading unless most of a lung is
    ill). It finds two classes in every region, so that a healthy one has candidates too.

    Args:
        image: HU.
        regions: Region labels, 0 outside, each region with a threshold of its own; True inside takes all as one, as
            the paper does with the lungs.
        vessels: True in vessels; None excludes nothing.
        factor: On the threshold, counted from the window's lower end: 1 (P), 0.75 (C), which lets faint ground-glass
            through and more else.
        window_hu: Values beyond its ends count as its ends.

    Returns:
        A label volume on the image's grid, 1 in candidates; none in a region of one value.
    """
    low, high = window_hu
    mask = np.zeros(image.geometry.shape, dtype=np.uint8)
    for label, box in object_boxes(regions.view(np.int8) if regions.dtype == bool else regions):
        region = regions[box.slices] == label
        hu = image.voxels[box.slices]
        threshold = low + factor * (otsu_threshold(np.clip(hu[region], low, high)) - low)
        found = region & (hu > threshold)
        if vessels is not None:
            found &= ~vessels[box.slices]
        mask[box.slices][found] = 1
    return image.with_voxels(mask, "label")
