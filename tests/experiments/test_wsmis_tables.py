"""The tables of WSMIS on a dozen small pictures and two steps: cohorts, rows, shared stages, and the final model."""

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from weakmask.commands.predict import RegionSource, predict
from weakmask.datasets.cohort import read_cohort
from weakmask.errors import UserError
from weakmask.experiments import wsmis_cohorts, wsmis_presets, wsmis_tables
from weakmask.experiments.experiment import Experiment, Judged, Place, Setup, changed, settings_of
from weakmask.experiments.run import Request, reproduce, reproduce_table
from weakmask.experiments.wsmis_cohorts import write_all, write_parts
from weakmask.experiments.wsmis_presets import preset_of, wsmis_settings
from weakmask.experiments.wsmis_tables import EXPERIMENTS, FLOORS, LADDER, pairs_of
from weakmask.methods import load_config
from weakmask.methods.wsmis import evaluation
from weakmask.methods.wsmis.networks import classifier_of, segmentation_of
from weakmask.networks import build_network
from weakmask.phantoms.picture_cohorts import write_xray_cohort
from weakmask.pipeline import read_manifest

CONFIGS = Path(__file__).parents[2] / "configs"
TINY = {
    "device": "cpu",
    "prepare.side": 32,
    "network.weights": "none",
    "classification.steps": 2,
    "classification.batch": 2,
    "classification.warm_up": 0,
    "labels.threshold": 0.5,
    "segmentation.widths": (4,),
    "segmentation.steps": 2,
    "segmentation.batch": 2,
    "segmentation.warm_up": 0,
    "masks.gate": 0.0,
    "masks.mirror": False,
}
WALK = {"boundary.train": True, "labels.low": 0.2, "boundary.steps": 1, "boundary.batch": 2, "boundary.walk_steps": 2}
PRESENT = ("benign", "malignant", "")  # of the pictures, in turn


def write_data(folder: Path, pictures: int) -> Path:
    """The layout of busi: a column of any lesion, and one of words."""
    chance = np.random.default_rng(0)
    lines = ["image,lesion,benign,malignant,split"]
    for room in ("images", "masks"):
        (folder / room).mkdir(parents=True)
    for number in range(pictures):
        name, present = f"picture_{number:02d}", PRESENT[number % 3]
        mask = np.zeros((30, 44), np.uint8)
        if present:
            top = int(chance.integers(4, 14))
            mask[top : top + 12, 12:32] = PRESENT.index(present) + 1
        coarse = Image.fromarray(chance.integers(100, 255, (5, 6), np.uint8)).resize((44, 30))
        grey = np.where(mask > 0, 20 * mask, np.asarray(coarse))
        Image.fromarray(grey.astype(np.uint8)).save(folder / "images" / f"{name}.jpg")
        Image.fromarray(mask).save(folder / "masks" / f"{name}.png")
        flags = ",".join(str(int(present in of)) for of in (PRESENT[:2], PRESENT[:1], PRESENT[1:2]))
        lines.append(f"{name},{flags},development")
    (folder / "labels.csv").write_text("\n".join([*lines, ""]), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("busi") / "data", 12)


def tiny(*floors: str) -> Experiment:
    experiment = EXPERIMENTS["wsmis-busi"]
    rows = {row: one for row, one in experiment.rows.items() if row not in FLOORS or row in floors}
    presets = {"tiny": preset_of(TINY, {**TINY, **WALK})}
    return replace(experiment, presets=presets, rows=rows, floors=floors)


ASKED = ("cam", "crf", "irnet", "segmentation", "supervised")


def fewer_resamples(patch: pytest.MonkeyPatch) -> None:
    """Intervals of a few draws: they are tested where they are made."""
    patch.setattr(evaluation, "score_intervals", partial(evaluation.score_intervals, resamples=5))
    patch.setattr(evaluation, "with_interval", partial(evaluation.with_interval, resamples=5))


@pytest.fixture(scope="module")
def made(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of one seed."""
    out = tmp_path_factory.mktemp("out")
    with pytest.MonkeyPatch.context() as patch:
        fewer_resamples(patch)
        reproduce(tiny("nothing", "dark-centre"), out, Request(data, rows=",".join(ASKED), seeds=1, jobs=1))
    return out


def test_every_row_is_measured_on_the_pictures_that_none_learnt(made: Path) -> None:
    table: Any = pd.read_csv(made / "table.csv").set_index("row")
    assert list(table.index) == ["nothing", "dark-centre", *ASKED]
    parts: Any = pd.read_csv(made / "splits.csv").groupby("part")["scan"].agg(set)
    assert len(parts["test"]) == 3
    assert set(pd.read_csv(made / "results.csv")["scan"]) == parts["test"]
    for row in ASKED:
        index = pd.read_csv(made / "rows" / row / "seed-0" / "01-prepare" / "index.csv")
        assert set(index.query("split == 'training'")["scan"]) == parts["train"]
    assert table.loc["nothing", ["positives", "empties_right", "all_empty_1"]].tolist() == pytest.approx(
        [0, 1, 1 / 3], abs=1e-5
    )
    assert table.loc["dark-centre", "positives"] > 0.5
    assert np.isfinite(table.loc["cam":, ["auc", "f1"]].to_numpy()).all()
    own: Any = pd.read_csv(made / "rows" / "segmentation" / "seed-0" / "summary.csv").set_index("method")
    assert table.loc["segmentation", "mean_iou"] == pytest.approx(own.loc["WSMIS", "mean_iou"])


def test_one_classifier_and_one_set_of_maps_serve_all_rows(made: Path) -> None:
    for stage, file, rows in (
        ("02-classification", "last.safetensors", ASKED),
        ("03-maps", "stage.json", ("crf", "irnet", "segmentation")),
    ):
        assert len({(made / "rows" / row / "seed-0" / stage / file).stat().st_ino for row in rows}) == 1
    assert not list((made / "rows" / "cam" / "seed-0").glob("*segmentation"))


def test_masks_of_training_pictures_are_learnt_by_the_bound_alone(made: Path) -> None:
    assert not (made / "cohorts" / "training" / "truth").exists()
    learnt = made / "rows" / "supervised" / "seed-0" / "03-labels" / "labels" / "cohort"
    for truth in (made / "cohorts" / "masks" / "truth").iterdir():
        mask, labels = (np.asarray(Image.open(path)) for path in (truth, learnt / truth.name))
        assert set(np.unique(labels)) == set(np.unique(mask))
        assert (labels > 0).mean() == pytest.approx((mask > 0).mean(), abs=0.03)


def test_the_report_has_the_paper_s_numbers_and_what_each_row_adds(made: Path) -> None:
    page = (made / "report.html").read_text(encoding="utf-8")
    assert "paper: positives (SIIM)" in page
    assert "0.162" in page
    added: Any = pd.read_csv(made / "effects.csv")
    assert dict(zip(added["row"], added["below"], strict=True)) == {
        "irnet": "map + CRF",
        "segmentation": "map + CRF",
    }
    settings = {
        row: run(row, variant) for row, variant in (("multi-scale", "gradcam++ wsmis"), ("segmentation", "cam"))
    }
    below = dict(pairs_of([*settings.values(), run("crf", "cam"), run("gradcam++-wsmis", "cam")]))
    assert below == {"multi-scale": "gradcam++-wsmis", "crf": "multi-scale", "segmentation": "crf"}
    below = dict(pairs_of([run(row, "cam") for row in ("multi-scale", "colours", "crf")]))
    assert below == {"colours": "multi-scale", "crf": "colours"}
    below = dict(pairs_of([run(row, "cam") for row in ("whole-backbone", "cam")]))
    assert below == {"cam": "whole-backbone"}


def run(row: str, variant: str) -> Judged:
    settings = wsmis_settings({"maps.variant": variant})
    return Judged(Place(row, 0), Path(), LADDER[row], settings, pd.DataFrame())


def test_pictures_without_masks_make_no_table(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data, tmp_path / "data")
    (tmp_path / "data" / "masks" / "picture_04.png").unlink()
    with pytest.raises(UserError, match="picture_04 has no mask, and the table compares with masks"):
        reproduce(tiny(), tmp_path / "out", Request(tmp_path / "data", rows="cam", seeds=1, jobs=1))


def test_other_pictures_are_refused_in_the_same_folder(made: Path, tmp_path: Path) -> None:
    other = write_data(tmp_path / "data", 18)
    with pytest.raises(UserError, match="is of other pictures than those in"):
        reproduce(tiny(), made, Request(other, rows="cam", seeds=1, jobs=1))


def test_the_final_model_learns_from_all_pictures_and_reads_no_mask(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wsmis_tables, "presets_of", lambda _: {"quick": preset_of(TINY, TINY)})
    shutil.copytree(data, tmp_path / "data")
    for mask in (tmp_path / "data" / "masks").iterdir():
        mask.write_bytes(b"garbage")
    fewer_resamples(monkeypatch)
    one = tmp_path / "one"
    scores = reproduce_table("wsmis-busi", one, Request(tmp_path / "data", final=True, seed=1))
    assert scores["class"].tolist() == ["benign", "malignant"]
    index = pd.read_csv(one / "01-prepare" / "index.csv")
    assert len(index.query("split == 'training'")) == 12
    read = read_manifest(one)["inputs"]
    assert read
    assert not [file for file in read if "masks" in Path(file).parts or "truth" in Path(file).parts]
    shutil.rmtree(tmp_path / "data" / "masks")
    write_all("busi", Setup(tmp_path, preset_of(TINY, TINY), "quick", tmp_path / "data"), tmp_path / "without")
    files = {path.relative_to(tmp_path / "without") for path in (tmp_path / "without").rglob("*")}
    assert files == {path.relative_to(tmp_path / "one-cohort") for path in (tmp_path / "one-cohort").rglob("*")}
    pictures = sorted((data / "images").iterdir())[:4]
    done = predict(one, pictures, tmp_path / "masks", RegionSource(), device="cpu")
    assert done.failures == ()
    masks = sorted((tmp_path / "masks").glob("*.png"))
    assert [path.stem for path in masks] == [path.stem for path in pictures]
    for path, written in zip(pictures, masks, strict=True):
        with Image.open(path) as picture, Image.open(written) as mask:
            assert (mask.size, mask.mode) == (picture.size, "L")
            assert set(np.unique(np.asarray(mask))) <= {0, 1, 2}


def test_phantoms_to_learn_from_and_to_test_on_are_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wsmis_cohorts, "write_xray_cohort", partial(write_xray_cohort, workers=1))
    preset = replace(preset_of(TINY, TINY), training_scans=1, test_scans=3, shape=(1, 32, 32))
    setup = Setup(tmp_path, preset, "tiny")
    for masks in (False, True):
        write_parts("phantoms", setup, masks=masks)
    cohorts = {part: read_cohort(tmp_path / "cohorts" / part) for part in ("training", "masks", "test")}
    assert {part: sum(case.truth is not None for case in cohort.cases) for part, cohort in cohorts.items()} == {
        "training": 0,
        "masks": 1,
        "test": 3,
    }
    assert not {case.name for case in cohorts["training"].cases} & {case.name for case in cohorts["test"].cases}
    assert cohorts["test"].classes == ("pneumothorax",)
    assert [case.presence[None]["pneumothorax"] for case in cohorts["test"].cases] == [False, False, True]


@pytest.mark.parametrize("name", ["photographs", "xray", "ultrasound", "small_findings"])
def test_the_quick_preset_is_the_shipped_config(name: str) -> None:
    shipped = load_config(CONFIGS / f"wsmis_{name}.yaml")[1]
    presets = {
        "photographs": wsmis_presets.PHOTOGRAPHS,
        "xray": wsmis_presets.XRAYS,
        "ultrasound": wsmis_presets.ULTRASOUND,
        "small_findings": {**wsmis_presets.XRAYS, **wsmis_presets.SMALL_FINDINGS},
    }
    quick = wsmis_settings(presets[name])
    assert quick == changed(shipped, {"data": {"cohort": Path(), "validation": 0.0}})


@pytest.mark.parametrize("name", ["wsmis-pets", "wsmis-busi"])
def test_presets_are_complete_and_their_networks_exist(name: str) -> None:
    presets = EXPERIMENTS[name].presets
    assert list(presets) == ["quick", "paper", "code"]
    for preset in presets.values():
        for row in EXPERIMENTS[name].rows.values():
            assert settings_of(row, preset, 0)
        settings: Any = preset.settings["wsmis"]
        with torch.device("meta"):
            build_network(*classifier_of(settings.network, 2))
            build_network(*segmentation_of(settings.network, settings.segmentation, 2))


@pytest.mark.parametrize(
    ("values", "words"),
    [({}, "region is sharpest and shade any"), ({"labels.shade": "dark", "labels.low": 0.1}, "expected low: null")],
)
def test_a_sharpest_region_needs_a_shade_and_has_no_unsure_pixels(values: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        wsmis_settings({"labels.region": "sharpest", **values})


def test_a_margin_needs_a_region() -> None:
    with pytest.raises(UserError, match=r"labels\.margin widens no region"):
        wsmis_settings({"labels.margin": 4.5})


def test_a_sharpest_mask_needs_a_shade() -> None:
    with pytest.raises(UserError, match=r"expected a labels\.shade, dark or bright"):
        wsmis_settings({"masks.region": "sharpest"})


def test_a_lower_threshold_above_the_upper_one_is_refused() -> None:
    with pytest.raises(UserError, match=r"low is 0.2 and threshold 0.15; low must be the lower one"):
        wsmis_settings({"labels.low": 0.2, "labels.threshold": 0.15})
