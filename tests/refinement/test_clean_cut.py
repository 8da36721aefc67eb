"""The cut chosen on regions without lesions: the lowest at which half of them have less than 1 % marked."""

import numpy as np
import pytest

from weakmask.refinement.clean_cut import clean_cut, clean_cut_of_region


def regions(count: int = 7) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.random(rng.integers(50, 400), dtype=np.float32) * (1 + k) / count for k in range(count)]


def clean(values: np.ndarray, cut: float) -> bool:
    return (values >= np.float32(cut)).mean() < 0.01


def below(cut: float) -> float:
    return float(np.nextafter(np.float32(cut), np.float32(-np.inf)))


@pytest.mark.parametrize("count", [1, 2, 6, 7])
def test_half_of_the_regions_are_clean_at_the_cut_and_fewer_just_below_it(count: int) -> None:
    found = regions(count)
    cut = clean_cut(found)
    assert sum(clean(values, cut) for values in found) >= count / 2
    assert sum(clean(values, below(cut)) for values in found) < count / 2


def test_the_cut_of_a_region_spares_less_than_a_hundredth() -> None:
    hundred = np.arange(100, dtype=np.float32)
    assert clean_cut_of_region(hundred) > 99  # one of a hundred voxels is not less than 1 %
    more = np.arange(101, dtype=np.float32)
    assert 99 < clean_cut_of_region(more) <= 100
    assert clean_cut_of_region(np.zeros(40, np.float32)) > 0


def test_higher_values_raise_the_cut() -> None:
    found = regions()
    assert clean_cut([values + 0.1 for values in found]) > clean_cut(found)
    assert clean_cut([*found, np.full(100, 5.0, np.float32)]) >= clean_cut(found)


def test_no_region_and_an_empty_one_are_refused() -> None:
    for wrong in ([], [np.zeros(0, np.float32)]):
        with pytest.raises(ValueError, match="regions without lesions"):
            clean_cut(wrong)
