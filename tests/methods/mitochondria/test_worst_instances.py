"""Missed, merged, split and false instances are recognised."""

import numpy as np

from weakmask.evaluation.instance_overlap import instance_overlap
from weakmask.methods.mitochondria.report import error_panels
from weakmask.methods.mitochondria.worst_instances import worst_errors


def test_each_kind_of_error_is_found():
    truth, found = np.zeros((1, 10, 30), np.int32), np.zeros((1, 10, 30), np.int32)
    truth[:, 1:4, 1:4] = 1  # missed
    truth[:, 1:4, 6:9], truth[:, 1:4, 10:13], found[:, 1:4, 6:13] = 2, 3, 1  # merged
    truth[:, 1:4, 15:23], found[:, 1:4, 15:19], found[:, 1:4, 19:23] = 4, 2, 3  # split
    found[:, 6:9, 1:4] = 4  # false
    truth[:, 6:9, 20:26], found[:, 6:9, 20:26] = 5, 5  # right
    errors = worst_errors(instance_overlap(found, truth))
    assert [(error.kind, error.label, error.voxels, error.in_truth) for error in errors] == [
        ("missed", 1, 9, True),
        ("merged", 1, 21, False),
        ("split", 4, 24, True),
        ("false", 4, 9, False),
    ]


def test_pictures_show_three_planes():
    labels = np.zeros((4, 60, 80), np.int32)
    labels[1:3, 20:30, 40:50] = 3
    image = np.zeros(labels.shape, np.uint8)
    panels = error_panels(image, {"truth": labels, "found": labels * 0}, labels == 3, (60.0, 20.0, 20.0))
    assert len(panels) == 7
    assert panels["truth, section"].any()
    assert not panels["found, section"].any()
    assert panels["truth, along x"].shape == (12, 73, 3)
    assert panels["truth, along y"].any()
