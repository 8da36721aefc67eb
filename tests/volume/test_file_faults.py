import gzip
import zlib

import numpy as np
import pytest
import SimpleITK as sitk

from weakmask.errors import UserError
from weakmask.volume.files import read_volume

VOXELS = np.arange(120, dtype=np.int16).reshape(4, 5, 6)
META = {
    "ObjectType": "Image", "NDims": "3", "BinaryData": "True", "BinaryDataByteOrderMSB": "False",
    "CompressedData": "False", "TransformMatrix": "1 0 0 0 1 0 0 0 1", "Offset": "1 2 3",
    "ElementSpacing": "0.7 0.8 1.5", "DimSize": "6 5 4", "ElementType": "MET_SHORT", "ElementDataFile": "LOCAL",
}  # fmt: skip
PACKED = zlib.compress(VOXELS.tobytes())
NRRD = {
    "type": "short", "dimension": "3", "space": "left-posterior-superior", "sizes": "6 5 4",
    "space directions": "(0.7,0,0) (0,0.8,0) (0,0,1.5)", "kinds": "domain domain domain", "endian": "little",
    "encoding": "raw", "space origin": "(1,2,3)",
}  # fmt: skip


def meta(path, data=None, **changes):
    fields = {**META, **changes}
    fields["ElementDataFile"] = fields.pop("ElementDataFile")  # always the last line
    lines = "".join(f"{name} = {value}\n" for name, value in fields.items() if value is not None)
    path.write_bytes(lines.encode() + (VOXELS.tobytes() if data is None else data))
    return path


def nrrd(path, data=None, **changes):
    fields = {**NRRD, **{name.replace("_", " "): value for name, value in changes.items()}}
    lines = "".join(f"{name}: {value}\n" for name, value in fields.items() if value is not None)
    path.write_bytes(b"NRRD0004\n# a comment\n" + lines.encode() + b"\n" + (VOXELS.tobytes() if data is None else data))
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ElementSpacing": "0 0.8 1.5"}, "cannot be read|spacing"),
        ({"ElementSpacing": "-0.7 0.8 1.5"}, "expected positive numbers"),
        ({"ElementSpacing": "nan 0.8 1.5"}, "expected 3 finite numbers"),
        ({"ElementSpacing": "0.7 0.8"}, "expected 3 finite numbers"),
        ({"ElementSpacing": "a b c"}, "expected 3 finite numbers"),
        ({"Offset": "1 2 inf"}, "expected 3 finite numbers"),
        ({"TransformMatrix": "1 0.5 0 0 1 0 0 0 1"}, "orthonormal"),
        ({"TransformMatrix": "1 0 0 1 0 0 0 0 1"}, "cannot be read|orthonormal"),
        ({"TransformMatrix": "1 0 0"}, "expected 9 finite numbers"),
        ({"TransformMatrix": "1 0 0 1e308 1 0 0 0 1"}, "expected 9 finite numbers up to 1e\\+09"),
        ({"ElementType": "MET_FOO"}, "not a MetaImage header"),
        ({"NDims": None}, "not a MetaImage header"),
        ({"NDims": "4"}, r"DimSize is \[6, 5, 4\] for 4 axes"),
        ({"DimSize": "6 0 4"}, r"DimSize is \[6, 0, 4\]"),
        ({"DimSize": None}, "not a MetaImage header"),
        ({"DimSize": "6 5 5"}, "promises 300 bytes of voxels, it holds 240"),
        ({"ElementDataFile": "gone.raw"}, "gone.raw, which is not beside it"),
        ({"ElementNumberOfChannels": "2", "DimSize": "3 5 4"}, "expected one volume of one channel"),
        ({"BinaryData": "False"}, "voxels as text"),
        ({"CompressedData": "True"}, "without CompressedDataSize"),
        (
            {"CompressedData": "True", "CompressedDataSize": "-1"},
            "CompressedDataSize is -1; expected a positive number",
        ),
        ({"CompressedData": "True", "CompressedDataSize": "240"}, "damaged"),
        ({"CompressedData": "True", "CompressedDataSize": "many"}, "not a MetaImage header"),
    ],
)
def test_refuses_a_wrong_metaimage(tmp_path, capfd, changes, message):
    path = meta(tmp_path / "a.mha", **changes)
    with pytest.raises(UserError, match=message) as raised:
        read_volume(path)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space_directions": "(0.7,0.3,0) (0,0.8,0) (0,0,1.5)"}, "orthonormal"),
        ({"space_directions": "(0,0,0) (0,0.8,0) (0,0,1.5)"}, "cannot be read|spacing"),
        ({"space_directions": "(0.7,0,0) (0.8,0,0) (0,0,1.5)"}, "cannot be read|orthonormal"),
        ({"space_directions": "(nan,0,0) (0,0.8,0) (0,0,1.5)"}, "cannot be read"),
        ({"type": "foo"}, "not a usable NRRD header .*'foo'"),
        ({"sizes": "6 5 5"}, "promises 300 bytes of voxels, it holds 240"),
        ({"dimension": "4"}, "sizes are '6 5 4'; expected 4 positive numbers"),
        ({"encoding": "lzma"}, "encoding 'lzma'; expected raw or gzip"),
        ({"line skip": "many"}, "not a usable NRRD header .*'many'"),
    ],
)
def test_refuses_a_wrong_nrrd(tmp_path, capfd, changes, message):
    path = nrrd(tmp_path / "a.nrrd", **changes)
    with pytest.raises(UserError, match=message) as raised:
        read_volume(path)
    assert str(raised.value).startswith(str(path))
    assert "\n" not in str(raised.value)
    assert capfd.readouterr() == ("", "")


def test_the_good_ones_pass(tmp_path):
    packed = gzip.compress(VOXELS.tobytes())
    (tmp_path / "beside.raw").write_bytes(VOXELS.tobytes())
    (tmp_path / "beside.zraw").write_bytes(PACKED)
    good = [
        meta(tmp_path / "a.mha"),
        meta(tmp_path / "b.mha", PACKED, CompressedData="True", CompressedDataSize=str(len(PACKED))),
        meta(tmp_path / "c.mhd", b"", ElementDataFile="beside.raw"),
        meta(tmp_path / "d.mhd", b"", ElementDataFile="beside.zraw", CompressedData="True"),
        nrrd(tmp_path / "a.nrrd"),
        nrrd(tmp_path / "b.nrrd", packed, encoding="gzip"),
        nrrd(tmp_path / "c.nrrd", b"", data_file="beside.raw"),
    ]
    for path in good:
        volume = read_volume(path)
        assert np.array_equal(volume.voxels, VOXELS), path.name
        assert volume.geometry.spacing_mm == (1.5, 0.8, 0.7)
        assert volume.geometry.origin_mm == (3, 2, 1)


def test_a_space_with_other_axes_is_turned(tmp_path):
    volume = read_volume(nrrd(tmp_path / "a.nrrd", space="right-anterior-superior"))
    assert volume.geometry.direction == ((1, 0, 0), (0, -1, 0), (0, 0, -1))
    assert volume.geometry.origin_mm == (3, -2, -1)


@pytest.mark.parametrize("maker", [meta, nrrd])
def test_refuses_packed_data_with_a_wrong_byte(tmp_path, maker):
    noise = np.random.default_rng(0).integers(0, 1000, 120_000).astype(np.int16).tobytes()
    if maker is meta:
        data = bytearray(zlib.compress(noise))
        fields = {"CompressedData": "True", "CompressedDataSize": str(len(data)), "DimSize": "60 50 40"}
    else:
        data, fields = bytearray(gzip.compress(noise)), {"encoding": "gzip", "sizes": "60 50 40"}
    middle = slice(len(data) // 2, len(data) // 2 + 20)
    data[middle] = bytes(byte ^ 0x5A for byte in data[middle])
    path = maker(tmp_path / f"a.{'mha' if maker is meta else 'nrrd'}", bytes(data), **fields)
    if maker is meta:
        assert sitk.ReadImage(path).GetSize() == (60, 50, 40)  # ITK does not notice
    with pytest.raises(UserError, match="packed data are damaged"):
        read_volume(path)


@pytest.mark.parametrize(("size", "shape"), [(1000, "6 5 4"), (1, "6 5 4"), (0, "6 5 3"), (0, "6 5 5")])
def test_refuses_packed_data_of_another_size(tmp_path, capfd, size, shape):
    stated = {"CompressedData": "True", "CompressedDataSize": str(size or len(PACKED)), "DimSize": shape}
    with pytest.raises(UserError, match=r"truncated|promises"):
        read_volume(meta(tmp_path / "a.mha", PACKED, **stated))
    assert capfd.readouterr() == ("", "")


def test_refuses_a_png_with_a_wrong_byte(tmp_path, capfd):
    sitk.WriteImage(sitk.GetImageFromArray(VOXELS[0].astype(np.uint8)), tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    for place in range(8, len(data)):
        wrong = bytearray(data)
        wrong[place] ^= 0x10
        (tmp_path / "b.png").write_bytes(wrong)
        with pytest.raises(UserError, match=r"damaged|truncated"):
            read_volume(tmp_path / "b.png")
    assert capfd.readouterr() == ("", "")
