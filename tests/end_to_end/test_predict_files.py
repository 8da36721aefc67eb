"""`weakmask predict` and `weakmask lobes` beside files that are there: which are read, and that none is lost."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from malformed_files import cohort, image_file, lobes, series

Run = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A cohort of two scans, s0 and s1, with regions."""
    return cohort(tmp_path / "cohort")


def test_a_run_before_its_context_network_is_not_complete(model: Path, scans: Path, tmp_path: Path, weakmask: Run):
    run, out = tmp_path / "run", tmp_path / "out"
    (run / "04-model").mkdir(parents=True)
    shutil.copy(model, run / "04-model" / "model.safetensors")
    scan, regions = scans / "images" / "s0.nii.gz", scans / "regions"
    code, lines = weakmask("predict", run, scan, "--regions", regions, "-o", out)
    assert code == 2
    assert lines == [f"error {run}: training is not complete, no context network yet; run weakmask train again"]
    assert not out.exists()
    # the file itself is taken for what it is, and the report says no more than that
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
        line
        == f"error {images}/s0.nii.gz: is read here, and a result would replace it; choose another folder for --out"
    )
    (scans / "link").symlink_to(images)
    assert "link/s1.nii.gz: is read here" in refused(
        weakmask, scans, "lobes", images / "s1.nii.gz", "-o", scans / "link"
    )
    monkeypatch.chdir(images)
    assert "s0.nii.gz: is read here" in refused(weakmask, scans, "lobes", "s0.nii.gz", "-o", ".")


def test_masks_never_replace_pictures_or_regions(model: Path, pictures: Path, weakmask: Run) -> None:
    images, regions = pictures / "images", pictures / "regions"
    for out in (images, regions):
        line = refused(weakmask, pictures, "predict", model, images, "--regions", regions, "-o", out)
        assert f"{out}/p0.png: is read here, and a result would replace it" in line


def test_masks_never_replace_volumes_or_their_regions(model: Path, scans: Path, weakmask: Run) -> None:
    scan, mask = scans / "one" / "mask.nii.gz", scans / "one" / "regions.nii.gz"
    scan.parent.mkdir()
    shutil.copy(scans / "images" / "s0.nii.gz", scan)
    shutil.copy(scans / "regions" / "s0.nii.gz", mask)
    line = refused(weakmask, scans, "predict", model, scan, "--regions", mask, "-o", scan.parent)
    assert f"{scan}: is read here" in line
    other = scans / "images" / "s0.nii.gz"
    line = refused(weakmask, scans, "predict", model, other, "--regions", mask, "-o", scan.parent)
    assert f"{mask}: is read here" in line


def test_a_cohort_keeps_its_scores(model: Path, scans: Path, tmp_path: Path, weakmask: Run) -> None:
    command = ["predict", model, scans / "images", "--regions", scans / "regions", "-o"]
    assert f"{scans}/scores.csv: not the table of a prediction" in refused(weakmask, scans, *command, scans)
    for _ in range(2):  # what a prediction left may be replaced by the next
        assert weakmask(*command, tmp_path / "out")[0] == 0


def left_out(lines: list[str]) -> list[str]:
    return [line.removeprefix("left out ") for line in lines if line.startswith("left out ")]


def test_scans_of_one_name_do_not_replace_each_other(model: Path, scans: Path, tmp_path: Path, weakmask: Run) -> None:
    first, second, out = tmp_path / "a" / "s0.nii.gz", tmp_path / "b" / "s0.nii.gz", tmp_path / "out"
    for file, number in ((first, 0), (second, 1)):
        file.parent.mkdir()
        shutil.copy(scans / "images" / f"s{number}.nii.gz", file)
    command = ["predict", model, "--regions", scans / "regions", "-o", out, first, second, first]
    code, lines = weakmask(*command)
    assert code == 2
    told = left_out(lines)
    assert [line.partition(";")[0] for line in told] == [
        f"{second}: another scan has the name s0 ({first})",
        f"{first}: given twice",
    ]
    assert pd.read_csv(out / "scores.csv")["scan"].tolist() == ["s0"] * 5
    assert (out / "s0" / "mask.nii.gz").exists()
    assert str(second) in (out / "report.html").read_text(encoding="utf-8")


def test_dicom_folders_and_pictures_of_one_name(model: Path, pictures: Path, tmp_path: Path, weakmask: Run) -> None:
    for patient in ("P1", "P2"):
        series(tmp_path / "dicom" / patient / "CT", [0.0, 1.0, 2.0])
    code, lines = weakmask("lobes", tmp_path / "dicom", "-o", tmp_path / "lobes")
    assert code == 2
    assert any("P2/CT: another scan has the name CT (" in line for line in left_out(lines))
    image_file(pictures / "images" / "p0.jpg", np.full((14, 16), 90, np.uint8))
    out = tmp_path / "out"
    code, lines = weakmask("predict", model, pictures / "images", "--regions", pictures / "regions", "-o", out)
    assert code == 2
    assert any("p0.png: another scan has the name p0 (" in line for line in left_out(lines))


def test_of_a_cohort_only_the_images_are_scans(model: Path, scans: Path, tmp_path: Path, weakmask: Run) -> None:
    shutil.copytree(scans / "regions", scans / "lesions")
    shutil.copy(scans / "lesions" / "s1.nii.gz", scans / "lesions" / "s2.nii.gz")
    assert weakmask("predict", model, scans, "--regions", scans / "regions", "-o", tmp_path / "out") == (0, [])
    assert pd.read_csv(tmp_path / "out" / "scores.csv")["scan"].unique().tolist() == ["s0", "s1"]


def test_regions_with_the_labels_of_others_are_told(model: Path, scans: Path, tmp_path: Path, weakmask: Run) -> None:
    for number in (0, 1):
        labels = lobes()
        image_file(tmp_path / "masks" / f"s{number}.nii.gz", np.where(labels > 0, labels + 9, 0).astype(np.uint8))
    command = ["predict", model, scans / "images", "--regions", tmp_path / "masks", "-o", tmp_path / "out"]
    code, lines = weakmask(*command)
    assert code == 0
    assert [line.partition(":")[0] for line in lines] == [f"note {scans}/images/s{number}.nii.gz" for number in (0, 1)]
    assert "not trained on: 10, 11, 12, 13, 14; expected LUL 1, LLL 2, RUL 3, RML 4, RLL 5;" in lines[0]
    assert lines[0].endswith("the labels are those of totalsegmentator: give --numbering totalsegmentator")
    assert weakmask(*command, "--numbering", "totalsegmentator") == (0, [])
