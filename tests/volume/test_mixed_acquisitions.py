import re
from pathlib import Path

import pytest

from weakmask.volume.mixed_acquisitions import mixed_acquisitions
from weakmask.volume.slice_stack import AXIAL, Slice


def stack(numbers, marks=None):
    marks = marks or [()] * len(numbers)
    return [
        Slice(Path(f"{n}.dcm"), (4, 4), (1.0, 1.0), 1.0, (0.0, 0.0, float(height)), AXIAL, n, mark)
        for height, (n, mark) in enumerate(zip(numbers, marks, strict=True))
    ]


TWO = [("1", "", ""), ("2", "", "")] * 6
KERNELS = [("", "", "B30f"), ("", "", "B70f")] * 6


@pytest.mark.parametrize(
    ("slices", "words"),
    [
        (stack(range(1, 13), TWO), r"\(acquisition number 1: 6 slices, 2: 6 slices\)"),
        (stack(range(1, 13), KERNELS), "convolution kernel B30f: 6 slices"),
        (stack([n for k in range(6) for n in (k + 1, k + 7)]), "their instance numbers begin again"),
        (stack([n for k in range(6) for n in (k + 1, 12 - k)]), "their instance numbers begin again"),
        (stack([n for k in range(6) for n in (k + 1, k + 1)]), "their instance numbers begin again"),
    ],
)
def test_slices_of_two_acquisitions_alternate(slices, words):
    assert re.search(words, mixed_acquisitions(slices))


@pytest.mark.parametrize(
    "slices",
    [
        stack(range(1, 13)),
        stack(range(12, 0, -1)),
        stack([1] * 12),  # one number for all
        stack([0] * 12),
        stack([5, 2, 9, 12, 1, 3, 11, 4, 10, 6, 8, 7]),  # in no order
        stack(range(1, 13), [("1", "", "")] * 6 + [("2", "", "")] * 6),  # one after the other
        stack(range(1, 13), [(str(n), str(n), "") for n in range(12)]),  # one for each slice
        stack([1, 2]),
        stack([1]),
    ],
)
def test_one_acquisition_is_one(slices):
    assert mixed_acquisitions(slices) == ""
