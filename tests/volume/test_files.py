import resource
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from weakmask.errors import MachineError, UserError
from weakmask.volume.files import (
    IMAGE_SUFFIXES,
    masks_named,
    read_volume,
    refuse_nonfinite,
    scan_name,
    write_volume,
)
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Kind, Volume

VOXELS = np.arange(120, dtype=np.int16).reshape(4, 5, 6) * 50 - 3024
VOLUME = Volume(VOXELS, Geometry((4, 5, 6), (2.5, 0.7, 0.8), (-20.25, 11.5, 301.125)))
PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30)).astype(np.uint8)


def assert_refused(path, message, kind: Kind = "image", names=None):
    """One line that names the file."""
    with pytest.raises(UserError, match=message) as raised:
        read_volume(path, kind)
    assert str(names or path) in str(raised.value)
    assert "\n" not in str(raised.value)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


class TestRoundTrip:
    @pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".mha", ".nrrd"])
    def test_grid_and_voxels_come_back(self, tmp_path, geometry, suffix):
        path = tmp_path / f"scan{suffix}"
        write_volume(Volume(VOXELS, geometry), path)
        back = read_volume(path)
        assert back.voxels.dtype == np.int16
        assert np.array_equal(back.voxels, VOXELS)
        assert back.kind == "image"
        # NIfTI keeps single precision, the others all of it
        assert back.geometry.same_grid(geometry, 1e-4 if "nii" in suffix else 1e-9)
        assert names_in(tmp_path) == [path.name]

    @pytest.mark.parametrize("suffix", [".nii.gz", ".mha", ".nrrd"])
    @pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.int64])
    def test_labels_keep_their_type(self, tmp_path, suffix, dtype):
        labels = Volume((VOXELS % 6).astype(dtype), VOLUME.geometry, "label")
        write_volume(labels, tmp_path / f"a{suffix}")
        back = read_volume(tmp_path / f"a{suffix}", "label")
        assert (back.kind, back.voxels.dtype) == ("label", dtype)
        assert np.array_equal(back.voxels, labels.voxels)

    @pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".mha", ".nrrd"])
    def test_bool_becomes_0_and_1(self, tmp_path, suffix):
        write_volume(VOLUME.with_voxels(VOXELS > 0, "label"), tmp_path / f"a{suffix}")
        back = read_volume(tmp_path / f"a{suffix}", "label")
        assert back.voxels.dtype == np.uint8
        assert np.array_equal(back.voxels, VOXELS > 0)

    def test_half_precision_becomes_single(self, tmp_path):
        write_volume(VOLUME.with_voxels(VOXELS.astype(np.float16)), tmp_path / "a.nii.gz")
        assert read_volume(tmp_path / "a.nii.gz").voxels.dtype == np.float32

    def test_double_precision_is_read_as_single(self, tmp_path):
        write_volume(VOLUME.with_voxels(np.full(VOXELS.shape, 1e300)), tmp_path / "a.nii.gz")
        voxels = read_volume(tmp_path / "a.nii.gz").voxels
        assert voxels.dtype == np.float32
        assert np.isinf(voxels).all()

    def test_header_and_data_in_two_files(self, tmp_path):
        sitk.WriteImage(sitk.GetImageFromArray(VOXELS), tmp_path / "a.mhd")
        assert np.array_equal(read_volume(tmp_path / "a.mhd").voxels, VOXELS)

    def test_suffixes_are_read_in_any_case(self, tmp_path):
        for name, loud in (("a.nii.gz", "b.NII.gz"), ("a.mha", "b.MHA"), ("a.nrrd", "b.Nrrd")):
            write_volume(VOLUME, tmp_path / name)
            (tmp_path / name).rename(tmp_path / loud)
            assert np.array_equal(read_volume(tmp_path / loud).voxels, VOXELS)

    def test_a_path_may_be_text(self, tmp_path):
        write_volume(VOLUME, str(tmp_path / "a.mha"))
        assert np.array_equal(read_volume(str(tmp_path / "a.mha")).voxels, VOXELS)

    def test_a_file_replaces_the_one_before(self, tmp_path):
        for value in (1, 2):
            write_volume(VOLUME.with_voxels(np.full_like(VOXELS, value)), tmp_path / "a.nii.gz")
        assert (read_volume(tmp_path / "a.nii.gz").voxels == 2).all()


class TestLabels:
    @pytest.mark.parametrize(("low", "dtype"), [(0, np.uint8), (-1, np.int32), (1000, np.int32)])
    def test_whole_numbers_saved_as_real_ones_get_a_type_back(self, tmp_path, low, dtype):
        real = (VOXELS % 6 + low).astype(np.float64)
        write_volume(VOLUME.with_voxels(real), tmp_path / "a.nii.gz")
        back = read_volume(tmp_path / "a.nii.gz", "label").voxels
        assert back.dtype == dtype
        assert np.array_equal(back, real)

    @pytest.mark.parametrize("value", [0.5, np.nan, np.inf])
    def test_refuses_fractions(self, tmp_path, value):
        real = np.zeros(VOXELS.shape, np.float32)
        real[2, 2, 2] = value
        write_volume(VOLUME.with_voxels(real), tmp_path / "a.nii.gz")
        assert_refused(tmp_path / "a.nii.gz", "label map with fractions", "label")

    def test_refuses_jpeg_and_folders(self, tmp_path):
        sitk.WriteImage(sitk.GetImageFromArray(PIXELS), tmp_path / "a.jpg")
        assert_refused(tmp_path / "a.jpg", "save the labels as .png", "label")
        assert_refused(
            tmp_path,
            "a folder of masks needs one for each region or kind of lesion, named after it; it holds none",
            "label",
        )


class TestRefusals:
    def test_what_is_not_there_or_not_an_image(self, tmp_path):
        (tmp_path / "notes.txt").write_text("not an image")
        (tmp_path / "noname").write_text("x")
        (tmp_path / "empty").mkdir()
        assert_refused(tmp_path / "no.nii.gz", "no such file")
        assert_refused(tmp_path / "notes.txt", r"unknown format; expected one of .nii.gz, .nii, .mha")
        assert_refused(tmp_path / "noname", "unknown format")
        assert_refused(tmp_path / "empty", "no DICOM images")

    @pytest.mark.parametrize("suffix", [s for s in IMAGE_SUFFIXES if s != ".dcm"])
    def test_empty_and_foreign_files_in_every_format(self, tmp_path, suffix, capfd):
        for name, data in (("empty", b""), ("text", b"hello world\n" * 3), ("bytes", bytes(range(256)) * 9)):
            path = tmp_path / f"{name}{suffix}"
            path.write_bytes(data)
            assert_refused(path, r"empty|not a")
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".mha", ".nrrd", ".png", ".jpg"])
    @pytest.mark.parametrize("share", [0.03, 0.5, 0.95])
    def test_truncated_files_in_every_format(self, tmp_path, suffix, share, capfd):
        path = tmp_path / f"a{suffix}"
        noise = np.random.default_rng(0).integers(0, 256, (1 if suffix in (".png", ".jpg") else 20, 40, 50))
        if suffix == ".jpg":
            sitk.WriteImage(sitk.GetImageFromArray(noise[0].astype(np.uint8)), path)
        else:
            write_volume(Volume(noise.astype(np.uint8), Geometry(noise.shape)), path)
        data = path.read_bytes()
        path.write_bytes(data[: int(share * len(data))])
        assert_refused(path, "truncated|damaged|not a|cannot be read as|wrong")
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize("suffix", [".nii.gz", ".mha", ".nrrd"])
    def test_several_channels_or_volumes(self, tmp_path, suffix):
        path = tmp_path / f"a{suffix}"
        for array, is_vector in ((np.zeros((4, 5, 6, 3)), True), (np.zeros((2, 4, 5, 6)), False)):
            sitk.WriteImage(sitk.GetImageFromArray(array.astype(np.uint8), isVector=is_vector), path)
            assert_refused(path, "expected one volume of one channel|more than one volume|data type")

    @pytest.mark.parametrize("suffix", [".nii.gz", ".mha", ".nrrd"])
    def test_a_fourth_axis_of_one_is_dropped(self, tmp_path, suffix):
        sitk.WriteImage(sitk.GetImageFromArray(VOXELS[None], isVector=False), tmp_path / f"a{suffix}")
        assert np.array_equal(read_volume(tmp_path / f"a{suffix}").voxels, VOXELS)

    def test_a_file_that_may_not_be_read(self, tmp_path, monkeypatch):
        write_volume(VOLUME, tmp_path / "a.nii")

        def forbidden(*_arguments, **_options):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "open", forbidden)
        assert_refused(tmp_path / "a.nii", r"cannot be read \(Permission denied\)")

    def test_nonfinite_voxels_are_read_and_refused_on_request(self, tmp_path):
        voxels = VOXELS.astype(np.float32)
        voxels[1, 1, 1:3] = np.nan, np.inf
        write_volume(VOLUME.with_voxels(voxels), tmp_path / "a.mha")
        volume = read_volume(tmp_path / "a.mha")
        with pytest.raises(UserError, match=r"a.mha: 2 of 120 voxels are NaN or infinite"):
            refuse_nonfinite(volume, tmp_path / "a.mha")
        assert refuse_nonfinite(VOLUME, "b.mha") is None


class TestWriting:
    def test_refuses_other_formats(self, tmp_path):
        for name in ("a.jpg", "a.mhd", "a.dcm", "a.gif", "a", "a.MHA", "a.TIF", "a.tiff"):
            with pytest.raises(UserError, match="cannot write this format; choose one of"):
                write_volume(VOLUME, tmp_path / name)
        assert not names_in(tmp_path)

    def test_refuses_a_place_that_cannot_be_written(self, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(MachineError, match="cannot write to"):
            write_volume(VOLUME, tmp_path / "file" / "a.nii.gz")

    @pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".mha", ".nrrd", ".png"])
    def test_a_full_disk_leaves_nothing_and_the_old_file_alone(self, tmp_path, suffix):
        """The limit on file sizes stands in for the disk; ITK's own NIfTI writer would report success."""
        path = tmp_path / f"a{suffix}"
        small = np.zeros((1, 8, 8), np.uint8)
        write_volume(Volume(small, Geometry(small.shape)), path)
        large = np.random.default_rng(0).integers(0, 256, (1, 600, 600)).astype(np.uint8)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        try:
            with pytest.raises(MachineError, match="cannot write"):
                write_volume(Volume(large, Geometry(large.shape)), path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert names_in(tmp_path) == [path.name]
        assert np.array_equal(read_volume(path).voxels, small)


class TestNames:
    @pytest.mark.parametrize("suffix", [*IMAGE_SUFFIXES, ".NII.GZ", ".PNG"])
    def test_without_the_double_suffix(self, suffix):
        assert scan_name(f"folder/case.01{suffix}") == "case.01"

    def test_folders_keep_their_dots(self, tmp_path, monkeypatch):
        (tmp_path / "scan.v2.nii").mkdir()
        assert scan_name(tmp_path / "scan.v2.nii") == "scan.v2.nii"
        monkeypatch.chdir(tmp_path)
        assert scan_name(".") == tmp_path.name

    def test_an_unknown_suffix_is_part_of_the_name(self):
        assert scan_name("IM.0001") == "IM.0001"


@pytest.mark.real_data
class TestRealFiles:
    def test_a_ct_and_its_labels_share_a_grid(self, real_data):
        folder = real_data("cip_lowres_ct")
        scan, labels = read_volume(folder / "ct-64.nrrd"), read_volume(folder / "lm-64.nrrd", "label")
        assert scan.voxels.dtype == np.int16
        assert labels.voxels.dtype == np.uint16
        assert scan.geometry.same_grid(labels.geometry)
        # lungs are air, and the head is up: the region of the upper thirds (9, 12) lies higher than the lower (11, 14)
        low_byte = labels.voxels & 255
        assert np.median(scan.voxels[(low_byte >= 9) & (low_byte <= 14)]) < -600
        assert np.argwhere(low_byte == 9)[:, 0].mean() > np.argwhere(low_byte == 11)[:, 0].mean()

    def test_mr_volumes_in_nifti_as_itk_reads_them(self, real_data):
        for path in sorted(real_data("lung_mr_lobes").rglob("*.nii.gz")):
            image = sitk.ReadImage(path)
            volume = read_volume(path)
            assert np.array_equal(volume.voxels, sitk.GetArrayViewFromImage(image))
            assert np.allclose(volume.geometry.spacing_mm[::-1], image.GetSpacing())
            assert np.allclose(volume.geometry.origin_mm[::-1], image.GetOrigin())
            assert np.allclose(volume.geometry.direction_xyz.ravel(), image.GetDirection(), atol=1e-6)


def test_a_checksum_is_looked_at(tmp_path):
    """ITK reads a packed MetaImage with one byte changed as if nothing were wrong."""
    write_volume(VOLUME, tmp_path / "a.mha")
    data = bytearray((tmp_path / "a.mha").read_bytes())
    data[-1] ^= 0xFF
    (tmp_path / "b.mha").write_bytes(data)
    sitk.ReadImage(tmp_path / "b.mha")
    assert_refused(tmp_path / "b.mha", "packed data are damaged")


def test_a_name_is_found_in_whatever_form_of_unicode_it_is_written(tmp_path):
    name, decomposed = "M\u00fcller", "Mu\u0308ller"
    (tmp_path / f"{decomposed}.nii.gz").touch()
    assert scan_name(tmp_path / f"{decomposed}.nii.gz") == name
    assert masks_named(tmp_path, name) == [tmp_path / f"{decomposed}.nii.gz"]
    (tmp_path / decomposed).mkdir()
    assert scan_name(tmp_path / decomposed) == name
    assert masks_named(tmp_path, "absent") == []
