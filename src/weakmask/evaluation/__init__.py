"""Masks against truth, methods against methods."""

from weakmask.evaluation.agreement import Agreement, agreement, kappa_interval, weighted_kappa
from weakmask.evaluation.overlap import Overlap, overlap
from weakmask.evaluation.significance import SignedRank, compare_methods, signed_rank

__all__ = [
    "Agreement",
    "Overlap",
    "SignedRank",
    "agreement",
    "compare_methods",
    "kappa_interval",
    "overlap",
    "signed_rank",
    "weighted_kappa",
]
