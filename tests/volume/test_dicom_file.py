import resource
import struct
from pathlib import Path

import numpy as np
import pytest

from weakmask.volume.dicom_file import file_bytes, read_dataset
from weakmask.volume.dicom_header import is_segmentation, read_headers

PIXELS = np.arange(30, dtype=np.int16).reshape(5, 6)
LONG = struct.pack("<HH2sHI", 0x0029, 0x1010, b"OB", 0, 0xFFFFFF00)  # an element that states almost 4 GB


@pytest.fixture
def little_memory():
    """At most 1 GB more than now."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + (1 << 30), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def test_all_elements_and_some(tmp_path, write_slice):
    written = write_slice(tmp_path / "a.dcm", PIXELS, "1.2")
    assert read_dataset(tmp_path / "a.dcm").PixelData == written.PixelData
    assert "PixelData" not in read_dataset(tmp_path / "a.dcm", pixels=False)
    some = read_dataset(tmp_path / "a.dcm", only=["Modality"])
    assert "Modality" in some
    assert "Rows" not in some


def test_a_length_beyond_the_file_takes_no_memory(tmp_path, write_slice, little_memory):
    """pydicom reserved the length that the file states: a damaged header looked like a lack of memory."""
    write_slice(tmp_path / "whole.dcm", PIXELS, "1.2")
    whole = (tmp_path / "whole.dcm").read_bytes()
    pixels = whole.index(struct.pack("<HH", 0x7FE0, 0x0010))
    (tmp_path / "a.dcm").write_bytes(whole[:pixels] + LONG + whole[pixels:])
    assert not is_segmentation(tmp_path / "a.dcm")
    (header,) = read_headers(tmp_path / "a.dcm")
    assert header.slice.shape == (5, 6)


def test_bytes_make_the_same_file(tmp_path, write_slice):
    write_slice(tmp_path / "a.dcm", PIXELS, "1.2")
    data = read_dataset(tmp_path / "a.dcm")
    assert file_bytes(data, complete=False) == (tmp_path / "a.dcm").read_bytes()
    (tmp_path / "b.dcm").write_bytes(file_bytes(data, complete=True))
    assert read_dataset(tmp_path / "b.dcm") == data
