"""Test images that were trained on are found by name and by content, as files and as DICOM folders."""

from pathlib import Path

import numpy as np
import pytest
from malformed_files import series

from weakmask.datasets.seen_scans import image_digest, refuse_seen, seen_scans
from weakmask.errors import UserError
from weakmask.volume.files import read_volume, write_volume
from weakmask.volume.geometry import Geometry
from weakmask.volume.scan_files import ScanFile
from weakmask.volume.storage_order import Order
from weakmask.volume.volume import Volume


def files(folder: Path, **contents: bytes) -> dict[str, ScanFile]:
    folder.mkdir()
    for name, content in contents.items():
        (folder / f"{name}.nii.gz").write_bytes(content)
    return {name: ScanFile(folder / f"{name}.nii.gz") for name in contents}


def test_other_images_are_not_seen(tmp_path: Path) -> None:
    training, tested = files(tmp_path / "a", one=b"111", two=b"222"), files(tmp_path / "b", three=b"333", four=b"4")
    assert seen_scans(training, tested) == []
    refuse_seen(training, tested)


def test_a_name_or_a_copy_under_another_name_is_seen(tmp_path: Path) -> None:
    training = files(tmp_path / "a", one=b"111", two=b"222")
    tested = files(tmp_path / "b", other=b"333", two=b"resampled", copy=b"111")
    assert seen_scans(training, tested) == ["two", "copy"]
    with pytest.raises(UserError, match="trained on, by name or content: two, copy; take them out") as caught:
        refuse_seen(training, tested)
    assert "data.seen" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_dicom_folder_is_known_by_its_files_whatever_they_are_called(tmp_path: Path) -> None:
    for name, slices in (("a", ("1", "2")), ("b", ("x", "y"))):
        (tmp_path / name).mkdir()
        for file, content in zip(slices, (b"slice one", b"slice two"), strict=True):
            (tmp_path / name / file).write_bytes(content)
    assert image_digest(tmp_path / "a") == image_digest(tmp_path / "b")
    (tmp_path / "b" / "y").write_bytes(b"slice 2..")
    assert image_digest(tmp_path / "a") != image_digest(tmp_path / "b")


def test_a_long_list_is_cut(tmp_path: Path) -> None:
    same = files(tmp_path / "a", **{f"scan{n}": b"1" for n in range(9)})
    with pytest.raises(UserError, match=r"scan0, scan1, scan2, scan3, scan4, \.\.\. \(4 more\);"):
        refuse_seen(same, same)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".mha", ".nrrd"])
def test_one_scan_in_another_format_and_order_is_seen(tmp_path: Path, suffix: str) -> None:
    voxels = np.random.default_rng(0).integers(-1000, 400, (3, 4, 5)).astype(np.int16)
    scan = Volume(voxels, Geometry(voxels.shape, (2.5, 0.7, 0.7), (1.0, 2.0, 3.0)))
    changed = voxels.copy()
    changed[1, 2, 3] += 1
    turn = Order((1, 0, 2), (False, True, True))
    other = Volume(np.ascontiguousarray(turn.turn(voxels), np.float32), turn.grid(scan.geometry))
    part = Volume(voxels[:2].copy(), Geometry((2, 4, 5), (2.5, 0.7, 0.7), (1.0, 2.0, 3.0)))
    stored = {"same": other, "other": scan.with_voxels(changed), "part": part}
    write_volume(scan, tmp_path / "one.nii.gz")
    for name, volume in stored.items():
        write_volume(volume, tmp_path / f"{name}{suffix}")
    tested = {name: ScanFile(tmp_path / f"{name}{suffix}") for name in stored}
    assert seen_scans({"one": ScanFile(tmp_path / "one.nii.gz")}, tested) == ["same"]


def test_a_series_and_its_nifti_file_are_one_scan(tmp_path: Path) -> None:
    series(tmp_path / "dicom", [0.0, 1.0, 2.0])
    scan = read_volume(tmp_path / "dicom")
    write_volume(scan, tmp_path / "same.nii.gz")
    write_volume(scan.with_voxels(scan.voxels + 1), tmp_path / "other.nii.gz")
    tested = {name: ScanFile(tmp_path / f"{name}.nii.gz") for name in ("same", "other")}
    assert seen_scans({"a": ScanFile(tmp_path / "dicom")}, tested) == ["same"]
