"""Grey opening against SciPy's, and what it is for."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from weakmask.refinement.grey_opening import opened


@pytest.mark.parametrize("shape", [(20, 31), (9, 11, 14)])
@pytest.mark.parametrize("voxels", [1, 3, 5])
def test_it_is_scipys_opening_with_zeros_outside(shape: tuple[int, ...], voxels: int) -> None:
    image = torch.rand(2, 1, *shape, generator=torch.Generator().manual_seed(0))
    found = opened(image, voxels)
    for sample, mine in zip(image[:, 0].numpy(), found[:, 0].numpy(), strict=True):
        padded = np.pad(sample, voxels)
        theirs = ndimage.grey_opening(padded, (voxels,) * len(shape))
        np.testing.assert_array_equal(mine, theirs[(slice(voxels, -voxels),) * len(shape)])


def test_narrow_goes_and_broad_stays() -> None:
    image = torch.full((1, 1, 40, 40), 0.1)
    image[..., 5:8, 5:35] = 0.9  # a vessel, three wide
    image[..., 15:30, 10:30] = 0.5  # an opacity
    found = opened(image, 5)
    assert torch.all(found[..., 5:8, 5:35] == 0.1)
    assert torch.all(found[..., 15:30, 10:30] == 0.5)


def test_even_windows_are_refused() -> None:
    with pytest.raises(ValueError, match="odd"):
        opened(torch.zeros(1, 1, 8, 8), 4)
