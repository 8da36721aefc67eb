"""A cohort in nnU-Net's raw format, as its documentation describes it, and its predictions judged."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from weakmask.commands.evaluate import evaluate_masks
from weakmask.datasets.nnunet import NnunetDataset, export_nnunet
from weakmask.errors import UserError
from weakmask.phantoms.chest_ct import write_phantom_cohort
from weakmask.volume.files import read_volume, write_volume


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort") / "cohort"
    write_phantom_cohort(folder, 5, 3, (40, 44, 48), (8.0, 8.0, 8.0), workers=1)
    return folder


@pytest.fixture
def broken(cohort: Path, tmp_path: Path) -> Path:
    """A copy whose first scan has no truth and whose second is no CT."""
    folder = tmp_path / "broken"
    shutil.copytree(cohort, folder)
    first, second, *_ = names(folder)
    (folder / "truth" / f"{first}.nii.gz").unlink()
    path = folder / "images" / f"{second}.nii.gz"
    image = read_volume(path)
    write_volume(image.with_voxels(np.zeros_like(image.voxels)), path)
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name.removesuffix(".nii.gz") for path in (folder / "images").iterdir())


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_images_labels_and_description(cohort: Path, tmp_path: Path) -> None:
    found = export_nnunet(cohort, tmp_path / "raw", NnunetDataset(501), test_folder=cohort)
    scans = names(cohort)
    assert found.folder == tmp_path / "raw" / "Dataset501_Lesions"
    assert (sorted(found.training), sorted(found.test), found.notes) == (scans, scans, ())
    assert files(found.folder) == ["dataset.json", "imagesTr", "imagesTs", "labelsTr", "splits_final.json"]
    assert files(found.folder / "imagesTr") == [f"{scan}_0000.nii.gz" for scan in scans]
    assert files(found.folder / "imagesTs") == files(found.folder / "imagesTr")
    assert files(found.folder / "labelsTr") == [f"{scan}.nii.gz" for scan in scans]
    described = json.loads((found.folder / "dataset.json").read_text())
    assert described["channel_names"] == {"0": "CT"}
    assert described["labels"] == {"background": 0, "lesion": 1}
    assert (described["numTraining"], described["file_ending"]) == (len(scans), ".nii.gz")
    assert not [path for path in (tmp_path / "raw").iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("subtypes", [False, True])
def test_voxels_and_grids_are_the_cohorts(cohort: Path, tmp_path: Path, subtypes: bool) -> None:
    found = export_nnunet(cohort, tmp_path, NnunetDataset(7, name="Sub-types", subtypes=subtypes))
    labels = json.loads((found.folder / "dataset.json").read_text())["labels"]
    assert list(labels.values()) == list(range(len(labels))), "nnU-Net wants consecutive labels"
    assert ("consolidation" in labels) == subtypes
    present = set()
    for scan in names(cohort):
        image = read_volume(found.folder / "imagesTr" / f"{scan}_0000.nii.gz")
        label = read_volume(found.folder / "labelsTr" / f"{scan}.nii.gz", "label")
        original, truth = (read_volume(cohort / room / f"{scan}.nii.gz") for room in ("images", "truth"))
        assert image.geometry == label.geometry == original.geometry
        np.testing.assert_array_equal(image.voxels, original.voxels)
        np.testing.assert_array_equal(label.voxels, truth.voxels if subtypes else truth.voxels > 0)
        present |= set(np.unique(label.voxels))
    assert present <= set(labels.values())


def test_folds_hold_every_case_once_and_no_patient_twice(cohort: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cohort"
    shutil.copytree(cohort, folder)
    table = pd.read_csv(folder / "scores.csv")
    scans = sorted(table["scan"].unique())
    patients = dict(zip(scans, ["a", "a", "b", "c", "c"], strict=True))
    table.assign(patient=[patients[scan] for scan in table["scan"]]).to_csv(folder / "scores.csv", index=False)
    found = export_nnunet(folder, tmp_path / "raw", NnunetDataset(12, folds=3, seed=4))
    folds = json.loads((found.folder / "splits_final.json").read_text())
    assert [set(fold) for fold in folds] == [{"train", "val"}] * 3
    assert sorted(scan for fold in folds for scan in fold["val"]) == scans
    for fold in folds:
        assert sorted(fold["train"] + fold["val"]) == scans
        assert not {patients[scan] for scan in fold["train"]} & {patients[scan] for scan in fold["val"]}
    again = export_nnunet(folder, tmp_path / "again", NnunetDataset(12, folds=3, seed=4))
    assert (again.folder / "splits_final.json").read_bytes() == (found.folder / "splits_final.json").read_bytes()


def test_scans_that_cannot_be_used_are_left_out_and_told(broken: Path, tmp_path: Path) -> None:
    first, second, *rest = names(broken)
    found = export_nnunet(broken, tmp_path / "raw", NnunetDataset(501, folds=2), test_folder=broken)
    assert sorted(found.training) == rest
    assert sorted(found.test) == [first, *rest]  # a test image needs no truth
    assert any(note.startswith(f"left out {first}: no usable truth") for note in found.notes)
    assert any(f"left out {second}" in note and "every voxel is 0" in note for note in found.notes)
    assert json.loads((found.folder / "dataset.json").read_text())["numTraining"] == len(rest)


def test_faults_leave_nothing_behind(cohort: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    with pytest.raises(UserError, match="5 patients cannot be split"):
        export_nnunet(cohort, raw, NnunetDataset(501, folds=9))
    assert not list(raw.iterdir())
    bare = tmp_path / "bare"
    shutil.copytree(cohort, bare)
    shutil.rmtree(bare / "truth")
    with pytest.raises(UserError, match=r"no image has true masks; give truth/NAME"):
        export_nnunet(bare, raw, NnunetDataset(501))
    assert not list(raw.iterdir())
    (raw / "Dataset501_Other").mkdir()
    with pytest.raises(UserError, match="holds Dataset501_Other already"):
        export_nnunet(cohort, raw, NnunetDataset(501))


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ({"number": 0}, "from 1 to 999"),
        ({"number": 1000}, "from 1 to 999"),
        ({"number": 5, "name": "a b"}, "letters, digits and hyphens"),
        ({"number": 5, "folds": 1}, "2 or more"),
    ],
)
def test_what_nnunet_does_not_take_is_refused(arguments: dict, line: str) -> None:
    with pytest.raises(UserError, match=line):
        NnunetDataset(**arguments)


def test_its_predictions_come_back_into_the_table(cohort: Path, tmp_path: Path) -> None:
    """`nnUNetv2_predict -o FOLDER` writes CASE.nii.gz beside its own JSON files."""
    found = export_nnunet(cohort, tmp_path / "raw", NnunetDataset(501, subtypes=True), test_folder=cohort)
    predictions = tmp_path / "predictions"
    shutil.copytree(found.folder / "labelsTr", predictions)  # a perfect nnU-Net
    for name in ("dataset.json", "plans.json", "predict_from_raw_data_args.json"):
        (predictions / name).write_text("{}")
    summary = evaluate_masks(predictions, cohort, tmp_path / "judged", "nnU-Net")
    assert summary["method"].tolist() == ["nnU-Net"]
    assert summary["scans"].tolist() == [len(found.test)]
    assert summary["iou_pooled"].tolist() == [1.0]
    assert set(pd.read_csv(tmp_path / "judged" / "results.csv")["scan"]) == set(found.test)
