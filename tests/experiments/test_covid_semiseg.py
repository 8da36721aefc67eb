"""The whole reproduction on a handful of made slices and two steps: folders, tables, report, going on, prediction."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from weakmask.commands.predict import RegionSource, predict
from weakmask.errors import UserError
from weakmask.experiments import covid_rows, covid_semiseg
from weakmask.experiments.covid_floors import FIXED, OPENED
from weakmask.experiments.covid_semiseg import final_model, reproduce
from weakmask.experiments.parallel_runs import Task
from weakmask.scoring.severity import CT_SEVERITY

HEIGHT, WIDTH = 64, 56
TINY = {"steps": 2, "batch": 2, "learning_rate": 1e-3, "average_decay": 0.5, "keep": "last"}


class EndedError(Exception):
    """In the place of a training."""


def save(pixels: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=95)


def write_part(folder: Path, part: str, names: list[str], table: str) -> None:
    """Grey body, two dark lungs, a patch of ground glass of some size in the lower one."""
    rows = ["scan,region,score"]
    for number, name in enumerate(names):
        rng = np.random.default_rng(number)
        regions = np.zeros((HEIGHT, WIDTH), np.uint8)
        regions[4:30, 6:50], regions[34:60, 6:50] = 1, 2
        lesion = np.zeros(regions.shape, bool)
        lesion[36 : 40 + 3 * (number % 5), 10:45] = True
        grey = np.where(regions > 0, 40, 200) + np.where(lesion, 70, 0) + rng.normal(0, 4, regions.shape)
        save(grey.clip(0, 255).astype(np.uint8), folder / part / "images" / f"{name}.jpg")
        save(regions, folder / part / "regions" / f"{name}.png")
        if part == "train_expert":
            save(lesion.astype(np.uint8) * 255, folder / part / "masks" / f"{name}.png")
        score = CT_SEVERITY.score_of(float(lesion[regions == 2].mean()))
        rows += [f"{name},1,0", f"{name},2,{score}"]
    (folder / table).write_text("\n".join(rows) + "\n")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    write_part(folder, "train_expert", [str(number) for number in range(6)], "scores_expert.csv")
    write_part(folder, "train_weak", [f"Data-1_vol_00{n}_{n}" for n in range(3)], "scores_simulated.csv")
    monkeypatch.setattr(covid_rows, "LOOP", TINY)
    monkeypatch.setattr(covid_rows, "EVERY", {"validate_every": 2, "checkpoint_every": 1, "precision": "32-true"})
    small = covid_rows.PREPARE.model_copy(update={"crop_shape": (1, 24, 32)})
    monkeypatch.setattr(covid_rows, "PREPARE", small)
    return folder


def test_tables_report_and_going_on(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    table = reproduce(data, out, ["raw", "complete"], seeds=1, folds=(0, 1), jobs=2)
    assert set(table["row"]) == {"raw", "complete", "Otsu in the region", "fixed threshold", FIXED, OPENED}
    slices = pd.read_csv(out / "per_slice.csv", dtype={"scan": str})
    judged = set(pd.read_csv(out / "splits.csv", dtype=str).query("part == 'test' and fold in ['0', '1']")["scan"])
    assert set(slices["scan"]) == judged
    assert "worst first" in (out / "report.html").read_text().lower() or (out / "report.html").stat().st_size > 10_000
    assert not (out / "cohorts" / "fold-0" / "both" / "lesions").exists()
    before = {path: path.stat().st_mtime_ns for path in (out / "rows").rglob("model.safetensors")}
    reproduce(data, out, ["complete"], seeds=1, folds=(0,), jobs=1)
    assert {path: path.stat().st_mtime_ns for path in (out / "rows").rglob("model.safetensors")} == before


def test_a_row_that_is_named_twice_is_trained_once(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []

    def stop(tasks: list[Task], jobs: int) -> None:
        names.extend(task.name for task in tasks)
        raise EndedError

    monkeypatch.setattr(covid_semiseg, "side_by_side", stop)
    with pytest.raises(EndedError):
        reproduce(data, tmp_path / "out", ["raw", "raw"], seeds=1, folds=(0,), jobs=2)
    assert names == ["dRAM raw, seed 0, fold 0"]


def test_the_final_model_segments_a_folder_of_pictures(data: Path, tmp_path: Path) -> None:
    run, masks = tmp_path / "best", tmp_path / "masks"
    summary = final_model(data, run, seed=1)
    ours = summary.iloc[0]  # scores alone, no masks to judge by
    assert (ours["method"], ours["scans"]) == ("dRAM anchored", len(list((data / "train_expert" / "images").iterdir())))
    assert ours["iou_mean":"specificity"].isna().all()
    assert f"with a kappa of {ours['kappa']:.3f}" in (run / "report.html").read_text()
    part = tmp_path / "new"
    shutil.copytree(data / "train_weak", part)
    emptied = min((part / "regions").iterdir())
    Image.fromarray(np.zeros((HEIGHT, WIDTH), np.uint8)).save(emptied)
    failures = predict(run, [part / "images"], masks, RegionSource(part / "regions"), device="cpu")
    assert failures == []
    assert not np.asarray(Image.open(masks / emptied.name)).any()
    assert f"{emptied.stem}." in (masks / "report.html").read_text()
    for image in (part / "images").iterdir():
        mask = np.asarray(Image.open(masks / f"{image.stem}.png"))
        assert mask.shape == (HEIGHT, WIDTH)
        assert set(np.unique(mask)) <= {0, 255}


def test_an_unknown_row_is_told(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown row 'rawr'"):
        reproduce(data, tmp_path / "out", ["rawr"], seeds=1)
