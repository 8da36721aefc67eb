"""Places of regions in the patient, and the faults that they reveal: sides, heights, front and back.

Tools number regions differently, and wrong headers mirror patients. Both would teach a network the wrong regions. Both
can be detected, because an upper region then lies below a lower one, or a left one on the right. Any set of regions
will do: five lobes, four after a lobectomy, two lungs, their thirds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from weakmask.anatomy.lobe_numberings import NUMBERINGS, REGION_IN_LOW_BYTE, described
from weakmask.anatomy.region_parts import region_part
from weakmask.volume.geometry import Float3
from weakmask.volume.storage_order import upright_order
from weakmask.volume.volume import Volume

UP, BACK, LEFT = 0, 1, 2  # world axes
SAMPLE_MM = 3.0  # fine enough for centres and shares
SLACK_MM = 10.0  # tolerance for diseased lungs; the middle lobe's centre is often no higher than the lower lobe's
APART_MM = 10.0  # gap between regions of one side from left to right; they lie above each other and have none
EXTENT = (5, 95)  # percentiles of a region's voxels that bound it: stray voxels do not count
CUT = 0.25  # area of a region on the first or the last slice of a scan, as a share of its largest
SHARES = {"LUL": (0.02, 0.6), "LLL": (0.02, 0.6), "RUL": (0.02, 0.6), "RML": (0.004, 0.3), "RLL": (0.02, 0.6)}
BEFORE_AND_BEHIND = (  # region, regions in front of it, tolerance
    ("LLL", ("LUL",), SLACK_MM),
    ("RLL", ("RUL",), SLACK_MM),
    ("RLL", ("RML",), 0.0),
    ("RUL", ("RML",), 0.0),
)


@dataclass(frozen=True)
class Place:
    """Position of a region in the world (head, back, left).

    Attributes:
        centre_mm: Mean of its voxels.
        across_mm: Its right and its left end.
        share: Of the volume of all regions.
        cut: Whether the scan ends inside it at the top or at the bottom, so that its centre says little.
    """

    centre_mm: Float3
    across_mm: tuple[float, float]
    share: float
    cut: bool = False


def sampled(volume: Volume, distance_mm: float = SAMPLE_MM) -> Volume:
    """Every n-th voxel along each axis, at about a distance; the same voxels for every storage order."""
    order = upright_order(volume.geometry)
    grid = order.grid(volume.geometry)
    z, y, x = (max(1, round(distance_mm / s)) for s in grid.spacing_mm)
    voxels = order.turn(volume.voxels)[::z, ::y, ::x]
    apart = (z * grid.spacing_mm[0], y * grid.spacing_mm[1], x * grid.spacing_mm[2])
    return Volume(voxels, replace(grid, shape=voxels.shape, spacing_mm=apart), volume.kind)


def places_of(labels: Volume, numbering: Mapping[str, int]) -> dict[str, Place]:
    """The places of a mask's regions under a numbering; regions without voxels are left out."""
    found = {name: np.argwhere(labels.voxels == label) for name, label in numbering.items()}
    total = sum(len(voxels) for voxels in found.values())
    return {name: _place(labels, voxels, total) for name, voxels in found.items() if len(voxels)}


def _place(labels: Volume, voxels: np.ndarray, total: int) -> Place:
    affine = labels.geometry.affine
    z, y, x = (affine @ [*voxels.mean(axis=0), 1.0])[:3]
    right, left = np.percentile(voxels @ affine[LEFT, :3] + affine[LEFT, 3], EXTENT)
    return Place(
        (float(z), float(y), float(x)), (float(right), float(left)), len(voxels) / total, _is_cut(labels, voxels)
    )


def _is_cut(labels: Volume, voxels: np.ndarray) -> bool:
    up = int(np.abs(labels.geometry.affine[UP, :3] / labels.geometry.spacing_mm).argmax())
    areas = np.bincount(voxels[:, up], minlength=labels.geometry.shape[up])
    return bool(max(areas[0], areas[-1]) > CUT * areas.max())


def misplaced(places: Mapping[str, Place]) -> list[str]:
    """Faults of the positions of regions relative to each other, one line per region and direction."""
    return [*_wrong_sides(places), *_beside(places), *_wrong_heights(places), *_wrong_depths(places)]


def misproportioned(places: Mapping[str, Place]) -> list[str]:
    """Lobes that are too small or too large even for a diseased lung."""
    return [
        f"{name} has {places[name].share:.1%} of the lungs' volume, expected {low:.1%} to {high:.0%}"
        for name, (low, high) in SHARES.items()
        if name in places and not low <= places[name].share <= high and not any(p.cut for p in places.values())
    ]


def explanation(labels: Volume, names: Mapping[str, int]) -> str:
    """A hint at another numbering or a mirrored header under which misplaced regions would be in place; or empty.

    Args:
        labels: The mask with all its labels, also those that have no name.
        names: Name -> label of the regions that are misplaced.
    """
    found = places_of(labels, names)
    wrong = bool(misplaced(found))
    for whole in (True, False) if wrong else (True,):  # a part of a set fits many numberings
        for tool, numbering in NUMBERINGS.items():
            if any(names.get(name) != label for name, label in numbering.items()) and _fits(
                labels, tool, {names[name] for name in found}, whole=whole
            ):
                return _numbering_hint(tool, names)
    if wrong:
        for axis, text in ((LEFT, "left and right"), (UP, "head and feet"), (BACK, "front and back")):
            if not misplaced({name: _mirrored(place, axis) for name, place in found.items()}):
                return f"looks mirrored: with {text} exchanged the mask would be fine; check the header's direction"
    return ""


def _fits(labels: Volume, tool: str, used: set[int], *, whole: bool) -> bool:
    """Whether the labels are those of a tool, all of them (`whole`) or some, and lie where its names say."""
    numbering = NUMBERINGS[tool]
    if tool in REGION_IN_LOW_BYTE:
        labels = labels.with_voxels(labels.voxels.astype(np.int64) & 0xFF)
        used = {label & 0xFF for label in used}
    regions, lobes = places_of(labels, numbering), numbering.keys() == SHARES.keys()
    if whole != (len(regions) == len(numbering)) or (len(regions) < 2):
        return False
    if not (whole and lobes) and set(np.unique(labels.voxels).tolist()) - {0} - set(numbering.values()):
        return False  # other organs stand beside a whole set of lobes only
    return used <= set(numbering.values()) and not misplaced(regions) and not misproportioned(regions)


def _numbering_hint(tool: str, names: Mapping[str, int]) -> str:
    numbering = NUMBERINGS[tool]
    known = {name.lower() for name in names}
    looks = f"looks like {tool} numbering"
    if not known & {name.lower() for name in numbering}:
        kind = "lobes" if names.keys() <= SHARES.keys() else " or ".join(names)
        return f"{looks} ({described(numbering)}): these are not {kind}"
    other = {name: label for name, label in numbering.items() if names.get(name) != label}
    remedy = f"write `numbering: {tool}` in regions.yaml, give --numbering {tool}, or renumber the mask"
    return f"{looks} ({described(other)}): {remedy}"


def _mirrored(place: Place, axis: int) -> Place:
    z, y, x = (-c if a == axis else c for a, c in enumerate(place.centre_mm))
    right, left = place.across_mm
    return replace(place, centre_mm=(z, y, x), across_mm=(-left, -right) if axis == LEFT else (right, left))


def _wrong_sides(places: Mapping[str, Place]) -> list[str]:
    """Left regions further right than right ones of the same organ."""
    parts = {name: region_part(name) for name in places}
    faults = []
    for one, part in parts.items():
        others = [name for name, other in parts.items() if (other.side, other.organ) == ("right", part.organ)]
        faults += _beaten(places, one, others if part.side == "left" else (), (LEFT, 0.0, "further right"))
    return faults


def _beside(places: Mapping[str, Place]) -> list[str]:
    """Regions of one side that lie beside each other rather than above each other."""
    parts = {name: region_part(name) for name in places}
    faults = []
    for one, part in parts.items():
        for other, its in parts.items():
            same = part.side and part.height and its.height and (part.side, part.organ) == (its.side, its.organ)
            gap = places[one].across_mm[0] - places[other].across_mm[1]
            if same and gap > APART_MM:
                faults.append(
                    f"{one} and {other} lie {gap:.0f} mm apart from left to right, expected above each other on the "
                    f"{part.side}"
                )
    return faults


def _wrong_heights(places: Mapping[str, Place]) -> list[str]:
    """Upper regions below middle or lower ones of the same side, and middle ones below lower ones."""
    parts = {name: region_part(name) for name in places}
    faults = []
    for height, below, slack_mm in (("upper", ("middle", "lower"), 0.0), ("middle", ("lower",), SLACK_MM)):
        for one, part in parts.items():
            others = [
                name
                for name, other in parts.items()
                if other.height in below and (other.side, other.organ) == (part.side, part.organ)
            ]
            faults += _beaten(places, one, others if part.height == height else (), (UP, slack_mm, "lower"))
    return faults


def _wrong_depths(places: Mapping[str, Place]) -> list[str]:
    """Lobes in front of others that lie before them."""
    faults = []
    for one, others, slack_mm in BEFORE_AND_BEHIND:
        faults += _beaten(places, one, others, (BACK, slack_mm, "further in front"))
    return faults


def _beaten(places: Mapping[str, Place], one: str, others: Sequence[str], rule: tuple[int, float, str]) -> list[str]:
    """The fault of a region that is less far along an axis than others, beyond the rule's tolerance."""
    axis, slack_mm, wrong = rule
    if one not in places:
        return []
    known = [name for name in others if name in places]
    if axis != LEFT:
        known = [name for name in known if not (places[one].cut or places[name].cut)]
    beaten = [name for name in known if places[one].centre_mm[axis] - places[name].centre_mm[axis] < -slack_mm]
    return [f"{one} lies {wrong} in the patient than {' and '.join(beaten)}"] if beaten else []
