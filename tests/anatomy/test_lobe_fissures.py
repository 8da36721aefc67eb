"""Borders go where the scan shows a fissure, and stay where it shows none."""

from itertools import product

import numpy as np
import pytest
from scipy import ndimage

from weakmask.anatomy.lobe_assignment import LOBES
from weakmask.anatomy.lobe_fissures import border, follow_fissures, matched
from weakmask.anatomy.lung_field import lung_field
from weakmask.anatomy.lung_sides import LEFT, RIGHT
from weakmask.methods.lobes.evaluate_run import lobe_dice
from weakmask.methods.lobes.scans import phantom_scan
from weakmask.regions import find_lobes
from weakmask.regions.lobe_model import load_lobe_model
from weakmask.training.devices import device_of
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Volume

SHAPE, EDGE = (50, 40, 80), 2.0
Z, Y, X = np.indices(SHAPE).astype(np.float32)
OBLIQUE, HORIZONTAL = 12 + 0.6 * Y + 2 * np.sin(X / 12), 32 - 0.1 * Y  # of a patient, voxels


def lobes_of(oblique: np.ndarray, horizontal: np.ndarray) -> Volume:
    right = np.where(oblique > Z, LOBES["RLL"], np.where(horizontal > Z, LOBES["RML"], LOBES["RUL"]))
    left = np.where(oblique > Z, LOBES["LLL"], LOBES["LUL"])
    labels = np.where(X < 40, right, left) * (sides().voxels > 0)
    return Volume(labels.astype(np.uint8), sides().geometry, "label")


def sides() -> Volume:
    labels = np.zeros(SHAPE, np.uint8)
    labels[3:47, 4:36, 4:38], labels[3:47, 4:36, 42:76] = RIGHT, LEFT
    return Volume(labels, Geometry(SHAPE, (EDGE,) * 3), "label")


def scan(fissures: bool = True, blur: float = 0.0) -> Volume:
    """Noisy lungs with faint fissures a voxel thick, a third of them missing, and bright vessels; blurred by voxels."""
    rng = np.random.default_rng(3)
    hu = -850 + rng.normal(0, 25, SHAPE)
    if fissures:
        seen = (np.sin(X / 5) + np.cos(Y / 4)) > -0.7
        hu[(np.abs(Z - OBLIQUE) < 0.5) & seen] += 90
        hu[(np.abs(Z - HORIZONTAL) < 0.5) & (OBLIQUE < Z) & (X < 40) & seen] += 90
    for y, x in rng.integers((4, 4), (36, 76), (25, 2)):
        hu[:, y, x] += 600
    hu[sides().voxels == 0] = 40
    return Volume(np.rint(ndimage.gaussian_filter(hu, blur)).astype(np.int16), sides().geometry)


def plainly_matched(costs: np.ndarray, penalty: float) -> np.ndarray:
    """Hirschmueller's recursion, path by path."""
    height, width, count = costs.shape
    total = np.zeros(costs.shape)
    for dy, dx in product((-1, 0, 1), repeat=2):
        if dy == dx == 0:
            continue
        price = penalty * np.hypot(dy, dx)
        least = np.zeros(costs.shape)
        for y in range(height)[:: -1 if dy < 0 else 1]:
            for x in range(width)[:: -1 if dx < 0 else 1]:
                least[y, x] = costs[y, x]
                if 0 <= y - dy < height and 0 <= x - dx < width:
                    before = least[y - dy, x - dx]
                    for k in range(count):
                        ways = [before[j] + price * abs(j - k) for j in range(count)]
                        least[y, x, k] += min(ways) - before.min()
        total += least
    return total / 8


def test_matching_is_hirschmuellers_recursion() -> None:
    costs = np.random.default_rng(0).normal(0, 3, (5, 7, 6)).astype(np.float32)
    np.testing.assert_allclose(matched(costs, 0.8), plainly_matched(costs, 0.8), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("error", "blur"), [(-5.0, 0.0), (5.0, 0.0), (-7.0, 0.7), (5.0, 1.0)])
def test_borders_go_to_the_fissures(error: float, blur: float) -> None:
    truth, wrong = lobes_of(OBLIQUE, HORIZONTAL), lobes_of(OBLIQUE + error, HORIZONTAL + error)
    found = follow_fissures(wrong, scan(blur=blur), sides())
    assert lobe_dice(wrong, truth)["mean"] < 0.85
    assert lobe_dice(found, truth)["mean"] > 0.97
    assert np.array_equal(found.voxels > 0, sides().voxels > 0)


@pytest.mark.parametrize("blur", [0.0, 0.7, 1.0])
def test_noise_moves_them_little_and_the_edge_of_a_lung_does_not_draw_them(blur: float) -> None:
    drawn = lobes_of(OBLIQUE, HORIZONTAL)
    for fissures, least in ((True, 0.98), (False, 0.95)):
        found = follow_fissures(drawn, scan(fissures, blur), sides())
        assert lobe_dice(found, drawn)["mean"] > least


def test_a_border_is_where_it_parts_the_lung_best() -> None:
    lung, below = np.zeros((12, 6, 6), bool), np.zeros((12, 6, 6), bool)
    lung[5:], below[7:9] = True, True  # nothing of the lower lobe at the bottom of the lung, none below the lung
    below[5:7, :3] = True
    found = border(below, lung)
    assert found is not None
    heights, columns = found
    assert columns.all()
    assert np.array_equal(heights[:3], np.full((3, 6), 8.5))
    cuts = [np.sum((np.arange(12) < cut) & lung[:, 4, 4] & ~below[:, 4, 4]) for cut in range(13)]
    cuts = [up + np.sum((np.arange(12) >= cut) & lung[:, 4, 4] & below[:, 4, 4]) for cut, up in enumerate(cuts)]
    assert cuts[int(heights[4, 4] + 0.5)] == min(cuts)


def test_a_scan_that_lies_otherwise_gets_the_same() -> None:
    wrong = lobes_of(OBLIQUE + 5, HORIZONTAL + 5)
    found = follow_fissures(wrong, scan(), sides())
    turned = follow_fissures(*(each.flip(0).flip(1) for each in (wrong, scan(), sides())))
    assert lobe_dice(turned.flip(0).flip(1), found)["mean"] > 0.99


def test_a_lung_that_lacks_a_lobe_stays_as_it_is() -> None:
    wrong = lobes_of(OBLIQUE + 5, HORIZONTAL + 5)
    wrong.voxels[wrong.voxels == LOBES["RML"]] = LOBES["RUL"]
    found = follow_fissures(wrong, scan(), sides())
    assert np.array_equal(found.voxels[..., :40], wrong.voxels[..., :40])
    assert not np.array_equal(found.voxels[..., 40:], wrong.voxels[..., 40:])


def test_coarse_voxels_show_no_fissures() -> None:
    wrong = lobes_of(OBLIQUE + 5, HORIZONTAL + 5)
    coarse = Geometry(SHAPE, (1.0, 4.0, 4.0))
    labels, image, field = (Volume(v.voxels, coarse, v.kind) for v in (wrong, scan(), sides()))
    assert follow_fissures(labels, image, field) is labels
    thick = Geometry(SHAPE, (5.0, 2.0, 2.0))
    labels, image, field = (Volume(v.voxels, thick, v.kind) for v in (wrong, scan(), sides()))
    assert follow_fissures(labels, image, field) is not labels


def test_no_lungs_no_change() -> None:
    nothing = sides().with_voxels(np.zeros(SHAPE, np.uint8))
    assert follow_fissures(nothing, scan(), nothing) is nothing


@pytest.fixture(scope="module")
def chest() -> tuple[Volume, Volume, Volume]:
    image, truth = phantom_scan(5, (120, 104, 120), (2.5, 2.5, 2.5), ill=False)
    return image, truth, lung_field(image)


def test_on_a_phantom_they_come_nearer_to_the_truth(chest: tuple[Volume, Volume, Volume]) -> None:
    image, truth, field = chest
    found = find_lobes.find_lobes(load_lobe_model(None, device_of("cpu")), image, field)
    assert lobe_dice(found.lobes, truth)["mean"] > lobe_dice(found.drawn, truth)["mean"] + 0.01
    assert found.faults == ()


def test_moves_that_spoil_a_mask_are_not_made(
    chest: tuple[Volume, Volume, Volume], monkeypatch: pytest.MonkeyPatch
) -> None:
    image, _, field = chest
    spoilt = field.with_voxels(np.where(field.voxels == LEFT, LOBES["LUL"], field.voxels * LOBES["RUL"] // 2))
    monkeypatch.setattr(find_lobes, "follow_fissures", lambda lobes, image, field: spoilt)
    found = find_lobes.find_lobes(load_lobe_model(None, device_of("cpu")), image, field)
    assert found.lobes is found.drawn
    assert found.faults == ()
