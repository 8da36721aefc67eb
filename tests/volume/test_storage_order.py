"""Storage orders: turning changes no voxel's place or value, all orders of a scan become one, and all come back."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from storage_orders import EVERY_ORDER, ORDERS, stored

from weakmask.volume.dicom import read_dicom
from weakmask.volume.files import read_volume, write_volume
from weakmask.volume.geometry import IDENTITY, Geometry
from weakmask.volume.storage_order import RAS, has_no_position, in_order_of, upright
from weakmask.volume.volume import Volume

GRID = Geometry((3, 4, 5), (2.5, 0.7, 0.8), (-20.25, 11.5, 301.125))


def numbered(geometry: Geometry = GRID) -> Volume:
    return Volume(np.arange(np.prod(geometry.shape), dtype=np.int16).reshape(geometry.shape), geometry)


def turned(degrees: tuple[float, float, float], shape: tuple[int, int, int] = GRID.shape) -> Geometry:
    matrix = Rotation.from_euler("zyx", degrees, degrees=True).as_matrix()
    first, second, third = map(tuple, matrix.tolist())
    return Geometry(shape, GRID.spacing_mm, GRID.origin_mm, (first, second, third))


@pytest.mark.parametrize("order", EVERY_ORDER)
def test_a_turned_voxel_keeps_its_place_and_its_value(order) -> None:
    volume = numbered()
    other = stored(volume, order)
    for index in np.ndindex(other.geometry.shape):
        place = other.geometry.affine @ [*index, 1]
        z, y, x, _ = np.rint(volume.geometry.inverse_affine @ place).astype(int)
        assert volume.geometry.affine @ [z, y, x, 1] == pytest.approx(place, abs=1e-9)
        assert other.voxels[index] == volume.voxels[z, y, x]


@pytest.mark.parametrize(
    "degrees",
    [(0, 0, 0), (10, -20, 15), (45, 0, 0), (0, 45, 0), (0, 0, -45), (45, 45, 0), (60, 0, 0), (90, 45, 30)],
)
def test_every_order_of_a_scan_becomes_one_and_comes_back(degrees: tuple[float, float, float]) -> None:
    volume = numbered(turned(degrees))
    expected = upright(volume)
    for order in EVERY_ORDER:
        other = stored(volume, order)
        found = upright(other)
        assert found.geometry.same_grid(expected.geometry, 1e-6)
        assert np.array_equal(found.voxels, expected.voxels)
        assert found.voxels.flags.c_contiguous
        back = in_order_of(found, other.geometry)
        assert back.geometry == other.geometry
        assert np.array_equal(back.voxels, other.voxels)


def test_an_upright_scan_is_not_copied_and_its_axes_run_to_head_back_and_left() -> None:
    volume = numbered()
    assert upright(volume) is volume
    for order in EVERY_ORDER:
        assert upright(stored(volume, order)).geometry.direction == IDENTITY
    tilted = numbered(turned((25, -10, 20)))
    assert upright(tilted) is tilted
    assert upright(tilted.flip(1)).geometry.same_grid(tilted.geometry)


def test_an_array_in_another_layout_of_memory_becomes_contiguous() -> None:
    volume = numbered()
    strided = volume.with_voxels(np.asfortranarray(volume.voxels))
    assert upright(strided).voxels.flags.c_contiguous
    assert np.array_equal(upright(strided).voxels, volume.voxels)


@pytest.mark.parametrize("across", [0, 1, 2])
def test_a_single_slice_comes_first_with_its_rows_as_on_a_screen(across: int) -> None:
    z, y, x = (1 if axis == across else n for axis, n in enumerate(GRID.shape))
    volume = numbered(Geometry((z, y, x), GRID.spacing_mm, GRID.origin_mm))
    rows_and_columns = {0: ((0, 1, 0), (0, 0, 1)), 1: ((-1, 0, 0), (0, 0, 1)), 2: ((-1, 0, 0), (0, 1, 0))}[across]
    for order in EVERY_ORDER:
        found = upright(stored(volume, order))
        assert found.geometry.shape[0] == 1
        assert tuple(np.transpose(found.geometry.direction)[1:].tolist()) == tuple(map(list, rows_and_columns))
        assert np.array_equal(found.voxels, upright(volume).voxels)
        assert upright(found) is found


@pytest.mark.parametrize("direction", [IDENTITY, RAS])
def test_a_picture_keeps_its_rows_and_a_volume_follows_its_header(direction) -> None:
    picture = numbered(Geometry((1, 4, 5), direction=direction))
    assert upright(picture) is picture
    placed = numbered(Geometry((1, 4, 5), origin_mm=(0.0, 0.0, 1.0), direction=direction))
    assert (upright(placed) is placed) == (direction == IDENTITY)
    assert upright(numbered(Geometry(GRID.shape, direction=direction))).geometry.direction == IDENTITY


@pytest.mark.parametrize("order", EVERY_ORDER)
def test_headers_that_differ_by_rounding_have_the_same_voxels(order) -> None:
    volume = numbered()
    rounded = Geometry(GRID.shape, (2.5, 0.7 + 1e-7, 0.8), (-20.25, 11.5, 301.12501))
    found = in_order_of(stored(volume, order), rounded)
    assert found.geometry == rounded
    assert np.array_equal(found.voxels, volume.voxels)


@pytest.mark.parametrize(
    "other",
    [
        Geometry((3, 4, 6), GRID.spacing_mm, GRID.origin_mm),
        Geometry((3, 4, 5), (2.5, 0.7, 0.9), GRID.origin_mm),
        Geometry((3, 4, 5), GRID.spacing_mm, (-20.25, 11.5, 301.2)),
        Geometry((3, 4, 5), GRID.spacing_mm, GRID.origin_mm, RAS),
        turned((2, 0, 0)),
        turned((45, 45, 45)),
    ],
)
def test_other_voxels_are_refused(other: Geometry) -> None:
    with pytest.raises(ValueError, match="expected the same voxels in any order"):
        in_order_of(numbered(other), GRID)


def test_a_header_without_a_position() -> None:
    assert has_no_position(Geometry((3, 4, 5)))
    assert has_no_position(Geometry((3, 4, 5), (7.0, 7.0, 7.0), direction=RAS))
    assert not has_no_position(GRID)
    assert not has_no_position(Geometry((3, 4, 5)).flipped(0))


def test_a_dicom_series_and_its_nifti_are_the_same_upright_scan(tmp_path: Path, write_series) -> None:
    voxels = np.random.default_rng(0).integers(-1000, 400, (6, 5, 6)).astype(np.int16)
    write_series(tmp_path / "series", [2.0 * k for k in range(6)], voxels, RescaleIntercept=0)
    series = read_dicom(tmp_path / "series")
    for name in ("LAS", "RAS", "coronal"):
        write_volume(stored(series, ORDERS[name]), tmp_path / f"{name}.nii.gz")
        found = upright(read_volume(tmp_path / f"{name}.nii.gz"))
        assert found.geometry.same_grid(upright(series).geometry)
        assert np.array_equal(found.voxels, upright(series).voxels)
