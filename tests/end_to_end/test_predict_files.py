"""`weakmask predict` and `weakmask lobes` beside files that are there: which are read, and that none is lost."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from malformed_files import cohort, image_file, lobes, series

from weakmask.cli import main
from weakmask.commands.scan_jobs import find_jobs
from weakmask.config import to_yaml
from weakmask.methods import METHODS
from weakmask.prediction import Prediction, Scan
from weakmask.region_learning.segmenter import RegionSegmenter

Run = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A cohort of two scans, s0 and s1, with regions."""
    return cohort(tmp_path / "cohort")


def test_a_run_before_its_context_network_is_not_complete(model: Path, scans: Path, tmp_path: Path, weakmask: Run):
    run, out = tmp_path / "run", tmp_path / "out"
    (run / "04-model").mkdir(parents=True)
    shutil.copy(model, run / "04-model" / "model.safetensors")
    config = METHODS["dram"].settings(data={"cohort": "cohort"})  # pyright: ignore[reportCallIssue]
    (run / "config.yaml").write_text(to_yaml(config), encoding="utf-8")
    scan, regions = scans / "images" / "s0.nii.gz", scans / "regions"
    code, lines = weakmask("predict", run, scan, "--regions", regions, "-o", out)
    assert code == 2
    expected = f"error {run}: stage context-model is not finished; go on with `weakmask train` and the same --out"
    assert lines == [expected]
    assert not out.exists()
    # the file itself is taken as it is, and the report names no context network
    assert weakmask("predict", run / "04-model" / "model.safetensors", scan, "--regions", regions, "-o", out)[0] == 0
    assert "second U-Net" not in (out / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two pictures and their regions."""
    folder = tmp_path / "pictures"
    for name in ("p0.png", "p1.png"):
        image_file(folder / "images" / name, np.full((14, 16), 90, np.uint8))
        image_file(folder / "regions" / name, lobes()[7])
    return folder


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(weakmask: Run, folder: Path, *arguments: object) -> str:
    """The one line of a command that leaves a folder as it was."""
    before = contents(folder)
    code, lines = weakmask(*arguments)
    assert (code, len(lines)) == (2, 1), lines
    assert contents(folder) == before
    return lines[0]


def test_lobes_never_replace_the_scans(scans: Path, weakmask: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    images = scans / "images"
    line = refused(weakmask, scans, "lobes", images, "-o", images)
    assert (
        line == f"error {images}/s0.nii.gz: is an input, and a result would replace it; choose another folder for --out"
    )
    (scans / "link").symlink_to(images)
    assert "link/s1.nii.gz: is an input" in refused(
        weakmask, scans, "lobes", images / "s1.nii.gz", "-o", scans / "link"
    )
    monkeypatch.chdir(images)
    assert "s0.nii.gz: is an input" in refused(weakmask, scans, "lobes", "s0.nii.gz", "-o", ".")


def test_masks_never_replace_pictures_or_regions(model: Path, pictures: Path, weakmask: Run) -> None:
    scan, mask = pictures / "p0" / "mask.png", pictures / "p0" / "regions.png"
    scan.parent.mkdir()
    shutil.copy(pictures / "images" / "p0.png", scan)
    shutil.copy(pictures / "regions" / "p0.png", mask)
    line = refused(
        weakmask, pictures, "predict", model, pictures / "images" / "p0.png", "--regions", mask, "-o", pictures
    )
    assert f"{scan}: exists and was not written by `weakmask predict`" in line
    scan.unlink()
    line = refused(
        weakmask, pictures, "predict", model, pictures / "images" / "p0.png", "--regions", mask, "-o", pictures
    )
    assert f"{mask}: is an input, and a result would replace it" in line


def test_masks_never_replace_volumes_or_their_regions(model: Path, scans: Path, weakmask: Run) -> None:
    scan, mask = scans / "mask" / "mask.nii.gz", scans / "mask" / "regions.nii.gz"
    scan.parent.mkdir()
    shutil.copy(scans / "images" / "s0.nii.gz", scan)
    shutil.copy(scans / "regions" / "s0.nii.gz", mask)
    line = refused(weakmask, scans, "predict", model, scan, "--regions", mask, "-o", scans)
    assert f"{scan}: is an input" in line


def test_a_cohort_keeps_its_scores(model: Path, scans: Path, tmp_path: Path, weakmask: Run) -> None:
    command = ["predict", model, scans / "images", "--regions", scans / "regions", "-o"]
    line = refused(weakmask, scans, *command, scans)
    assert f"{scans}/scores.csv: exists and was not written by `weakmask predict`" in line
    for _ in range(2):  # the files of a prediction may be replaced by the next
        assert weakmask(*command, tmp_path / "out")[0] == 0


def test_layers_of_an_earlier_prediction_do_not_stay(model: Path, scans: Path, tmp_path: Path, weakmask: Run) -> None:
    out = tmp_path / "out"
    command = ["predict", model, scans / "images" / "s0.nii.gz", "--regions", scans / "regions", "-o", out]
    assert weakmask(*command)[0] == 0
    stale = out / "s0" / "subtypes.nii.gz"
    stale.write_bytes((out / "s0" / "mask.nii.gz").read_bytes())
    (out / "s0" / "scan.json").unlink()  # as a version without records left it
    assert weakmask(*command)[0] == 0
    assert not stale.exists()
    assert (out / "s0" / "mask.nii.gz").exists()


def test_a_run_keeps_its_report(model: Path, scans: Path, tmp_path: Path, weakmask: Run) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "report.html").write_text("of the training", encoding="utf-8")
    line = refused(weakmask, tmp_path, "predict", model, scans / "images", "--regions", scans / "regions", "-o", run)
    assert f"{run}/report.html: exists and was not written by `weakmask predict`" in line


def test_masks_that_a_user_drew_are_not_replaced_by_lobes(scans: Path, weakmask: Run) -> None:
    line = refused(weakmask, scans, "lobes", scans / "images", "-o", scans / "regions")
    assert f"{scans}/regions/s0.nii.gz: exists and was not written by `weakmask lobes`" in line


def test_every_scan_is_segmented_once(
    model: Path, scans: Path, tmp_path: Path, weakmask: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    segmented: list[str] = []
    real = RegionSegmenter.segment

    def counted(self: RegionSegmenter, scan: Scan) -> Prediction:
        segmented.append(scan.name)
        return real(self, scan)

    monkeypatch.setattr(RegionSegmenter, "segment", counted)
    folder, regions = tmp_path / "six", tmp_path / "regions"
    for kind, target in (("images", folder), ("regions", regions)):
        target.mkdir()
        for number in range(6):
            shutil.copy(scans / kind / "s0.nii.gz", target / f"t{number}.nii.gz")
    command = ["predict", model, folder, "--regions", regions, "-o", tmp_path / "out"]
    assert weakmask(*command)[0] == 0
    assert segmented == [f"t{number}" for number in range(6)]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert all(f"t{number}" in page for number in range(6))


def test_a_linked_folder_of_dicom_keeps_the_name_of_the_link(model: Path, tmp_path: Path, weakmask: Run) -> None:
    series(tmp_path / "archive" / "P1" / "dicom", [0.0, 1.0, 2.0])
    for file in (tmp_path / "archive" / "P1" / "dicom").iterdir():
        file.rename(file.with_suffix(".IMA"))
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "ricord_001").symlink_to(tmp_path / "archive" / "P1" / "dicom")
    jobs, lines = find_jobs([tmp_path / "images"], lambda name, path: {})
    assert [job.name for job in jobs] == ["ricord_001"]
    assert lines == []


def left_out(lines: list[str]) -> list[str]:
    return [line.removeprefix("left out ") for line in lines if line.startswith("left out ")]


def test_scans_of_one_name_do_not_replace_each_other(model: Path, scans: Path, tmp_path: Path, weakmask: Run) -> None:
    first, second, out = tmp_path / "a" / "s0.nii.gz", tmp_path / "b" / "s0.nii.gz", tmp_path / "out"
    for file, number in ((first, 0), (second, 1)):
        file.parent.mkdir()
        shutil.copy(scans / "images" / f"s{number}.nii.gz", file)
    command = ["predict", model, "--regions", scans / "regions", "-o", out, first, second, first]
    code, lines = weakmask(*command)
    assert code == 2  # the mask s0 may be of either
    for name in ("a_s0", "b_s0"):
        assert any(f"{scans}/regions: no region mask {name}.nii.gz" in line for line in lines)
    for name, number in (("a_s0", 0), ("b_s0", 1)):
        shutil.copy(scans / "regions" / f"s{number}.nii.gz", scans / "regions" / f"{name}.nii.gz")
    code, lines = weakmask(*command)
    assert code == 2
    assert left_out(lines)[0] == f"{first}: given twice; its first results stand"
    assert pd.read_csv(out / "scores.csv")["scan"].unique().tolist() == ["a_s0", "b_s0"]
    assert (out / "b_s0" / "mask.nii.gz").exists()
    assert f"{first}: given twice" in (out / "report.html").read_text(encoding="utf-8")


def test_dicom_folders_and_pictures_of_one_name(model: Path, pictures: Path, tmp_path: Path, weakmask: Run) -> None:
    for patient in ("P1", "P2"):
        series(tmp_path / "dicom" / patient / "CT", [0.0, 1.0, 2.0])
    jobs, lines = find_jobs([tmp_path / "dicom"], lambda name, path: {})
    assert ([job.name for job in jobs], lines) == (["P1_CT", "P2_CT"], [])
    image_file(pictures / "images" / "p0.jpg", np.full((14, 16), 90, np.uint8))
    for suffix in ("jpg", "png"):
        shutil.copy(pictures / "regions" / "p0.png", pictures / "regions" / f"p0_{suffix}.png")
    out = tmp_path / "out"
    code, _ = weakmask("predict", model, pictures / "images", "--regions", pictures / "regions", "-o", out)
    assert code == 0
    assert pd.read_csv(out / "scores.csv")["scan"].unique().tolist() == ["p0_jpg", "p0_png", "p1"]


def test_a_model_that_marks_nothing_is_noted_and_masks_are_named_in_full(
    model: Path, scans: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["predict", model, scans, "--regions", scans / "regions", "-o", tmp_path / "out"]
    monkeypatch.setattr(sys, "argv", ["weakmask", *map(str, words)])
    with pytest.raises(SystemExit):
        main()
    shown = capsys.readouterr()
    assert "note the model marked no voxel in any of the 2 scans" in shown.err
    assert f"masks: {tmp_path / 'out'}/NAME/mask.nii.gz; report:" in shown.out
    assert "the model marked no voxel" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_of_a_cohort_only_the_images_are_scans(model: Path, scans: Path, tmp_path: Path, weakmask: Run) -> None:
    shutil.copytree(scans / "regions", scans / "lesions")
    shutil.copy(scans / "lesions" / "s1.nii.gz", scans / "lesions" / "s2.nii.gz")
    assert weakmask("predict", model, scans, "--regions", scans / "regions", "-o", tmp_path / "out") == (0, [])
    assert pd.read_csv(tmp_path / "out" / "scores.csv")["scan"].unique().tolist() == ["s0", "s1"]


def test_regions_with_the_labels_of_another_tool_are_refused(
    model: Path, scans: Path, tmp_path: Path, weakmask: Run
) -> None:
    for number in (0, 1):
        labels = lobes()
        image_file(tmp_path / "masks" / f"s{number}.nii.gz", np.where(labels > 0, labels + 9, 0).astype(np.uint8))
    command = ["predict", model, scans / "images", "--regions", tmp_path / "masks", "-o", tmp_path / "out"]
    code, lines = weakmask(*command)
    assert code == 2
    begun = [line.partition(":")[0] for line in lines[:2]]
    assert begun == [f"left out {scans}/images/s{number}.nii.gz" for number in (0, 1)]
    assert "has the labels 10, 11, 12, 13, 14, none of LUL 1, LLL 2, RUL 3, RML 4, RLL 5;" in lines[0]
    assert lines[0].endswith("the labels are those of totalsegmentator: give --numbering totalsegmentator")
    assert weakmask(*command, "--numbering", "totalsegmentator") == (0, [])
