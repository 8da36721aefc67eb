import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.uid import generate_uid

from weakmask.errors import UserError
from weakmask.volume.dicom import read_dicom, read_dicom_file
from weakmask.volume.dicom_series import find_series
from weakmask.volume.files import read_volume

HEIGHTS = np.arange(8) * 2.5 - 100


def assert_refused(folder, message, series_uid=None):
    with pytest.raises(UserError, match=message) as raised:
        read_dicom(folder, series_uid)
    assert str(folder) in str(raised.value)
    assert "\n" not in str(raised.value)


class TestOneSeries:
    def test_sorted_placed_and_in_hounsfield_units(self, tmp_path, write_series):
        write_series(tmp_path, HEIGHTS)
        volume = read_volume(tmp_path)
        assert volume.voxels.dtype == np.int16
        assert np.array_equal(volume.voxels, np.arange(240).reshape(8, 5, 6) - 1024)
        assert volume.geometry.spacing_mm == (2.5, 0.5, 0.75)
        assert volume.geometry.origin_mm == (-100, 20, -10)
        assert volume.geometry.direction == ((1, 0, 0), (0, 1, 0), (0, 0, 1))

    def test_is_what_itk_makes_of_it(self, tmp_path, write_series):
        """Feet first and turned about two axes."""
        series = write_series(
            tmp_path,
            HEIGHTS,
            ImageOrientationPatient=[-0.8, 0.6, 0, 0, 0, -1],
            ImagePositionPatient=lambda k: [
                float(v) for v in np.array([5, 6, 7]) + k * 2.5 * np.array([-0.6, -0.8, 0])
            ],
        )
        names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path), series)
        theirs = sitk.ReadImage(names)
        volume = read_dicom(tmp_path)
        assert np.array_equal(volume.voxels, sitk.GetArrayFromImage(theirs))
        assert np.allclose(volume.geometry.direction_xyz.ravel(), theirs.GetDirection(), atol=1e-6)
        assert np.allclose(volume.geometry.origin_mm[::-1], theirs.GetOrigin())
        assert np.allclose(volume.geometry.spacing_mm[::-1], theirs.GetSpacing())

    def test_slope_and_intercept_are_those_of_each_slice(self, tmp_path, write_series):
        """ITK's series reader takes the type of the first slice and cuts the fractions of the others off."""
        write_series(tmp_path, HEIGHTS, RescaleSlope=lambda k: str(1 + 0.5 * (k % 2)), RescaleIntercept=str)
        volume = read_dicom(tmp_path)
        stored = np.arange(240.0).reshape(8, 5, 6)
        slope, intercept = 1 + 0.5 * (np.arange(8) % 2), np.arange(8)
        assert volume.voxels.dtype == np.float32
        assert np.array_equal(volume.voxels, stored * slope[:, None, None] + intercept[:, None, None])

    def test_large_numbers_get_a_larger_type(self, tmp_path, write_series):
        stored = np.zeros((8, 5, 6), np.uint16)
        stored[5] = 60000
        write_series(tmp_path, HEIGHTS, stored)
        assert read_dicom(tmp_path).voxels.dtype == np.int32
        assert read_dicom(tmp_path).voxels.max() == 60000 - 1024

    def test_without_slope_the_stored_numbers(self, tmp_path, write_series):
        write_series(tmp_path, HEIGHTS, RescaleSlope=None, RescaleIntercept=None)
        assert read_dicom(tmp_path).voxels.max() == 239

    def test_a_file_that_is_there_twice_counts_once(self, tmp_path, write_series):
        write_series(tmp_path, HEIGHTS)
        first = min(tmp_path.iterdir())
        (tmp_path / "copy").write_bytes(first.read_bytes())
        assert read_dicom(tmp_path).voxels.shape == (8, 5, 6)


class TestMixedFolders:
    def test_other_files_and_scouts_are_passed_over(self, tmp_path, write_series, write_slice):
        series = write_series(tmp_path / "deep" / "scan", HEIGHTS, SeriesDescription="CHEST")
        (tmp_path / "notes.txt").write_text("hello")
        (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
        (tmp_path / "._hidden.dcm").write_text("resource fork")
        write_series(tmp_path, [0, 50, 100], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
        write_series(tmp_path / "other", [7])
        write_slice(tmp_path / "labels.dcm", np.zeros((4, 4), np.int16), generate_uid(), Modality="SEG")
        found = find_series(tmp_path)
        assert [len(one.slices) for one in found] == [8, 3, 1]
        assert [one.localizer for one in found] == [False, True, False]
        assert str(found[0]) == f"{series} (CT 'CHEST', 8 slices of 5 x 6)"
        assert read_dicom(tmp_path).voxels.shape == (8, 5, 6)

    def test_a_scout_within_the_series_is_parted_from_it(self, tmp_path, write_series):
        series = write_series(tmp_path, HEIGHTS)
        write_series(tmp_path, [0.0], uid=series, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], InstanceNumber=99)
        assert read_dicom(tmp_path).voxels.shape == (8, 5, 6)

    def test_files_need_no_suffix(self, tmp_path, write_series):
        write_series(tmp_path, HEIGHTS)
        for number, path in enumerate(sorted(tmp_path.iterdir())):
            path.rename(tmp_path / f"IM{number}")
        assert read_dicom(tmp_path).voxels.shape == (8, 5, 6)
        assert read_volume(tmp_path / "IM3").voxels.shape == (1, 5, 6)

    def test_several_series_are_listed_and_one_can_be_chosen(self, tmp_path, write_series):
        first = write_series(tmp_path, HEIGHTS, SeriesDescription="soft")
        second = write_series(tmp_path, HEIGHTS[:5], SeriesDescription="lung")
        assert_refused(tmp_path, f"2 series; .*`--series UID`.*: {first}.*'soft', 8 slices.*{second}.*'lung', 5 slices")
        assert len(read_dicom(tmp_path, second).voxels) == 5
        assert_refused(tmp_path, "no series 1.2.3; the folder holds", "1.2.3")

    def test_refuses_folders_without_a_scan(self, tmp_path, write_series):
        assert_refused(tmp_path, "no DICOM images")
        assert_refused(tmp_path / "gone", "no such folder")
        write_series(tmp_path, [0, 50], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
        assert_refused(tmp_path, "only localizers")
        assert_refused(tmp_path, "the folder holds: ", "1.2.3")

    def test_two_orientations_in_one_series(self, tmp_path, write_series):
        series = write_series(tmp_path, HEIGHTS)
        write_series(tmp_path, HEIGHTS, uid=series, ImageOrientationPatient=[1, 0, 0, 0, 0, -1], InstanceNumber=1)
        assert_refused(tmp_path, "different orientation or matrix in one series")

    def test_a_rounded_orientation_is_the_same(self, tmp_path, write_series):
        write_series(tmp_path, HEIGHTS, ImageOrientationPatient=lambda k: [1, 0.00004 * int(k % 2), 0, 0, 1, 0])
        assert read_dicom(tmp_path).voxels.shape == (8, 5, 6)

    def test_gaps_are_named(self, tmp_path, write_series):
        write_series(tmp_path, np.delete(HEIGHTS, 3), SeriesDescription="CHEST")
        assert_refused(tmp_path, "series CHEST: 1 missing of 8 slices, between -95.00 and -90.00 mm")


class TestBrokenFiles:
    @pytest.mark.parametrize("data", [b"", b"hello", bytes(128) + b"DICM" + bytes(range(256))])
    def test_a_file_named_dcm_must_be_one(self, tmp_path, write_series, data, capfd):
        write_series(tmp_path, HEIGHTS)
        (tmp_path / "broken.dcm").write_bytes(data)
        assert_refused(tmp_path, "broken.dcm: (not a DICOM file|its DICOM header is damaged)")
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize("share", [0.5, 0.95])
    def test_a_truncated_slice(self, tmp_path, write_series, share, capfd):
        write_series(tmp_path, HEIGHTS, np.zeros((8, 64, 64), np.int16))
        path = sorted(tmp_path.iterdir())[4]
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
        assert_refused(tmp_path, "cannot be decoded")
        assert capfd.readouterr() == ("", "")

    def test_numbers_that_are_none(self, tmp_path, write_series):
        write_series(tmp_path, HEIGHTS)
        path = min(tmp_path.iterdir())
        path.write_bytes(path.read_bytes().replace(b"0.5\\0.75", b"one\\two "))
        assert_refused(tmp_path, "its DICOM header is damaged")

    def test_a_link_that_leads_nowhere(self, tmp_path, write_series):
        write_series(tmp_path, HEIGHTS)
        (tmp_path / "slice").symlink_to(tmp_path / "gone")
        assert_refused(tmp_path, r"cannot be read \(No such file or directory\)")

    def test_several_frames(self, tmp_path, write_series):
        write_series(tmp_path / "enhanced", HEIGHTS[:1], NumberOfFrames=8)
        assert_refused(tmp_path, "8 frames in one file that states no place of each; export one per file, or NIfTI")
        with pytest.raises(UserError, match="8 frames in one file"):
            read_volume(next((tmp_path / "enhanced").iterdir()))
        write_series(tmp_path, HEIGHTS)
        assert read_dicom(tmp_path).voxels.shape == (8, 5, 6)


class TestOneFile:
    def test_an_xray(self, tmp_path, write_slice):
        pixels = np.arange(30, dtype=np.uint16).reshape(5, 6)
        away = {"ImagePositionPatient": None, "ImageOrientationPatient": None, "PixelSpacing": None}
        more = {"Modality": "DX", "SliceThickness": None, "RescaleSlope": None, "RescaleIntercept": None}
        write_slice(tmp_path / "a.dcm", pixels, generate_uid(), ImagerPixelSpacing=[0.2, 0.1], **away, **more)
        volume = read_volume(tmp_path / "a.dcm")
        assert np.array_equal(volume.voxels[0], pixels)
        assert volume.geometry.spacing_mm == (1, 0.2, 0.1)
        assert read_dicom(tmp_path).geometry == volume.geometry

    def test_white_for_low_is_turned_the_right_way_up(self, tmp_path, write_slice):
        pixels = np.arange(30, dtype=np.uint16).reshape(5, 6)
        inverse = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 12, "HighBit": 11, "RescaleIntercept": 0}
        write_slice(tmp_path / "a.dcm", pixels, generate_uid(), **inverse)
        assert np.array_equal(read_volume(tmp_path / "a.dcm").voxels[0], 4095 - pixels.astype(int))

    def test_refuses_what_is_no_grey_image(self, tmp_path, write_slice):
        write_slice(tmp_path / "a.dcm", np.zeros((4, 4), np.int16), generate_uid(), Modality="SR")
        with pytest.raises(UserError, match="not a grey-value DICOM image"):
            read_dicom_file(tmp_path / "a.dcm")


@pytest.mark.real_data
class TestRealSeries:
    def test_a_diagnostic_ct(self, real_data):
        folder = real_data("ricord1a_covid_ct") / "dicom"
        volume = read_dicom(folder)
        assert volume.voxels.shape == (248, 512, 512)
        assert volume.voxels.dtype == np.int16
        assert (volume.voxels.min(), volume.voxels.max()) == (-3024, 3071)
        assert volume.geometry.spacing_mm == (1.25, 0.703125, 0.703125)
        assert volume.geometry.origin_mm == (-20.5, -156.5, -172)
        # one slice in the middle as ITK alone reads it
        series = find_series(folder)[0]
        alone = sitk.GetArrayFromImage(sitk.ReadImage(series.slices[100].path))
        assert np.array_equal(volume.voxels[100], alone[0])

    def test_the_same_ct_in_nrrd(self, real_data):
        folder = real_data("cip_lowres_ct")
        dicom, nrrd = read_volume(folder / "ct-64Dicom"), read_volume(folder / "ct-64.nrrd")
        assert dicom.voxels.dtype == nrrd.voxels.dtype
        assert np.array_equal(dicom.voxels, nrrd.voxels)
        assert dicom.geometry.same_grid(nrrd.geometry, 1e-3)

    def test_an_xray(self, real_data):
        path = next((real_data("chest_xray") / "images").glob("*.dcm"))
        volume = read_volume(path)
        assert volume.voxels.shape == (1, 1024, 1024)
        assert volume.geometry.spacing_mm == (1, 0.168, 0.168)
        assert (volume.voxels.min(), volume.voxels.max()) == (0, 254)
