import os

import numpy as np
import pytest
from pydicom.uid import generate_uid

from weakmask.progress import collected_notes
from weakmask.volume.files import read_volume, write_volume
from weakmask.volume.scan_files import entries_by_name, is_scan_file, scans_below
from weakmask.volume.volume import Volume

HEIGHTS = np.arange(4) * 2.5


@pytest.fixture
def write_xray(write_slice):
    def write(path, series=None):
        away = {"ImagePositionPatient": None, "ImageOrientationPatient": None}
        pixels = np.arange(30, dtype=np.uint16).reshape(5, 6)
        write_slice(path, pixels, series or generate_uid(), Modality="DX", **away)

    return write


def found(folder, series=()):
    with collected_notes() as notes:
        scans = scans_below(folder, series)
    for scan in scans:
        with collected_notes():
            read_volume(scan.path, series=scan.series)  # each of them is one scan
    return [(scan.path.relative_to(folder).as_posix(), scan.series) for scan in scans], notes


def rename(folder, pattern):
    for number, path in enumerate(sorted(folder.iterdir())):
        path.rename(folder / pattern.format(number))


@pytest.mark.parametrize("pattern", ["A.CT.5.{}.IMA", "{}.CTDC", "{}.dicom", "{}.img", "CT.1.2.840.{}", "I{}"])
def test_dicom_of_any_name(tmp_path, write_series, pattern):
    write_series(tmp_path / "p1", HEIGHTS)
    rename(tmp_path / "p1", pattern)
    assert found(tmp_path)[0] == [("p1", None)]
    assert found(tmp_path / "p1")[0] == [(".", None)]


def test_a_disc_of_two_patients(tmp_path, write_series):
    """The DICOMDIR beside them made one scan of both."""
    for patient in ("PAT1", "PAT2"):
        write_series(tmp_path / patient, HEIGHTS)
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM" + b"\x02\x00\x02\x00UI\x04\x001.2\x00")
    assert found(tmp_path)[0] == [("PAT1", None), ("PAT2", None)]


def test_a_stray_image_beside_folders_of_patients(tmp_path, write_series, write_xray):
    write_series(tmp_path / "PAT1", HEIGHTS)
    write_xray(tmp_path / "stray")
    assert found(tmp_path)[0] == [("PAT1", None), ("stray", None)]


def test_a_series_beside_folders_of_others(tmp_path, write_series):
    outer, inner = write_series(tmp_path, HEIGHTS), write_series(tmp_path / "inner", HEIGHTS)
    assert found(tmp_path)[0] == [(".", outer), ("inner", None)]
    assert found(tmp_path, [inner])[0] == [(".", outer), ("inner", inner)]


@pytest.mark.parametrize("series", ["own", "one"])
def test_xrays_are_a_scan_each(tmp_path, write_xray, series):
    uid = generate_uid() if series == "one" else None
    for name in ("a", "b", "c"):
        write_xray(tmp_path / name, uid)
    assert found(tmp_path)[0] == [("a", None), ("b", None), ("c", None)]


def test_the_only_xray_of_a_folder_has_the_folders_name(tmp_path, write_xray):
    for patient in ("p1", "p2"):
        write_xray(tmp_path / patient / "IM1")
    assert found(tmp_path)[0] == [("p1", None), ("p2", None)]


def test_one_slice_of_each_study(tmp_path, write_series):
    write_series(tmp_path, HEIGHTS[:3], SeriesInstanceUID=lambda k: f"1.{k + 1}", StudyInstanceUID=lambda k: f"1.9.{k}")
    assert len(found(tmp_path)[0]) == 3


def test_a_series_that_fills_several_folders(tmp_path, write_series):
    uid = write_series(tmp_path / "p1" / "a", HEIGHTS[:2])
    write_series(tmp_path / "p1" / "b", HEIGHTS[2:], uid=uid)
    assert found(tmp_path)[0] == [("p1", None)]


def test_patients_with_one_uid_are_two_scans(tmp_path, write_series):
    for patient in ("p1", "p2"):
        write_series(tmp_path / patient, HEIGHTS, uid="1.2.3")
    assert found(tmp_path)[0] == [("p1", None), ("p2", None)]


def test_one_of_several_series_can_be_chosen(tmp_path, write_series):
    soft, lung = (write_series(tmp_path / "p1", HEIGHTS + shift) for shift in (0, 0.3))
    assert [(scan.path, scan.series) for scan in scans_below(tmp_path)] == [(tmp_path / "p1", None)]
    assert found(tmp_path, [lung])[0] == [("p1", lung)]
    assert found(tmp_path, [lung, soft])[0] == sorted([("p1", lung), ("p1", soft)])


def test_localizers_are_no_scan_and_noted(tmp_path, write_series):
    write_series(tmp_path / "scan", HEIGHTS)
    write_series(tmp_path / "scout", [0], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    scans, notes = found(tmp_path)
    assert scans == [("scan", None)]
    assert notes == [f"{tmp_path / 'scout'}: only localizers; not a scan"]


def test_a_folder_with_a_broken_file_is_a_scan_that_says_so(tmp_path):
    (tmp_path / "p1").mkdir()
    (tmp_path / "p1" / "a.dcm").write_bytes(b"hello")
    assert [scan.path for scan in scans_below(tmp_path)] == [tmp_path / "p1"]


def test_other_formats_and_entries_by_name(tmp_path, write_xray):
    (tmp_path / "p0").mkdir()
    for name in ("p1.nii.gz", "p2.seg.nrrd"):
        write_volume(Volume.from_array(np.zeros((2, 3, 4), np.int16), (1, 1, 1)), tmp_path / name)
    write_xray(tmp_path / "1.2.840.5")
    write_xray(tmp_path / "p3.dicom")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / ".hidden.nii").touch()
    os.mkfifo(tmp_path / "pipe")
    names = ["1.2.840.5", "p0", "p1", "p2", "p3"]
    assert list(entries_by_name(tmp_path)) == names
    assert list(entries_by_name(tmp_path, ["p5"])) == [name for name in names if name != "p0"]
    assert [is_scan_file(tmp_path / name) for name in ("p0", "notes.txt", "pipe", "p3.dicom")] == [
        False,
        False,
        False,
        True,
    ]
    assert entries_by_name(tmp_path / "gone") == {}
