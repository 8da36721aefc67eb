"""Vessels of a chest CT: on a phantom with known vessels, on single slices and at the edges."""

import numpy as np
import pytest

from weakmask.evaluation.overlap import overlap
from weakmask.phantoms.chest_ct import Phantom, make_phantom
from weakmask.refinement.vessels import vessel_mask


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    """Two millimetres, no lesions."""
    return make_phantom(5, shape=(110, 140, 140), spacing_mm=(2.5, 2.5, 2.5), scores=dict.fromkeys(range(1, 6), 0))


def test_it_finds_the_vessels_of_a_healthy_lung(phantom: Phantom) -> None:
    lungs = phantom.lobes.voxels > 0
    found = vessel_mask(phantom.image, lungs)
    assert found.kind == "label"
    assert found.geometry is phantom.image.geometry
    assert not found.voxels[~lungs].any()
    assert overlap(found.voxels > 0, phantom.vessels.voxels > 0, lungs).dice > 0.5


def test_the_pleura_does_not_answer(phantom: Phantom) -> None:
    lungs = phantom.lobes.voxels > 0
    flat = phantom.image.with_voxels(np.where(lungs, -850, 50).astype(np.int16))
    assert not vessel_mask(flat, lungs).voxels.any()
