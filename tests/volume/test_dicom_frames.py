"""Enhanced CT: the frames of a file are the slices of a scan."""

import shutil

import numpy as np
import pydicom
import pytest
from enhanced_ct import groups, write_enhanced
from highdicom.legacy import LegacyConvertedEnhancedCTImage

from weakmask.errors import UserError
from weakmask.progress import collected_notes
from weakmask.volume.dicom import dicom_ids, find_dicom
from weakmask.volume.dicom_series import find_series
from weakmask.volume.files import read_volume
from weakmask.volume.geometry import Geometry
from weakmask.volume.scan_files import ScanFile, scans_below, scans_in_file
from weakmask.volume.storage_order import in_order_of
from weakmask.volume.volume import Volume

NORMAL = Geometry((8, 5, 6), (2.5, 0.5, 0.75), (-100.0, 20.0, -10.0))
VOXELS = np.random.default_rng(0).integers(-1000, 400, NORMAL.shape).astype(np.int16)
SCAN = Volume(VOXELS, NORMAL)


def assert_refused(path, message, series=None):
    with pytest.raises(UserError, match=message) as raised:
        read_volume(path, series=series)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def frames_of(image):
    return image.PerFrameFunctionalGroupsSequence


class TestOneStack:
    def test_sorted_placed_and_rescaled_frame_by_frame(self, tmp_path, geometry):
        """GDCM takes the slope and intercept of the first frame for all."""
        scan = Volume(VOXELS[:4, :5, :6], geometry)
        path = write_enhanced(tmp_path / "p1" / "IM1", scan)
        for given in (path, path.parent):
            volume = read_volume(given)
            assert volume.voxels.dtype == np.int16
            expected = in_order_of(scan, volume.geometry)  # of DICOM, which has no left-handed grid
            assert np.array_equal(volume.voxels, expected.voxels)
            assert volume.geometry.same_grid(expected.geometry, 1e-4)

    def test_packed_pixels(self, tmp_path):
        large = Volume.from_array(np.resize(VOXELS, (4, 15, 17)), (2.5, 0.7, 0.7))
        assert np.array_equal(read_volume(write_enhanced(tmp_path / "a.dcm", large, packed=True)).voxels, large.voxels)

    def test_a_slope_with_fractions(self, tmp_path):
        def halve(image):
            frames_of(image)[0].PixelValueTransformationSequence[0].RescaleSlope = 0.5

        volume = read_volume(write_enhanced(tmp_path / "b.dcm", SCAN, change=halve))
        changed = (volume.voxels != VOXELS).any(axis=(1, 2))
        (place,) = np.flatnonzero(changed)
        assert volume.voxels.dtype == np.float32
        assert np.array_equal(volume.voxels[place], (VOXELS[place] + 1024.0 + place) / 2 - 1024 - place)

    def test_legacy_converted_is_the_series_it_was_made_from(self, tmp_path, write_series):
        heights = np.arange(8) * 2.5 - 100
        more = {"PatientID": "1", "PatientName": "Doe^J", "PatientBirthDate": "", "PatientSex": "", "StudyID": "1"}
        more |= {"StudyDate": "", "StudyTime": "", "AccessionNumber": "", "ReferringPhysicianName": ""}
        more |= {"FrameOfReferenceUID": "1.2.4", "SeriesNumber": 1, "Manufacturer": ""}
        write_series(tmp_path / "single", heights, **more, SeriesDescription="lung")
        slices = [pydicom.dcmread(path) for path in sorted((tmp_path / "single").iterdir())]
        made = LegacyConvertedEnhancedCTImage(slices, "1.2.77", 2, "1.2.77.1", 1)
        made.save_as(tmp_path / "one.dcm")
        single, enhanced = read_volume(tmp_path / "single"), read_volume(tmp_path / "one.dcm")
        assert np.array_equal(enhanced.voxels, single.voxels)
        assert enhanced.geometry == single.geometry

    def test_a_copy_counts_once_and_parts_of_a_concatenation_are_one_scan(self, tmp_path):
        path = write_enhanced(tmp_path / "a", SCAN)
        shutil.copy(path, tmp_path / "copy")
        assert read_volume(tmp_path).voxels.shape == (8, 5, 6)
        shutil.rmtree(tmp_path)
        for number, (start, stop) in enumerate(((0, 3), (3, 8))):
            moved = Geometry((stop - start, 5, 6), NORMAL.spacing_mm, (-100.0 + 2.5 * start, 20.0, -10.0))
            part = {"SOPInstanceUID": f"1.2.{number}", "ConcatenationFrameOffsetNumber": start}
            write_enhanced(tmp_path / f"{number}", Volume(VOXELS[start:stop], moved), **part)
        assert np.array_equal(read_volume(tmp_path).voxels, VOXELS)

    def test_its_identity(self, tmp_path):
        path = write_enhanced(tmp_path / "a.dcm", SCAN)
        assert dicom_ids(path) == {
            "patient_id": "P7",
            "study_uid": "1.2.3",
            "series_uid": "1.2.5",
            "series_number": "4",
        }

    def test_a_single_frame_has_its_place_in_the_groups_too(self, tmp_path):
        one = Volume(VOXELS[:1], Geometry((1, 5, 6), NORMAL.spacing_mm, NORMAL.origin_mm))
        volume = read_volume(write_enhanced(tmp_path / "a.dcm", one))
        assert np.array_equal(volume.voxels, one.voxels)
        assert volume.geometry == one.geometry


class TestFaults:
    def test_a_frame_without_a_place(self, tmp_path):
        def lose(image):
            del frames_of(image)[2].PlanePositionSequence

        assert_refused(write_enhanced(tmp_path / "a.dcm", SCAN, change=lose), "1 images without a position in space")

    def test_no_spacing(self, tmp_path):
        def lose(image):
            del image.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence

        assert_refused(write_enhanced(tmp_path / "a.dcm", SCAN, change=lose), "8 of 8 images have no PixelSpacing")

    def test_places_that_contradict_each_other(self, tmp_path):
        def turn(image):
            turned = groups(PlaneOrientationSequence={"ImageOrientationPatient": [0, 1, 0, 1, 0, 0]})
            frames_of(image)[3].PlaneOrientationSequence = turned.PlaneOrientationSequence

        message = "states ImageOrientationPatient for all frames and another one for frame 4; export the scan again"
        assert_refused(write_enhanced(tmp_path / "a.dcm", SCAN, change=turn), message)

    def test_frames_that_are_not_described(self, tmp_path):
        def lose(image):
            del frames_of(image)[5]

        path = write_enhanced(tmp_path / "a.dcm", SCAN, change=lose)
        assert_refused(path, "promises 8 frames and describes 7")
        path = write_enhanced(
            tmp_path / "b.dcm", SCAN, change=lambda image: delattr(image, "PerFrameFunctionalGroupsSequence")
        )
        assert_refused(path, "8 frames in one file, without functional groups of each")

    def test_a_frame_that_is_missing_or_lies_where_another_does(self, tmp_path):
        def take(image):
            del frames_of(image)[0]
            image.NumberOfFrames, image.PixelData = 7, image.PixelData[60:]

        assert_refused(write_enhanced(tmp_path / "a.dcm", SCAN, change=take), "1 missing of 8 slices, between")

        def double(image):
            frames_of(image)[0].PlanePositionSequence = frames_of(image)[1].PlanePositionSequence

        path = write_enhanced(tmp_path / "b.dcm", SCAN, change=double)
        assert_refused(path, r"two slices at .* mm \(b.dcm frame 1, b.dcm frame 2\)")

    def test_pixels_that_are_cut_off(self, tmp_path):
        def cut(image):
            image.PixelData = image.PixelData[:-100]

        path = write_enhanced(tmp_path / "a.dcm", SCAN, change=cut)
        assert_refused(path, "it holds the pixels of 6 of 8 frames")

        def promise(image):
            image.Rows = 5000

        path = write_enhanced(tmp_path / "b.dcm", SCAN, change=promise)
        assert_refused(path, "promises 8 x 5000 x 6 pixels, 480000 bytes, and the file holds")
        path = write_enhanced(tmp_path / "c.dcm", SCAN, packed=True)
        path.write_bytes(path.read_bytes()[:-200])
        assert_refused(path, "pixels")


class TestSeveralParts:
    @pytest.mark.parametrize(("name", "word"), [("TemporalPositionIndex", "time"), ("StackID", "stack")])
    def test_one_is_chosen_by_its_name(self, tmp_path, name, word):
        path = write_enhanced(tmp_path / "a.dcm", SCAN, parts={name: [1, 2] if word == "time" else ["1", "2"]})
        message = f"2 stacks or times in one series; expected one; choose by its name, `--series '{word} 1'`"
        for given in (path, tmp_path):
            assert_refused(given, message)
            for number in (1, 2):
                volume = read_volume(given, series=f"{word} {number}")
                assert np.array_equal(volume.voxels, VOXELS + number - 1)
        chosen = find_dicom(path, f"{word} 2")
        assert chosen is not None
        assert (chosen.key, len(chosen.slices)) == (f"1.2.5 {word} 2", 8)
        assert scans_below(tmp_path, [f"{word} 2"]) == [ScanFile(tmp_path, f"1.2.5 {word} 2")]
        assert scans_in_file(path, [f"lung {word} 2"]) == [ScanFile(path, f"1.2.5 {word} 2")]
        assert_refused(path, "no series time 9; the folder holds: 1.2.5 ", "time 9")

    def test_a_time_for_each_slice_is_one_scan(self, tmp_path):
        def run(image):
            for number, frame in enumerate(frames_of(image)):
                frame.FrameContentSequence[0].TemporalPositionIndex = number + 1

        assert np.array_equal(read_volume(write_enhanced(tmp_path / "a.dcm", SCAN, change=run)).voxels, VOXELS)

    def test_two_acquisitions_half_a_slice_apart(self, tmp_path):
        def mix(image):
            for number, frame in enumerate(frames_of(image)):
                frame.FrameContentSequence[0].FrameAcquisitionNumber = 1 + number % 2
                frame.PlanePositionSequence[0].ImagePositionPatient = [0, 0, 2.5 * number]

        assert_refused(write_enhanced(tmp_path / "a.dcm", SCAN, change=mix), "slices of several acquisitions alternate")


class TestFolders:
    def test_beside_other_series(self, tmp_path, write_series):
        write_enhanced(tmp_path / "IM0", SCAN)
        single = write_series(tmp_path, np.arange(5) * 2.5, StudyInstanceUID="1.2.3")
        assert_refused(tmp_path, rf"2 series; expected one; .*1.2.5 \(number 4, CT 'lung', 8 slices.*{single}")
        assert np.array_equal(read_volume(tmp_path, series="lung").voxels, VOXELS)

    def test_beside_a_scout_and_a_few_images(self, tmp_path, write_series):
        write_enhanced(tmp_path / "IM0", SCAN)
        scout = ["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"]
        write_enhanced(tmp_path / "IM1", SCAN.with_voxels(VOXELS + np.int16(1)), "1.2.6", ImageType=scout)
        write_series(tmp_path, [0.0, 3.0])
        with collected_notes() as notes:
            assert np.array_equal(read_volume(tmp_path).voxels, VOXELS)
        assert "8 of 10 images are used" in notes[0]
        assert [one.localizer for one in find_series(tmp_path)] == [False, True, False]

    def test_a_file_for_each_patient_is_a_scan_each(self, tmp_path):
        for number in range(3):
            write_enhanced(tmp_path / f"p{number}.dcm", SCAN, f"1.2.{5 + number}", StudyInstanceUID=f"1.3.{number}")
        assert scans_below(tmp_path) == [ScanFile(tmp_path / f"p{number}.dcm") for number in range(3)]
