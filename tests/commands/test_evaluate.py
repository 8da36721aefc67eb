"""Masks of any tool against a cohort: found by name, alone or not, with scores or without."""

import shutil
from pathlib import Path

import pytest

from weakmask.commands.evaluate import evaluate_masks
from weakmask.errors import UserError
from weakmask.phantoms.chest_ct import write_phantom_cohort

TRUE = "phantom_0000.nii.gz"


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    write_phantom_cohort(tmp_path / "cohort", 2, 0, (40, 48, 48), (7.5, 7.5, 7.5), workers=1)
    return tmp_path / "cohort"


def only_one(cohort: Path) -> None:
    for folder in ("images", "regions", "lesions"):
        (cohort / folder / "phantom_0001.nii.gz").unlink()
    table = cohort / "scores.csv"
    table.write_text("".join(line for line in table.read_text().splitlines(keepends=True) if "_0001" not in line))


def test_true_masks_are_right_in_both_forms(cohort: Path, tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    (masks / "phantom_0001").mkdir(parents=True)
    shutil.copy(cohort / "lesions" / TRUE, masks / TRUE)
    shutil.copy(cohort / "lesions" / "phantom_0001.nii.gz", masks / "phantom_0001" / "mask.nii.gz")
    summary = evaluate_masks(masks, cohort, tmp_path / "judged", "theirs").iloc[0]
    assert (summary["method"], summary["scans"], summary["iou_pooled"]) == ("theirs", 2, 1.0)


def test_a_scan_that_is_alone_has_the_mask_without_a_name(cohort: Path, tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    shutil.copy(cohort / "lesions" / TRUE, masks / "mask.nii.gz")
    with pytest.raises(UserError, match="no mask belongs to a scan"):
        evaluate_masks(masks, cohort, tmp_path / "of-two", "ours")
    only_one(cohort)
    for number, given in enumerate((masks, masks / "mask.nii.gz")):
        assert evaluate_masks(given, cohort, tmp_path / f"judged-{number}", "ours").iloc[0]["iou_pooled"] == 1.0


def test_masks_are_judged_without_any_scores(cohort: Path, tmp_path: Path) -> None:
    (cohort / "scores.csv").unlink()
    summary = evaluate_masks(cohort / "lesions", cohort, tmp_path / "judged", "ours").iloc[0]
    assert (summary["scans"], summary["iou_pooled"]) == (2, 1.0)
    shutil.rmtree(cohort / "lesions")
    with pytest.raises(UserError, match=r"neither scores.csv nor a mask in lesions/"):
        evaluate_masks(tmp_path, cohort, tmp_path / "again", "ours")
