"""Masks of any tool against a cohort: found by name, alone or not, with scores or without."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from weakmask.commands.evaluate import evaluate_masks
from weakmask.errors import UserError
from weakmask.phantoms.chest_ct import write_phantom_cohort
from weakmask.volume.files import read_volume, write_volume
from weakmask.volume.geometry import Geometry
from weakmask.volume.itk import to_itk, write_by_itk
from weakmask.volume.volume import Volume

TRUE = "phantom_0_0000.nii.gz"


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    write_phantom_cohort(tmp_path / "cohort", 2, 0, (40, 48, 48), (7.5, 7.5, 7.5), workers=1)
    return tmp_path / "cohort"


def only_one(cohort: Path) -> None:
    for folder in ("images", "regions", "truth"):
        (cohort / folder / "phantom_0_0001.nii.gz").unlink()
    table = cohort / "scores.csv"
    table.write_text("".join(line for line in table.read_text().splitlines(keepends=True) if "_0001" not in line))


def test_the_tables_of_a_run_are_not_replaced(cohort: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "results.csv").write_text("of the run", encoding="utf-8")
    with pytest.raises(UserError, match=r"run/results\.csv: exists and was not written by `weakmask evaluate`"):
        evaluate_masks(cohort / "truth", cohort, run, "other")
    assert [(file.name, file.read_text(encoding="utf-8")) for file in run.iterdir()] == [("results.csv", "of the run")]
    for _ in range(2):  # its own tables may be replaced
        evaluate_masks(cohort / "truth", cohort, tmp_path / "tables", "other")


def test_true_masks_are_right_in_both_forms(cohort: Path, tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    (masks / "phantom_0_0001").mkdir(parents=True)
    shutil.copy(cohort / "truth" / TRUE, masks / TRUE)
    shutil.copy(cohort / "truth" / "phantom_0_0001.nii.gz", masks / "phantom_0_0001" / "mask.nii.gz")
    summary = evaluate_masks(masks, cohort, tmp_path / "judged", "theirs").iloc[0]
    assert (summary["method"], summary["scans"], summary["iou_pooled"]) == ("theirs", 2, 1.0)


def test_a_scan_that_is_alone_has_the_mask_without_a_name(cohort: Path, tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    shutil.copy(cohort / "truth" / TRUE, masks / "mask.nii.gz")
    with pytest.raises(UserError, match="no mask belongs to a scan"):
        evaluate_masks(masks, cohort, tmp_path / "of-two", "ours")
    only_one(cohort)
    for number, given in enumerate((masks, masks / "mask.nii.gz")):
        assert evaluate_masks(given, cohort, tmp_path / f"judged-{number}", "ours").iloc[0]["iou_pooled"] == 1.0


def test_masks_are_judged_without_any_scores(cohort: Path, tmp_path: Path) -> None:
    (cohort / "scores.csv").unlink()
    summary = evaluate_masks(cohort / "truth", cohort, tmp_path / "judged", "ours").iloc[0]
    assert (summary["scans"], summary["iou_pooled"]) == (2, 1.0)
    shutil.rmtree(cohort / "truth")
    with pytest.raises(UserError, match=r"neither scores.csv nor a mask in truth/"):
        evaluate_masks(tmp_path, cohort, tmp_path / "again", "ours")


def test_marks_outside_the_regions_do_not_count_but_are_noted(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    only_one(cohort)
    mask = read_volume(cohort / "truth" / TRUE, "label")
    outside = read_volume(cohort / "regions" / TRUE, "label").voxels == 0
    everywhere = mask.with_voxels(((mask.voxels > 0) | outside).astype(np.uint8))
    write_volume(everywhere, tmp_path / "masks" / TRUE)
    summary = evaluate_masks(tmp_path / "masks", cohort, tmp_path / "judged", "theirs").iloc[0]
    assert summary["iou_pooled"] == 1.0
    told = " ".join(capsys.readouterr().err.split())
    assert f"phantom_0_0000: {outside.sum()} voxels of the mask (" in told
    assert "lie outside the regions and do not count" in told


def test_a_truth_that_the_check_refuses_is_not_used(
    cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    only_one(cohort)
    truth = read_volume(cohort / "truth" / TRUE, "label")
    write_volume(truth.with_voxels(np.where(truth.voxels > 0, 4, 0).astype(np.uint8)), cohort / "truth" / TRUE)
    write_volume(truth, tmp_path / "masks" / TRUE)
    summary = evaluate_masks(tmp_path / "masks", cohort, tmp_path / "judged", "theirs").iloc[0]
    assert np.isnan(summary["iou_mean"])
    assert "has the labels 4; expected 0 to 3 or just 0 and 1; the truth is not used" in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["", ".seg.nrrd"])
def test_only_lesions_count_where_a_mask_names_its_structures(
    cohort: Path, tmp_path: Path, ending: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The lungs beside them counted as lesions."""
    only_one(cohort)
    lesions = read_volume(cohort / "truth" / TRUE, "label")
    lungs = read_volume(cohort / "regions" / TRUE, "label").voxels > 0
    parts = {"lungs": lungs & (lesions.voxels == 0), "Lesion": lesions.voxels > 0}
    place = tmp_path / "masks" / f"phantom_0_0000{ending}"
    if ending:
        place.parent.mkdir()
        image = to_itk((parts["lungs"] + 2 * parts["Lesion"]).astype(np.uint8), lesions.geometry)
        for number, name in enumerate(parts):
            image.SetMetaData(f"Segment{number}_Name", name)
            image.SetMetaData(f"Segment{number}_LabelValue", str(number + 1))
            image.SetMetaData(f"Segment{number}_Layer", "0")
        write_by_itk(image, place, ".nrrd")
    else:
        for name, voxels in parts.items():
            write_volume(lesions.with_voxels(voxels), place / f"{name}.nii.gz")
    summary = evaluate_masks(tmp_path / "masks", cohort, tmp_path / "judged", "other").iloc[0]
    assert summary["iou_pooled"] == 1.0
    assert "structures of other names are not used: lungs" in " ".join(capsys.readouterr().err.split())


def test_instances_and_classes_count_as_foreground(tmp_path: Path) -> None:
    truth = np.array([[[0, 7, 255, 255], [0, 9, 9, 0]]], np.uint16)
    marked = (truth > 0).astype(np.uint8)
    marked[0, 0, 2] = 0
    grid = Geometry(truth.shape)
    for kind, expected in (("instances", 4 / 5), ("classes", 1.0)):  # of classes, 255 is ignored
        folder = tmp_path / kind
        for place, voxels in (("images", np.arange(8, dtype=np.int16).reshape(1, 2, 4)), ("truth", truth)):
            write_volume(Volume(voxels, grid), folder / place / "a.nii.gz")
        (folder / "truth.yaml").write_text(f"kind: {kind}\n")
        write_volume(Volume(marked, grid), folder / "masks" / "a.nii.gz")
        summary = evaluate_masks(folder / "masks", folder, folder / "judged", "theirs").iloc[0]
        assert summary["iou_mean"] == pytest.approx(expected)
