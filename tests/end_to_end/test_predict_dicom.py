"""DICOM in and DICOM out: `predict --dicom`, `to-dicom`, names and series."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
import pytest
from enhanced_ct import write_enhanced
from malformed_files import scan_series, series

import weakmask as wm
from weakmask.commands.scan_jobs import chosen_scans, find_jobs
from weakmask.errors import UserError
from weakmask.phantoms.chest_ct import write_phantom_cohort
from weakmask.volume.dicom_segmentation import read_segmentation
from weakmask.volume.files import write_volume

Run = Callable[..., tuple[int, list[str]]]


@pytest.fixture(scope="session")
def model(untrained: Callable[[float], Path]) -> Path:
    """An untrained model whose threshold marks a part of every phantom."""
    return untrained(0.1034)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two series of one folder and another patient's in folders of the same name; regions lie beside."""
    write_phantom_cohort(tmp_path / "cohort", 1, 3, (40, 48, 48), (8.0, 8.0, 8.0), workers=1)
    (file,) = (tmp_path / "cohort" / "images").iterdir()
    image = wm.read_volume(file)
    scan_series(tmp_path / "study" / "p1" / "CT", image, "1.2.5")
    scan_series(tmp_path / "study" / "p2" / "CT", image.with_voxels(image.voxels + np.int16(40)), "1.2.6")
    for name in ("p1_CT", "p2_CT"):
        regions = wm.read_volume(tmp_path / "cohort" / "regions" / file.name, "label")
        write_volume(regions, tmp_path / "regions" / f"{name}.nii.gz")
    return tmp_path / "study"


def test_results_become_dicom_objects_once(model: Path, study: Path, tmp_path: Path, weakmask: Run) -> None:
    out = tmp_path / "out"
    command = ["predict", model, study, "--regions", tmp_path / "regions", "--device", "cpu", "-o", out]
    assert weakmask(*command)[0] == 0
    assert not (out / "p1_CT" / "dicom").exists()
    assert weakmask(*command, "--dicom")[0] == 0
    files = {name: out / name / "dicom" / "lesions.dcm" for name in ("p1_CT", "p2_CT")}
    for name, file in files.items():
        mask = wm.read_volume(out / name / "mask.nii.gz", "label")
        assert np.count_nonzero(read_segmentation(file).voxels) == np.count_nonzero(mask.voxels)
    uids = {str(pydicom.dcmread(file).SOPInstanceUID) for file in files.values()}
    assert len(uids) == 2
    written = files["p1_CT"].stat().st_mtime_ns
    assert weakmask(*command, "--dicom")[0] == 0
    assert files["p1_CT"].stat().st_mtime_ns == written
    assert weakmask(*command, "--labelmap")[0] == 0
    assert files["p1_CT"].stat().st_mtime_ns != written
    table = pd.read_csv(out / "statistics.csv", dtype=str)
    assert table["series_uid"].unique().tolist() == ["1.2.5", "1.2.6"]


def test_python_saves_dicom_and_masks_of_another_tool_become_the_same_lesions(
    model: Path, study: Path, tmp_path: Path, weakmask: Run
) -> None:
    found = wm.load(model, "cpu").segment(study / "p1" / "CT", tmp_path / "regions" / "p1_CT.nii.gz", name="p1_CT")
    folder = found.save(tmp_path / "saved", dicom=True)
    record = json.loads((folder / "scan.json").read_text(encoding="utf-8"))
    assert "dicom/scores.dcm" in record["files"]
    array = wm.load(model, "cpu").segment(found.scan.image, found.regions)
    with pytest.raises(UserError, match="DICOM objects need a DICOM image"):
        array.save(tmp_path / "saved", dicom=True)
    (tmp_path / "masks").mkdir()
    write_volume(found.mask, tmp_path / "masks" / "p1_CT.nii.gz")
    command = ["to-dicom", tmp_path / "masks", "--source", study, "--method", "nnU-Net"]
    code, lines = weakmask(*command, "--regions", tmp_path / "regions")
    assert code == 2  # p2 has no mask
    assert any("no mask p2_CT.nii.gz for the scan p2_CT" in line for line in lines)
    ours, other = (read_segmentation(path / "dicom" / "lesions.dcm") for path in (folder, tmp_path / "masks" / "p1_CT"))
    assert np.array_equal(ours.voxels, other.voxels)
    assert weakmask("to-dicom", tmp_path / "saved", "--source", study / "p1")[0] == 0


def test_enhanced_ct_gives_the_masks_and_scores_of_its_single_slices(
    model: Path, study: Path, tmp_path: Path, weakmask: Run
) -> None:
    write_enhanced(tmp_path / "enhanced" / "p1_CT" / "IM1", wm.read_volume(study / "p1" / "CT"), "1.2.7")
    command = ["--regions", tmp_path / "regions", "--device", "cpu", "--dicom"]
    assert weakmask("predict", model, study / "p1", study / "p2", *command, "-o", tmp_path / "single")[0] == 0
    code, lines = weakmask("predict", model, tmp_path / "enhanced", *command, "-o", tmp_path / "out")
    assert (code, lines) == (0, [])
    (single,), (found,) = (
        [path.parent for path in (tmp_path / out).glob("*p1_CT/scan.json")] for out in ("single", "out")
    )
    ours, other = (json.loads((folder / "scan.json").read_text(encoding="utf-8")) for folder in (found, single))
    assert ours["rows"] == other["rows"]
    assert ours["statistics"] == other["statistics"]
    assert ours["ids"]["series_uid"] == "1.2.7"
    masks = [wm.read_volume(folder / "mask.nii.gz", "label") for folder in (found, single)]
    assert np.array_equal(masks[0].voxels, masks[1].voxels)
    assert masks[0].voxels.any()
    command = ["to-dicom", tmp_path / "single" / "p1_CT" / "mask.nii.gz", "--source", tmp_path / "enhanced", "-o"]
    assert weakmask(*command, tmp_path / "objects")[0] == 0
    segments = [
        read_segmentation(file)
        for file in (*(tmp_path / "objects").rglob("lesions.dcm"), found / "dicom" / "lesions.dcm")
    ]
    assert np.array_equal(segments[0].voxels, segments[1].voxels)
    write_enhanced(tmp_path / "four.dcm", wm.read_volume(study / "p1" / "CT"), parts={"TemporalPositionIndex": [1, 2]})
    jobs, _ = find_jobs(chosen_scans([tmp_path / "four.dcm"], ("time 1", "time 2")), lambda name, path: {})
    assert [(job.name, job.series) for job in jobs] == [
        ("four_4_time-1", "1.2.5 time 1"),
        ("four_4_time-2", "1.2.5 time 2"),
    ]
    regions = tmp_path / "regions" / "p1_CT.nii.gz"
    timed = wm.load(model, "cpu").segment(tmp_path / "four.dcm", regions, series="time 1")
    assert np.array_equal(timed.mask.voxels, masks[0].voxels)
    code, lines = weakmask("predict", model, tmp_path / "four.dcm", "-o", tmp_path / "no")
    assert code == 2
    assert "2 stacks or times in one series; expected one; choose by its name, `--series 'time 1'`" in lines[-1]


def test_other_files_beside_the_scans_are_not_named(study: Path, tmp_path: Path, weakmask: Run) -> None:
    """Each picture below the folder cost a line, and the mask that was at fault was not named."""
    image = wm.read_volume(study / "p1" / "CT")
    write_volume(image, study / "p1" / "copy.nii.gz")
    mask = tmp_path / "masks" / "CT.nii.gz"
    mask.parent.mkdir()
    mask.write_bytes(b"hello")
    code, lines = weakmask("to-dicom", mask, "--source", study / "p1")
    assert code == 2
    assert len(lines) == 1
    assert str(mask) in lines[0]
    (tmp_path / "pictures").mkdir()
    write_volume(image, tmp_path / "pictures" / "CT.nii.gz")
    code, lines = weakmask("to-dicom", mask, "--source", tmp_path / "pictures")
    assert code == 2
    assert lines == [
        f"error {tmp_path}/pictures: holds no DICOM images; expected the folder of the scans that the masks belong to"
    ]


def test_objects_of_a_user_are_not_replaced(study: Path, tmp_path: Path, weakmask: Run) -> None:
    image = wm.read_volume(study / "p1" / "CT")
    write_volume(image.with_voxels((image.voxels > 0).astype(np.uint8), "label"), tmp_path / "masks" / "CT.nii.gz")
    own = tmp_path / "masks" / "CT" / "dicom" / "lesions.dcm"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"mine")
    code, (line,) = weakmask("to-dicom", tmp_path / "masks", "--source", study / "p1")
    assert (code, own.read_bytes()) == (2, b"mine")
    assert "exists and was not written by `weakmask to-dicom`" in line


def test_a_series_is_chosen_by_number_or_description_and_named_by_patient(
    model: Path, tmp_path: Path, weakmask: Run
) -> None:
    exam = tmp_path / "exam"
    for uid, number, words in (("1.2.5", 2, "soft"), ("1.2.6", 3, "Lung 1.0")):
        series(exam, [0.0, 1.0, 2.0], uid, SeriesNumber=number, SeriesDescription=words, PatientID="A/B 7")
    for chosen, names in ((("2",), ["2"]), (("lung 1.0",), ["3"]), (("2", "1.2.6"), ["2", "3"])):
        jobs, lines = find_jobs(chosen_scans([exam], chosen), lambda name, path: {}, "dicom")
        assert [job.name for job in jobs] == [f"A-B-7_{number}" for number in names]
        assert not lines
    jobs, _ = find_jobs(chosen_scans([exam], ("2", "3")), lambda name, path: {})
    assert [(job.name, job.series) for job in jobs] == [("exam_2", "1.2.5"), ("exam_3", "1.2.6")]
    code, lines = weakmask("predict", model, exam, "-o", tmp_path / "out")
    assert code == 2
    assert "2 series; expected one; choose by its UID, number or description" in lines[-1]
