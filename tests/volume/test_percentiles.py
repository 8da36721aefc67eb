"""Percentiles that are counted block by block are those of NumPy, for every type of voxels."""

from typing import Any

import numpy as np
import pytest

from weakmask.volume.percentiles import percentiles

PERCENTS = (0, 0.5, 37, 99.5, 100)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "f2", "u4", "i4", "f4", "i8", "f8"])
def test_percentiles_are_those_of_numpy(dtype: str):
    rng = np.random.default_rng(0)
    drawn: Any = rng.normal(0, 50, (7, 11, 13))
    voxels = (np.abs(drawn) if dtype[0] == "u" else drawn).astype(dtype)
    voxels[:2] = voxels[0, 0, 0]  # equal voxels, and many of them
    found = percentiles(voxels, PERCENTS, most=2 * 11 * 13)
    assert found == pytest.approx(np.percentile(voxels.astype(np.float64), PERCENTS), rel=1e-12, abs=1e-12)


def test_few_voxels_and_large_numbers():
    assert percentiles(np.full((1, 1, 1), -3, np.int16), (0, 50, 100)) == [-3, -3, -3]
    large = np.array([[[0, 2**63, 2**64 - 1]]], np.uint64)
    assert percentiles(large, (0, 50, 100)) == [0, 2.0**63, 2.0**64]  # of 64 bits, as real numbers hold them
    assert percentiles(np.array([[[False, True, True]]]), (0, 25, 100)) == [0, 0.5, 1]
