from pathlib import Path

import h5py
import numpy as np
import pytest

from weakmask.errors import UserError
from weakmask.volume.hdf5_stack import open_hdf5, split_name

VOXELS = np.random.default_rng(0).integers(0, 200, (5, 30, 40)).astype(np.uint8)


def test_the_first_volume_or_the_one_that_is_named(tmp_path: Path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a_table"] = np.zeros((3, 4))
        file["text"] = "words"
        file["volumes/raw"] = VOXELS
        file["volumes/z_labels"] = VOXELS[None] > 100
        file["linked"] = h5py.ExternalLink("other.h5", "/x")
    first = open_hdf5(tmp_path / "a.h5")
    assert np.array_equal(first[1:3, 5:, :7], VOXELS[1:3, 5:, :7])
    assert first.spacing_nm is None
    named = open_hdf5(Path(f"{tmp_path}/a.h5:/volumes/z_labels"))
    assert named.dtype == bool
    assert np.array_equal(named[:], VOXELS > 100)
    assert named.volume("label").voxels.dtype == np.uint8
    with pytest.raises(UserError, match=r"no volume of that name; it holds volumes/raw, volumes/z_labels"):
        open_hdf5(Path(f"{tmp_path}/a.h5:/nothing"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("resolution", (40, 4, 8)), ("element_size_um", (0.04, 0.004, 0.008)), ("spacing_nm", (40, 4, 8))],
)
def test_voxel_sizes_of_attributes(name: str, value: tuple[float, ...], tmp_path: Path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["main"] = VOXELS
        file["main"].attrs[name] = value
    assert open_hdf5(tmp_path / "a.h5").spacing_nm == pytest.approx((40, 4, 8))


def test_a_false_voxel_size_is_refused(tmp_path: Path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["main"] = VOXELS
        file["main"].attrs["resolution"] = (1, 0, 2)
    with pytest.raises(UserError, match="expected three positive numbers"):
        open_hdf5(tmp_path / "a.h5")


def test_files_without_a_volume_and_truncated_ones(tmp_path: Path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["table"] = np.zeros((3, 4))
    with pytest.raises(UserError, match="holds no volume"):
        open_hdf5(tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_dataset("main", data=VOXELS, compression="gzip")
    content = (tmp_path / "b.h5").read_bytes()
    for share in (0, 0.1, 0.9):
        (tmp_path / "c.h5").write_bytes(content[: int(share * len(content))])
        with pytest.raises(UserError, match=r"c\.h5: the stack is truncated, damaged"):
            open_hdf5(tmp_path / "c.h5")[:]


def test_names_behind_a_colon():
    assert split_name(Path("a/b.h5:/x/y")) == (Path("a/b.h5"), "/x/y")
    assert split_name(Path("a/b.HDF5:z")) == (Path("a/b.HDF5"), "z")
    assert split_name(Path("a/b.h5")) == (Path("a/b.h5"), "")
    assert split_name(Path("C:/b.tif")) == (Path("C:/b.tif"), "")
