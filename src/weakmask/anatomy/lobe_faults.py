"""Faults of a lobe mask, detected from the positions of its lobes in the patient.

Tools number lobes differently, and wrong headers mirror patients. Both would teach a network the wrong lobes. Both can
be detected, because an upper lobe then lies below a lower lobe, or a left lobe on the right.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from weakmask.anatomy.lobe_numberings import NUMBERINGS, REGION_IN_LOW_BYTE, described
from weakmask.volume.geometry import Float3
from weakmask.volume.storage_order import upright_order
from weakmask.volume.volume import Volume

LOBES = NUMBERINGS["weakmask"]
UP, BACK, LEFT = 0, 1, 2  # world axes
SAMPLE_MM = 3.0  # fine enough for centres and shares
SLACK_MM = 10.0  # tolerance for diseased lungs; the middle lobe's centre is often no higher than the lower lobe's
SHARES = {"LUL": (0.02, 0.6), "LLL": (0.02, 0.6), "RUL": (0.02, 0.6), "RML": (0.004, 0.3), "RLL": (0.02, 0.6)}


@dataclass(frozen=True)
class _Lobe:
    """Centre of a lobe (or another region) in the world (head, back, left), and its share of the total volume."""

    centre_mm: Float3
    share: float


def lobe_faults(labels: Volume) -> list[str]:
    """List the anatomical faults of a lobe mask in `weakmask` numbering.

    Faults are missing lobes, lobes on the wrong side, upper lobes below lower ones, a middle lobe that is not in front,
    and implausible volumes. If another numbering or a mirrored header explains the faults, that is reported too.

    Args:
        labels: A label map on a grid with a correct direction.

    Returns:
        One line per fault; empty for a correct mask.
    """
    sampled = _sampled(labels)
    found = _lobes(sampled, LOBES)
    missing = {name: label for name, label in LOBES.items() if name not in found}
    faults = [f"no voxel of {described(missing)}"] if missing else []
    faults += _misplaced(found)
    if not faults:
        faults += _misproportioned(found)
    elif hint := _explanation(sampled, found):
        faults.append(hint)
    return faults


def _sampled(labels: Volume) -> Volume:
    """Subsample the voxels to a distance of about `SAMPLE_MM`, the same voxels for every storage order."""
    order = upright_order(labels.geometry)
    grid = order.grid(labels.geometry)
    z, y, x = (max(1, round(SAMPLE_MM / s)) for s in grid.spacing_mm)
    voxels = order.turn(labels.voxels)[::z, ::y, ::x]
    apart = (z * grid.spacing_mm[0], y * grid.spacing_mm[1], x * grid.spacing_mm[2])
    return Volume(voxels, replace(grid, shape=voxels.shape, spacing_mm=apart), "label")


def _lobes(labels: Volume, numbering: Mapping[str, int]) -> dict[str, _Lobe]:
    """The lobes of the mask under a numbering."""
    places = {name: np.argwhere(labels.voxels == label) for name, label in numbering.items()}
    total = sum(len(place) for place in places.values())
    lobes = {}
    for name, place in places.items():
        if len(place):
            z, y, x, _ = labels.geometry.affine @ [*place.mean(axis=0), 1.0]
            lobes[name] = _Lobe((float(z), float(y), float(x)), len(place) / total)
    return lobes


def _misplaced(lobes: Mapping[str, _Lobe]) -> list[str]:
    """Faults of the lobes' relative positions."""
    left, right = ("LUL", "LLL"), ("RUL", "RML", "RLL")
    rules = [(one, right, LEFT, 0.0, "further right") for one in left] + [
        ("LUL", ("LLL",), UP, 0.0, "lower"),
        ("RUL", ("RML", "RLL"), UP, 0.0, "lower"),
        ("RML", ("RLL",), UP, -SLACK_MM, "lower"),
        ("LLL", ("LUL",), BACK, -SLACK_MM, "further in front"),
        ("RLL", ("RUL",), BACK, -SLACK_MM, "further in front"),
        ("RLL", ("RML",), BACK, 0.0, "further in front"),
        ("RUL", ("RML",), BACK, 0.0, "further in front"),
    ]
    faults = []
    for one, others, axis, least_mm, wrong in rules:
        if one in lobes:
            place = lobes[one].centre_mm[axis]
            beaten = [o for o in others if o in lobes and place - lobes[o].centre_mm[axis] < least_mm]
            if beaten:
                faults.append(f"{one} lies {wrong} in the patient than {' and '.join(beaten)}")
    return faults


def _misproportioned(lobes: Mapping[str, _Lobe]) -> list[str]:
    """Faults of lobes that are too small or too large even for a diseased lung."""
    return [
        f"{name} has {lobes[name].share:.1%} of the lungs' volume, expected {low:.1%} to {high:.0%}"
        for name, (low, high) in SHARES.items()
        if not low <= lobes[name].share <= high
    ]


def _explanation(labels: Volume, found: Mapping[str, _Lobe]) -> str | None:
    """Hint at another tool's numbering or a mirrored header that would make the mask correct."""
    for name, numbering in NUMBERINGS.items():
        renamed = labels
        if name in REGION_IN_LOW_BYTE:
            renamed = labels.with_voxels(labels.voxels.astype(np.int64) & 0xFF)
        regions = _lobes(renamed, numbering)
        if len(regions) < len(numbering):
            continue
        if numbering.keys() == LOBES.keys():
            if not _misplaced(regions) and not _misproportioned(regions):
                other = {lobe: label for lobe, label in numbering.items() if label != LOBES[lobe]}
                return f"looks like {name} numbering ({described(other)}): say so, or renumber the mask"
        elif set(np.unique(renamed.voxels)) - {0} == set(numbering.values()) and _left_is_left(regions):
            return f"looks like {name} numbering ({described(numbering)}): these are not lobes"
    if len(found) == len(LOBES):
        for axis, text in ((LEFT, "left and right"), (UP, "head and feet"), (BACK, "front and back")):
            if not _misplaced({name: _mirrored(lobe, axis) for name, lobe in found.items()}):
                return f"looks mirrored: with {text} exchanged the mask would be fine; check the header's direction"
    return None


def _left_is_left(regions: Mapping[str, _Lobe]) -> bool:
    """Whether all regions named left lie to the left of the others in the patient."""
    left = [region.centre_mm[LEFT] for name, region in regions.items() if name.startswith("left")]
    right = [region.centre_mm[LEFT] for name, region in regions.items() if not name.startswith("left")]
    return min(left) > max(right)


def _mirrored(lobe: _Lobe, axis: int) -> _Lobe:
    z, y, x = (-c if a == axis else c for a, c in enumerate(lobe.centre_mm))
    return _Lobe((z, y, x), lobe.share)
