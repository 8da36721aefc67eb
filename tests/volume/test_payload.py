import gzip
import struct
import tracemalloc
import zlib

import numpy as np
import pytest

from weakmask.errors import UserError
from weakmask.volume.files import read_volume, write_volume
from weakmask.volume.geometry import Geometry
from weakmask.volume.payload import beside, refuse_bomb
from weakmask.volume.volume import Volume, packed_labels


def meta(path, data, **changes):
    fields = {
        "ObjectType": "Image", "NDims": "3", "BinaryData": "True", "DimSize": "44 48 48", "ElementSpacing": "1 1 1",
        "ElementType": "MET_SHORT", **changes, "ElementDataFile": changes.get("ElementDataFile", "LOCAL"),
    }  # fmt: skip
    path.write_bytes("".join(f"{name} = {value}\n" for name, value in fields.items()).encode() + data)
    return path


def test_only_large_and_tightly_packed_files_are_bombs(tmp_path):
    refuse_bomb(tmp_path, 1 << 29, 1)  # an empty mask
    refuse_bomb(tmp_path, 1 << 31, 1 << 29)
    with pytest.raises(UserError, match="5 bytes that unpack to 536870913; expected at most 100 times as many"):
        refuse_bomb(tmp_path, (1 << 29) + 1, 5)


def test_a_data_file_beside_a_linked_header(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.raw").touch()
    (tmp_path / "data" / "a.mhd").touch()
    (tmp_path / "a.mhd").symlink_to("data/a.mhd")
    (tmp_path / "a.raw").symlink_to("data/a.raw")
    assert beside(tmp_path / "a.mhd", "a.raw") == tmp_path / "a.raw"
    assert beside(tmp_path / "a.mhd", "data/a.raw").is_file()


@pytest.mark.parametrize("version", [1, 2])
def test_nifti_voxels_begin_behind_the_header(tmp_path, version):
    """An offset under 352 means 352 (nifti1.h), and in NIfTI-2 544; the voxels were shifted by four bytes."""
    voxels = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    write_volume(Volume.from_array(voxels, (1, 1, 1)), tmp_path / "a.nii")
    data = bytearray((tmp_path / "a.nii").read_bytes())
    if version == 1:
        data[108:112] = struct.pack("<f", 0)
    else:
        header = bytearray(544)
        header[0:4], header[4:12] = struct.pack("<i", 540), b"n+2\0\r\n\x1a\n"
        header[12:16] = struct.pack("<hh", 4, 16)
        header[16:80] = struct.pack("<8q", 3, 5, 4, 3, 1, 1, 1, 1)
        header[104:168] = struct.pack("<8d", 1, 1, 1, 1, 0, 0, 0, 0)
        data = header + data[352:]
    (tmp_path / "a.nii").write_bytes(data)
    assert np.array_equal(read_volume(tmp_path / "a.nii").voxels, voxels)


def test_a_metaimage_unpacks_no_more_than_it_promises(tmp_path):
    """Three megabytes unpacked to three gigabytes in one go."""
    packed = zlib.compress(bytes(64 << 20), 9)
    path = meta(tmp_path / "a.mha", packed, CompressedData="True", CompressedDataSize=str(len(packed)))
    tracemalloc.start()
    with pytest.raises(UserError, match="promises 202752 bytes of voxels, it holds"):
        read_volume(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6


def test_a_metaimage_that_promises_a_bomb(tmp_path):
    packed = zlib.compress(bytes(1 << 20))
    path = meta(
        tmp_path / "a.mha", packed, CompressedData="True", CompressedDataSize=str(len(packed)), DimSize="2048 " * 3
    )
    with pytest.raises(UserError, match="unpack to 17179869184"):
        read_volume(path)


@pytest.mark.parametrize("name", ["/etc/passwd", "../a.raw"])
def test_voxels_of_a_metaimage_lie_beside_it(tmp_path, name):
    with pytest.raises(UserError, match=f"its voxels are in '{name}'; expected a file beside it; copy it there"):
        read_volume(meta(tmp_path / "a.mhd", b"", ElementDataFile=name))


def test_a_blank_line_in_a_metaimage(tmp_path):
    voxels = np.arange(44 * 48 * 48, dtype=np.int16).reshape(48, 48, 44)
    path = meta(tmp_path / "a.mha", voxels.tobytes())
    path.write_bytes(path.read_bytes().replace(b"NDims", b"\nNDims", 1))
    assert np.array_equal(read_volume(path).voxels, voxels)


def test_a_nifti_bomb(tmp_path):
    write_volume(Volume.from_array(np.zeros((2, 2, 2), np.int16), (1, 1, 1)), tmp_path / "a.nii")
    header = bytearray((tmp_path / "a.nii").read_bytes()[:352])
    header[40:48] = struct.pack("<4h", 3, 1024, 1024, 1024)
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(bytes(header) + bytes(3 << 20), 9) * 700)
    with pytest.raises(UserError, match="bytes that unpack to 2147483648; expected at most 100 times as many"):
        read_volume(tmp_path / "a.nii.gz")


def test_data_behind_the_voxels(tmp_path):
    write_volume(Volume.from_array(np.zeros((2, 2, 2), np.int16), (1, 1, 1)), tmp_path / "a.nii")
    data = (tmp_path / "a.nii").read_bytes()
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(data + bytes(1 << 25)))
    with pytest.raises(UserError, match="more data follow behind its voxels"):
        read_volume(tmp_path / "a.nii.gz")
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(data + bytes(1 << 20)))
    assert not read_volume(tmp_path / "b.nii.gz").voxels.any()


def test_a_large_mask_in_64_bits_is_kept_in_8(tmp_path):
    """nibabel and NumPy write such masks; 500 MB that packed 300 to 1 were refused."""
    plane = np.zeros((512, 512))
    plane[100:400, 50:200], plane[100:400, 300:450] = 1, 2
    write_volume(Volume.from_array(np.zeros((2, 2, 2)), (1, 1, 1)), tmp_path / "a.nii")
    header = bytearray((tmp_path / "a.nii").read_bytes()[:352])
    header[40:48], header[70:74] = struct.pack("<4h", 3, 512, 512, 257), struct.pack("<2h", 64, 64)
    packed = gzip.compress(bytes(header)) + 257 * gzip.compress(plane.tobytes())
    assert max(1 << 29, 300 * len(packed)) < 512 * 512 * 257 * 8
    (tmp_path / "a.nii.gz").write_bytes(packed)
    tracemalloc.start()
    voxels = read_volume(tmp_path / "a.nii.gz", "label").voxels
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert voxels.dtype == np.uint8
    assert np.array_equal(voxels[[0, 128, 256]], [plane] * 3)
    assert peak < 150e6
    with pytest.raises(UserError, match="bytes that unpack to"):  # an image needs all its bytes
        read_volume(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("highest", [1, 300, 2**31])
@pytest.mark.parametrize("dtype", ["<i8", ">i8", "<f8"])
def test_labels_that_are_read_in_parts(tmp_path, monkeypatch, dtype, highest):
    monkeypatch.setattr("weakmask.volume.nifti.LARGE", 100)
    monkeypatch.setattr("weakmask.volume.nifti.CHUNK", 64)
    labels = np.zeros((3, 5, 7), dtype)
    labels[1, 2:4, 1:6], labels[2, 4, 6] = 1, highest
    write_volume(Volume(labels.astype(dtype[1:]), Geometry(labels.shape)), tmp_path / "a.nii")
    fields = "i10s18sihcc8h3f4h8f3fhcc4fii80s24shh6f12f16s4s"
    header = struct.unpack("<" + fields, (tmp_path / "a.nii").read_bytes()[:348])
    data = struct.pack(dtype[0] + fields, *header) + bytes(4) + labels.tobytes()
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(data))
    voxels = read_volume(tmp_path / "a.nii.gz", "label").voxels
    assert np.array_equal(voxels, labels)
    assert voxels.dtype == {1: np.uint8, 300: np.int32, 2**31: np.int64}[highest]


def test_a_slope_of_labels_that_are_read_in_parts(tmp_path, monkeypatch):
    labels = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    write_volume(Volume.from_array(labels, (1, 1, 1)), tmp_path / "a.nii")
    data = bytearray((tmp_path / "a.nii").read_bytes())
    data[112:120] = struct.pack("<2f", 2, 1)
    (tmp_path / "a.nii").write_bytes(data)
    monkeypatch.setattr("weakmask.volume.nifti.LARGE", 100)
    assert np.array_equal(read_volume(tmp_path / "a.nii", "label").voxels, 2 * labels + 1)


@pytest.mark.parametrize("suffix", [".mha", ".nrrd"])
def test_large_masks_that_itk_reads(tmp_path, monkeypatch, suffix):
    labels = np.arange(60, dtype=np.int64).reshape(3, 4, 5)
    write_volume(Volume.from_array(labels, (1, 1, 1)), tmp_path / f"a{suffix}")
    monkeypatch.setattr("weakmask.volume.itk.LARGE", 100)
    voxels = read_volume(tmp_path / f"a{suffix}", "label").voxels
    assert voxels.dtype == np.uint8
    assert np.array_equal(voxels, labels)


def test_a_mask_may_be_packed_tighter_than_an_image(tmp_path):
    packed = zlib.compress(bytes(1 << 20))
    path = meta(
        tmp_path / "a.mha", packed, CompressedData="True", CompressedDataSize=str(len(packed)), DimSize="600 1000 600"
    )
    with pytest.raises(UserError, match="unpack to 720000000"):
        read_volume(path)
    with pytest.raises(UserError, match="promises 720000000 bytes of voxels, it holds 1048576"):
        read_volume(path, "label")


def test_packed_labels_ask_before_they_take_memory():
    asked = []
    parts = [np.array([1.0, 2.0]), np.array([-3.0, 300.0]), np.array([7.0])]
    assert packed_labels(parts, 5, asked.append).tolist() == [1, 2, -3, 300, 7]
    assert asked == [5, 20]
    with pytest.raises(ValueError, match="a label map with the number 18446744073709551615; expected labels of 64"):
        packed_labels([np.array([2**64 - 1], np.uint64)], 1)
