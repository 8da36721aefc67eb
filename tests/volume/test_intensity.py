import numpy as np
import pytest

from weakmask.volume.intensity import compacted, keeps_whole, nonfinite_count, rescale, window


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.int32, np.float32, np.float64])
def test_window_is_the_plain_formula(dtype):
    voxels = np.arange(0, 250, 7).astype(dtype).reshape(1, 6, 6)
    plain = np.clip((voxels.astype(float) - 30) / (200 - 30), 0, 1)
    mapped = window(voxels, 30, 200)
    assert mapped.dtype == np.float32
    assert np.allclose(mapped, plain, atol=1e-6)
    assert (mapped.min(), mapped.max()) == (0, 1)


def test_window_of_the_lungs():
    assert window(np.array([-3024, -1200, -450, 300, 3071], np.int16), -1200, 300).tolist() == [0, 0, 0.5, 1, 1]


def test_window_leaves_the_scan_alone_and_nan_nan():
    voxels = np.array([np.nan, 1.0])
    assert np.isnan(window(voxels, 0, 2)[0])
    assert voxels[1] == 1.0


@pytest.mark.parametrize(("low", "high"), [(3, 3), (4, 3), (0, float("nan"))])
def test_window_refuses_an_empty_range(low, high):
    with pytest.raises(ValueError, match="expected the second number above the first"):
        window(np.zeros(3), low, high)


@pytest.mark.parametrize(
    ("stored", "slope", "intercept", "dtype"),
    [
        (np.array([0, 4095], np.uint16), 1, -1024, np.int16),
        (np.array([0, 65535], np.uint16), 1, 0, np.int32),
        (np.array([-30000, 30000], np.int16), 2, -1024, np.int32),
        (np.array([-30000, 30000], np.int16), -1, 3, np.int16),
        (np.array([2**40], np.int64), 1, 0, np.float32),
        (np.array([0, 100], np.int16), 0.5, 0, np.float32),
        (np.array([0, 100], np.int16), 1, 0.25, np.float32),
        (np.array([0.5, 1.5], np.float32), 2, 1, np.float32),
        (np.array([2**31 - 1, 2**31 - 9], np.int32), 1, -(2**31), np.int16),
    ],
)
def test_rescale_is_the_plain_formula_in_the_smallest_type(stored, slope, intercept, dtype):
    meant = rescale(stored.reshape(-1, 1, 1), slope, intercept)
    assert meant.dtype == dtype
    assert np.allclose(meant.ravel(), stored.astype(float) * slope + intercept, rtol=1e-6)


def test_nonfinite_count():
    voxels = np.zeros((3, 4, 5))
    voxels[0, 0, 0], voxels[2, 1, 1], voxels[2, 1, 2] = np.nan, np.inf, -np.inf
    assert nonfinite_count(voxels) == 3
    assert nonfinite_count(np.zeros((3, 4, 5), np.int16)) == 0
    assert nonfinite_count(np.zeros((3, 4, 5), bool)) == 0


@pytest.mark.parametrize(
    ("source", "shown", "whole"),
    [
        (np.int16, (-1200, 300), True),
        (np.float32, (-1200, 300), True),  # CT as real numbers: a step is 1 of 1500
        (np.uint8, (0, 255), True),
        (np.float32, (0, 255), False),
        (np.float32, (0, 1), False),
        (np.uint16, (0, 65535), False),
    ],
)
def test_whole_numbers_are_kept_where_they_lose_nothing(source: type, shown: tuple[float, float], whole: bool):
    assert keeps_whole(np.dtype(source), *shown) == whole
    values = np.array([-40000.0, shown[0], shown[0] + 0.3, shown[1], 70000.0], np.float32)
    kept = compacted(values, np.dtype(source), *shown)
    assert kept.dtype == (np.int16 if whole else np.float32)
    expected = [-32767, shown[0], shown[0], shown[1], 32767] if whole else values.tolist()
    assert kept.tolist() == expected
