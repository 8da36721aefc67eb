"""Phantoms: synthetic images with known truth, generated from a seed."""

from weakmask.phantoms.chest_ct import make_phantom, write_phantom_cohort
from weakmask.phantoms.chest_xray import make_xray
from weakmask.phantoms.em_cohort import write_em_cohort
from weakmask.phantoms.em_stack import make_em_phantom
from weakmask.phantoms.photographs import make_photograph
from weakmask.phantoms.picture_cohorts import write_photograph_cohort, write_xray_cohort

__all__ = [
    "make_em_phantom",
    "make_phantom",
    "make_photograph",
    "make_xray",
    "write_em_cohort",
    "write_phantom_cohort",
    "write_photograph_cohort",
    "write_xray_cohort",
]
