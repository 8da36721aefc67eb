"""Chest anatomy without learning: lung field, airways, lobes, lobe numberings and lobe faults."""

from weakmask.anatomy.lobe_faults import lobe_faults
from weakmask.anatomy.lobe_numberings import NUMBERINGS
from weakmask.anatomy.lung_field import lung_field

__all__ = [
    "NUMBERINGS",
    "lobe_faults",
    "lung_field",
]
