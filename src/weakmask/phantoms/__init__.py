"""Phantoms: synthetic images with known truth, generated from a seed."""

from weakmask.phantoms.chest_ct import make_phantom, write_phantom_cohort

__all__ = [
    "make_phantom",
    "write_phantom_cohort",
]
