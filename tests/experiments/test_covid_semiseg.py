"""The whole reproduction on a handful of made slices and two steps: folders, tables, report, going on, prediction."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from weakmask.commands.predict import RegionSource, predict
from weakmask.errors import UserError
from weakmask.experiments import covid_semiseg
from weakmask.experiments.covid_semiseg import EXPERIMENT, SLICES, final_model
from weakmask.experiments.experiment import Experiment, Preset, changed
from weakmask.experiments.run import Request, reproduce
from weakmask.scoring.severity import CT_SEVERITY

HEIGHT, WIDTH = 64, 56
LOOP = {"steps": 2, "batch": 2, "average_decay": 0.5, "precision": "32-true"}
EVERY = {"validate_every": 2, "checkpoint_every": 1}


def tiny() -> Preset:
    loop = {**LOOP, **EVERY}
    trained = {"floor": {}, "cam": {"classification": loop}, "dram": {"regression": loop}}
    small = {"prepare": {"crop_shape": (1, 24, 32)}}
    return Preset({name: changed(SLICES.settings[name], {**small, **parts}) for name, parts in trained.items()})


TINY: Experiment = replace(EXPERIMENT, presets={"slices": tiny()})


def save(pixels: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=95)


def write_part(folder: Path, part: str, names: list[str], table: str) -> None:
    """Grey body, two dark lungs, a patch of ground glass of some size in the lower one."""
    rows = ["scan,region,score"]
    for number, name in enumerate(names):
        rng = np.random.default_rng(number + (0 if part == "train_expert" else 100))  # no picture is in both parts
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
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    write_part(folder, "train_expert", [str(number) for number in range(6)], "scores_expert.csv")
    write_part(folder, "train_weak", [f"Data-1_vol_00{n}_{n}" for n in range(3)], "scores_simulated.csv")
    return folder


def test_tables_report_and_going_on(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    asked = Request(data, rows="raw,complete", seeds=1, folds=(0, 1), jobs=2)
    table = reproduce(TINY, out, asked)
    assert table["row"].tolist() == [*EXPERIMENT.floors, "raw", "complete"]
    slices = pd.read_csv(out / "per_slice.csv", dtype={"scan": str})
    judged = set(pd.read_csv(out / "splits.csv", dtype=str).query("part == 'test' and fold in ['0', '1']")["scan"])
    assert all(set(lines["scan"]) == judged for _, lines in slices.groupby("row"))
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "of the lungs" in page  # the worst slices are explained
    assert "data:image/" in page
    assert not (out / "cohorts" / "fold-0" / "both" / "truth").exists()
    crops = [out / "rows" / row / "seed-0" / "fold-1" / "01-prepare" / "index.csv" for row in table["row"]]
    assert len({file.stat().st_ino for file in crops}) == 1  # made once for all rows that learn from the same scores
    assert (out / "logs" / "raw-seed-0-fold-1.log").exists()
    before = {path: path.stat().st_mtime_ns for path in (out / "rows").rglob("model.safetensors")}
    assert before
    reproduce(TINY, out, replace(asked, rows="complete", folds=(0,), jobs=1))
    assert {path: path.stat().st_mtime_ns for path in (out / "rows").rglob("model.safetensors")} == before


def test_the_opened_picture_is_cut_where_the_scores_say(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    table = reproduce(TINY, out, Request(data, rows="opened", seeds=1, folds=(0,), jobs=1)).set_index("row")
    assert table.loc["opened", "dice_mean"] > 0.5  # pyright: ignore[reportOperatorIssue]
    manifest = (out / "rows" / "opened" / "seed-0" / "fold-0" / "manifest.json").read_text(encoding="utf-8")
    assert "threshold of the opened picture chosen on the training scores" in manifest


def test_the_final_model_segments_a_folder_of_pictures(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(covid_semiseg, "SLICES", tiny())
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
    done = predict(run, [part / "images"], masks, RegionSource(part / "regions"), device="cpu")
    assert done.failures == ()
    assert not np.asarray(Image.open(masks / emptied.stem / "mask.png")).any()
    assert f"{emptied.stem}." in (masks / "report.html").read_text()
    for image in (part / "images").iterdir():
        mask = np.asarray(Image.open(masks / image.stem / "mask.png"))
        assert mask.shape == (HEIGHT, WIDTH)
        assert set(np.unique(mask)) <= {0, 255}


def test_an_unknown_row_is_told(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown row 'rawr'"):
        reproduce(TINY, tmp_path / "out", Request(data, rows="rawr", seeds=1))
