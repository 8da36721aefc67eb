import os

import numpy as np
import pytest
import SimpleITK as sitk

from weakmask.errors import UserError
from weakmask.volume.files import read_volume


@pytest.mark.parametrize("rows", [200, 65535])
def test_a_header_that_promises_more_than_the_file_holds(tmp_path, write_slice, rows):
    """65535 x 65535 pixels would take 8 GB."""
    write_slice(tmp_path / "a.dcm", np.zeros((8, 8), np.int16), "1.2", Rows=rows, Columns=rows)
    with pytest.raises(UserError, match=f"promises {rows} x {rows} pixels, {2 * rows * rows} bytes, and"):
        read_volume(tmp_path / "a.dcm")
    with pytest.raises(UserError, match="promises"):
        read_volume(tmp_path)


def test_packed_pixels_may_not_be_a_bomb(tmp_path, write_slice):
    image = write_slice(tmp_path / "a.dcm", np.zeros((8, 8), np.int16), "1.2", Rows=20000, Columns=20000)
    image.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.90"  # JPEG 2000
    image.PixelData = b"\xfe\xff\x00\xe0\x00\x00\x00\x00\xfe\xff\xdd\xe0\x00\x00\x00\x00"
    image["PixelData"].VR = "OB"
    image["PixelData"].is_undefined_length = True
    image.save_as(tmp_path / "a.dcm")
    with pytest.raises(UserError, match="bytes that unpack to 800000000; expected at most 100 times as many"):
        read_volume(tmp_path / "a.dcm")


def test_decoders_that_write_on_the_terminal(tmp_path, write_slice, monkeypatch, capfd):
    """GDCM's JPEG decoder writes four lines for a slice of 12 bits that it reads well."""

    class Noisy(sitk.ImageFileReader):
        def Execute(self):  # noqa: N802 (ITK's name)
            os.write(2, b"Unsupported JPEG data precision 12\n")
            return super().Execute()

    write_slice(tmp_path / "a.dcm", np.zeros((8, 8), np.int16), "1.2")
    monkeypatch.setattr("weakmask.volume.dicom_pixels.sitk.ImageFileReader", Noisy)
    assert read_volume(tmp_path / "a.dcm").voxels.max() == -1024
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("modality", ["CR", "DX"])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_white_for_low_is_inverted_within_the_stored_bits(tmp_path, write_slice, modality, bits):
    pixels = np.arange(30, dtype=np.uint8 if bits == 8 else np.uint16).reshape(5, 6)
    away = {"ImagePositionPatient": None, "ImageOrientationPatient": None, "RescaleSlope": None}
    more = {"BitsAllocated": 8 * pixels.itemsize, "BitsStored": bits, "HighBit": bits - 1, "RescaleIntercept": None}
    inverse = {"Modality": modality, "PhotometricInterpretation": "MONOCHROME1"}
    write_slice(tmp_path / "a.dcm", pixels, "1.2", **inverse, **away, **more)
    assert np.array_equal(read_volume(tmp_path / "a.dcm").voxels[0], 2**bits - 1 - pixels.astype(int))
