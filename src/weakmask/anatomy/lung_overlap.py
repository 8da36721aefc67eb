"""Regions compared with the lungs that a CT shows: their sides, and whether they lie in the lungs at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from weakmask.anatomy.lung_field import lung_field
from weakmask.anatomy.lung_sides import LEFT, RIGHT
from weakmask.anatomy.region_parts import Side, region_part
from weakmask.anatomy.region_places import sampled
from weakmask.errors import UserError
from weakmask.volume.volume import Volume

COARSE_MM = 5.0  # fine enough for shares, and quick
OTHER_SIDE = 0.8  # share of a region's lung that lies on the other side; less is a lung that reaches across
IN_LUNGS = 0.3  # share of a region in the lungs of the CT below which its side is unknown: it may be consolidated
WHOLE_LUNG = 0.5  # share of the other lung that no region of a side covers
LEAST_LUNG = 0.2  # of both lungs; a smaller one says little
OUTSIDE = 0.1  # share of all regions in the lungs: they lie elsewhere, unless their own grey values are those of lung
LUNG_HU = (-980, -500)
LEAST_AERATED = 0.3  # share of the regions that have the grey values of lung
DOUBTFUL = 0.5  # share of all regions in the lungs that is noted
MIRRORED = (0.85, 0.1)  # share of all regions in the lungs if mirrored, and the least that this gains
DIRECTIONS = ("head and feet", "front and back", "left and right")
LEFT_AND_RIGHT = DIRECTIONS[2]


@dataclass(frozen=True)
class Overlap:
    """Faults and notes of regions in a CT.

    Attributes:
        faults: Surely wrong.
        notes: Doubtful.
    """

    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def overlap_with_lungs(image: Volume, regions: Volume, names: Mapping[int, str]) -> Overlap:
    """Compare regions with the lungs by threshold; nothing is said of a scan whose lungs are not found.

    Args:
        image: A chest CT in Hounsfield units.
        regions: Region labels on the same grid.
        names: Label -> name; names of other organs are passed over.
    """
    labels = sampled(regions, COARSE_MM).voxels
    lungs = {label: name for label, name in names.items() if region_part(name).is_lung and (labels == label).any()}
    every = np.isin(labels, list(lungs))
    if not every.any():
        return Overlap()
    try:
        field = lung_field(sampled(image, COARSE_MM))
    except UserError:
        return Overlap()
    sides = _wrong_sides(field.voxels, labels, lungs)
    if sides:
        return Overlap(tuple(sides))
    inside, both = field.voxels != 0, _both_sides(lungs)
    share = float(inside[every].mean())
    line = f"{100 * share:.0f} % of the regions lie in the lungs of the scan"
    for axis, text in enumerate(_directions(field)):
        mirrored = float(np.flip(inside, axis)[every].mean())
        one_lung = text == LEFT_AND_RIGHT and not both  # the other one fits it, and shows more of itself if it is well
        if mirrored > MIRRORED[0] and mirrored - share > MIRRORED[1] and not one_lung:
            exchanged = f"with {text} exchanged {100 * mirrored:.0f} %; check the header's direction"
            return Overlap((f"looks mirrored: {line}, {exchanged}",))
    coarse = sampled(image, COARSE_MM).voxels[every]
    aerated = float(np.mean((coarse > LUNG_HU[0]) & (coarse < LUNG_HU[1])))
    if share < OUTSIDE and both and aerated < LEAST_AERATED:
        return Overlap((f"{line}, expected most; is it the mask of another scan?",))
    return Overlap((), (f"{line}; expected most, unless they are consolidated",) if share < DOUBTFUL else ())


def _wrong_sides(field: np.ndarray, labels: np.ndarray, names: Mapping[int, str]) -> list[str]:
    """Regions that lie in the other lung, or cover it."""
    sizes = {LEFT: np.count_nonzero(field == LEFT), RIGHT: np.count_nonzero(field == RIGHT)}
    if min(sizes.values()) < LEAST_LUNG * sum(sizes.values()):
        return []
    sides: dict[Side, tuple[int, int, str]] = {"left": (LEFT, RIGHT, "right"), "right": (RIGHT, LEFT, "left")}
    faults = []
    for label, name in names.items():
        side = region_part(name).side
        region = field[labels == label]
        if side == "" or not region.size:
            continue
        own, other, called = sides[side]
        here, beyond = np.count_nonzero(region == own), np.count_nonzero(region == other)
        if here + beyond < IN_LUNGS * region.size:
            continue
        if beyond > OTHER_SIDE * (here + beyond):
            faults.append(f"{name} (label {label}) lies in the {called} lung")
        elif beyond > WHOLE_LUNG * sizes[other]:
            faults.append(f"{name} (label {label}) covers {100 * beyond / sizes[other]:.0f} % of the {called} lung")
    return faults


def _both_sides(names: Mapping[int, str]) -> bool:
    """Whether the regions are those of both lungs, of which one may be consolidated."""
    sides = {region_part(name).side for name in names.values()}
    return {"left", "right"} <= sides or "" in sides


def _directions(volume: Volume) -> Sequence[str]:
    """The directions of the patient along which the axes of a grid run."""
    return [DIRECTIONS[axis] for axis in np.abs(np.asarray(volume.geometry.direction)).argmax(axis=0)]
