"""Our NIfTI against ITK's, and against damage."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from weakmask.errors import UserError
from weakmask.volume.geometry import Geometry
from weakmask.volume.itk import from_itk, to_itk
from weakmask.volume.nifti import read_nifti
from weakmask.volume.nifti_writing import write_nifti

VOXELS = np.arange(120, dtype=np.int16).reshape(4, 5, 6) * 100 - 3024
GRID = Geometry((4, 5, 6), (2.5, 0.7, 0.8), (-20.25, 11.5, 301.125))


@pytest.fixture
def header():
    """The bytes of a good file."""

    def make(path, *changes, grid=GRID, voxels=VOXELS):
        write_nifti(voxels, grid, path)
        data = bytearray(path.read_bytes())
        for offset, form, *values in changes:
            struct.pack_into("<" + form, data, offset, *values)
        path.write_bytes(data)
        return path

    return make


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize(
    "dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64, np.float32, np.float64]
)
def test_types_round_trip_and_agree_with_itk(tmp_path, geometry, name, dtype):
    voxels = (np.arange(120).reshape(4, 5, 6) % 100).astype(dtype)
    write_nifti(voxels, geometry, tmp_path / name)
    ours, grid = read_nifti(tmp_path / name)
    theirs, their_grid = from_itk(sitk.ReadImage(tmp_path / name))
    assert ours.dtype == theirs.dtype == dtype
    assert np.array_equal(ours, voxels)
    assert np.array_equal(theirs, voxels)
    assert grid.same_grid(geometry, 1e-4)
    assert their_grid.same_grid(geometry, 1e-4)


@settings(max_examples=60)
@given(
    st.tuples(*[st.floats(-180, 180)] * 3),
    st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3),
    st.tuples(*[st.floats(0.3, 5)] * 3),
    st.tuples(*[st.floats(-900, 900)] * 3),
    st.sampled_from(["sform", "qform", "both"]),
)
def test_any_grid_round_trips(tmp_path_factory, angles, signs, spacing, origin, form):
    """Spacing, origin and direction within what single precision holds; by sform or qform alone, and for ITK too."""
    turn = Rotation.from_euler("zyx", angles, degrees=True).as_matrix() * signs
    grid = Geometry((4, 5, 6), spacing, origin, turn.tolist())
    path = tmp_path_factory.mktemp("grid") / "a.nii"
    write_nifti(VOXELS, grid, path)
    data = bytearray(path.read_bytes())
    struct.pack_into("<hh", data, 252, form != "sform", form != "qform")
    path.write_bytes(data)
    _, read = read_nifti(path)
    _, by_itk = from_itk(sitk.ReadImage(path))
    assert np.allclose(read.spacing_mm, spacing, rtol=1e-6)
    assert np.allclose(read.origin_mm, origin, rtol=1e-6, atol=1e-4)
    assert np.allclose(read.direction, turn, atol=1e-6 if form == "sform" else 1e-3)
    assert read.same_grid(grid, 1e-3 if form == "sform" else 1e-2)
    assert by_itk.same_grid(read, 1e-3 if form == "sform" else 1e-2)


@settings(max_examples=30)
@given(st.tuples(*[st.floats(-180, 180)] * 3), st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3))
def test_reads_what_itk_writes(tmp_path_factory, angles, signs):
    turn = Rotation.from_euler("zyx", angles, degrees=True).as_matrix() * signs
    grid = Geometry((4, 5, 6), (2.5, 0.7, 0.8), (1, 2, 3), turn.tolist())
    path = tmp_path_factory.mktemp("itk") / "a.nii"
    sitk.WriteImage(to_itk(VOXELS, grid), path)
    voxels, read = read_nifti(path)
    assert np.array_equal(voxels, VOXELS)
    assert read.same_grid(grid, 1e-4)


def test_packed_bytes_are_the_same_every_time(tmp_path):
    for name in ("a.nii.gz", "b.nii.gz"):
        write_nifti(VOXELS, GRID, tmp_path / name)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_neither_form_is_taken_as_left_back_head(header, tmp_path):
    path = header(tmp_path / "a.nii", (252, "hh", 0, 0), grid=GRID.flipped(0))
    _, grid = read_nifti(path)
    assert grid == Geometry((4, 5, 6), np.float32(GRID.spacing_mm))
    assert grid.same_grid(from_itk(sitk.ReadImage(path))[1])


def test_a_template_space_gives_way_to_the_scanner(header, tmp_path):
    sheared = (280, "12f", -0.8, 0.3, 0, 5, 0, -0.7, 0, 5, 0, 0, 2.5, 5)
    assert read_nifti(header(tmp_path / "a.nii", (254, "h", 4), sheared))[1].same_grid(GRID)
    with pytest.raises(UserError, match="sheared"):
        read_nifti(header(tmp_path / "a.nii", (252, "hh", 0, 4), sheared))


def test_a_rounding_error_in_the_axes_is_forgiven(header, tmp_path):
    """ITK refuses this file, and with it whole data sets."""
    path = header(tmp_path / "a.nii", (252, "hh", 0, 1), (280, "12f", -0.8, 0.0003, 0, 0, 0, -0.7, 0, 0, 0, 0, 2.5, 0))
    with pytest.raises(RuntimeError, match="orthonormal"):
        sitk.ReadImage(path)
    assert np.allclose(read_nifti(path)[1].direction, np.eye(3), atol=1e-3)


@pytest.mark.parametrize(("unit", "factor"), [(0, 1), (1, 1000), (2, 1), (3, 0.001), (10, 1)])
def test_units(header, tmp_path, unit, factor):
    _, grid = read_nifti(header(tmp_path / "a.nii", (123, "B", unit)))
    assert np.allclose(grid.spacing_mm, np.array(GRID.spacing_mm) * factor)
    assert np.allclose(grid.origin_mm, np.array(GRID.origin_mm) * factor)


@pytest.mark.parametrize(
    ("slope", "intercept", "dtype"),
    [(1, -1024, np.int16), (0.5, 0, np.float32), (1, 0, np.int16), (0, 5, np.int16), (float("nan"), 5, np.int16)],
)
def test_slope_and_intercept(header, tmp_path, slope, intercept, dtype):
    voxels, _ = read_nifti(header(tmp_path / "a.nii", (112, "ff", slope, intercept)))
    plain = VOXELS if not slope or np.isnan(slope) else VOXELS * slope + intercept
    assert voxels.dtype == dtype
    assert np.allclose(voxels, plain)


def test_big_endian(header, tmp_path):
    good = header(tmp_path / "a.nii")
    image = sitk.ReadImage(good)
    data = bytearray(good.read_bytes())
    fields = "i10s18sihcc8h3f4h8f3fhcc4fii80s24shh6f12f16s4s"
    values = struct.unpack_from("<" + fields, data)
    struct.pack_into(">" + fields, data, 0, *values)
    data[352:] = np.frombuffer(bytes(data[352:]), "<i2").astype(">i2").tobytes()
    (tmp_path / "big.nii").write_bytes(data)
    voxels, grid = read_nifti(tmp_path / "big.nii")
    assert np.array_equal(voxels, sitk.GetArrayFromImage(sitk.ReadImage(tmp_path / "big.nii")))
    assert np.array_equal(voxels, VOXELS)
    assert voxels.dtype.isnative
    assert grid.same_grid(from_itk(image)[1])


def test_version_2(tmp_path):
    header = bytearray(540)
    struct.pack_into("<i8shh8q", header, 0, 540, b"n+2\0\r\n\x1a\n", 4, 16, 3, 6, 5, 4, 1, 1, 1, 1)
    struct.pack_into("<8dqdd", header, 104, 1, 0.8, 0.7, 2.5, 0, 0, 0, 0, 544, 0, 0)
    struct.pack_into("<ii", header, 344, 0, 1)
    struct.pack_into("<12d", header, 400, -0.8, 0, 0, -301.125, 0, -0.7, 0, -11.5, 0, 0, 2.5, -20.25)
    struct.pack_into("<i", header, 500, 2)
    (tmp_path / "two.nii").write_bytes(bytes(header) + bytes(4) + VOXELS.tobytes())
    voxels, grid = read_nifti(tmp_path / "two.nii")
    assert np.array_equal(voxels, VOXELS)
    assert grid == GRID


def test_a_flat_file_is_one_slice(tmp_path):
    image = sitk.GetImageFromArray(VOXELS[0])
    image.SetSpacing((0.5, 0.25))
    image.SetOrigin((7, 8))
    image.SetDirection((0, 1, -1, 0))
    sitk.WriteImage(image, tmp_path / "flat.nii")
    voxels, grid = read_nifti(tmp_path / "flat.nii")
    assert voxels.shape == (1, 5, 6)
    assert grid.spacing_mm == (1, 0.25, 0.5)
    assert grid.same_grid(from_itk(image)[1])


def test_a_line_is_one_row(header, tmp_path):
    voxels, grid = read_nifti(header(tmp_path / "a.nii", (40, "8h", 1, 6, 1, 1, 1, 1, 1, 1)))
    assert voxels.shape == grid.shape == (1, 1, 6)


def test_a_fourth_axis_of_one_is_dropped(header, tmp_path):
    assert read_nifti(header(tmp_path / "a.nii", (40, "8h", 4, 6, 5, 4, 1, 1, 1, 1)))[0].shape == (4, 5, 6)


NAN = float("nan")
FAULTS = {
    "zero spacing": ([(80, "f", 0.0)], "expected three positive numbers"),
    "negative spacing": ([(84, "f", -1.0)], "expected three positive numbers"),
    "spacing not a number": ([(88, "f", NAN)], "expected three positive numbers"),
    "two spacings": ([(280, "12f", -2, 0, 0, 0, 0, -2, 0, 0, 0, 0, 2, 0)], "contradicts itself.*2 x 2 x 2 mm"),
    "sheared": ([(280, "12f", -0.784, 0.114, 0, 0, 0.16, -0.6, 0, 0, 0, 0, 2.5, 0)], "sheared"),
    "tilted": ([(280, "12f", -0.8, 0, 0, 0, 0, -0.7, 0.6, 0, 0, 0, 2.427, 0)], r"sheared, 13.89 degrees"),
    "singular": ([(280, "12f", -0.8, 0, 0, 0, 0, -0.7, 0, 0, 0, 0, 0, 0)], "not usable"),
    "axes not numbers": ([(280, "f", NAN)], "not usable"),
    "parallel axes": ([(280, "12f", -0.8, -0.7, 0, 0, 0, 0, 0, 0, 0, 0, 2.5, 0)], "sheared, 90.00 degrees"),
    "origin not a number": ([(292, "f", NAN)], "origin"),
    "origin infinite": ([(308, "f", -float("inf"))], "origin"),
    "quaternion not a number": ([(252, "hh", 1, 0), (256, "f", NAN)], "not usable"),
    "several volumes": ([(40, "8h", 4, 6, 5, 2, 2, 1, 1, 1)], "6 x 5 x 2 x 2 is more than one volume"),
    "channels": ([(40, "8h", 5, 6, 5, 2, 1, 2, 1, 1)], "more than one volume"),
    "no voxels": ([(40, "8h", 3, 6, 0, 4, 1, 1, 1, 1)], r"\[6, 0, 4\] voxels"),
    "no axes": ([(40, "h", 0)], "voxels along its axes"),
    "colour": ([(70, "h", 128)], "data type 128"),
    "other magic": ([(344, "4s", b"abcd")], "not a NIfTI file"),
    "voxels elsewhere": ([(344, "4s", b"ni1\0")], "separate .img file"),
    "more voxels than bytes": (
        [(40, "8h", 3, 6, 5, 5, 1, 1, 1, 1)],
        "promises 300 bytes of voxels, it holds 240 bytes",
    ),
    "voxels nowhere": ([(108, "f", NAN)], "voxels begin at byte nan"),
    "voxels before the file": ([(108, "f", -4.0)], "voxels begin at byte -4"),
    "absurd": ([(40, "8h", 3, 32767, 32767, 32767, 1, 1, 1, 1)], "promises 70362301923326 bytes"),
}


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("fault", FAULTS)
def test_refuses_a_wrong_header(header, tmp_path, capfd, fault, name):
    changes, message = FAULTS[fault]
    data = header(tmp_path / "a.nii", *changes).read_bytes()
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    if name.endswith(".gz"):
        message = message.replace("it holds 240 bytes", "it holds (less|240 bytes)")
    with pytest.raises(UserError, match=message) as raised:
        read_nifti(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


def test_refuses_truncated_and_damaged_files(tmp_path, capfd):
    noise = np.random.default_rng(0).integers(-1000, 1000, (40, 50, 60)).astype(np.int16)
    write_nifti(noise, Geometry(noise.shape), tmp_path / "a.nii.gz")
    write_nifti(noise, Geometry(noise.shape), tmp_path / "a.nii")
    packed, flat = (tmp_path / "a.nii.gz").read_bytes(), (tmp_path / "a.nii").read_bytes()
    damaged = bytearray(packed)
    damaged[len(packed) // 2] ^= 0x55
    files = {
        "empty": b"",
        "text": b"hello world",
        "long text": b"hello world" * 100,
        "garbage": gzip.compress(bytes(range(256)) * 9),
        "cut": packed[: len(packed) // 2],
        "cut at the checksum": packed[:-4],
        "cut in the header": packed[:60],
        "flat cut": flat[: len(flat) // 2],
        "flat cut in the header": flat[:200],
        "damaged": bytes(damaged),
        "another checksum": packed[:-8] + bytes(4) + packed[-4:],
    }
    expected = "truncated|damaged|not a NIfTI file|the file is empty"
    for name, data in files.items():
        path = tmp_path / f"{name}.nii.gz"
        path.write_bytes(data)
        with pytest.raises(UserError, match=expected) as raised:
            read_nifti(path)
        assert str(raised.value).startswith(str(path))
        assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


def test_packed_or_not_goes_by_the_content(tmp_path):
    write_nifti(VOXELS, GRID, tmp_path / "a.nii")
    (tmp_path / "plain.nii.gz").write_bytes((tmp_path / "a.nii").read_bytes())
    (tmp_path / "packed.nii").write_bytes(gzip.compress((tmp_path / "a.nii").read_bytes()))
    for name in ("plain.nii.gz", "packed.nii"):
        assert np.array_equal(read_nifti(tmp_path / name)[0], VOXELS)


@pytest.mark.parametrize("voxels", [np.zeros((1, 1, 2), np.float16), np.zeros((1, 1, 40000), np.uint8)])
def test_refuses_to_write_what_the_format_cannot_hold(tmp_path, voxels):
    with pytest.raises(ValueError, match="NIfTI-1 cannot hold"):
        write_nifti(voxels, Geometry(voxels.shape), tmp_path / "a.nii")


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_one_of_several_volumes(tmp_path: Path, suffix: str) -> None:
    both = [np.random.default_rng(seed).integers(-9, 9, (2, 5, 6)).astype(np.int16) for seed in (0, 1)]
    joined = sitk.JoinSeries([sitk.GetImageFromArray(one) for one in both])
    sitk.WriteImage(joined, tmp_path / f"a{suffix}")
    for channel, expected in enumerate(both):
        voxels, geometry = read_nifti(tmp_path / f"a{suffix}", channel=channel)
        np.testing.assert_array_equal(voxels, expected)
        assert geometry.shape == (2, 5, 6)
    with pytest.raises(UserError, match=r"6 x 5 x 2 x 2 has no volume 3"):
        read_nifti(tmp_path / f"a{suffix}", channel=2)
