"""Losses: pure functions of tensors, one paper idea per file; each returns one value per sample."""

from weakmask.losses.bootstrapping import bootstrapping, soft_bootstrapping
from weakmask.losses.class_boundary import class_boundary
from weakmask.losses.dice import dice, dice_by_class
from weakmask.losses.entropy import binary_entropy, entropy
from weakmask.losses.equivariance import equivariance, smooth_equivariance
from weakmask.losses.instance_selection import instance_loss, select_instances
from weakmask.losses.interval_regression import interval_regression, inverse_frequency_weights
from weakmask.losses.region_mean import region_mean
from weakmask.losses.weighted_cross_entropy import weighted_cross_entropy

__all__ = [
    "binary_entropy",
    "bootstrapping",
    "class_boundary",
    "dice",
    "dice_by_class",
    "entropy",
    "equivariance",
    "instance_loss",
    "interval_regression",
    "inverse_frequency_weights",
    "region_mean",
    "select_instances",
    "smooth_equivariance",
    "soft_bootstrapping",
    "weighted_cross_entropy",
]
