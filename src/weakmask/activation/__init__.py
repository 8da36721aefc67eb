"""Activation: maps and masks computed by a trained network."""

from weakmask.activation.cam import class_activation_map
from weakmask.activation.dram import dense_regression_map
from weakmask.activation.multi_scale import average_over_scales
from weakmask.activation.whole_scan import class_labels, class_probabilities

__all__ = [
    "average_over_scales",
    "class_activation_map",
    "class_labels",
    "class_probabilities",
    "dense_regression_map",
]
