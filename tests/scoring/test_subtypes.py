"""The vote of section III-A-6 by hand, beside its plain loop, and on phantoms."""

import math
import time

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage, stats

from weakmask.evaluation.overlap import LESION_SUBTYPES
from weakmask.phantoms.chest_ct import make_phantom
from weakmask.scoring.subtype_reference import reference_components
from weakmask.scoring.subtypes import (
    LEAST_SD_HU,
    SUBTYPES,
    divergence,
    label_subtypes,
    lesion_components,
    subtype_volumes,
    vote,
)
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Volume


def rows(*components: tuple) -> pd.DataFrame:
    """Components of (volume, mean, sd) and, for a reference, subtype."""
    names = ["volume_ml", "mean_hu", "sd_hu", "subtype"]
    return pd.DataFrame(list(components), columns=names[: len(components[0])])


def drawn(count: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    table = rows(*zip(rng.lognormal(0, 2, count), rng.normal(-400, 200, count), rng.gamma(3, 30, count), strict=True))
    return table.assign(subtype=rng.choice(list(SUBTYPES), count))


def plain_vote(component: pd.Series, reference: pd.DataFrame, shortlist: int, voters: int) -> int:
    """One component, as the paper tells it."""
    near = reference.iloc[(reference["volume_ml"] - component["volume_ml"]).abs().argsort(kind="stable")[:shortlist]]
    s1 = max(component["sd_hu"], LEAST_SD_HU)
    far = []
    for _, other in near.iterrows():
        s2 = max(other["sd_hu"], LEAST_SD_HU)
        squares = s1**2 + (component["mean_hu"] - other["mean_hu"]) ** 2
        far.append((math.log(s2 / s1) + squares / (2 * s2**2) - 0.5, other["subtype"]))
    weights = dict.fromkeys(SUBTYPES, 0)
    nearest = [subtype for _, subtype in sorted(far)[:voters]]
    for rank, subtype in enumerate(nearest):
        weights[subtype] += voters - rank
    best = max(weights.values())
    return SUBTYPES[next(subtype for subtype in nearest if weights[subtype] == best)]


def test_the_numbers_are_those_of_the_evaluation():
    assert SUBTYPES == LESION_SUBTYPES


def test_divergence_by_integration():
    x = np.linspace(-2000, 2000, 400_001)
    p, q = stats.norm(-300, 80), stats.norm(-420, 150)
    integral = np.trapezoid(p.pdf(x) * (p.logpdf(x) - q.logpdf(x)), x)
    ours = divergence(np.array([-300.0]), np.array([80.0]), np.array([-420.0]), np.array([150.0]))
    assert ours[0] == pytest.approx(integral, rel=1e-6)


def test_divergence_is_nought_for_equals_and_asymmetric():
    a, b = (np.array([-500.0]), np.array([60.0])), (np.array([-100.0]), np.array([30.0]))
    assert divergence(*a, *a)[0] == 0.0
    assert divergence(*a, *b)[0] > divergence(*b, *a)[0] > 0


def test_components_are_described():
    hu = np.zeros((3, 4, 6), np.int16)
    lesions = np.zeros((3, 4, 6), np.uint8)
    lesions[0, 0, :3], hu[0, 0, :3] = 1, (-600, -500, -400)
    lesions[1, 1, 3], hu[1, 1, 3] = 1, -300  # across a corner
    lesions[2, 2, 4] = 2  # across a corner, another label
    geometry = Geometry((3, 4, 6), (2.0, 2.5, 10.0))
    numbers, table = lesion_components(Volume(hu, geometry), Volume(lesions, geometry, "label"))
    assert table["label"].tolist() == [1, 2]
    assert table["voxels"].tolist() == [4, 1]
    assert table["volume_ml"].tolist() == pytest.approx([0.2, 0.05])
    assert table["mean_hu"].tolist() == pytest.approx([-450, 0])
    assert table["sd_hu"].tolist() == pytest.approx([np.std([-600, -500, -400, -300]), 0])
    assert numbers[0, 0, 0] == numbers[1, 1, 3] == table["component"][0]


def test_agrees_with_scipy_on_noise():
    rng = np.random.default_rng(0)
    hu, mask = rng.normal(-500, 90, (20, 30, 30)), rng.random((20, 30, 30)) < 0.08
    geometry = Geometry((20, 30, 30))
    numbers, table = lesion_components(Volume(hu, geometry), Volume(mask, geometry, "label"))
    labels, count = ndimage.label(mask, np.ones((3, 3, 3)))
    assert len(table) == count > 100
    index = np.arange(1, count + 1)
    theirs = sorted(zip(ndimage.mean(hu, labels, index), ndimage.standard_deviation(hu, labels, index), strict=True))
    np.testing.assert_allclose(sorted(zip(table["mean_hu"], table["sd_hu"], strict=True)), theirs, atol=1e-9)
    assert np.array_equal(numbers > 0, mask)


def test_vote_by_hand():
    """Volume chooses the shortlist, divergence the voters, rank the weight."""
    reference = rows(
        (1.0, -600, 50, "ground-glass"),
        (1.1, -590, 50, "ground-glass"),
        (1.2, -100, 50, "consolidation"),
        (50.0, -605, 50, "mixed"),  # the most similar, but of another size
    )
    assert vote(rows((1.0, -605.0, 50.0)), reference, shortlist=3, voters=2).tolist() == [1]
    assert vote(rows((1.0, -605.0, 50.0)), reference, shortlist=4, voters=1).tolist() == [3]
    assert vote(rows((1.0, -120.0, 50.0)), reference, shortlist=3, voters=1).tolist() == [2]
    assert vote(rows((1.0, -120.0, 50.0)), reference, shortlist=3, voters=3).tolist() == [2]  # 3 against 2 + 1: a draw


def test_agrees_with_the_plain_loop():
    reference, components = drawn(80, 0), drawn(200, 1)
    for shortlist, voters in ((10, 5), (3, 1), (100, 8)):
        ours = vote(components, reference, shortlist, voters)
        plain = [plain_vote(row, reference, shortlist, voters) for _, row in components.iterrows()]
        assert ours.tolist() == plain


def test_a_single_voxel_is_judged_by_its_mean():
    reference = rows((0.01, -600, 0, "ground-glass"), (0.01, 20, 30, "consolidation"), (0.01, -300, 90, "mixed"))
    single = rows((0.008, -590.0, 0.0), (0.008, 10.0, 0.0))
    assert vote(single, reference, shortlist=3, voters=1).tolist() == [1, 2]
    assert np.isfinite(divergence(np.array([0.0]), np.array([LEAST_SD_HU]), np.array([9.0]), np.array([30.0]))).all()


def test_thousands_of_components_take_no_time():
    reference, components = drawn(2000, 0), drawn(20_000, 1)
    start = time.process_time()
    assert set(vote(components, reference)) == {1, 2, 3}
    assert time.process_time() - start < 2


@pytest.mark.parametrize(("rows_left", "shortlist", "voters"), [(0, 10, 5), (4, 10, 0), (4, 3, 5)])
def test_votes_that_cannot_be_held_are_refused(rows_left: int, shortlist: int, voters: int):
    with pytest.raises(ValueError, match="reference components"):
        vote(drawn(3, 0), drawn(4, 1)[:rows_left], shortlist, voters)


def test_no_lesion_and_another_grid():
    image = Volume(np.zeros((2, 3, 4), np.float32), Geometry((2, 3, 4)))
    empty = Volume(np.zeros((2, 3, 4), np.uint8), Geometry((2, 3, 4)), "label")
    labelled = label_subtypes(image, empty, drawn(4, 0))
    assert not labelled.voxels.any()
    assert labelled.voxels.dtype == np.uint8
    with pytest.raises(ValueError, match="different grids"):
        lesion_components(image, Volume(empty.voxels, Geometry((2, 3, 4), (2, 1, 1)), "label"))


def test_phantoms_subtypes_are_recognised():
    """Six labelled scans, as in the paper; the lesions of others are then told apart better than by guessing."""
    shape, spacing = (64, 80, 80), (4.5, 4.5, 4.5)
    severe = {1: 2, 2: 4, 3: 2, 4: 1, 5: 3}
    made = [make_phantom(seed, shape, spacing, severe) for seed in (0, 1, 2, 3, 4, 5, 50, 51)]
    reference = reference_components((str(k), phantom.image, phantom.lesions) for k, phantom in enumerate(made[:6]))
    for phantom in made[6:]:
        found = label_subtypes(phantom.image, phantom.lesions, reference)
        assert np.array_equal(found.voxels > 0, phantom.lesions.voxels > 0)
        assert found.geometry == phantom.lesions.geometry
    lesions = pd.concat([lesion_components(phantom.image, phantom.lesions)[1] for phantom in made[6:]])
    large = lesions[lesions["volume_ml"] > 0.5]
    right = vote(large, reference) == large["label"]
    assert right.mean() > max(0.6, large["label"].value_counts(normalize=True).max())


def test_volumes_are_counted_per_region():
    geometry = Geometry((1, 2, 4), (5.0, 2.0, 1.0))
    regions = Volume(np.array([[[1, 1, 1, 0], [3, 3, 3, 3]]], dtype=np.uint8), geometry, "label")
    subtypes = Volume(np.array([[[1, 1, 3, 2], [0, 0, 2, 0]]], dtype=np.uint8), geometry, "label")
    none = {"ground-glass_ml": 0.0, "consolidation_ml": 0.0, "mixed_ml": 0.0}
    assert subtype_volumes(subtypes, regions) == {
        1: none | {"ground-glass_ml": 0.02, "mixed_ml": 0.01},
        3: none | {"consolidation_ml": 0.01},
    }
