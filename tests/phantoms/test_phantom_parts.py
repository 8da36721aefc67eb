"""The parts of a phantom: fields that do not depend on the grid, tubes with the right mass, trees that fill lobes."""

import numpy as np
import pytest

from weakmask.phantoms.acquisition import acquire, draw_scanner
from weakmask.phantoms.chest_anatomy import draw_patient
from weakmask.phantoms.noise import Grid, centred_geometry, coverage, smooth_field
from weakmask.phantoms.tubes import draw_capsules
from weakmask.phantoms.vessel_trees import grow_trees


def grid(shape: tuple[int, int, int], spacing: float) -> Grid:
    return Grid.of(centred_geometry(shape, (spacing, spacing, spacing)))


def test_a_field_is_the_same_on_a_finer_grid():
    coarse, fine = (
        smooth_field(1, "a", grid((21, 21, 21), 6.0), 15.0),
        smooth_field(1, "a", grid((41, 41, 41), 3.0), 15.0),
    )
    assert fine[::2, ::2, ::2] == pytest.approx(coarse, abs=1e-4)
    assert not np.allclose(coarse, smooth_field(1, "b", grid((21, 21, 21), 6.0), 15.0))


def test_a_field_has_unit_spread_and_its_length():
    field = smooth_field(3, "spread", grid((80, 80, 80), 3.0), 10.0)
    assert field.mean() == pytest.approx(0, abs=0.1)
    assert field.std() == pytest.approx(1, abs=0.1)
    apart = [(field[:-k] * field[k:]).mean() for k in (1, 10)]  # 3 mm and 30 mm
    assert apart[0] > 0.7
    assert abs(apart[1]) < 0.15


@pytest.mark.parametrize(("radius", "spacing"), [(4.0, 1.0), (2.5, 1.0), (0.5, 2.0), (0.8, 2.0)])
def test_a_tube_has_its_volume(radius, spacing):
    box = grid((60, 24, 24), spacing)
    a, b = np.array([[-20.0 * spacing, 0.3, -0.2]]), np.array([[20.0 * spacing, 0.9, 0.4]])
    drawn = draw_capsules(box, a, b, np.array([[radius, radius]])).sum() * spacing**3
    length = float(np.linalg.norm(b - a))
    assert drawn == pytest.approx(np.pi * radius**2 * length, rel=0.25)


def test_a_thick_tube_equals_the_plain_distance_to_its_axis():
    box = grid((40, 40, 40), 1.0)
    a, b, r = np.array([-9.0, -4.0, 2.0]), np.array([8.0, 5.0, -3.0]), 5.0
    drawn = draw_capsules(box, a[None], b[None], np.array([[r, r]]))
    points = np.stack(np.meshgrid(*box.axes, indexing="ij"), axis=-1) - a
    along = np.clip(points @ (b - a) / ((b - a) @ (b - a)), 0, 1)
    plain = coverage(r - np.linalg.norm(points - along[..., None] * (b - a), axis=-1), 1.0)
    assert drawn == pytest.approx(plain, abs=0.02)


def test_tubes_outside_the_grid_are_left_out():
    far = np.array([[500.0, 0.0, 0.0]])
    assert draw_capsules(grid((8, 8, 8), 2.0), far, far + 3, np.array([[2.0, 1.0]])).sum() == 0


def test_trees_branch_taper_and_reach_out():
    trees = grow_trees(draw_patient(2))
    for tree in (trees.arteries, trees.veins):
        assert len(tree.start) > 3000
        assert tree.radius.max() > 4
        assert 0.3 < np.percentile(tree.radius, 10) < 1.0
        assert (tree.radius[:, 1] <= tree.radius[:, 0] + 1e-9).all()
        starts = {tuple(point) for point in tree.start.round(6)}
        joined = np.mean([tuple(point) in starts for point in tree.stop.round(6)])
        assert joined > 0.5  # most tubes go on; the rest are the tips
    assert trees.airways.start[:, 0].max() > 150  # the trachea


def test_a_sharper_scanner_is_noisier_and_noise_averages_out():
    still = np.full((24, 40, 40), -850, np.float32)
    scanners = sorted((draw_scanner(seed) for seed in range(30)), key=lambda scanner: scanner.sharpness)
    soft, sharp = scanners[0], scanners[-1]
    fine, coarse = grid(still.shape, 2.0), grid(still.shape, 4.0)
    for scanner in (soft, sharp):
        deviation = {g.spacing_mm[0]: acquire(still.copy(), g, scanner, 0).std() for g in (fine, coarse)}
        assert deviation[2.0] == pytest.approx(scanner.noise_hu, rel=0.3)
        assert deviation[4.0] < deviation[2.0]
        assert acquire(still.copy(), fine, scanner, 0).mean() == pytest.approx(-850 + scanner.offset_hu, abs=2)
    assert draw_scanner(7) == draw_scanner(7)
    assert soft.psf_mm > sharp.psf_mm
