import numpy as np
import pytest

from weakmask.volume.geometry import Box
from weakmask.volume.label_extents import LabelExtents


@pytest.mark.parametrize("depth", [1, 3, 8])
def test_sizes_boxes_and_centres_do_not_depend_on_the_slabs(depth: int):
    labels = np.zeros((8, 6, 7), np.uint32)
    labels[1:6, 2:4, 3:7] = 2
    labels[7, 0, 0] = 4
    labels[2:4, 0, 1:3] = 4
    extents = LabelExtents(4)
    for start in range(0, 8, depth):
        extents.add(labels[start : start + depth], start)
    assert extents.voxels.tolist() == [0, 0, 40, 0, 5]
    assert extents.box(2) == Box((1, 2, 3), (6, 4, 7))
    assert extents.box(4) == Box((2, 0, 0), (8, 1, 3))
    assert extents.first.tolist() == [[-1] * 3, [-1] * 3, [1, 2, 3], [-1] * 3, [2, 0, 1]]
    assert extents.centre(2).tolist() == [3, 2.5, 4.5]
    assert extents.centre(4) == pytest.approx(np.argwhere(labels == 4).mean(axis=0))
    assert np.isnan(extents.centre(3)).all()
    with pytest.raises(ValueError, match="label 3 has no voxels"):
        extents.box(3)
