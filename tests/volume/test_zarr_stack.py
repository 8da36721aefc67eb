import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import zarr

from weakmask.errors import UserError
from weakmask.volume.zarr_stack import is_zarr, open_zarr

VOXELS = np.random.default_rng(0).integers(0, 2**16, (5, 30, 40)).astype(np.uint16)
UNITS = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"]


def ome(path: Path, version: Literal[2, 3], axes: list[Any], scale: list[float], voxels: np.ndarray = VOXELS) -> None:
    """An image in two resolutions."""
    group = zarr.open_group(str(path), mode="w", zarr_format=version)
    for number, factor in enumerate((1, 2)):
        level = voxels[..., ::factor, ::factor]
        group.create_array(f"s{number}", shape=level.shape, chunks=level.shape, dtype=level.dtype)[:] = level
    sets = []
    for number, factor in enumerate((1, 2)):
        steps = [*scale[:-2], *(factor * step for step in scale[-2:])]
        sets.append({"path": f"s{number}", "coordinateTransformations": [{"type": "scale", "scale": steps}]})
    notes = {"multiscales": [{"axes": axes, "datasets": sets}]}
    group.attrs.update(notes if version == 2 else {"ome": notes})


@pytest.mark.parametrize("version", [2, 3])
def test_ome_zarr_in_both_versions(version: Literal[2, 3], tmp_path: Path):
    ome(tmp_path / "a.zarr", version, UNITS, [0.03, 0.008, 0.004])
    stack = open_zarr(tmp_path / "a.zarr")
    assert stack.spacing_nm == pytest.approx((30, 8, 4))
    assert np.array_equal(stack[1:3, 5:20, 7:9], VOXELS[1:3, 5:20, 7:9])
    assert open_zarr(tmp_path / "a.zarr" / "s1").shape == (5, 15, 20)
    channel = [{"name": "c", "type": "channel"}, *UNITS]
    ome(tmp_path / "b.zarr", version, channel, [1, 0.03, 0.008, 0.004], VOXELS[None])
    assert open_zarr(tmp_path / "b.zarr").spacing_nm == pytest.approx((30, 8, 4))
    assert np.array_equal(open_zarr(tmp_path / "b.zarr")[:], VOXELS)


def test_units_that_are_missing_state_no_spacing(tmp_path: Path):
    ome(tmp_path / "a.zarr", 2, [{"name": axis, "type": "space"} for axis in "zyx"], [1, 1, 1])
    assert open_zarr(tmp_path / "a.zarr").spacing_nm is None


def test_scales_are_multiplied(tmp_path: Path):
    ome(tmp_path / "a.zarr", 2, UNITS, [1, 2, 2])
    notes = json.loads((tmp_path / "a.zarr" / ".zattrs").read_text())
    shared = [{"type": "translation", "translation": [0, 0, 0]}, {"type": "scale", "scale": [0.03, 0.004, 0.002]}]
    notes["multiscales"][0]["coordinateTransformations"] = shared
    (tmp_path / "a.zarr" / ".zattrs").write_text(json.dumps(notes))
    assert open_zarr(tmp_path / "a.zarr").spacing_nm == pytest.approx((30, 8, 4))


@pytest.mark.parametrize("version", [2, 3])
def test_a_plain_array_and_the_first_of_a_group(version: Literal[2, 3], tmp_path: Path):
    array = zarr.create_array(str(tmp_path / "a.zarr"), shape=VOXELS.shape, dtype="uint16", zarr_format=version)
    array[:] = VOXELS
    array.attrs["resolution"] = [30, 8, 4]
    assert open_zarr(tmp_path / "a.zarr").spacing_nm == (30, 8, 4)
    group = zarr.open_group(str(tmp_path / "g"), mode="w", zarr_format=version)
    group.create_array("a_line", shape=(3,), dtype="uint8")
    group.create_array("raw", shape=VOXELS.shape, dtype="uint16")[:] = VOXELS
    assert np.array_equal(open_zarr(tmp_path / "g")[2:], VOXELS[2:])
    assert is_zarr(tmp_path / "g")
    assert not is_zarr(tmp_path)
    with pytest.raises(UserError, match=r"shape \(3,\) of uint8; expected numbers with"):
        open_zarr(tmp_path / "g" / "a_line")


def test_several_channels_and_empty_groups_are_refused(tmp_path: Path):
    axes = [{"name": "c", "type": "channel"}, *UNITS]
    ome(tmp_path / "a.zarr", 2, axes, [1, 1, 1, 1], np.stack([VOXELS, VOXELS]))
    with pytest.raises(UserError, match="of one channel and time"):
        open_zarr(tmp_path / "a.zarr")
    zarr.open_group(str(tmp_path / "b.zarr"), mode="w")
    with pytest.raises(UserError, match="holds no volume"):
        open_zarr(tmp_path / "b.zarr")


def test_damaged_stores_are_refused(tmp_path: Path):
    ome(tmp_path / "a.zarr", 2, UNITS, [1, 1, 1])
    (tmp_path / "a.zarr" / "s0" / "0.0.0").write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"a\.zarr: the stack is truncated, damaged"):
        open_zarr(tmp_path / "a.zarr")[:]
    (tmp_path / "a.zarr" / "s0" / ".zarray").write_text("{")
    with pytest.raises(UserError, match=r"a\.zarr: the stack is truncated, damaged"):
        open_zarr(tmp_path / "a.zarr")
    (tmp_path / "empty.zarr").mkdir()
    with pytest.raises(UserError, match=r"empty\.zarr: "):
        open_zarr(tmp_path / "empty.zarr")
