import numpy as np
import pytest
from scipy import ndimage

from weakmask.refinement.components import Neighbours
from weakmask.refinement.slab_components import SlabComponents


def joined(mask: np.ndarray, neighbours: Neighbours, depth: int) -> np.ndarray:
    found = SlabComponents(neighbours)
    slabs = [mask[start : start + depth] for start in range(0, len(mask), depth)]
    for slab in slabs:
        found.add(slab)
    component_of = found.finish()
    return np.concatenate([component_of[found.again(slab, number)] for number, slab in enumerate(slabs)])


@pytest.mark.parametrize("depth", [1, 2, 5, 12])
@pytest.mark.parametrize(("neighbours", "order", "density"), [(6, 1, 0.3), (18, 2, 0.14), (26, 3, 0.1)])
def test_components_and_their_numbers_are_those_of_one_pass(
    neighbours: Neighbours, order: int, density: float, depth: int
):
    rng = np.random.default_rng(neighbours)
    for _ in range(3):
        mask = rng.random((12, 17, 15)) < density
        whole, count = ndimage.label(mask, ndimage.generate_binary_structure(3, order))
        assert 10 < count < mask.sum() / 2
        assert np.array_equal(joined(mask, neighbours, depth), whole)


def test_a_spiral_is_joined_at_its_last_slab():
    mask = np.zeros((6, 3, 9), bool)
    mask[:, 1, [0, 4, 8]] = True
    mask[5, 1, :] = True
    assert joined(mask, 6, 2).max() == 1
    mask[5] = False
    assert joined(mask, 6, 2).max() == 3


@pytest.mark.parametrize("full", [False, True])
def test_masks_without_borders(full: bool):
    labels = joined(np.full((4, 5, 6), full), 6, 2)
    assert (labels == int(full)).all()
