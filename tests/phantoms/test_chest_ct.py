"""Phantoms: the same bytes from the same seed, anatomy as in people, truth that agrees with itself."""

import numpy as np
import pytest

from weakmask.phantoms.chest_ct import LOBES, Phantom, make_phantom
from weakmask.scoring.severity import CT_SEVERITY

SHAPE, SPACING = (64, 72, 72), (5.0, 5.0, 5.0)
SEEDS = range(200, 210)


@pytest.fixture(scope="module")
def phantoms() -> list[Phantom]:
    return [make_phantom(seed, SHAPE, SPACING) for seed in SEEDS]


def litres(phantom: Phantom) -> np.ndarray:
    counts = np.bincount(phantom.lobes.voxels.ravel(), minlength=6)[1:]
    return counts * phantom.lobes.geometry.voxel_volume_mm3 / 1e6


def test_same_seed_same_bytes(phantoms):
    again = make_phantom(SEEDS[0], SHAPE, SPACING)
    for name in ("image", "lobes", "lesions", "vessels", "airways"):
        first, second = getattr(phantoms[0], name).voxels, getattr(again, name).voxels
        assert first.tobytes() == second.tobytes(), name
    assert again.scores == phantoms[0].scores
    assert not np.array_equal(phantoms[0].image.voxels, phantoms[1].image.voxels)


def test_volumes_share_one_grid_and_have_their_types(phantoms):
    phantom = phantoms[0]
    assert phantom.image.voxels.dtype == np.int16
    for volume in (phantom.lobes, phantom.lesions, phantom.vessels, phantom.airways):
        assert volume.geometry == phantom.image.geometry
        assert volume.kind == "label"
        assert volume.voxels.dtype == np.uint8
    assert phantom.image.geometry.direction == ((1, 0, 0), (0, 1, 0), (0, 0, 1))


def test_lobes_have_the_proportions_of_people(phantoms):
    volumes = np.array([litres(phantom) for phantom in phantoms])
    total = volumes.sum(axis=1)
    assert (total > 2.5).all()
    assert (total < 7.5).all()
    mean = (volumes / total[:, None]).mean(axis=0)  # an average adult: 23, 24, 19, 8, 26 %
    assert mean == pytest.approx([0.21, 0.26, 0.18, 0.08, 0.27], abs=0.035)
    assert mean[2:].sum() == pytest.approx(0.54, abs=0.03)
    assert len(set(np.round(total, 2))) == len(total)  # patients differ


def test_lobes_lie_where_they_belong(phantoms):
    for phantom in phantoms:
        middle = {k: np.argwhere(phantom.lobes.voxels == label).mean(axis=0) for k, label in LOBES.items()}
        centre = (SHAPE[2] - 1) / 2
        assert min(middle["LUL"][2], middle["LLL"][2]) > centre > max(middle[k][2] for k in ("RUL", "RML", "RLL"))
        assert middle["LUL"][0] > middle["LLL"][0]  # the head is at high z
        assert middle["RUL"][0] > middle["RML"][0] > middle["RLL"][0]
        assert middle["RML"][1] < middle["RLL"][1]  # the back is at high y


def test_tissues_have_their_hounsfield_units(phantoms):
    for phantom in phantoms:
        hu, lobes = phantom.image.voxels.astype(float), phantom.lobes.voxels
        healthy = hu[(lobes > 0) & (phantom.lesions.voxels == 0) & (phantom.vessels.voxels == 0)]
        assert -930 < np.median(healthy) < -720
        assert hu[0, 0, 0] == pytest.approx(-1000, abs=150)
        assert (hu > 300).sum() > 200  # bones
        trachea = phantom.airways.voxels[-8:].astype(bool)
        assert np.median(hu[-8:][trachea]) < -700
        below = hu[2, SHAPE[1] // 2 - 6 : SHAPE[1] // 2 + 6, 20:30]  # liver
        assert np.median(below) == pytest.approx(50, abs=60)


def test_dependent_lung_is_denser(phantoms):
    slopes = []
    for phantom in phantoms:
        clear = (phantom.lobes.voxels > 0) & (phantom.lesions.voxels == 0) & (phantom.vessels.voxels == 0)
        y, hu = np.nonzero(clear)[1] * SPACING[1], np.clip(phantom.image.voxels[clear], -1000, -600)
        slopes.append(np.polyfit(y, hu, 1)[0])
    assert 0.1 < np.median(slopes) < 1.2  # HU per mm toward the back


def test_ground_truth_intensities_are_ordered_and_overlap_healthy_lung():
    phantoms = [make_phantom(seed, SHAPE, SPACING, dict.fromkeys(LOBES.values(), 4)) for seed in range(6)]
    hu = {k: np.concatenate([p.image.voxels[p.lesions.voxels == k] for p in phantoms]) for k in (1, 2, 3)}
    assert -720 < np.median(hu[1]) < -450
    assert -250 < np.median(hu[2]) < 60
    assert np.median(hu[1]) < np.median(hu[3]) < np.median(hu[2])
    healthy = np.concatenate([p.image.voxels[(p.lobes.voxels > 0) & (p.lesions.voxels == 0)] for p in phantoms])
    assert np.percentile(healthy, 90) > np.percentile(hu[1], 20)  # a threshold must not part them


def test_scores_agree_with_fractions(phantoms):
    for phantom in phantoms:
        for label in LOBES.values():
            lobe = phantom.lobes.voxels == label
            fraction = (phantom.lesions.voxels[lobe] > 0).mean()
            assert fraction == pytest.approx(phantom.fractions[label], abs=1e-12)
            assert CT_SEVERITY.score_of(fraction) == phantom.scores[label]
        assert not phantom.lesions.voxels[phantom.lobes.voxels == 0].any()


def test_asked_for_scores_are_made():
    asked = {1: 0, 2: 5, 3: 1, 4: 3}
    phantom = make_phantom(5, SHAPE, SPACING, asked)
    assert phantom.scores == {**asked, 5: 0}
    low, high = CT_SEVERITY.interval(5)
    assert low < phantom.fractions[2] < high
    with pytest.raises(ValueError, match="lobes"):
        make_phantom(5, SHAPE, SPACING, {9: 1})
    with pytest.raises(ValueError, match="not in score map"):
        make_phantom(5, SHAPE, SPACING, {1: 8})


def test_every_lesion_subtype_occurs(phantoms):
    assert set(np.unique(np.stack([p.lesions.voxels for p in phantoms]))) == {0, 1, 2, 3}


def test_vessels_fill_a_few_percent_of_the_lungs(phantoms):
    for phantom in [make_phantom(seed, (128, 144, 144), (2.5, 2.5, 2.5)) for seed in (1, 2)]:
        share = phantom.vessels.voxels[phantom.lobes.voxels > 0].mean()
        assert 0.01 < share < 0.06
        assert phantom.airways.voxels.sum() * 2.5**3 > 20_000  # trachea and bronchi, mm³
    assert all(not p.vessels.voxels[p.lobes.voxels == 0].any() for p in phantoms)


def test_another_grid_shows_the_same_patient():
    scores = {1: 2, 5: 3}
    fine = make_phantom(3, (160, 192, 192), (2.0, 2.0, 2.0), scores)
    coarse = make_phantom(3, (107, 128, 128), (3.0, 3.0, 3.0), scores)
    assert litres(coarse) == pytest.approx(litres(fine), rel=0.02)
    assert coarse.fractions == pytest.approx(fine.fractions, abs=2e-3)

    def middle(phantom: Phantom) -> np.ndarray:
        geometry = phantom.lesions.geometry
        found = np.argwhere(phantom.lesions.voxels > 0).mean(axis=0)
        return found * geometry.spacing_mm + geometry.origin_mm

    assert middle(coarse) == pytest.approx(middle(fine), abs=8.0)  # mm; single foci at a lobe's edge may change


def test_thick_slices_and_small_fields_are_possible():
    phantom = make_phantom(4, (40, 96, 96), (8.0, 3.0, 4.0))
    assert set(np.unique(phantom.lobes.voxels)) == {0, 1, 2, 3, 4, 5}
