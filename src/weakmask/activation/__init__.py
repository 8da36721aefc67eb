"""Activation: maps and masks computed by a trained network."""

from weakmask.activation.blended_probabilities import BlendingWork, blended_probabilities
from weakmask.activation.blended_windows import Windows
from weakmask.activation.cam import class_activation_map
from weakmask.activation.dram import dense_regression_map
from weakmask.activation.grad_cam import gradient_maps
from weakmask.activation.map_ranges import by_maximum, by_range
from weakmask.activation.multi_scale import average_over_scales, with_mirror
from weakmask.activation.whole_scan import class_labels, class_probabilities

__all__ = [
    "BlendingWork",
    "Windows",
    "average_over_scales",
    "blended_probabilities",
    "by_maximum",
    "by_range",
    "class_activation_map",
    "class_labels",
    "class_probabilities",
    "dense_regression_map",
    "gradient_maps",
    "with_mirror",
]
