"""A coarse map is put where the network's strides say."""

import pytest
import torch

from weakmask.activation.strided_map import placed


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_ramp_stays_a_ramp_and_holds_beyond_its_ends(dimensions: int) -> None:
    strides, first = (2.0, 8.0, 8.0)[3 - dimensions :], (0.5, 0.0, 4.0)[3 - dimensions :]
    shape, counts = (6, 27, 30)[3 - dimensions :], (3, 4, 4)[3 - dimensions :]
    for axis in range(dimensions):
        along = [1] * dimensions
        along[axis] = -1
        values = torch.arange(counts[axis]) * strides[axis] + first[axis]  # the place of each value
        coarse = values.reshape(along).expand(counts)[None, None]
        expected = torch.arange(shape[axis]).float().clamp(float(values[0]), float(values[-1]))
        found = placed(coarse, shape, strides, first)
        torch.testing.assert_close(found, expected.reshape(along).expand(shape)[None, None], atol=1e-4, rtol=1e-5)
