"""What is wrong with a lobe mask, told from where its lobes lie in the patient.

Tools number lobes differently, and headers mirror patients. Either silently teaches a network the wrong lobe, but not
without an upper lobe below a lower one, or a left lobe on the right.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from weakmask.anatomy.lobe_numberings import NUMBERINGS, REGION_IN_LOW_BYTE, described
from weakmask.volume.geometry import Float3
from weakmask.volume.volume import Volume

LOBES = NUMBERINGS["weakmask"]
UP, BACK, LEFT = 0, 1, 2  # the world's axes
SAMPLE_MM = 3.0  # centres and shares need no finer look
SLACK_MM = 10.0  # for what a sick lung may turn a little; the middle lobe's centre often is no higher than the lower's
SHARES = {"LUL": (0.02, 0.6), "LLL": (0.02, 0.6), "RUL": (0.02, 0.6), "RML": (0.004, 0.3), "RLL": (0.02, 0.6)}


@dataclass(frozen=True)
class _Lobe:
    """Where a lobe's centre lies in the world (head, back, left), and its share of all lobes; or any region's."""

    centre_mm: Float3
    share: float


def lobe_faults(labels: Volume) -> list[str]:
    """Say what a radiologist would see at a glance in a lobe mask numbered as `weakmask` numbers.

    Missing lobes, lobes on the wrong side, upper lobes below lower ones, a middle lobe that is not in front, volumes
    that no lung has; and whose numbering, or which mirroring, would explain it.

    Args:
        labels: A label map on a grid whose direction is honest.

    Returns:
        One line per fault, none for a mask that is fine.
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
    """Every n-th voxel, n so that samples are about `SAMPLE_MM` apart."""
    spacing = labels.geometry.spacing_mm
    z, y, x = (max(1, round(SAMPLE_MM / s)) for s in spacing)
    voxels = labels.voxels[::z, ::y, ::x]
    apart = (z * spacing[0], y * spacing[1], x * spacing[2])
    return Volume(voxels, replace(labels.geometry, shape=voxels.shape, spacing_mm=apart), "label")


def _lobes(labels: Volume, numbering: Mapping[str, int]) -> dict[str, _Lobe]:
    """The lobes that the mask has under a numbering."""
    places = {name: np.argwhere(labels.voxels == label) for name, label in numbering.items()}
    total = sum(len(place) for place in places.values())
    lobes = {}
    for name, place in places.items():
        if len(place):
            z, y, x, _ = labels.geometry.affine @ [*place.mean(axis=0), 1.0]
            lobes[name] = _Lobe((float(z), float(y), float(x)), len(place) / total)
    return lobes


def _misplaced(lobes: Mapping[str, _Lobe]) -> list[str]:
    """The lobes that lie where they cannot lie, seen against one another."""
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
    """The lobes that are much too small or too large, even for a sick lung."""
    return [
        f"{name} has {lobes[name].share:.1%} of the lungs' volume, expected {low:.1%} to {high:.0%}"
        for name, (low, high) in SHARES.items()
        if not low <= lobes[name].share <= high
    ]


def _explanation(labels: Volume, found: Mapping[str, _Lobe]) -> str | None:
    """Another tool's numbering, or a mirrored header, under which the same mask would be fine."""
    for name, numbering in NUMBERINGS.items():
        theirs = labels
        if name in REGION_IN_LOW_BYTE:
            theirs = labels.with_voxels(labels.voxels.astype(np.int64) & 0xFF)
        regions = _lobes(theirs, numbering)
        if len(regions) < len(numbering):
            continue
        if numbering.keys() == LOBES.keys():
            if not _misplaced(regions) and not _misproportioned(regions):
                other = {lobe: label for lobe, label in numbering.items() if label != LOBES[lobe]}
                return f"looks like {name} numbering ({described(other)}): say so, or renumber the mask"
        elif set(np.unique(theirs.voxels)) - {0} == set(numbering.values()) and _left_is_left(regions):
            return f"looks like {name} numbering ({described(numbering)}): these are not lobes"
    if len(found) == len(LOBES):
        for axis, text in ((LEFT, "left and right"), (UP, "head and feet"), (BACK, "front and back")):
            if not _misplaced({name: _mirrored(lobe, axis) for name, lobe in found.items()}):
                return f"looks mirrored: with {text} exchanged the mask would be fine; check the header's direction"
    return None


def _left_is_left(regions: Mapping[str, _Lobe]) -> bool:
    """Whether all regions whose name begins with left lie on the patient's left of the others."""
    left = [region.centre_mm[LEFT] for name, region in regions.items() if name.startswith("left")]
    right = [region.centre_mm[LEFT] for name, region in regions.items() if not name.startswith("left")]
    return min(left) > max(right)


def _mirrored(lobe: _Lobe, axis: int) -> _Lobe:
    z, y, x = (-c if a == axis else c for a, c in enumerate(lobe.centre_mm))
    return _Lobe((z, y, x), lobe.share)
