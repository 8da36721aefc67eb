"""The baselines from the cohort to the report, on phantoms: trained, stopped and gone on with, judged, used."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from weakmask.commands.predict import RegionSource, predict
from weakmask.config import Settings, parse
from weakmask.errors import UserError
from weakmask.methods import METHODS
from weakmask.methods import train as train_method
from weakmask.phantoms.chest_ct import write_phantom_cohort
from weakmask.pipeline import read_manifest, read_stage, run_stages
from weakmask.training import fit as loop
from weakmask.volume.files import read_volume, scan_name, write_volume
from weakmask.volume.geometry import Box

TRAINING = {"cam": "classification", "supervised": "segmentation"}
ROW = {"cam": "CAM + refine", "supervised": "supervised U-Net"}
every_baseline = pytest.mark.parametrize("method", TRAINING)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("baselines") / "cohort"
    write_phantom_cohort(folder, 8, 3, (48, 54, 58), (6.5, 6.5, 6.5), workers=1)
    write_phantom_cohort(folder.with_name("unseen"), 4, 4, (48, 54, 58), (6.5, 6.5, 6.5), workers=1)
    return folder


def settings(method: str, cohort: Path, steps: int = 120, **data: object) -> Settings:
    """A short training; it is evaluated on the cohort `unseen` beside the one it is trained on."""
    values = {
        "method": method,
        "device": "cpu",
        "data": {"cohort": str(cohort), "test": str(cohort.with_name("unseen")), "validation": 0.25, **data},
        "prepare": {"spacing_mm": None, "crop_shape": [16, 16, 16]},
        "network": {"width": 4},
        "maps": {"scales": [1.0]},
        TRAINING[method]: {
            "steps": steps,
            "batch": 6,
            "learning_rate": 5e-3,
            "validate_every": 20,
            "checkpoint_every": 10,
            "precision": "32-true",
            "keep": "last",
        },
    }
    return parse(METHODS[method].settings, values, method)


def train(method: str, run: Path, config: Settings) -> pd.DataFrame:
    return train_method(METHODS[method], config, run)


@pytest.fixture(scope="module")
def trained(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, pd.DataFrame]]:
    """A method's run and its summary, trained once."""
    root, runs = tmp_path_factory.mktemp("runs"), {}

    def of(method: str) -> tuple[Path, pd.DataFrame]:
        if method not in runs:
            runs[method] = (root / method, train(method, root / method, settings(method, cohort)))
        return runs[method]

    return of


@every_baseline
def test_a_run_leaves_tables_masks_and_a_report(trained, method: str) -> None:
    run, summary = trained(method)
    rows = [ROW[method], *(["CAM raw"] if method == "cam" else []), "Otsu in the region", "fixed threshold", "nothing"]
    assert summary["method"].tolist() == rows
    assert (summary["scans"] == 4).all()
    judged = set(pd.read_csv(run / "results.csv")["scan"])
    trained_on = set(pd.read_csv(run / "01-prepare" / "index.csv")["scan"])
    assert judged == {f"phantom_4_{number:04d}" for number in range(4)}
    assert trained_on == {f"phantom_3_{number:04d}" for number in range(8)}
    compared = pd.read_csv(run / "significance.csv")
    assert compared["method"].unique().tolist() == rows[:1]
    assert compared["alternative"].tolist() == rows[1:]
    assert ROW[method] in (run / "report.html").read_text(encoding="utf-8")
    assert [stage["stage"] for stage in read_manifest(run)["stages"]][-3:] == ["03-model", "04-maps", "05-evaluation"]
    for path in (run / "04-maps" / "activation").iterdir():
        activation = read_volume(path).voxels
        assert 0 <= activation.min() <= activation.max() <= 1


def test_true_masks_teach_what_a_threshold_does_not_know(trained) -> None:
    run, summary = trained("supervised")
    pooled = summary.set_index("method")["iou_pooled"]
    assert pooled["supervised U-Net"] > max(pooled["fixed threshold"], pooled["Otsu in the region"])
    curves = pd.read_csv(run / "02-segmentation" / "curves.csv")
    assert curves["total"].iloc[-1] < 0.8 * curves["total"].iloc[0]


def test_the_classifier_learns_and_refinement_keeps_to_the_raw_mask(trained) -> None:
    run, _ = trained("cam")
    curves = pd.read_csv(run / "02-classification" / "curves.csv")
    assert curves["total"].iloc[-1] < 0.9 * curves["total"].iloc[0]
    maps = run / "04-maps"
    for path in (maps / "masks").iterdir():
        refined, raw = (read_volume(maps / room / path.name, "label").voxels > 0 for room in ("masks", "masks-raw"))
        assert raw.any()
        assert (raw | ~refined).all()
        assert refined.sum() < raw.sum()


@every_baseline
def test_a_run_predicts_on_the_scans_own_grid(trained, cohort: Path, tmp_path: Path, method: str) -> None:
    run, _ = trained(method)
    unseen = cohort.with_name("unseen")
    scan = min((unseen / "images").iterdir())
    assert predict(run, [scan], tmp_path / "out", RegionSource(unseen / "regions"), device="cpu").failures == ()
    mask = read_volume(tmp_path / "out" / scan_name(scan) / "mask.nii.gz", "label")
    assert mask.geometry == read_volume(scan).geometry
    judged = read_volume(run / "04-maps" / "masks" / scan.name, "label")
    np.testing.assert_array_equal(mask.voxels, judged.voxels)  # the same function on the same scan
    assert len(pd.read_csv(tmp_path / "out" / "scores.csv")) == 5
    assert (tmp_path / "out" / "report.html").exists()


@every_baseline
def test_the_shipped_network_finds_missing_lobes(trained, cohort: Path, tmp_path: Path, method: str) -> None:
    run, _ = trained(method)
    scan = min((cohort / "images").iterdir())
    predict(run, [scan], tmp_path / "out", RegionSource(), device="cpu")
    assert set(pd.read_csv(tmp_path / "out" / "scores.csv")["region"]) == {"LUL", "LLL", "RUL", "RML", "RLL"}
    files = tmp_path / "out" / scan_name(scan) / "regions.nii.gz", cohort / "regions" / scan.name
    found, true = (read_volume(file, "label").voxels for file in files)
    assert (found == true)[true > 0].mean() > 0.8


@every_baseline
def test_stopped_in_the_training_it_goes_on_to_the_same_end(
    trained, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    unbroken, _ = trained(method)
    step_of_the_loop = loop.one_step

    def stops_at_65(training, losses_of, batch: Mapping[str, torch.Tensor], step: int):
        if step == 65:
            raise KeyboardInterrupt
        return step_of_the_loop(training, losses_of, batch, step)

    stages = METHODS[method].stages[:3]  # what follows is a function of the model
    monkeypatch.setattr(loop, "one_step", stops_at_65)
    with pytest.raises(KeyboardInterrupt):
        run_stages(stages, tmp_path / "run", settings(method, cohort))
    monkeypatch.undo()
    run_stages(stages, tmp_path / "run", settings(method, cohort))
    name = "03-model/model.safetensors"
    ours, theirs = load_file(tmp_path / "run" / name), load_file(unbroken / name)
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    curves = f"02-{TRAINING[method]}/curves.csv"
    assert (tmp_path / "run" / curves).read_bytes() == (unbroken / curves).read_bytes()


def sliced(cohort: Path, folder: Path, volume: str) -> Path:
    """One slice of each scan, but one scan as the volume that it is."""
    for file in sorted(cohort.glob("*/*.nii.gz")):
        whole = read_volume(file, "image" if file.parent.name == "images" else "label")
        _, height, width = whole.geometry.shape
        part = whole if file.name == f"{volume}.nii.gz" else whole.crop(Box((16, 0, 0), (17, height, width)))
        write_volume(part, folder / file.parent.name / file.name)
    shutil.copy(cohort / "scores.csv", folder / "scores.csv")
    return folder


@every_baseline
def test_slices_train_the_two_dimensional_networks(cohort: Path, tmp_path: Path, method: str) -> None:
    volume, *slices = sorted(scan_name(file) for file in (cohort / "images").iterdir())
    folder = sliced(cohort, tmp_path / "slices", volume)
    config, run = settings(method, folder, steps=2, test=str(folder), seen=True), tmp_path / "run"
    flat = config.model_copy(update={"prepare": config.prepare.model_copy(update={"crop_shape": (1, 24, 24)})})  # pyright: ignore[reportAttributeAccessIssue]
    assert set(train(method, run, flat)["scans"]) == {len(slices)}
    assert load_file(run / "03-model" / "model.safetensors")["encoder.0.0.weight"].ndim == 4
    # one plane of a volume must not stand for its regions, neither in the training nor in a prediction
    assert set(pd.read_csv(run / "01-prepare" / "index.csv")["scan"]) == set(slices)
    told = f"left out {volume}: a volume of 48 slices, but crops of 1 x 24 x 24 voxels (z, y, x) take single slices"
    for stage in ("01-prepare", "04-maps"):
        assert any(note.startswith(told) for note in read_stage(run / stage)["notes"])
    scan = folder / "images" / f"{volume}.nii.gz"
    with pytest.raises(UserError, match=rf"{volume}\.nii\.gz: a volume of 48 slices, but crops of 1 x 24 x 24"):
        predict(run, [scan], tmp_path / "out", RegionSource(folder / "regions"), device="cpu")
    assert not (tmp_path / "out").exists()


def test_scores_of_one_kind_and_missing_truth_are_told(cohort: Path, tmp_path: Path) -> None:
    table = pd.read_csv(cohort / "scores.csv")
    for name, scores in (("ill", table["score"].clip(lower=1)), ("bare", table["score"])):
        folder = tmp_path / name
        folder.mkdir()
        for room in ("images", "regions", *(["truth"] if name == "ill" else [])):
            (folder / room).symlink_to(cohort / room)
        table.assign(score=scores).to_csv(folder / "scores.csv", index=False)
    with pytest.raises(UserError, match="a classifier needs some with lesions and some whose score means 0 %"):
        train("cam", tmp_path / "cam", settings("cam", tmp_path / "ill", test=None))
    with pytest.raises(UserError, match="no scan has a usable truth; the supervised method learns from true masks"):
        train("supervised", tmp_path / "supervised", settings("supervised", tmp_path / "bare", test=None))
