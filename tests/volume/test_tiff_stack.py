from pathlib import Path

import numpy as np
import pytest
import tifffile

from weakmask.errors import UserError
from weakmask.volume.tiff_stack import open_tiff

VOXELS = np.random.default_rng(0).integers(0, 2**16, (5, 30, 40)).astype(np.uint16)
COLOURS = np.random.default_rng(0).integers(0, 256, (3, 20, 24, 3)).astype(np.uint8)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "uint32", "float32"])
@pytest.mark.parametrize(
    "form",
    [{}, {"byteorder": ">"}, {"compression": "zlib"}, {"compression": "lzw", "rowsperstrip": 7}, {"tile": (16, 16)}],
    ids=str,
)
def test_every_type_and_packing(dtype: str, form: dict[str, object], tmp_path: Path):
    voxels = VOXELS.astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", voxels, **form)  # pyright: ignore[reportArgumentType]
    stack = open_tiff(tmp_path / "a.tif")
    assert (stack.shape, stack.dtype, stack.spacing_nm) == (voxels.shape, voxels.dtype, None)
    assert np.array_equal(stack[:], voxels)
    assert np.array_equal(stack[1:3, 5:20, 7:9], voxels[1:3, 5:20, 7:9])


def test_pages_that_were_written_one_by_one(tmp_path: Path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
        for section in VOXELS:
            tif.write(section)
    assert np.array_equal(open_tiff(tmp_path / "a.tif")[1:4, 3:], VOXELS[1:4, 3:])
    with tifffile.TiffWriter(tmp_path / "b.tif") as tif:
        tif.write(VOXELS[0])
        tif.write(VOXELS[0, 2:])
    with pytest.raises(UserError, match="its pages differ"):
        open_tiff(tmp_path / "b.tif")


def test_one_bit_pages_are_0_and_255(tmp_path: Path):
    mask = VOXELS > 30000
    for photometric in ("minisblack", "miniswhite"):
        with tifffile.TiffWriter(tmp_path / "a.tif") as tif:
            for section in mask:
                tif.write(section, photometric=photometric)
        stack = open_tiff(tmp_path / "a.tif", "label")
        assert stack.dtype == np.uint8
        assert np.array_equal(stack[:], 255 * (mask ^ (photometric == "miniswhite")))


def test_a_palette_is_numbers_in_a_label_map_and_grey_in_an_image(tmp_path: Path):
    numbers = (VOXELS % 7).astype(np.uint8)
    colours = np.zeros((3, 256), np.uint16)
    colours[:, :7] = 257 * np.array(
        [[0, 255, 0, 0, 255, 10, 80], [0, 0, 255, 0, 255, 20, 80], [0, 0, 0, 255, 255, 30, 80]]
    )
    tifffile.imwrite(tmp_path / "a.tif", numbers[0], photometric="palette", colormap=colours)
    assert np.array_equal(open_tiff(tmp_path / "a.tif", "label")[:], numbers[:1])
    grey = np.rint(np.array([0, 76.245, 149.685, 29.07, 255, 18.15, 80])).astype(np.uint8)
    assert np.array_equal(open_tiff(tmp_path / "a.tif")[:], grey[numbers[:1]])


def test_colour_becomes_grey(tmp_path: Path):
    tifffile.imwrite(tmp_path / "a.tif", COLOURS, photometric="rgb")
    found = open_tiff(tmp_path / "a.tif")[1:]
    assert found.dtype == np.uint8
    assert np.abs(found - COLOURS[1:] @ np.array([0.299, 0.587, 0.114])).max() <= 0.5
    with pytest.raises(UserError, match="a label map in colour"):
        open_tiff(tmp_path / "a.tif", "label")


def test_the_spacing_of_imagej(tmp_path: Path):
    notes = {"spacing": 0.03, "unit": "um", "axes": "ZYX"}
    tifffile.imwrite(tmp_path / "a.tif", VOXELS, imagej=True, resolution=(250, 125), metadata=notes)
    stack = open_tiff(tmp_path / "a.tif")
    assert stack.spacing_nm == pytest.approx((30, 8, 4))
    assert np.array_equal(stack[2:], VOXELS[2:])
    tifffile.imwrite(tmp_path / "b.tif", VOXELS, imagej=True, metadata={"axes": "ZYX"})
    assert open_tiff(tmp_path / "b.tif").spacing_nm is None


def test_the_spacing_of_ome(tmp_path: Path):
    sizes = {"PhysicalSizeZ": 0.03, "PhysicalSizeY": 8, "PhysicalSizeYUnit": "nm", "PhysicalSizeX": 0.004}
    tifffile.imwrite(tmp_path / "a.ome.tif", VOXELS, metadata={"axes": "ZYX", **sizes})
    stack = open_tiff(tmp_path / "a.ome.tif")
    assert stack.spacing_nm == pytest.approx((30, 8, 4))
    assert np.array_equal(stack[:], VOXELS)
    tifffile.imwrite(tmp_path / "b.ome.tif", VOXELS, metadata={"axes": "ZYX", "PhysicalSizeX": 8})
    assert open_tiff(tmp_path / "b.ome.tif").spacing_nm is None


@pytest.mark.parametrize("axes", ["CYX", "TZYX"])
def test_channels_and_times_are_refused(axes: str, tmp_path: Path):
    voxels = VOXELS[:4].reshape((2, 2, 30, 40) if len(axes) == 4 else (4, 30, 40))
    tifffile.imwrite(tmp_path / "a.ome.tif", voxels, metadata={"axes": axes}, photometric="minisblack")
    with pytest.raises(UserError, match=r"expected .*sections of one channel"):
        open_tiff(tmp_path / "a.ome.tif")


@pytest.mark.parametrize("packed", [None, "zlib"])
def test_truncated_files_are_refused(packed: str | None, tmp_path: Path):
    tifffile.imwrite(tmp_path / "a.tif", VOXELS, compression=packed)
    content = (tmp_path / "a.tif").read_bytes()
    for share in (0, 0.001, 0.3, 0.95):
        (tmp_path / "b.tif").write_bytes(content[: int(share * len(content))])
        with pytest.raises(UserError, match=r"b\.tif: "):
            open_tiff(tmp_path / "b.tif")[:]


def test_complex_numbers_are_refused(tmp_path: Path):
    tifffile.imwrite(tmp_path / "a.tif", VOXELS.astype(np.complex64))
    with pytest.raises(UserError, match="expected real numbers"):
        open_tiff(tmp_path / "a.tif")
