import highdicom
import numpy as np
import pydicom
import pytest
from highdicom.seg import SegmentAlgorithmTypeValues, SegmentationTypeValues, SegmentDescription
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from weakmask.errors import UserError
from weakmask.progress import collected_notes
from weakmask.volume.dicom import read_dicom
from weakmask.volume.files import read_volume

HEIGHTS = np.arange(6) * 2.5 - 100
NUMBERS = {"left lung": 7, "right lung": 9}


@pytest.fixture
def lungs():
    labels = np.zeros((6, 5, 6), np.uint8)
    labels[1:5, 1:4, 1:3], labels[2:5, 1:4, 4:6] = 2, 1
    return labels


@pytest.fixture
def write_segmentation(tmp_path, write_series):
    """Writes a SEG of a CT series whose slices run from head to feet, and returns its file."""

    def write(labels, kind="BINARY", names=("left lung", "right lung")):
        study = generate_uid()
        patient = {"PatientID": "1", "PatientName": "A^B", "PatientBirthDate": "", "PatientSex": "", "StudyID": "1"}
        study_of = {"StudyInstanceUID": study, "StudyDate": "", "StudyTime": "", "AccessionNumber": ""}
        more = {"FrameOfReferenceUID": generate_uid(), "ReferringPhysicianName": "", **study_of, **patient}
        write_series(tmp_path / "ct", HEIGHTS, **more)
        source = sorted(map(pydicom.dcmread, (tmp_path / "ct").iterdir()), key=lambda one: one.ImagePositionPatient[2])
        segments = [
            SegmentDescription(
                segment_number=number,
                segment_label=name,
                segmented_property_category=codes.SCT.Organ,
                segmented_property_type=codes.SCT.Lung,
                algorithm_type=SegmentAlgorithmTypeValues.MANUAL,
            )
            for number, name in enumerate(names, 1)
        ]
        pixels = np.stack([labels == k for k in range(1, len(names) + 1)], -1)
        if kind == "FRACTIONAL":
            pixels = pixels.astype(np.float32) * 0.75
        elif kind == "LABELMAP":
            pixels = labels
        made = highdicom.seg.Segmentation(
            source_images=source[::-1],
            pixel_array=pixels[::-1],
            segmentation_type=SegmentationTypeValues[kind],
            segment_descriptions=segments,
            series_instance_uid=generate_uid(),
            series_number=2,
            sop_instance_uid=generate_uid(),
            instance_number=1,
            manufacturer="a",
            manufacturer_model_name="b",
            software_versions="1",
            device_serial_number="1",
        )
        made.save_as(tmp_path / "seg")
        return tmp_path / "seg"

    return write


def in_place(volume, grid):
    """The voxels of a label map on a grid that it is a part of, by world positions."""
    placed = np.zeros(grid.shape, volume.voxels.dtype)
    index = np.argwhere(volume.voxels)
    moved = np.rint(np.c_[index, np.ones(len(index))] @ volume.geometry.index_map(grid).T)[:, :3].astype(int)
    placed[tuple(moved.T)] = volume.voxels[tuple(index.T)]
    return placed


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP", "FRACTIONAL"])
def test_segments_by_their_names_and_places(tmp_path, write_segmentation, lungs, kind):
    path = write_segmentation(lungs, kind)
    grid = read_dicom(tmp_path / "ct").geometry
    assert np.array_equal(in_place(read_volume(path, "label"), grid), lungs)
    named = read_volume(path, "label", label_of=NUMBERS.get)
    assert np.array_equal(in_place(named, grid), np.array([0, 7, 9])[lungs])


def test_unknown_segments_are_noted(write_segmentation, lungs):
    path = write_segmentation(lungs, names=("left lung", "heart"))
    with collected_notes() as notes:
        named = read_volume(path, "label", label_of=NUMBERS.get)
    assert np.unique(named.voxels).tolist() == [0, 7]
    assert notes == [f"{path}: structures of other names are not used: heart"]


def test_a_header_that_promises_more_than_the_file_holds(write_segmentation, lungs):
    path = write_segmentation(lungs)
    made = pydicom.dcmread(path)
    made.Rows = made.Columns = 60000
    made.save_as(path)
    with pytest.raises(UserError, match="bytes of pixels, the file holds"):
        read_volume(path, "label")


def test_a_damaged_segmentation_says_what_to_do(write_segmentation, lungs):
    path = write_segmentation(lungs)
    made = pydicom.dcmread(path)
    del made.SegmentSequence
    made.save_as(path)
    with pytest.raises(UserError, match=r"a DICOM segmentation that cannot be read .*; save it as .nii.gz") as raised:
        read_volume(path, "label")
    assert "\n" not in str(raised.value)
