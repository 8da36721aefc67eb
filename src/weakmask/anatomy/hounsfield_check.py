"""A check whether the grey values of a chest CT are Hounsfield units, by its air, its body and the inside of its lungs.

Values that are not: stored numbers without the rescale intercept, also where the corners outside the field of view hold
-1024; the intercept applied twice; inverted values; negative values that wrapped around to large ones; 8-bit values.
"""

import numpy as np

from weakmask.anatomy.region_places import sampled
from weakmask.volume.morphology import margin_voxels, object_boxes
from weakmask.volume.volume import Volume

AIR_AND_LUNG_HU = (-1100, -500)
SOFT_TISSUE_HU = (-200, 250)
LEAST_AIR_AND_LUNG = 0.005  # share of a chest CT; even a lung box around a consolidated lung has ten times as much
DENSE_HU = 700  # denser than all of the body but cortical bone, metal and undiluted contrast
MOST_DENSE = 0.15  # share of what is not air or lung; without the intercept, all soft tissue lies above
LEAST_SOFT_TISSUE = 0.01  # share of a chest CT
MOST_BELOW_AIR = 0.1  # share of a chest CT without its padding
DARKEST_LUNG_HU = -1010  # of a median; nothing is lighter than air at -1000
LEAST_AERATED = 0.01  # share of the lungs; only two completely consolidated lungs have less
DENSEST_LUNG_HU = 180  # of a median: a consolidated lung with contrast stays below
LUNG_SPECKS = (600, 0.01)  # no more of a lung is denser than this: vessels with contrast are below
AROUND_MM = 20.0  # reaches the chest wall
LEAST_VOXELS = 500  # for shares
INVERTED = (0.15, 0.7, 0.3)  # most soft tissue and least air around inverted lungs, and most air in them
REMEDY = "export the CT with its rescale slope and intercept applied"


def hounsfield_fault(image: Volume, lungs: Volume | None = None) -> str:
    """The evidence that grey values are not Hounsfield units; empty if there is none.

    Args:
        image: A chest CT, whole or a part of it, of any direction.
        lungs: Not 0 in the lungs or in parts of them, on the same grid; None: unknown.
    """
    image = sampled(image)
    voxels = image.voxels
    seen = _without_padding(voxels)
    air, soft = _share(seen, *AIR_AND_LUNG_HU), _share(seen, *SOFT_TISSUE_HU)
    low, high = AIR_AND_LUNG_HU
    if air < LEAST_AIR_AND_LUNG:
        return f"{100 * air:.1f} % of them air or lung ({low} to {high})"
    body = seen[seen > high]
    dense = 0.0 if body.size < LEAST_VOXELS else float(np.mean(body > DENSE_HU))
    if dense > MOST_DENSE:
        return (
            f"{100 * dense:.0f} % of all that is denser than lung lies above {DENSE_HU}, expected at most "
            f"{100 * MOST_DENSE:.0f} % (bone)"
        )
    if np.mean(seen < low) > MOST_BELOW_AIR and soft < LEAST_SOFT_TISSUE:
        return (
            f"{100 * np.mean(seen < low):.0f} % of them below air ({low}) and {100 * soft:.1f} % soft tissue "
            f"({SOFT_TISSUE_HU[0]} to {SOFT_TISSUE_HU[1]})"
        )
    return "" if lungs is None else _lung_fault(image, sampled(lungs))


def value_range(image: Volume, lungs: Volume | None = None) -> str:
    """The lowest and the highest grey value as text, and the usual ones in the lungs."""
    text = f"{image.voxels.min():g} to {image.voxels.max():g}"
    inside = None if lungs is None else sampled(image).voxels[sampled(lungs).voxels != 0]
    if inside is None or not inside.size:
        return text
    low, high = np.percentile(inside, [5, 95])
    return f"{text} (in the regions mostly {low:.4g} to {high:.4g})"


def consolidated_note(image: Volume, lungs: Volume) -> str:
    """A note on lungs without any air, which may be diseased or not in Hounsfield units; empty if they have air."""
    inside = sampled(image).voxels[sampled(lungs).voxels != 0]
    if inside.size < LEAST_VOXELS or (aerated := _share(inside, *AIR_AND_LUNG_HU)) >= LEAST_AERATED:
        return ""
    low, high = AIR_AND_LUNG_HU
    return (
        f"{100 * aerated:.1f} % of the regions are aerated ({low} to {high}) and their median is "
        f"{np.median(inside):.0f}: unless the lungs are consolidated, the grey values are not Hounsfield units (HU)"
    )


def _lung_fault(image: Volume, lungs: Volume) -> str:
    """As `hounsfield_fault`, from the inside of the lungs and from the tissue around them."""
    is_lung = lungs.voxels != 0
    inside = image.voxels[is_lung]
    if inside.size < LEAST_VOXELS:
        return ""
    median, aerated = float(np.median(inside)), _share(inside, *AIR_AND_LUNG_HU)
    if median < DARKEST_LUNG_HU:
        return f"the median of the regions is {median:.0f}, below that of air (-1000)"
    level, most = LUNG_SPECKS
    specks = float(np.mean(inside > level))
    if aerated < LEAST_AERATED and (specks > most or median > DENSEST_LUNG_HU):
        return (
            f"{100 * aerated:.1f} % of the regions are aerated ({AIR_AND_LUNG_HU[0]} to {AIR_AND_LUNG_HU[1]}), their "
            f"median is {median:.0f}, and {100 * specks:.0f} % lie above {level}"
        )
    around = _around(image, is_lung)
    if around.size < LEAST_VOXELS:
        return ""
    soft, air = _share(around, *SOFT_TISSUE_HU), float(np.mean(around < AIR_AND_LUNG_HU[1]))
    most_soft, least_air, most_aerated = INVERTED
    if soft < most_soft and air > least_air and aerated < most_aerated and median > np.median(around):
        return (
            f"the regions (median {median:.0f}) are brighter than the tissue around them (median "
            f"{np.median(around):.0f})"
        )
    return ""


def _around(image: Volume, is_lung: np.ndarray) -> np.ndarray:
    """The voxels of the box around the lungs that are neither lung nor padding."""
    box = object_boxes(is_lung.astype(np.int8))[0][1]
    box = box.grown(margin_voxels(AROUND_MM, image.geometry.spacing_mm)).clipped(is_lung.shape)
    voxels = image.voxels[box.slices][~is_lung[box.slices]]
    return voxels[voxels > image.voxels.min()]


def _without_padding(voxels: np.ndarray) -> np.ndarray:
    """The voxels above the lowest value, which is that of padding where a scan has any."""
    seen = voxels[voxels > voxels.min()]
    return seen if seen.size > LEAST_AIR_AND_LUNG * voxels.size else voxels.ravel()


def _share(voxels: np.ndarray, low: float, high: float) -> float:
    return float(np.mean((voxels >= low) & (voxels <= high)))
