"""Methods that learn from yes or no, on small pictures: they see no score and no mask, they learn, and they predict."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner

from weakmask.cli import app
from weakmask.config import Settings
from weakmask.datasets.cohort import check_cohort
from weakmask.methods import METHODS
from weakmask.methods import train as train_method
from weakmask.pipeline import run_stages
from weakmask.scoring.severity import CT_SEVERITY
from weakmask.training.checkpoints import load_weights

ROWS, COLUMNS = slice(3, 37), {1: slice(2, 24), 2: slice(26, 48)}
RIVALS = ("decovnet", "ad3d_mil")


def write_pictures(folder: Path, count: int, seed: int, *, truth: bool) -> Path:
    """Pictures of two regions with a thin bright line each; half of the regions have a bright disc, the lesion."""
    rng = np.random.default_rng(seed)
    for part in ("images", "regions", *(["truth"] if truth else [])):
        (folder / part).mkdir(parents=True)
    rows = []
    y, x = np.mgrid[:40, :50]
    for number in range(count):
        image, regions, lesions = np.zeros((40, 50)), np.zeros((40, 50), np.uint8), np.zeros((40, 50), np.uint8)
        for label, columns in COLUMNS.items():
            regions[ROWS, columns] = label
            image[int(rng.integers(5, 35)), columns] += 90  # a vessel
            if rng.random() < 0.5:
                centre, radius = (
                    (rng.integers(9, 31), rng.integers(columns.start + 6, columns.stop - 6)),
                    rng.integers(3, 9),
                )
                disc = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2
                lesions[disc & (regions == label)] = 1
        grey = 80 + 30 * rng.normal(size=image.shape) + np.maximum(image, 60 * lesions)
        name = f"picture_{seed}_{number:02d}"
        Image.fromarray(np.where(regions > 0, grey, 0).clip(0, 255).astype(np.uint8)).save(
            folder / "images" / f"{name}.png"
        )
        Image.fromarray(regions).save(folder / "regions" / f"{name}.png")
        if truth:
            Image.fromarray(lesions).save(folder / "truth" / f"{name}.png")
        for label, side in ((1, "left"), (2, "right")):
            fraction = float(lesions[regions == label].mean())
            rows.append((name, f"patient_{number // 2}", side, CT_SEVERITY.score_of(fraction)))
    pd.DataFrame(rows, columns=["scan", "patient", "region", "score"]).to_csv(folder / "scores.csv", index=False)
    (folder / "regions.yaml").write_text("labels: {left: 1, right: 2}\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("yes-or-no")
    write_pictures(folder / "test", 8, 90, truth=True)
    return write_pictures(folder / "training", 32, 3, truth=False)


def settings(method: str, cohort: Path, steps: int, **more: object) -> Settings:
    training = {"steps": steps, "batch": 8, "learning_rate": 5e-3, "precision": "32-true", "average_decay": 0.9}
    values = {
        "device": "cpu",
        "data": {"cohort": cohort, "test": cohort.with_name("test"), "validation": 0.3},
        "prepare": {"spacing_mm": None, "margin_mm": 0.0, "crop_shape": (1, 40, 24), "window": (0.0, 255.0)},
        "classification": training,
        **more,
    }
    if method == "dual_task_mil":
        values |= {"network": {"width": 4}, "patches": {**training, "size": 3}, "segmentation": training}
    else:
        values |= {"network": {"shrink": 4}, "maps": {"gate_hu": 100.0}}
    return METHODS[method].settings.model_validate(values)


@pytest.fixture(scope="module")
def trained(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, pd.DataFrame]]:
    """A method's run and its summary, trained once."""
    root, runs = tmp_path_factory.mktemp("runs"), {}

    def of(method: str) -> tuple[Path, pd.DataFrame]:
        if method not in runs:
            config = settings(method, cohort, 60)
            runs[method] = (root / method, train_method(METHODS[method], config, root / method))
        return runs[method]

    return of


def test_the_chain_outlines_lesions_from_yes_or_no(trained) -> None:
    run, summary = trained("dual_task_mil")
    dice = summary.set_index("method")["dice_mean"]
    assert dice["dual-task MIL"] > 0.4
    assert dice["dual-task MIL"] > dice["Otsu in the region"] + 0.1
    assert set(pd.read_csv(run / "results.csv")["scan"]) == {f"picture_90_{number:02d}" for number in range(8)}
    index = pd.read_csv(run / "01-prepare" / "index.csv")
    assert set(index["scan"]) == {f"picture_3_{number:02d}" for number in range(32)}
    assert set(index["score"]) == {0, 1}
    assert not set(index.query("split == 'training'")["patient"]) & set(index.query("split == 'validation'")["patient"])


@pytest.mark.parametrize("method", ["dual_task_mil", *RIVALS])
def test_the_classifier_ranks_held_out_regions_and_the_report_says_how_well(trained, method: str) -> None:
    run, _ = trained(method)
    (line,) = pd.read_csv(run / "classifier.csv").to_dict("records")
    index = pd.read_csv(run / "01-prepare" / "index.csv").query("split == 'validation'")
    assert (line["regions"], line["with_lesions"]) == (len(index), index["score"].sum())
    assert line["auc"] > 0.8
    assert "AUC, held out" in (run / "report.html").read_text(encoding="utf-8")
    cut = load_weights(next(run.glob("*-model")) / "model.safetensors")[1]["cut"]
    assert 0 < cut < 1


@pytest.mark.parametrize("method", RIVALS)
def test_a_rival_says_how_probable_a_lesion_is_in_a_scan(trained, cohort: Path, tmp_path: Path, method: str) -> None:
    run, _ = trained(method)
    test = cohort.with_name("test")
    words = [
        "predict",
        run,
        test / "images",
        "--regions",
        test / "regions",
        "--out",
        tmp_path / "out",
        "--device",
        "cpu",
    ]
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    table = pd.read_csv(tmp_path / "out" / "scores.csv")
    of_scans = table[table["region"].isna()]
    assert len(of_scans) == 8
    assert of_scans["probability"].between(0, 1).all()
    assert table["fraction"].notna().sum() == 16
    given = pd.read_csv(test / "scores.csv").groupby("scan")["score"].max() > 0
    found = of_scans.set_index("scan")["probability"]
    assert found[given[given].index].mean() > found[given[~given].index].mean()


def test_a_run_sees_no_more_of_the_scores_than_yes_or_no(cohort: Path, tmp_path: Path) -> None:
    copy = tmp_path / "cohort" / "training"
    shutil.copytree(cohort.parent, copy.parent)
    config = settings("dual_task_mil", copy, 2)
    stages = METHODS["dual_task_mil"].stages
    run_stages(stages, tmp_path / "scores", config)
    for part in (copy, copy.with_name("test")):
        table = pd.read_csv(part / "scores.csv")
        assert table["score"].nunique() > 2
        table.assign(score=(table["score"] > 0).astype(int)).to_csv(part / "scores.csv", index=False)
    run_stages(stages, tmp_path / "yes-or-no", config)
    written = [file for file in sorted((tmp_path / "scores").glob("[0-9]*/**/*")) if file.is_file()]
    compared = [file for file in written if file.name != "stage.json" and "tb" not in file.parts]
    assert {file.name for file in compared} >= {
        "index.csv",
        "splits.csv",
        "last.safetensors",
        "severity.csv",
        "results.csv",
    }
    for file in compared:
        other = tmp_path / "yes-or-no" / file.relative_to(tmp_path / "scores")
        if file.name == "model.safetensors":  # its header has the time
            (weights, header), (others, other_header) = load_weights(file), load_weights(other)
            assert all(torch.equal(weights[name], others[name]) for name in weights)
            assert {**header, "provenance": {}} == {**other_header, "provenance": {}}
        else:
            assert file.read_bytes() == other.read_bytes(), file


def test_a_cohort_of_yes_and_no_is_as_good_as_one_of_scores(cohort: Path, tmp_path: Path) -> None:
    copy = tmp_path / "training"
    shutil.copytree(cohort, copy)
    shutil.copytree(cohort.with_name("test"), tmp_path / "test")
    table = pd.read_csv(copy / "scores.csv")
    (copy / "scores.csv").unlink()
    labels = table.rename(columns={"scan": "image"}).assign(lesion=(table["score"] > 0).astype(int))
    labels[["image", "patient", "region", "lesion"]].to_csv(copy / "labels.csv", index=False)
    assert not [fault for fault in check_cohort(copy).faults if fault.fatal]
    stages = METHODS["decovnet"].stages[:2]
    for name, folder in (("scores", cohort), ("labels", copy)):
        run_stages(stages, tmp_path / name, settings("decovnet", folder, 2))
    weights, others = (
        load_file(tmp_path / name / "02-classification" / "last.safetensors") for name in ("scores", "labels")
    )
    assert all(torch.equal(weights[name], others[name]) for name in weights)
