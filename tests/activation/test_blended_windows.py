import numpy as np
import pytest

from weakmask.activation.blended_windows import Windows
from weakmask.volume.geometry import Box

SHAPE = (9, 30, 21)
WINDOWS = Windows((6, 16, 8), (3, 8, 4), (0, 8, 3))


def test_weights_are_those_of_the_formula():
    weights = Windows((5, 4, 1), (5, 4, 1)).weights()
    z, y = np.linspace(-1, 1, 5)[:, None, None], np.linspace(-1, 1, 4)[:, None]
    assert weights == pytest.approx(np.exp(-(z**2 + y**2 + 0 * np.zeros(1)) / (2 * 0.2**2)) + 1e-4, rel=1e-6)


def test_windows_cover_the_volume_and_its_padding():
    counts = np.zeros([n + 2 * around for n, around in zip(SHAPE, WINDOWS.padding, strict=True)])
    windows = list(WINDOWS.meeting(SHAPE, Box((0, 0, 0), SHAPE)))
    extent = WINDOWS.extent(SHAPE)
    for window in windows:
        assert window.shape == WINDOWS.size
        place = [
            slice(max(0, a + p), b + p) for a, b, p in zip(window.start, window.stop, WINDOWS.padding, strict=True)
        ]
        counts[tuple(place)] += 1
    assert counts.min() >= 1
    assert extent.start == (0, -8, -3)
    assert all(stop >= n + p for stop, n, p in zip(extent.stop, SHAPE, WINDOWS.padding, strict=True))
    assert all(
        stop - n - p < step
        for stop, n, p, step in zip(extent.stop, SHAPE, WINDOWS.padding, WINDOWS.stride, strict=True)
    )


def test_the_total_is_the_sum_over_all_windows():
    block = Box((2, 5, 0), (9, 27, 13))
    total = np.zeros(block.shape)
    for window in WINDOWS.meeting(SHAPE, Box((0, 0, 0), SHAPE)):
        start = [max(a, b) for a, b in zip(window.start, block.start, strict=True)]
        stop = [min(a, b) for a, b in zip(window.stop, block.stop, strict=True)]
        if all(a < b for a, b in zip(start, stop, strict=True)):
            into = tuple(slice(a - c, b - c) for a, b, c in zip(start, stop, block.start, strict=True))
            part = tuple(slice(a - c, b - c) for a, b, c in zip(start, stop, window.start, strict=True))
            total[into] += WINDOWS.weights()[part]
    assert WINDOWS.total(SHAPE, block) == pytest.approx(total, rel=1e-5)
    assert total.min() > 0


def test_a_block_meets_the_windows_that_share_voxels():
    whole = list(WINDOWS.meeting(SHAPE, Box((0, 0, 0), SHAPE)))
    block = Box((0, 0, 0), (2, 3, 4))
    met = list(WINDOWS.meeting(SHAPE, block))
    expected = [
        w
        for w in whole
        if all(a < s and b > t for a, b, s, t in zip(w.start, w.stop, block.stop, block.start, strict=True))
    ]
    assert met == expected
    assert met == [window for window in met if min(window.stop) > 0]
    assert 0 < len(met) < len(whole)


def test_a_window_larger_than_the_volume():
    windows = Windows((16, 64, 64), (8, 32, 32), (0, 0, 0))
    assert list(windows.meeting(SHAPE, Box((0, 0, 0), SHAPE))) == [Box((0, 0, 0), (16, 64, 64))]


@pytest.mark.parametrize(
    "numbers",
    [((4, 4, 4), (5, 4, 4), (0, 0, 0)), ((4, 4, 4), (0, 4, 4), (0, 0, 0)), ((4, 4, 4), (4, 4, 4), (0, -1, 0))],
)
def test_impossible_windows_are_refused(numbers: tuple[tuple[int, int, int], ...]):
    with pytest.raises(ValueError, match="expected strides from 1"):
        Windows(*numbers)
