"""The lung field of chests drawn from ellipsoids in the world, on any grid, and of real scans."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from weakmask.anatomy.lung_field import lung_field
from weakmask.errors import UserError
from weakmask.volume.files import read_volume
from weakmask.volume.geometry import Box, Geometry
from weakmask.volume.volume import Volume

SPACING = (3.0, 3.0, 3.0)
SIDES = {1: 1.0, 2: -1.0}  # label: sign of the world's x, left positive


class Chest:
    """A chest in world mm (z to the head, y to the back, x to the left), sampled on a grid of any direction."""

    def __init__(self, geometry: Geometry, gap_mm: float = 20.0, noise: float = 20.0) -> None:
        """Draw body, table, lungs, heart, spine, ribs, airways and vessels; `gap_mm` parts the lungs in the middle."""
        self.geometry, self.gap_mm = geometry, gap_mm
        index = np.indices(geometry.shape).reshape(3, -1)
        world = geometry.affine[:3, :3] @ index + geometry.affine[:3, 3:]
        self.z, self.y, self.x = world.reshape(3, *geometry.shape)
        self.hu = np.full(geometry.shape, -1000.0)
        body = self.tube(0, 0, 105, 165)
        self.hu[body] = 40.0
        self.hu[body & ~self.tube(0, 0, 95, 152)] = -100.0  # fat
        self.hu[(np.abs(self.y - 125) < 4) & (np.abs(self.x) < 190)] = 100.0  # table, with air above and below
        self.ribs = self.tube(0, 0, 92, 148) & ~self.tube(0, 0, 86, 142) & (np.abs(np.mod(self.z, 24) - 12) < 5)
        self.hu[self.ribs] = 500.0
        self.lungs = {label: self.lung(sign) for label, sign in SIDES.items()}
        for label, sign in SIDES.items():
            self.hu[self.lungs[label]] = -850.0
            for height in (-30, 0, 30):
                vessel = np.hypot(self.z - height, self.y) < 4
                self.hu[vessel & self.lungs[label] & (sign * self.x < 110)] = 40.0
        self.trachea = (np.hypot(self.y, self.x) < 9) & (self.z > 10)
        self.hu[self.trachea] = -990.0
        self.hu += np.random.default_rng(0).normal(0, noise, self.hu.shape)

    def tube(self, y: float, x: float, ry: float, rx: float) -> np.ndarray:
        """An upright elliptic cylinder."""
        return ((self.y - y) / ry) ** 2 + ((self.x - x) / rx) ** 2 < 1

    def ball(self, centre: tuple[float, float, float], radius: float) -> np.ndarray:
        """A ball around a world point."""
        z, y, x = centre
        return (self.z - z) ** 2 + (self.y - y) ** 2 + (self.x - x) ** 2 < radius**2

    def lung(self, sign: float) -> np.ndarray:
        """An ellipsoid within the rib cage on one side, without heart, diaphragm dome and middle."""
        inside = (self.z / 120) ** 2 + (self.y / 84) ** 2 + (self.x / 140) ** 2 < 1
        heart = self.ball((-40, -30, 20), 52)
        dome = ((self.z + 125) / 70) ** 2 + (self.y / 75) ** 2 + ((self.x - sign * 70) / 70) ** 2 < 1
        airways = (np.hypot(self.y, self.x) < 13) & (self.z > 0)
        return inside & ~heart & ~dome & ~airways & (sign * self.x > self.gap_mm / 2)

    @property
    def image(self) -> Volume:
        """The scan."""
        return Volume(self.hu.astype(np.int16), self.geometry)

    def dice(self, found: Volume) -> dict[int, float]:
        """Overlap with each true lung."""
        assert found.geometry is self.geometry
        return {label: dice(found.voxels == label, lung) for label, lung in self.lungs.items()}


def dice(one: np.ndarray, other: np.ndarray) -> float:
    """Overlap of two masks."""
    return 2.0 * float((one & other).sum()) / float(one.sum() + other.sum())


def grid(spacing_mm: tuple[float, float, float] = SPACING, turn: np.ndarray | None = None) -> Geometry:
    """A grid over 300 x 270 x 390 mm around the chest, its axes turned by a matrix in (z, y, x)."""
    matrix = np.eye(3) if turn is None else turn
    extent = np.abs(matrix.T) @ np.array([300.0, 270.0, 390.0])
    shape = tuple(int(n) for n in np.round(extent / spacing_mm))
    origin = -matrix @ (np.array(spacing_mm) * (np.array(shape) - 1) / 2)
    return Geometry(shape, spacing_mm, tuple(origin.tolist()), tuple(map(tuple, matrix.tolist())))


def rotation(axis: int, degrees: float) -> np.ndarray:
    """A turn about one world axis."""
    i, j = (a for a in range(3) if a != axis)
    matrix, angle = np.eye(3), np.radians(degrees)
    matrix[i, i] = matrix[j, j] = np.cos(angle)
    matrix[i, j], matrix[j, i] = -np.sin(angle), np.sin(angle)
    return matrix


@pytest.fixture(scope="module")
def chest() -> Chest:
    return Chest(grid())


@pytest.fixture(scope="module")
def found(chest: Chest) -> Volume:
    return lung_field(chest.image)


def test_finds_both_lungs_and_their_sides(chest: Chest, found: Volume) -> None:
    assert found.kind == "label"
    assert found.voxels.dtype == np.uint8
    assert set(np.unique(found.voxels)) == {0, 1, 2}
    assert min(chest.dice(found).values()) > 0.97


def test_keeps_trachea_table_heart_and_ribs_out(chest: Chest, found: Volume) -> None:
    inside = found.voxels > 0
    for outside in (chest.trachea, chest.ball((-40, -30, 20), 45), chest.ribs, ~chest.tube(0, 0, 95, 152)):
        assert inside[outside].mean() < 0.02


def test_fills_vessels(chest: Chest, found: Volume) -> None:
    vessels = (np.hypot(chest.z, chest.y) < 4) & (chest.x > 50) & (chest.x < 105)
    assert (found.voxels[vessels] == 1).mean() > 0.98


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_flipped_scans_give_the_same_patient_sides(chest: Chest, found: Volume, axis: int) -> None:
    flipped = lung_field(chest.image.flip(axis)).flip(axis)
    assert flipped.geometry.same_grid(found.geometry)
    np.testing.assert_array_equal(flipped.voxels, found.voxels)


def test_an_order_of_axes_changes_nothing(chest: Chest, found: Volume) -> None:
    g = chest.geometry
    turned = np.asarray(g.direction)[:, [1, 2, 0]]
    geometry = Geometry(
        (g.shape[1], g.shape[2], g.shape[0]),
        (g.spacing_mm[1], g.spacing_mm[2], g.spacing_mm[0]),
        g.origin_mm,
        tuple(map(tuple, turned.tolist())),
    )
    sagittal = Volume(np.ascontiguousarray(chest.image.voxels.transpose(1, 2, 0)), geometry)
    np.testing.assert_array_equal(lung_field(sagittal).voxels, found.voxels.transpose(1, 2, 0))


@pytest.mark.parametrize(("axis", "degrees"), [(0, 25), (1, 20), (2, -20), (0, 180)])
def test_oblique_scans_give_the_same_patient_sides(axis: int, degrees: float) -> None:
    tilted = Chest(grid(turn=rotation(axis, degrees)))
    assert min(tilted.dice(lung_field(tilted.image)).values()) > 0.96


@pytest.mark.parametrize("spacing_mm", [(5.0, 2.0, 2.0), (3.0, 1.2, 3.0), (4.0, 4.0, 4.0), (0.5, 3.0, 3.0)])
def test_any_spacing(spacing_mm: tuple[float, float, float]) -> None:
    any_chest = Chest(grid(spacing_mm))
    assert min(any_chest.dice(lung_field(any_chest.image)).values()) > 0.955


def test_touching_lungs_are_parted_along_their_seam() -> None:
    touching = Chest(grid(), gap_mm=0.0)
    middle = np.abs(touching.x) < 2
    seam = middle & (touching.lungs[1] | touching.lungs[2])
    touching.hu[seam] = -620.0  # two layers of pleura, which a voxel of 3 mm holds only partly
    found = lung_field(touching.image)
    assert min(touching.dice(found).values()) > 0.97
    crossing = [(found.voxels == 1) & (touching.x < -4.5), (found.voxels == 2) & (touching.x > 4.5)]
    assert sum(c.sum() for c in crossing) < 0.002 * (found.voxels > 0).sum()


def test_lungs_merged_on_a_broad_front_are_parted_at_the_midplane() -> None:
    merged = Chest(grid(), gap_mm=0.0)
    merged.hu[merged.ball((0, 0, 0), 70)] = -850.0
    merged.lungs = {
        label: merged.lungs[label] | merged.ball((0, 0, 0), 70) & (s * merged.x > 0) for label, s in SIDES.items()
    }
    assert min(merged.dice(lung_field(merged.image)).values()) > 0.93


@pytest.mark.parametrize("hu", [-150.0, 50.0])
@pytest.mark.parametrize(
    ("centre", "radius"),
    [((0, 0, 138), 30), ((10, 78, 60), 30), ((30, 55, -100), 40), ((-60, 60, -80), 30)],
    ids=["lateral", "dorsal", "large", "basal"],
)
def test_consolidations_at_the_pleura_are_mostly_inside(hu: float, centre, radius: float) -> None:
    ill = Chest(grid())
    label = 1 if centre[2] > 0 else 2
    lesion = ill.ball(centre, radius) & ill.lungs[label]
    ill.hu[lesion] = hu + np.random.default_rng(1).normal(0, 30, int(lesion.sum()))
    found = lung_field(ill.image)
    assert (found.voxels[lesion] == label).mean() > 0.8
    assert min(ill.dice(found).values()) > 0.96


def test_lungs_cut_at_top_and_bottom(chest: Chest, found: Volume) -> None:
    n = chest.geometry.shape
    box = Box((25, 0, 0), (75, n[1], n[2]))
    cut = lung_field(chest.image.crop(box))
    for label in SIDES:
        assert dice(cut.voxels == label, found.crop(box).voxels == label) > 0.985


def test_a_single_slice_is_a_scan_too(chest: Chest, found: Volume) -> None:
    n = chest.geometry.shape
    box = Box((60, 0, 0), (61, n[1], n[2]))
    cut = lung_field(chest.image.crop(box))
    for label in SIDES:
        assert dice(cut.voxels == label, found.crop(box).voxels == label) > 0.94


def test_padding_values_are_air(chest: Chest, found: Volume) -> None:
    padded = chest.hu.copy()
    padded[np.hypot(chest.y, chest.x) > 185] = -3024.0
    np.testing.assert_array_equal(lung_field(Volume(padded, chest.geometry)).voxels, found.voxels)


def test_bowel_gas_under_the_diaphragm_stays_out(chest: Chest) -> None:
    gas = chest.ball((-105, -20, 70), 32)
    hu = np.where(gas, -990.0 + np.random.default_rng(0).normal(0, 5, chest.hu.shape), chest.hu)
    found = lung_field(Volume(hu, chest.geometry))
    assert found.voxels[gas & ~chest.lungs[1]].mean() < 0.05
    assert min(chest.dice(found).values()) > 0.95


def test_lungs_as_uniform_and_light_as_gas_are_lungs_for_their_size() -> None:
    light = Chest(grid(), noise=0.0)
    for lung in light.lungs.values():
        light.hu[lung] = -960.0
    assert min(light.dice(lung_field(light.image)).values()) > 0.95


def test_one_lung_gets_one_label(chest: Chest) -> None:
    hu = np.where(chest.lungs[2], 30.0, chest.hu)
    found = lung_field(Volume(hu, chest.geometry))
    assert set(np.unique(found.voxels)) == {0, 1}
    assert dice(found.voxels == 1, chest.lungs[1]) > 0.97


def test_missing_voxels_count_as_air(chest: Chest) -> None:
    hu = chest.hu.astype(np.float32)
    hu[:, :3] = np.nan
    assert min(chest.dice(lung_field(Volume(hu, chest.geometry))).values()) > 0.97


def test_water_air_and_heads_have_no_lungs(chest: Chest) -> None:
    water = np.where(chest.tube(0, 0, 95, 95), 0.0, -1000.0)
    head = np.where(chest.ball((0, 0, 0), 90), 40.0, -1000.0)
    for sign in (-1, 1):
        head[chest.ball((-20, -50, sign * 25), 14)] = -1000.0  # sinuses
    head[np.hypot(chest.y + 10, chest.x) < 8] = -1000.0  # throat
    for hu in (water, head):
        with pytest.raises(UserError, match=r"no lungs found: \d+ ml .* expected at least 150 ml; bring a chest CT"):
            lung_field(Volume(hu, chest.geometry))
    with pytest.raises(UserError, match="no body found"):
        lung_field(Volume(np.full(chest.geometry.shape, -1000.0), chest.geometry))


@pytest.mark.real_data
def test_agrees_with_the_reference_of_a_whole_chest_ct(real_data: Callable[[str], Path]) -> None:
    folder = real_data("cip_lowres_ct")
    region = read_volume(folder / "lm-64.nrrd", kind="label").voxels & 0xFF
    found = lung_field(read_volume(folder / "ct-64.nrrd"))
    assert dice(found.voxels == 1, np.isin(region, (9, 10, 11))) > 0.975
    assert dice(found.voxels == 2, np.isin(region, (12, 13, 14))) > 0.975


@pytest.mark.real_data
def test_planted_consolidations_in_a_real_chest_are_held(real_data: Callable[[str], Path]) -> None:
    scan = read_volume(real_data("cip_lowres_ct") / "ct-64.nrrd")
    healthy = lung_field(scan)
    for label, at in ((1, (40, 41, 54)), (2, (30, 44, 14)), (2, (50, 30, 5))):
        z, y, x = np.indices(scan.voxels.shape, sparse=True)
        near = ((z - at[0]) ** 2 + (y - at[1]) ** 2 + (x - at[2]) ** 2) * 16.0 < 35.0**2
        lesion = near & (healthy.voxels == label)
        ill = lung_field(scan.with_voxels(np.where(lesion, 10, scan.voxels)))
        assert lesion.sum() > 500
        assert (ill.voxels[lesion] == label).mean() > 0.85
        assert dice(ill.voxels > 0, healthy.voxels > 0) > 0.985


@pytest.mark.real_data
def test_a_real_covid_scan_has_two_plausible_lungs(real_data: Callable[[str], Path]) -> None:
    scan = read_volume(real_data("ricord1a_covid_ct") / "dicom")
    found = lung_field(scan)
    litres = {label: (found.voxels == label).sum() * scan.geometry.voxel_volume_mm3 / 1e6 for label in SIDES}
    assert 1.35 < litres[1] < 1.65
    assert 1.35 < litres[2] < 1.65
    consolidation = found.voxels[80:100, 300:310, 130:190]  # behind the right lung's air, before the ribs
    assert (consolidation == 2).mean() > 0.9
    assert (found.voxels[:60, 150:200, 330:400] == 0).mean() > 0.9  # stomach gas
