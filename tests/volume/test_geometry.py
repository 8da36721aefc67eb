import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from weakmask.volume.geometry import IDENTITY, Box, Geometry

FINITE = st.floats(-500, 500)
SPACING = st.floats(0.2, 8)


@st.composite
def geometries(draw):
    """Any grid: anisotropic, turned by any angle, any axis flipped."""
    angles = [draw(st.floats(-180, 180)) for _ in range(3)]
    signs = [draw(st.sampled_from([-1.0, 1.0])) for _ in range(3)]
    matrix = Rotation.from_euler("zyx", angles, degrees=True).as_matrix() * signs
    return Geometry(
        tuple(draw(st.integers(1, 9)) for _ in range(3)),
        tuple(draw(SPACING) for _ in range(3)),
        tuple(draw(FINITE) for _ in range(3)),
        matrix.tolist(),
    )


def world(geometry, index):
    """The plain formula: origin plus direction times spacing times index."""
    return np.asarray(geometry.origin_mm) + np.asarray(geometry.direction) @ (
        np.asarray(geometry.spacing_mm) * np.asarray(index)
    )


class TestBox:
    def test_shape_and_slices(self):
        box = Box((1, 2, 3), (4, 6, 8))
        assert box.shape == (3, 4, 5)
        assert np.zeros((9, 9, 9))[box.slices].shape == box.shape

    def test_grown_and_clipped(self):
        box = Box((1, 2, 3), (4, 6, 8)).grown((2, 1, 0))
        assert box == Box((-1, 1, 3), (6, 7, 8))
        assert box.clipped((5, 5, 5)) == Box((0, 1, 3), (5, 5, 5))


class TestGeometry:
    @pytest.mark.parametrize(
        ("field", "value", "message"),
        [
            ("shape", (0, 4, 4), "three positive numbers"),
            ("shape", (4, 4), "three positive numbers"),
            ("spacing_mm", (1, 0, 1), "spacing"),
            ("spacing_mm", (1, -2, 1), "spacing"),
            ("spacing_mm", (1, float("nan"), 1), "spacing"),
            ("spacing_mm", (1, 1), "spacing"),
            ("origin_mm", (0, float("inf"), 0), "origin"),
            ("origin_mm", (0, 0), "origin"),
            ("direction", ((1, 0, 0), (0, 1, 0), (0, 0.5, 1)), "orthonormal"),
            ("direction", ((1, 0, 0), (0, 1, 0), (0, 0, 0)), "orthonormal"),
            ("direction", ((2, 0, 0), (0, 1, 0), (0, 0, 1)), "orthonormal"),
            ("direction", ((1, 0), (0, 1)), "orthonormal"),
            ("direction", ((1, 0, 0), (0, float("nan"), 0), (0, 0, 1)), "orthonormal"),
        ],
    )
    def test_refuses_what_no_scanner_makes(self, field, value, message):
        with pytest.raises(ValueError, match=message):
            Geometry(**{"shape": (4, 4, 4), field: value})

    def test_refuses_a_shape_of_fractions(self):
        with pytest.raises(TypeError):
            Geometry((4, 4, 2.5))

    def test_is_made_of_plain_numbers(self):
        made = Geometry(np.array([2, 3, 4]), np.array([1, 2, 3]), np.zeros(3), np.eye(3))
        plain = Geometry((2, 3, 4), (1.0, 2.0, 3.0))
        assert made == plain
        assert hash(made) == hash(plain)
        assert repr(made) == repr(plain)

    @given(geometries())
    def test_affine_is_the_plain_formula(self, geometry):
        index = np.asarray(geometry.shape) - 0.5
        assert np.allclose((geometry.affine @ [*index, 1])[:3], world(geometry, index))
        assert np.allclose(geometry.inverse_affine @ geometry.affine, np.eye(4), atol=1e-6)

    @given(geometries())
    def test_is_the_same_point_as_in_itk(self, geometry):
        image = sitk.Image(geometry.shape[::-1], sitk.sitkUInt8)
        image.SetSpacing(geometry.spacing_mm[::-1])
        image.SetOrigin(geometry.origin_mm[::-1])
        image.SetDirection(geometry.direction_xyz.ravel().tolist())
        z, y, x = (n - 1 for n in geometry.shape)
        assert np.allclose(image.TransformIndexToPhysicalPoint((x, y, z))[::-1], world(geometry, (z, y, x)))
        back = Geometry.from_xyz(
            image.GetSize(), image.GetSpacing(), image.GetOrigin(), np.reshape(image.GetDirection(), (3, 3))
        )
        assert back.same_grid(geometry, 1e-9)

    def test_from_xyz_gives_rounding_back(self):
        turn = Rotation.from_euler("zyx", [10, 20, 30], degrees=True).as_matrix()
        made = Geometry.from_xyz((4, 5, 6), (1, 1, 1), (0, 0, 0), turn.round(4))
        matrix = np.asarray(made.direction)
        assert np.abs(matrix.T @ matrix - np.eye(3)).max() < 1e-12
        assert np.abs(made.direction_xyz - turn).max() < 1e-4

    def test_from_xyz_leaves_exact_axes_alone(self):
        matrix = np.array([[0.6, -0.8, 0.0], [0.8, 0.6, 0.0], [0.0, 0.0, -1.0]])
        made = Geometry.from_xyz((4, 5, 6), (1, 2, 3), (7, 8, 9), matrix)
        assert np.array_equal(made.direction_xyz, matrix)
        assert (made.shape, made.spacing_mm, made.origin_mm) == ((6, 5, 4), (3, 2, 1), (9, 8, 7))

    def test_from_xyz_refuses_shear(self):
        with pytest.raises(ValueError, match="orthonormal"):
            Geometry.from_xyz((4, 5, 6), (1, 1, 1), (0, 0, 0), np.array([[1, 0.3, 0], [0, 1, 0], [0, 0, 1.0]]))

    def test_sizes(self):
        geometry = Geometry((10, 20, 30), (3, 2, 1))
        assert geometry.voxel_volume_mm3 == 6
        assert geometry.extent_mm == (30, 40, 30)
        assert geometry.box == Box((0, 0, 0), (10, 20, 30))

    @given(geometries())
    def test_cropped_voxels_stay_where_they_are(self, geometry):
        box = Box((-1, 2, 1), (3, 5, 9))
        cropped = geometry.cropped(box)
        assert cropped.shape == (4, 3, 8)
        assert np.allclose(world(cropped, (2, 1, 5)), world(geometry, (1, 3, 6)))

    @given(geometries(), st.integers(0, 2))
    def test_flipped_voxels_stay_where_they_are(self, geometry, axis):
        flipped = geometry.flipped(axis)
        index = np.array([0, 0, 0])
        mirrored = index.copy()
        mirrored[axis] = geometry.shape[axis] - 1
        assert np.allclose(world(flipped, mirrored), world(geometry, index))
        assert flipped.flipped(axis).same_grid(geometry, 1e-9)

    @given(geometries(), st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 12)))
    def test_with_shape_keeps_the_outer_faces(self, geometry, shape):
        made = geometry.with_shape(shape)
        assert made.shape == shape
        for first, second in (
            (-0.5 * np.ones(3), -0.5 * np.ones(3)),
            (np.array(geometry.shape) - 0.5, np.array(shape) - 0.5),
        ):
            assert np.allclose(world(geometry, first), world(made, second))

    @given(geometries(), st.tuples(SPACING, SPACING, SPACING))
    def test_with_spacing_holds_the_old_grid(self, geometry, spacing):
        made = geometry.with_spacing(spacing)
        assert made.spacing_mm == spacing
        assert np.allclose(world(geometry, -0.5 * np.ones(3)), world(made, -0.5 * np.ones(3)))
        assert (np.array(made.extent_mm) >= np.array(geometry.extent_mm) - 1e-5).all()
        assert (np.array(made.extent_mm) < np.array(geometry.extent_mm) + spacing).all()

    def test_with_spacing_is_not_fooled_by_rounding(self):
        assert Geometry((3, 3, 3), (0.1, 0.1, 0.1)).with_spacing((0.3, 0.3, 0.3)).shape == (1, 1, 1)

    @given(geometries(), geometries())
    def test_index_map_goes_through_the_world(self, here, there):
        index = np.array([1.0, 2.0, 0.5])
        mapped = here.index_map(there) @ [*index, 1]
        assert np.allclose(world(there, mapped[:3]), world(here, index), atol=1e-6)

    def test_same_grid(self):
        geometry = Geometry((10, 10, 100), (1, 1, 1))
        assert geometry.same_grid(Geometry((10, 10, 100), (1, 1, 1.00005)))
        assert not geometry.same_grid(Geometry((10, 10, 100), (1, 1, 1.0005)))
        assert geometry.same_grid(Geometry((10, 10, 100), origin_mm=(0, 0, 0.009)))
        assert not geometry.same_grid(Geometry((10, 10, 100), origin_mm=(0, 0, 0.02)))
        assert not geometry.same_grid(Geometry((10, 100, 10)))
        assert not geometry.same_grid(geometry.flipped(2))
        assert geometry.direction == IDENTITY
