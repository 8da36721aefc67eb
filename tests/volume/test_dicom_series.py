import os

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from weakmask.errors import UserError
from weakmask.progress import collected_notes
from weakmask.volume.dicom import read_dicom
from weakmask.volume.dicom_series import find_series

HEIGHTS = np.arange(8) * 2.5 - 100


def rewrite(folder, change):
    """Change every DICOM file of a folder: `change(image, number)`."""
    for number, path in enumerate(sorted(folder.iterdir())):
        image = pydicom.dcmread(path)
        change(image, number)
        image.save_as(path)


def notes_of(folder, series=None):
    with collected_notes() as notes:
        volume = read_dicom(folder, series)
    return volume, notes


class TestCopies:
    """Tools that remove names leave one UID, or none, in all images of a scan."""

    @pytest.mark.parametrize("uid", ["", "1.2.3", None])
    def test_slices_of_one_uid_are_no_copies(self, tmp_path, write_series, uid):
        write_series(tmp_path, HEIGHTS)

        def anonymise(image, _):
            image.SOPInstanceUID = uid
            image.SOPClassUID = image.SeriesInstanceUID = ""
            if uid is None:
                del image.SOPInstanceUID, image.SeriesInstanceUID

        rewrite(tmp_path, anonymise)
        assert np.array_equal(read_dicom(tmp_path).voxels, np.arange(240).reshape(8, 5, 6) - 1024)

    def test_pairs_of_slices_with_one_uid(self, tmp_path, write_series):
        """Every second slice was lost, and the spacing doubled."""
        write_series(tmp_path, HEIGHTS, SOPInstanceUID=lambda k: f"1.2.{k // 2}")
        assert read_dicom(tmp_path).geometry.spacing_mm[0] == 2.5

    def test_other_pixels_at_one_place_are_no_copy(self, tmp_path, write_series):
        series = write_series(tmp_path, HEIGHTS, SOPInstanceUID="1.2.3")
        write_series(tmp_path, HEIGHTS[:1], np.full((1, 5, 6), 9, np.int16), uid=series, SOPInstanceUID="1.2.3")
        with pytest.raises(UserError, match=r"two slices at -100.00 mm"):
            read_dicom(tmp_path)

    def test_xrays_of_one_uid_are_no_copies(self, tmp_path, write_slice):
        for number in range(2):
            pixels = np.full((4, 4), number, np.uint16)
            away = {"ImagePositionPatient": None, "ImageOrientationPatient": None, "PixelSpacing": None}
            write_slice(tmp_path / f"{number}.dcm", pixels, "1.2.3", SOPInstanceUID="1.2", Modality="DX", **away)
        assert [len(one.slices) for one in find_series(tmp_path)] == [2]


class TestSeveralSeries:
    def test_slices_of_another_series_are_noted_with_both_counts(self, tmp_path, write_series):
        write_series(tmp_path, HEIGHTS[:6])
        other = write_series(tmp_path, HEIGHTS[6:], SeriesDescription="CHEST")
        volume, notes = notes_of(tmp_path)
        assert len(volume.voxels) == 6
        expected = f"{tmp_path}: 6 of 8 images are used; 2 of another shorter series are not: {other} (CT 'CHEST', 2 sl"
        assert [note[: len(expected)] for note in notes] == [expected]

    def test_slices_with_a_uid_each_are_one_series(self, tmp_path, write_series):
        write_series(tmp_path, HEIGHTS, SeriesInstanceUID=lambda _: generate_uid())
        rewrite(tmp_path, lambda image, _: setattr(image, "StudyInstanceUID", "1.2"))
        volume, notes = notes_of(tmp_path)
        assert np.array_equal(volume.voxels, np.arange(240).reshape(8, 5, 6) - 1024)
        assert notes == [f"{tmp_path}: each of its 8 images has a series UID of its own; they are read as one series"]

    def test_single_slices_of_several_studies_are_not(self, tmp_path, write_series):
        write_series(tmp_path, HEIGHTS, SeriesInstanceUID=lambda _: generate_uid())
        rewrite(tmp_path, lambda image, _: setattr(image, "StudyInstanceUID", generate_uid()))
        with pytest.raises(UserError, match="8 series; expected one") as raised:
            read_dicom(tmp_path)
        assert str(raised.value).endswith("; and 4 more")
        assert len(str(raised.value)) < 1000

    def test_the_same_slices_in_two_acquisitions(self, tmp_path, write_series):
        series = write_series(tmp_path, HEIGHTS, AcquisitionNumber=1)
        write_series(tmp_path, HEIGHTS + 1.25, uid=series, AcquisitionNumber=2)
        with pytest.raises(UserError, match=r"several acquisitions alternate.*; keep the files of one acquisition"):
            read_dicom(tmp_path)
        rewrite(tmp_path, lambda image, _: setattr(image, "Modality", "MR"))
        volume, notes = notes_of(tmp_path)
        assert volume.geometry.spacing_mm[0] == 1.25
        assert [("alternate" in note, "are read as one scan" in note) for note in notes] == [(True, True)]


def test_pipes_and_folders_that_link_to_themselves_are_passed_over(tmp_path, write_series):
    write_series(tmp_path, HEIGHTS)
    os.mkfifo(tmp_path / "pipe.dcm")
    (tmp_path / "again").symlink_to(".")
    (tmp_path / "zero").symlink_to("/dev/zero")
    assert [len(one.slices) for one in find_series(tmp_path)] == [8]
