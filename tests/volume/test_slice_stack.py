from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from weakmask.errors import UserError
from weakmask.volume.slice_stack import Slice, stack_geometry

GOOD = np.arange(20) * 2.0
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def stack(heights, lean=(0.0, 0.0), orientation=AXIAL, jumps=None, spacing=(0.5, 0.75)):
    """Slices at these heights along the normal, shifted sideways by lean * height (mm per mm)."""
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    normal = np.cross(row, column)
    slices = []
    for number, height in enumerate(heights):
        shift = (jumps or {}).get(number, 0.0)
        position = height * normal + (lean[0] * height + shift) * row + lean[1] * height * column + [5, 6, 0]
        slices.append(Slice(Path(f"{number}.dcm"), (20, 30), spacing, 3.0, tuple(position), orientation, number))
    return tuple(slices)


@pytest.mark.parametrize("angles", [(0, 0, 0), (30, -20, 10), (180, 0, 0), (0, 90, 0)])
def test_even_slices_make_a_grid(angles):
    turn = Rotation.from_euler("zyx", angles, degrees=True).as_matrix()
    slices = stack(np.arange(8) * 2.5, orientation=(*turn[:, 0], *turn[:, 1]))
    grid = stack_geometry(slices, "here")
    assert grid.shape == (8, 20, 30)
    assert np.allclose(grid.spacing_mm, (2.5, 0.5, 0.75))
    assert np.allclose(grid.affine @ [7, 0, 0, 1], [*slices[7].position[::-1], 1])
    # DICOM: one column further is one step along the row direction
    assert np.allclose(grid.affine @ [0, 0, 1, 1], [*(np.array(slices[0].position) + 0.75 * turn[:, 0])[::-1], 1])


@pytest.mark.parametrize("step", [0.625, 1.25, 0.3])
def test_positions_rounded_in_the_header_are_even(step):
    heights = np.round(np.arange(60) * step, 1)
    grid = stack_geometry(stack(heights), "here")
    assert grid.spacing_mm[0] == pytest.approx(step, rel=0.01)


def test_one_slice_has_its_thickness():
    assert stack_geometry(stack([4.0]), "here").spacing_mm == (3.0, 0.5, 0.75)


def test_an_image_without_a_place_lies_at_the_origin():
    one = Slice(Path("xray.dcm"), (20, 30), (0.2, 0.2), None, None, AXIAL, 0, in_patient=False)
    grid = stack_geometry((one,), "here")
    assert (grid.spacing_mm, grid.origin_mm) == ((1.0, 0.2, 0.2), (0, 0, 0))
    with pytest.raises(UserError, match=r"2 images without a position in space .X-rays.; give one of the files"):
        stack_geometry((one, one), "here")


def test_pixel_spacings_may_differ_by_rounding():
    slices = stack(GOOD[:10], spacing=(6.9999999, 7.0)) + stack(GOOD[10:], spacing=(7.0, 7.0))
    assert stack_geometry(slices, "here").spacing_mm == pytest.approx((2.0, 7.0, 7.0))


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("spacing_mm", "20 of 20 images have no PixelSpacing, so the size of their voxels is unknown"),
        ("position", r"20 images without a position in space \(ImagePositionPatient\).*; export the series again"),
        ("orientation", r"20 images without an orientation \(ImageOrientationPatient\).*; export the series again"),
    ],
)
def test_a_stack_needs_its_place_and_size(field, message):
    slices = tuple(replace(one, **{field: None}) for one in stack(GOOD))
    with pytest.raises(UserError, match=message):
        stack_geometry(slices, "here")


@pytest.mark.parametrize(
    ("slices", "message"),
    [
        (stack(np.delete(GOOD, 7)), r"1 missing of 20 slices, between 12.00 and 16.00 mm \(they are 2 mm apart\)"),
        (
            stack(np.delete(GOOD, [3, 7, 8])),
            "3 missing of 20 slices, between 4.00 and 8.00 mm, between 12.00 and 18.00",
        ),
        (stack(np.delete(GOOD, [2, 5, 8, 11, 14])), "5 missing of 20 slices.* and 2 more gaps"),
        (stack(np.sort(np.append(GOOD, 6.0))), r"two slices at 6.00 mm \(3.dcm, 4.dcm\)"),
        (stack(np.sort(np.append(GOOD, 6.01))), "two slices at 6.00 mm"),
        (stack([0, 0, 0]), "two slices at 0.00 mm"),
        (stack([0, 2, 4, 6, 7, 8, 9, 10, 12]), "slices are 1 to 2 mm apart; expected one distance"),
        (stack([0, 2, 4, 7, 9, 11]), "slices are 2 to 3 mm apart"),
        (stack(np.cumsum(np.repeat([2.0, 2.09], 40))), "slices are 2 to 2.09 mm apart"),
        (stack(GOOD, lean=(0.0, np.tan(np.radians(10)))), "gantry was tilted by 10.0 degrees"),
        (stack(GOOD, lean=(0.05, 0.0)), "gantry was tilted by 2.9 degrees"),
        (stack(GOOD, jumps={9: 3.0}), "shifted sideways"),
        (stack(GOOD[:3]) + stack(GOOD[3:], spacing=(0.5, 0.5)), "0.5 x 0.5, 0.5 x 0.75 mm"),
        (stack(GOOD, spacing=(0.0, 0.5)), "spacing is"),
        (stack([1.0], orientation=(1, 0, 0, 0.4, 0.8, 0)), "orthonormal"),
    ],
)
def test_refuses_what_is_no_grid(slices, message):
    slices = tuple(sorted(slices, key=lambda one: one.height_mm))
    with pytest.raises(UserError, match=message) as raised:
        stack_geometry(slices, "folder, series chest")
    assert str(raised.value).startswith("folder, series chest: ")
    assert "\n" not in str(raised.value)


def test_a_sideways_rounding_is_no_tilt():
    assert stack_geometry(stack(GOOD, jumps={3: 0.1, 9: -0.1}), "here").shape[0] == 20
