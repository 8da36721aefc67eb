"""Photograph-like phantoms: colours, classes, and pictures without any object."""

import numpy as np

from weakmask.phantoms.photographs import CLASSES, HUES, make_photograph

MADE = [make_photograph(seed, 96) for seed in range(40)]


def test_the_same_seed_gives_the_same_bytes() -> None:
    again = make_photograph(7, 96)
    assert np.array_equal(again.image, MADE[7].image)
    assert np.array_equal(again.truth, MADE[7].truth)
    assert again.image.shape == (96, 96, 3)
    assert not np.array_equal(MADE[7].image, MADE[8].image)


def test_classes_come_alone_together_and_not_at_all() -> None:
    present = [set(np.unique(one.truth).tolist()) - {0} for one in MADE]
    assert set.union(*present) == {1, 2, 3}
    assert {len(classes) for classes in present} >= {0, 1, 2}
    counts = [sum(label in classes for classes in present) for label in (1, 2, 3)]
    assert min(counts) >= 6
    sizes = [np.count_nonzero(one.truth == label) for one in MADE for label in (1, 2, 3) if (one.truth == label).any()]
    assert min(sizes) > 20  # a class that is named can be seen


def test_a_class_has_its_hue_more_or_less() -> None:
    channel = [int(np.argmax([abs((hue - main + 0.5) % 1 - 0.5) for main in (0, 1 / 3, 2 / 3)])) for hue in HUES]
    assert len(CLASSES) == len(channel)
    for label, strongest in ((1, 0), (2, 1), (3, 2)):
        pixels = np.concatenate([one.image[one.truth == label] for one in MADE])
        assert pixels.mean(axis=0).argmax() == strongest
        assert np.std(pixels.mean(axis=1)) > 20  # stripes, veins, dots and shading
