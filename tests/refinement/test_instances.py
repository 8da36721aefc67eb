import numpy as np
import pytest
from scipy import ndimage
from skimage.segmentation import watershed as flood

from weakmask.refinement.instances import above, below, grow_seeds, mask_components, voxels_of_nm3, watershed

SHAPE = (12, 30, 40)
Maps = tuple[np.ndarray, np.ndarray]


def two_touching_bodies() -> Maps:
    """Two boxes that share a face: the mask is high in both, the contour at their faces."""
    mask, contour = np.full(SHAPE, 0.02, np.float32), np.full(SHAPE, 0.05, np.float32)
    mask[2:10, 5:25, 5:35] = 0.95
    contour[2:10, 5:25, 5:35] = 0.1
    for x in (5, 20, 35):
        contour[2:10, 5:25, x - 2 : x + 2] = 0.9
    mask[2:10, 5:25, 19:21] = 0.88  # a little less sure between them
    return mask, contour


def random_maps(seed: int) -> Maps:
    rng = np.random.default_rng(seed)
    fields = [ndimage.gaussian_filter(rng.random(SHAPE), sigma) for sigma in (1.0, 0.7)]
    mask, contour = ((field - field.min()) / np.ptp(field) for field in fields)
    return mask, contour


def plain_watershed(maps: Maps, thresholds: tuple[float, float, float], least: int) -> np.ndarray:
    mask, contour = maps
    seeds = ndimage.label((mask > thresholds[0]) & (contour < thresholds[1]), np.ones((3, 3, 3)))[0]
    labels = flood(-mask, seeds, mask=mask > thresholds[2])
    kept, number = np.zeros(seeds.max() + 1, int), 0
    for label in range(1, len(kept)):
        if (labels == label).sum() >= least:
            number += 1
            kept[label] = number
    return kept[labels]


def eight_bits(maps: Maps) -> Maps:
    mask, contour = (np.rint(255 * one).astype(np.uint8) for one in maps)
    return mask, contour


@pytest.mark.parametrize("maps", [two_touching_bodies(), eight_bits(two_touching_bodies())], ids=["float", "8 bits"])
def test_touching_bodies_are_two(maps: Maps):
    """With contour > T2, as the paper prints it, the seeds are the borders: one body of both."""
    labels = watershed(*maps)
    assert labels.max() == 2
    assert (labels[2:10, 5:25, 5:19] == 1).all()
    assert (labels[2:10, 5:25, 21:35] == 2).all()
    assert (labels[2:10, 5:25, 5:35] > 0).all()
    assert np.count_nonzero(labels) == 8 * 20 * 30
    assert mask_components(maps[0], 0.5).max() == 1


@pytest.mark.parametrize("slab_voxels", [1, 5 * 30 * 40, 10**7])
@pytest.mark.parametrize("thresholds", [(0.6, 0.6, 0.5), (0.55, 0.5, 0.6), (0.6, 0.6, 0.4)])
def test_the_watershed_is_that_of_one_flood(thresholds: tuple[float, float, float], slab_voxels: int):
    for seed in range(3):
        maps = random_maps(seed)
        for least in (1, 15):
            expected = plain_watershed(maps, thresholds, least)
            assert 5 < expected.max() < 500
            assert np.array_equal(watershed(*maps, thresholds, least, slab_voxels=slab_voxels), expected)


@pytest.mark.parametrize("slab_voxels", [1, 5 * 30 * 40])
def test_slabs_of_8_bit_maps_are_equal_to_one_pass(slab_voxels: int):
    for seed in range(3):
        maps = eight_bits(random_maps(seed))
        whole = watershed(*maps, (0.6, 0.6, 0.45), 5)
        assert np.array_equal(watershed(*maps, (0.6, 0.6, 0.45), 5, slab_voxels=slab_voxels), whole)
        grown = grow_seeds(*maps, (0.6, 0.6), 2, 5)
        assert grown.max() > 5
        assert np.array_equal(grow_seeds(*maps, (0.6, 0.6), 2, 5, slab_voxels=slab_voxels), grown)


@pytest.mark.parametrize("slab_voxels", [1, 5 * 30 * 40, 10**7])
def test_components_are_those_of_one_pass(slab_voxels: int):
    mask, _ = random_maps(0)
    expected, count = ndimage.label(mask > 0.6)
    assert count > 10
    assert np.array_equal(mask_components(mask, 0.6, 1, slab_voxels=slab_voxels), expected)
    fewer = mask_components(mask, 0.6, 40, slab_voxels=slab_voxels)
    sizes = np.bincount(fewer.ravel())[1:]
    assert sizes.min() >= 40
    assert sorted(sizes.tolist()) == sorted(n for n in np.bincount(expected.ravel())[1:].tolist() if n >= 40)


def test_growth_stays_in_its_section_and_takes_free_pixels_alone():
    mask, contour = np.zeros((5, 9, 20), np.float32), np.zeros((5, 9, 20), np.float32)
    mask[2, 4, 4] = mask[2, 4, 10] = 1
    labels = grow_seeds(mask, contour, pixels=3, least_voxels=1)
    assert not labels[[0, 1, 3, 4]].any()
    assert (labels[2, 1:8, 1:7] == 1).all()
    assert (labels[2, 1:8, 7:14] == 2).all()  # both reach column 7 in the third step: the larger label takes it
    assert np.count_nonzero(labels) == 7 * 13
    assert np.array_equal(grow_seeds(mask, contour, pixels=0, least_voxels=1) > 0, mask > 0)


def test_labels_go_into_an_array_that_is_given():
    maps, out = two_touching_bodies(), np.zeros(SHAPE, np.uint16)
    assert watershed(*maps, out=out) is out
    assert out.max() == 2
    with pytest.raises(ValueError, match="expected one"):
        watershed(maps[0], maps[1][1:])


def test_maps_of_8_bits_are_compared_as_the_released_code_does():
    values = np.array([[[203, 204, 205, 229, 230]]], np.uint8)
    assert below(values, 0.8).tolist() == [[[True, False, False, False, False]]]  # int(255 * 0.8) is 204
    assert above(values, 0.9).tolist() == [[[False, False, False, False, True]]]  # int(255 * 0.9) is 229


def test_nothing_above_the_thresholds():
    empty = np.zeros(SHAPE, np.float32)
    assert not watershed(empty, empty).any()
    assert not grow_seeds(empty, empty).any()
    assert not mask_components(empty).any()


def test_a_volume_in_nm3_as_voxels():
    assert voxels_of_nm3(128 * 30 * 8 * 8, (30, 8, 8)) <= 128
    assert voxels_of_nm3(128 * 30 * 8 * 8, (30, 8, 8)) > 127.999
