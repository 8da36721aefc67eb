"""Numberings of lobe and lung masks of different tools, and the conversion to weakmask's numbering."""

from collections.abc import Mapping

import numpy as np

from weakmask.errors import UserError
from weakmask.volume.volume import Volume

NUMBERINGS: dict[str, dict[str, int]] = {
    # weakmask's own; a mask is renumbered to the first of these that has its names
    "weakmask": {"LUL": 1, "LLL": 2, "RUL": 3, "RML": 4, "RLL": 5},
    "lungs": {"left": 1, "right": 2},
    "thirds": {
        "left upper": 1,
        "left middle": 2,
        "left lower": 3,
        "right upper": 4,
        "right middle": 5,
        "right lower": 6,
    },
    # lobes of other tools
    "lungmask": {"LUL": 1, "LLL": 2, "RUL": 3, "RML": 4, "RLL": 5},
    "rtsu": {"LUL": 1, "LLL": 2, "RUL": 3, "RLL": 4, "RML": 5},  # RTSU-Net and dRAM
    "totalsegmentator": {"LUL": 10, "LLL": 11, "RUL": 12, "RML": 13, "RLL": 14},
    "totalsegmentator_v1": {"LUL": 13, "LLL": 14, "RUL": 15, "RML": 16, "RLL": 17},
    "lola11": {"LUL": 10, "LLL": 11, "RUL": 20, "RML": 21, "RLL": 22},  # the LOLA11 challenge
    "cip": {"RUL": 4, "RML": 5, "RLL": 6, "LUL": 7, "LLL": 8},  # Chest Imaging Platform
    "proton_mr": {"LLL": 1, "LUL": 2, "RLL": 3, "RML": 4, "RUL": 5},  # Tustison et al., Magn Reson Med 2016
    # lungs and thirds of other tools
    "lungmask_r231": {"right": 1, "left": 2},
    "cip_lungs": {"right": 2, "left": 3},
    "cip_thirds": {
        "left upper": 9,
        "left middle": 10,
        "left lower": 11,
        "right upper": 12,
        "right middle": 13,
        "right lower": 14,
    },
}
BOTH_LUNGS = {"lungs": 1}  # where both lungs have one score
HOUSE = ("weakmask", "lungs", "thirds")
REGION_IN_LOW_BYTE = ("cip", "cip_lungs", "cip_thirds")  # the high byte is the type of tissue


def renumber(labels: Volume, numbering: str) -> Volume:
    """Convert labels to weakmask's numbering of lobes, lungs or thirds.

    Args:
        labels: A label map; labels that the numbering does not name (other organs) become 0.
        numbering: A key of `NUMBERINGS`: the numbering of the mask.

    Returns:
        Labels (uint8) on the same grid.

    Raises:
        UserError: The numbering is unknown, or the mask has none of its labels.
    """
    if numbering not in NUMBERINGS:
        raise UserError(f"unknown numbering {numbering!r}; expected one of {', '.join(NUMBERINGS)}")
    source = NUMBERINGS[numbering]
    house = next(NUMBERINGS[name] for name in HOUSE if source.keys() <= NUMBERINGS[name].keys())
    voxels = labels.voxels
    if numbering in REGION_IN_LOW_BYTE:
        voxels = voxels.astype(np.int64) & 0xFF
    renumbered = np.zeros(voxels.shape, dtype=np.uint8)
    for name, label in source.items():
        renumbered[voxels == label] = house[name]
    if not renumbered.any():
        raise UserError(f"the mask has none of the {numbering} labels {described(source)}; choose its real numbering")
    return labels.with_voxels(renumbered, kind="label")


def described(names: Mapping[str, int]) -> str:
    """Names with their labels as text: `RLL 4, RML 5`."""
    return ", ".join(f"{name} {label}" for name, label in names.items())
