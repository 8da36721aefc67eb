import gzip
import struct
import tracemalloc
import zlib

import numpy as np
import pytest

from weakmask.errors import UserError
from weakmask.volume.files import read_volume, write_volume
from weakmask.volume.payload import beside, refuse_bomb
from weakmask.volume.volume import Volume


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
