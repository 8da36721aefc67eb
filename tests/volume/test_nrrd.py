import bz2
import gzip
import os

import numpy as np
import pytest

from weakmask.errors import UserError
from weakmask.volume.files import read_volume
from weakmask.volume.itk import stated_sizes
from weakmask.volume.nrrd import read_nrrd_header

VOXELS = np.arange(120, dtype=np.int16).reshape(4, 5, 6)
RAW, PACKED = VOXELS.tobytes(), gzip.compress(VOXELS.tobytes())


def nrrd(path, data: bytes | None = b"", more=(), **fields):
    stated = {
        "type": "short", "dimension": "3", "space": "left-posterior-superior", "sizes": "6 5 4",
        "space directions": "(0.7,0,0) (0,0.8,0) (0,0,1.5)", "encoding": "raw", "endian": "little",
        **{name.replace("_", " "): value for name, value in fields.items()},
    }  # fmt: skip
    lines = [*(f"{name}: {value}" for name, value in stated.items()), *more]
    path.write_bytes(b"NRRD0005\n" + "\n".join(lines).encode() + (b"\n" if data is None else b"\n\n" + data))
    return path


def same(path):
    volume = read_volume(path)
    return np.array_equal(volume.voxels, VOXELS) and volume.geometry.spacing_mm == (1.5, 0.8, 0.7)


def test_skipped_lines_and_bytes(tmp_path):
    """They were called damaged."""
    assert same(nrrd(tmp_path / "a.nrrd", b"a line\nanother\n" + PACKED, line_skip="2", encoding="gzip"))
    assert same(nrrd(tmp_path / "b.nrrd", b"a line\n" + RAW, line_skip="1"))
    assert same(nrrd(tmp_path / "c.nrrd", b"123" + RAW, byte_skip="3"))
    assert same(nrrd(tmp_path / "d.nrrd", b"any bytes" + RAW, byte_skip="-1"))


def test_a_header_beside_its_voxels(tmp_path):
    (tmp_path / "a.raw").write_bytes(RAW)
    (tmp_path / "a.raw.gz").write_bytes(PACKED)
    for number, plane in enumerate(VOXELS):
        (tmp_path / f"plane{number:02d}.raw").write_bytes(plane.tobytes())
    assert same(nrrd(tmp_path / "a.nhdr", data_file="a.raw"))
    assert same(nrrd(tmp_path / "b.nhdr", datafile="./a.raw.gz", encoding="gzip"))
    assert same(nrrd(tmp_path / "c.nhdr", data_file="plane%02d.raw 0 3 1"))
    names = [f"plane{number:02d}.raw" for number in range(4)]
    assert same(nrrd(tmp_path / "d.nhdr", None, more=["data file: LIST", *names]))


def test_a_header_of_many_lines(tmp_path):
    """3D Slicer writes a dozen for each segment, and the payload was looked for too early."""
    more = [f"Key{number}:={'x' * 5000}" for number in range(300)]
    path = nrrd(tmp_path / "a.nrrd", PACKED, more, encoding="gzip")
    assert same(path)
    assert len(read_nrrd_header(path).pairs) == 300


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"data_file": "/etc/passwd"}, "its voxels are in '/etc/passwd'; expected a file beside it"),
        ({"data_file": "../secret.raw"}, "its voxels are in '../secret.raw'; expected a file beside it"),
        ({"data_file": "link.raw"}, "its voxels are in 'link.raw'; expected a file beside it"),
        ({"data_file": "gone.raw"}, "gone.raw, which is not beside it; copy both files"),
        ({"data_file": "pipe.raw"}, "pipe.raw, which is not beside it"),
        ({"data_file": "%s%n.raw 0 3 1"}, "its data file is '%s%n.raw 0 3 1'; expected a name"),
        ({"data_file": "a%d.raw 0 999999999 1"}, "its voxels are in 10001 files; expected 1 to 10000"),
        ({"data_file": "half.raw"}, "promises 240 bytes of voxels, it holds 120"),
    ],
)
def test_voxels_lie_beside_the_header(tmp_path, fields, message):
    """Any file of the machine would become voxels, and the voxels pictures."""
    (tmp_path / "secret.raw").write_bytes(RAW)
    folder = tmp_path / "cohort"
    folder.mkdir()
    (folder / "link.raw").symlink_to(tmp_path / "secret.raw")
    (folder / "half.raw").write_bytes(RAW[:120])
    os.mkfifo(folder / "pipe.raw")
    with pytest.raises(UserError, match=message):
        read_volume(nrrd(folder / "a.nhdr", **fields))


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
@pytest.mark.parametrize(
    ("payload", "sizes", "message"),
    [
        (RAW[:-2], "6 5 4", "promises 240 bytes of voxels, it holds 238"),
        (RAW + bytes(1 << 25), "6 5 4", "more data follow behind its voxels"),
        (bytes(1 << 20), "2048 2048 2048", "unpack to 17179869184; expected at most 100 times as many"),
    ],
)
def test_packed_voxels_are_counted(tmp_path, pack, payload, sizes, message):
    path = nrrd(tmp_path / "a.nrrd", pack(payload), encoding="gzip" if pack is gzip.compress else "bzip2", sizes=sizes)
    with pytest.raises(UserError, match=message):
        read_volume(path)


def test_numbers_as_text(tmp_path):
    text = " ".join(map(str, VOXELS.ravel())).encode()
    assert same(nrrd(tmp_path / "a.nrrd", text, encoding="text"))
    with pytest.raises(UserError, match="promises 1000000000 numbers, it holds"):
        read_volume(nrrd(tmp_path / "b.nrrd", text, encoding="text", sizes="1000 1000 1000", type="uchar"))


@pytest.mark.parametrize(
    "fields",
    [
        {"space directions": "(1,0,0) (1e308,1,0) (0,0,1)"},
        {"space directions": "(1,0,0) (0,inf,0) (0,0,1)"},
        {"space origin": "(0,-2e9,0)"},
    ],
)
def test_numbers_of_the_grid_beyond_any_body_are_refused(tmp_path, fields):
    grid = {"space": "left-posterior-superior", "space directions": "(1,0,0) (0,1,0) (0,0,2.5)"}
    path = nrrd(tmp_path / "a.nrrd", **(grid | fields))
    with pytest.raises(UserError, match=r"has a number above 1e\+09; correct the header"):
        read_volume(path)


@pytest.mark.parametrize("line", ["x" * 1000, "foo: " + "y" * 1000, "kinds: " + "domain " * 500])
def test_a_long_line_is_refused_before_it_crashes_itk(tmp_path, line):
    path = nrrd(tmp_path / "a.nrrd", RAW, more=[line])
    with pytest.raises(UserError, match=rf"a\.nrrd: its header has a line of {len(line.strip())} letters \("):
        read_volume(path)
    assert stated_sizes(path) is None


@pytest.mark.parametrize("line", ["content: " + "y" * 3000, "key:=" + "v" * 30000, "# " + "c" * 3000])
def test_a_long_description_is_read(tmp_path, line):
    path = nrrd(tmp_path / "a.nrrd", RAW, more=[line])
    assert same(path)
    assert stated_sizes(path) == (4, 5, 6)
