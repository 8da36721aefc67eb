"""A figure of examples: the slice with the largest lesion area, cropped to the regions, with every mask."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from weakmask.report.mask_examples import cut_example, draw_examples
from weakmask.report.scan_view import ScanView
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Volume

GEOMETRY = Geometry((12, 20, 16), (2.0, 1.0, 1.0))


def labels(*box: slice) -> Volume:
    voxels = np.zeros(GEOMETRY.shape, np.uint8)
    voxels[box] = 1
    return Volume(voxels, GEOMETRY, "label")


def view(truth: Volume | None) -> ScanView:
    image = Volume(np.full(GEOMETRY.shape, -450.0, np.float32), GEOMETRY)
    regions = labels(slice(2, 10), slice(4, 16), slice(4, 12))
    return ScanView("one", image, (-1200.0, 300.0), truth=truth, regions=regions)


def test_the_slice_has_the_largest_lesion_and_all_masks() -> None:
    truth = labels(slice(4, 8), slice(7, 8), slice(5, 10))
    truth.voxels[5, 9, 6] = 1  # a smaller lesion in another slice
    example = cut_example(view(truth), {"a": truth, "b": labels(slice(0, 0))})
    assert example.truth.sum() == 4 * 5
    assert example.grey.shape == example.truth.shape == (8 + 4, 8 + 6)  # regions, and a margin within the scan
    assert np.array_equal(example.masks["a"], example.truth)
    assert not example.masks["b"].any()
    assert set(np.unique(example.grey)) == {round(255 * 0.5)}
    assert example.aspect == 2.0


def test_the_figure_is_a_picture_with_a_line_per_scan() -> None:
    truth = labels(slice(4, 8), slice(7, 8), slice(5, 10))
    one = cut_example(view(truth), {"a": truth})
    heights = [Image.open(BytesIO(draw_examples([one] * count))).height for count in (1, 2)]
    assert heights[1] > 1.5 * heights[0]
    assert draw_examples([]) == b""


def test_a_scan_without_truth_is_no_example() -> None:
    with pytest.raises(ValueError, match="an example needs truth and regions"):
        cut_example(view(None), {})
