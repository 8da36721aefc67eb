import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from weakmask.errors import UserError
from weakmask.progress import collected_notes
from weakmask.volume.dicom_header import is_dicom, is_segmentation, read_headers
from weakmask.volume.files import read_volume

AWAY = {"ImagePositionPatient": None, "ImageOrientationPatient": None, "PixelSpacing": None}
PIXELS = np.arange(30, dtype=np.int16).reshape(5, 6)


@pytest.mark.parametrize("name", ["PAT.CT.5.0.IMA", "a.CTDC", "a.dicom", "a.img", "CT.1.2.840.113", "IM1", "a.txt"])
def test_content_says_what_is_dicom(tmp_path, write_slice, name):
    write_slice(tmp_path / name, PIXELS, "1.2")
    assert is_dicom(tmp_path / name)
    assert np.array_equal(read_volume(tmp_path / name).voxels[0], PIXELS - 1024)


@pytest.mark.parametrize("name", ["IM1", "a.dcm"])
def test_old_files_begin_without_the_mark(tmp_path, write_slice, name):
    image = write_slice(tmp_path / "marked.dcm", PIXELS, "1.2")
    path = tmp_path / name
    del image.file_meta
    pydicom.dcmwrite(path, image, implicit_vr=True, little_endian=True, enforce_file_format=False)
    assert path.read_bytes()[128:132] != b"DICM"
    assert is_dicom(path)
    assert np.array_equal(read_volume(path).voxels[0], PIXELS - 1024)


@pytest.mark.parametrize("name", ["a", "a.dcm"])
def test_an_image_needs_no_sop_class(tmp_path, write_slice, name):
    write_slice(tmp_path / name, PIXELS, "1.2", SOPClassUID=None)
    (header,) = read_headers(tmp_path / name)
    assert header.slice.shape == (5, 6)


@pytest.mark.parametrize("data", [b"", b"hello", b"\x08\x00\x05\x00CS", b"\x02\x00\x01\x00OB" + bytes(300), bytes(999)])
def test_other_files_are_ignored(tmp_path, data):
    (tmp_path / "a").write_bytes(data)
    assert read_headers(tmp_path / "a") == []
    assert not is_segmentation(tmp_path / "a")


class TestSpacing:
    def read(self, path):
        with collected_notes() as notes:
            volume = read_volume(path)
        return volume.geometry.spacing_mm, [note.removeprefix(f"{path}: ") for note in notes]

    def test_an_xray_may_state_it_at_the_detector(self, tmp_path, write_slice):
        path = tmp_path / "a.dcm"
        write_slice(path, PIXELS, "1.2", Modality="DX", SliceThickness=None, ImagerPixelSpacing=[0.2, 0.1], **AWAY)
        note = "no PixelSpacing; ImagerPixelSpacing serves, 0.2 x 0.1 mm at the detector"
        assert self.read(path) == ((1, 0.2, 0.1), [note])

    def test_an_xray_without_any_is_noted(self, tmp_path, write_slice):
        path = tmp_path / "a.dcm"
        write_slice(path, PIXELS, "1.2", Modality="CR", SliceThickness=None, **AWAY)
        spacing, notes = self.read(path)
        assert spacing == (1, 1, 1)
        assert [note.partition(",")[0] for note in notes] == ["no PixelSpacing; pixels of 1 x 1 mm are assumed"]

    @pytest.mark.parametrize("more", [{}, {"ImagerPixelSpacing": [0.2, 0.1]}])
    def test_a_ct_slice_without_it_is_refused(self, tmp_path, write_slice, more):
        write_slice(tmp_path / "a.dcm", PIXELS, "1.2", **AWAY, **more)
        with pytest.raises(UserError, match=r"1 of 1 images have no PixelSpacing, so the size of .* is unknown"):
            read_volume(tmp_path / "a.dcm")

    def test_a_slice_without_thickness_or_orientation_is_noted(self, tmp_path, write_slice):
        path = tmp_path / "a.dcm"
        write_slice(path, PIXELS, "1.2", SliceThickness=None, ImageOrientationPatient=None)
        assert self.read(path)[1] == [
            "one slice without SliceThickness; 1 mm is assumed",
            "no ImageOrientationPatient; an axial slice is assumed",
        ]


def test_a_segmentation_is_known_by_its_class(tmp_path, write_slice):
    write_slice(tmp_path / "a", PIXELS, generate_uid(), SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4", Modality="SEG")
    assert is_segmentation(tmp_path / "a")
    with pytest.raises(UserError, match="a DICOM segmentation, not an image; give the image"):
        read_volume(tmp_path / "a")
