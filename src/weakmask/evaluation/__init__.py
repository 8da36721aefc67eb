"""Masks and instances against truth, methods against methods."""

from weakmask.evaluation.agreement import Agreement, agreement, kappa_interval, weighted_kappa
from weakmask.evaluation.instance_overlap import InstanceOverlap, instance_overlap
from weakmask.evaluation.instances import InstanceScores, average_precision, instance_scores
from weakmask.evaluation.overlap import Overlap, overlap
from weakmask.evaluation.significance import SignedRank, compare_methods, signed_rank

__all__ = [
    "Agreement",
    "InstanceOverlap",
    "InstanceScores",
    "Overlap",
    "SignedRank",
    "agreement",
    "average_precision",
    "compare_methods",
    "instance_overlap",
    "instance_scores",
    "kappa_interval",
    "overlap",
    "signed_rank",
    "weighted_kappa",
]
