"""Faults of a lobe mask, detected from the positions of its lobes in the patient."""

from weakmask.anatomy.lobe_numberings import NUMBERINGS, described
from weakmask.anatomy.region_places import explanation, misplaced, misproportioned, places_of, sampled
from weakmask.volume.volume import Volume

LOBES = NUMBERINGS["weakmask"]


def lobe_faults(labels: Volume) -> list[str]:
    """List the anatomical faults of a lobe mask in `weakmask` numbering.

    Faults are missing lobes, lobes on the wrong side, upper lobes below lower ones, a middle lobe that is not in front,
    and implausible volumes. If another numbering or a mirrored header explains the faults, that is reported too.

    Args:
        labels: A label map on a grid with a correct direction.

    Returns:
        One line per fault; empty for a correct mask.
    """
    mask = sampled(labels)
    found = places_of(mask, LOBES)
    missing = {name: label for name, label in LOBES.items() if name not in found}
    faults = [f"no voxel of {described(missing)}"] if missing else []
    faults += misplaced(found)
    if not faults:
        return misproportioned(found)
    hint = explanation(mask, LOBES)
    return [*faults, hint] if hint else faults
