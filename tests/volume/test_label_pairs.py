import numpy as np
import pytest

from weakmask.volume.label_pairs import label_pairs, slabs_of


def plain_pairs(one: np.ndarray, other: np.ndarray) -> dict[tuple[int, int], int]:
    counts: dict[tuple[int, int], int] = {}
    for pair in zip(one.ravel().tolist(), other.ravel().tolist(), strict=True):
        counts[pair] = counts.get(pair, 0) + 1
    return counts


@pytest.mark.parametrize("types", [(np.uint8, np.uint32), (np.int64, np.uint16), (bool, np.uint8)])
@pytest.mark.parametrize("slab_voxels", [1, 50, 10**6])
def test_counts_are_those_of_a_dictionary(types: tuple[type, type], slab_voxels: int):
    rng = np.random.default_rng(0)
    one, other = (np.repeat(rng.integers(0, 2, (5, 6, 4)), 3, axis=2).astype(kind) for kind in types)
    pairs, voxels = label_pairs(one, other, slab_voxels)
    assert dict(zip(map(tuple, pairs.tolist()), voxels.tolist(), strict=True)) == plain_pairs(one, other)
    assert pairs.tolist() == sorted(pairs.tolist())


def test_labels_beyond_what_one_number_holds():
    one = np.array([[[0, 2**62, 2**62, 5]]], np.uint64)
    pairs, voxels = label_pairs(one, one)
    assert pairs.tolist() == [[0, 0], [5, 5], [2**62, 2**62]]
    assert voxels.tolist() == [1, 1, 2]


@pytest.mark.parametrize(
    ("one", "message"),
    [(np.zeros((1, 2, 4), int), "one grid"), (np.full((1, 2, 3), -1), "from 0"), (np.zeros((1, 2, 3)), "float64")],
)
def test_faulty_labels_are_refused(one: np.ndarray, message: str):
    with pytest.raises(ValueError, match=message):
        label_pairs(one, np.zeros((1, 2, 3), int))


def test_slabs_cover_every_plane_once():
    assert [(s.start, s.stop) for s in slabs_of((7, 10, 10), 300)] == [(0, 3), (3, 6), (6, 7)]
    assert [(s.start, s.stop) for s in slabs_of((2, 10, 10), 1)] == [(0, 1), (1, 2)]
