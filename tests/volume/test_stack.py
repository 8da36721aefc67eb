import sys
from pathlib import Path

import numpy as np
import pytest

from weakmask.errors import MachineError, UserError
from weakmask.volume import stack as module
from weakmask.volume.geometry import Box
from weakmask.volume.label_pairs import Planes
from weakmask.volume.stack import Stack, nanometres, positive_spacing, readable
from weakmask.volume.stack_files import open_stack, write_stack

VOXELS = np.arange(3 * 4 * 5, dtype=np.uint16).reshape(3, 4, 5)


def stack(spacing_nm: tuple[float, float, float] | None = None, voxels: np.ndarray = VOXELS) -> Stack:
    return Stack(Path("a.h5"), (3, 4, 5), voxels.dtype, spacing_nm, lambda box: voxels[box.slices])


def test_slices_are_boxes():
    found = stack()
    assert isinstance(found, Planes)
    assert np.array_equal(found[:], VOXELS)
    assert np.array_equal(found[1:], VOXELS[1:])
    assert np.array_equal(found[0:2, 1:3], VOXELS[0:2, 1:3])
    assert np.array_equal(found[-1:, :, 2:-1], VOXELS[-1:, :, 2:-1])
    for wrong in (0, (slice(None), 1), slice(0, 3, 2), (slice(None),) * 4, ...):
        with pytest.raises(TypeError, match="slices of step 1"):
            found[wrong]
    for box in (Box((0, 0, 0), (4, 4, 5)), Box((1, 1, 1), (1, 2, 2)), Box((-1, 0, 0), (2, 2, 2))):
        with pytest.raises(ValueError, match="empty or reaches past the grid"):
            found.read(box)


def test_a_volume_is_in_mm():
    assert stack((30, 8, 4)).volume().geometry.spacing_mm == (30e-6, 8e-6, 4e-6)
    assert stack((30, 8, 4)).volume(spacing_nm=(1e6, 2e6, 5)).geometry.spacing_mm == (1, 2, 5e-6)
    assert stack().volume().geometry.spacing_mm == (1, 1, 1)
    assert stack().volume("label").kind == "label"
    with pytest.raises(UserError, match="fractions"):
        stack(voxels=VOXELS + 0.5).volume("label")


def test_a_missing_voxel_size_is_asked_for():
    assert stack((30, 8, 4)).required_spacing_nm() == (30, 8, 4)
    assert stack((30, 8, 4)).required_spacing_nm((1, 2, 3)) == (1, 2, 3)
    with pytest.raises(UserError, match=r"a.h5: states no voxel size; give it with data.spacing_nm, in nm along z, y"):
        stack().required_spacing_nm(setting="data.spacing_nm")
    with pytest.raises(UserError, match="expected three positive numbers"):
        stack().required_spacing_nm((1, 2))
    for wrong in ((1, 2, 0), (1, 2, float("nan")), (1, 2, float("inf"))):
        with pytest.raises(UserError, match="expected three positive numbers"):
            positive_spacing(wrong, "x")


def test_units_of_length():
    assert nanometres("nanometer") == nanometres("nm") == 1
    assert nanometres("\\u00B5m") == nanometres("µm") == nanometres(" Micrometer ") == 1000
    assert nanometres("pixel") is None
    assert nanometres(None) is None


def test_more_than_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "memory_bytes", lambda: 400)
    with pytest.raises(UserError, match="more than a quarter of this machine's memory"):
        stack().volume()
    assert stack()[0:1].shape == (1, 4, 5)


def test_a_size_beyond_all_numbers_is_refused():
    with pytest.raises(UserError, match="more than a quarter of this machine's memory"):
        Stack(Path("a.json"), (10**200, 10**200, 5), np.dtype(np.uint8), None, lambda box: VOXELS).volume()


@pytest.mark.parametrize("error", [ValueError("a\nb"), KeyError("x"), MemoryError(), RuntimeError("y" * 900)])
def test_faults_of_libraries_are_one_line(error: Exception):
    message = r"a.tif: the stack is truncated, damaged or of an unknown form"
    with pytest.raises(UserError, match=message) as found, readable(Path("a.tif")):
        raise error
    assert "\n" not in str(found.value)
    assert len(str(found.value)) < 400


def test_faults_of_the_machine_stay_so():
    with pytest.raises(MachineError), readable(Path("a.tif")):
        raise OSError(5, "Input/output error")


@pytest.mark.parametrize(("name", "library"), [("a.tif", "tifffile"), ("a.h5", "h5py"), ("a.zarr", "zarr")])
def test_a_missing_library_names_the_extra(name: str, library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_stack(VOXELS, tmp_path / name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UserError, match=r"the extra `em`.*pip install 'weakmask\[em\]'"):
        open_stack(tmp_path / name)
    with pytest.raises(UserError, match=r"pip install 'weakmask\[em\]'"):
        write_stack(VOXELS, tmp_path / f"b{name}")
    assert not (tmp_path / f"b{name}").exists()
