import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from weakmask.errors import UserError
from weakmask.volume.files import read_volume, scan_name, write_volume
from weakmask.volume.geometry import Geometry
from weakmask.volume.scan_files import scans_below
from weakmask.volume.stack_files import WRITTEN, is_stack, open_stack, write_stack
from weakmask.volume.volume import Volume

LABELS = np.random.default_rng(0).integers(0, 2**20, (5, 30, 40)).astype(np.uint32)


@pytest.mark.parametrize("suffix", WRITTEN)
def test_labels_come_back_with_their_spacing(suffix: str, tmp_path: Path):
    path = tmp_path / f"a{suffix}"
    write_stack(LABELS.astype(np.int64), path, (30, 8, 4))
    stack = open_stack(path, "label")
    assert (stack.shape, stack.dtype) == (LABELS.shape, np.uint32)
    assert stack.spacing_nm == (30, 8, 4)
    assert np.array_equal(stack[:], LABELS)
    assert np.array_equal(stack[1:4, 3:9, 20:], LABELS[1:4, 3:9, 20:])
    write_stack(stack, tmp_path / f"b{suffix}")  # from one file to another, slab by slab
    assert np.array_equal(open_stack(tmp_path / f"b{suffix}")[:], LABELS)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [f"a{suffix}", f"b{suffix}"]


def test_a_tiff_has_a_page_a_section(tmp_path: Path):
    write_stack(LABELS, tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert len(tif.pages) == 5
        assert tif.pages[0].shape == (30, 40)
    assert open_stack(tmp_path / "a.tif").spacing_nm is None
    with Image.open(tmp_path / "a.tif") as image:
        assert image.n_frames == 5


@pytest.mark.parametrize("suffix", WRITTEN)
def test_labels_that_do_not_fit_are_refused(suffix: str, tmp_path: Path):
    for wrong, dtype in ((LABELS, np.uint16), (-LABELS.astype(np.int64), np.uint32)):
        with pytest.raises(ValueError, match="do not fit"):
            write_stack(wrong, tmp_path / f"a{suffix}", dtype=dtype)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written(tmp_path: Path):
    with pytest.raises(UserError, match=r"choose one of \.tif, \.h5, \.zarr"):
        write_stack(LABELS, tmp_path / "a.n5")
    with pytest.raises(UserError, match="three positive numbers"):
        write_stack(LABELS, tmp_path / "a.h5", (1, 0, 1))


@pytest.mark.parametrize("suffix", WRITTEN)
def test_volumes_keep_their_spacing_in_mm(suffix: str, tmp_path: Path):
    path = tmp_path / f"a{suffix}"
    volume = Volume(LABELS.astype(np.uint16), Geometry(LABELS.shape, (30e-6, 8.5e-6, 4e-6)))
    write_volume(volume, path)
    found = read_volume(path)
    assert found.geometry.spacing_mm == pytest.approx((30e-6, 8.5e-6, 4e-6))
    assert found.voxels.dtype == np.uint16
    assert np.array_equal(found.voxels, volume.voxels)
    assert read_volume(path, spacing_nm=(1, 2, 3)).geometry.spacing_mm == pytest.approx((1e-6, 2e-6, 3e-6))
    write_volume(volume.with_voxels(LABELS > 9, "label"), path)
    assert read_volume(path, "label").voxels.max() == 1


def test_a_folder_of_sections_is_one_volume(tmp_path: Path):
    for number in range(3):
        Image.fromarray(LABELS[number].astype(np.uint8)).save(tmp_path / f"{number}.png")
    for kind in ("image", "label"):
        volume = read_volume(tmp_path, kind)
        assert volume.kind == kind
        assert volume.geometry.spacing_mm == (1, 1, 1)
        assert np.array_equal(volume.voxels, LABELS[:3].astype(np.uint8))


def test_what_is_a_stack(tmp_path: Path):
    for name in ("a.tif", "b.h5", "c.zarr"):
        write_stack(LABELS, tmp_path / name)
        assert is_stack(tmp_path / name)
    assert is_stack(tmp_path / "b.h5:/main")
    assert np.array_equal(open_stack(f"{tmp_path}/b.h5:/main")[:], LABELS)
    assert np.array_equal(read_volume(f"{tmp_path}/b.h5:/main").voxels, LABELS)
    for name in ("a.nii.gz", "a.png", "a.json", "folder"):
        assert not is_stack(tmp_path / name)


def test_paths_without_a_stack(tmp_path: Path):
    (tmp_path / "a.txt").touch()
    os.mkfifo(tmp_path / "pipe.tif")
    cases = {"a.txt": "not a stack", "b.tif": "no such file", "b.h5:/x": "no such file", "pipe.tif": "a pipe"}
    for name, message in cases.items():
        with pytest.raises(UserError, match=message):
            open_stack(tmp_path / name)


def test_stacks_among_the_scans_of_a_folder(tmp_path: Path):
    for name in ("a.tif", "b.h5", "c.zarr"):
        write_stack(LABELS, tmp_path / "deep" / name)
    found = scans_below(tmp_path)
    assert [scan.path.name for scan in found] == ["a.tif", "b.h5", "c.zarr"]
    assert [scan_name(scan.path) for scan in found] == ["a", "b", "c"]
