"""What a prediction says of itself."""

import pytest

from weakmask.prediction import About, one_sided


@pytest.mark.parametrize(
    ("fractions", "words"),
    [
        ([0.0, 0.0], "marked no voxel in any of the 2 scans"),
        ([1.0, 1.0], "marked every voxel of every region, so"),
        ([0.0, 1e-6], ""),
        ([1.0, 0.9], ""),
        ([], ""),
    ],
)
def test_masks_that_are_all_alike_are_told(fractions: list[float], words: str) -> None:
    told = one_sided(fractions, 2)
    assert words in told
    assert bool(words) == bool(told)
    assert not told or "higher learning rate" in told
    assert "\n" not in told


def test_the_description_of_a_model_is_one_line() -> None:
    about = About("dRAM", "long text", {"seed": 0}, {"python": "3.11"})
    assert repr(about) == "About(title='dRAM', tiles=(), notes=())"
