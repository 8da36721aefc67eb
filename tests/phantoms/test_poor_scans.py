"""Poor scans have the noise and the slices that they are named after, and their lobes stay in place."""

import numpy as np
import pytest

from weakmask.methods.lobes.scans import phantom_scan
from weakmask.phantoms.poor_scans import NOISE_HU, with_noise, with_thick_slices
from weakmask.volume.volume import Volume


@pytest.fixture(scope="module")
def phantom() -> tuple[Volume, Volume]:
    return phantom_scan(1, (40, 35, 40), (7.5, 7.5, 7.5))


def test_noise_is_of_the_size_it_says(phantom: tuple[Volume, Volume]) -> None:
    image, lobes_ = with_noise(*phantom, seed=0)
    assert (image.voxels.astype(float) - phantom[0].voxels).std() == pytest.approx(NOISE_HU, rel=0.02)
    assert lobes_ is phantom[1]
    assert np.array_equal(image.voxels, with_noise(*phantom, seed=0)[0].voxels)


def test_thick_slices_are_means_and_stay_in_place() -> None:
    image, truth = phantom_scan(1, (41, 20, 24), (2.5, 12.0, 12.0))
    thick, labels = with_thick_slices(image, truth, seed=0)
    assert thick.geometry.shape == (20, 20, 24)
    assert thick.geometry.spacing_mm == pytest.approx((5.0, 12.0, 12.0))
    assert np.abs(thick.voxels[3] - image.voxels[6:8].mean(axis=0)).max() <= 0.5
    middle = (image.geometry.affine @ [6.5, 0, 0, 1])[0]
    assert (thick.geometry.affine @ [3, 0, 0, 1])[0] == pytest.approx(middle)
    assert labels.geometry is thick.geometry
