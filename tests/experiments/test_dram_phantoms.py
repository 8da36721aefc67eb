"""The paper's table on a handful of tiny phantoms and two steps: the rows, what they share, going on, the tables."""

import math
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tiny_table import tiny, with_preset

from weakmask import methods
from weakmask.config import Settings
from weakmask.errors import UserError
from weakmask.evaluation.subtype_summary import NUMBERS, SUBTYPES
from weakmask.evaluation.table import SUMMARY_COLUMNS
from weakmask.experiments import dram_phantoms, training
from weakmask.experiments.dram_phantoms import EXPERIMENT, PAPER, QUICK, ROWS
from weakmask.experiments.experiment import Place, Preset, Setup
from weakmask.experiments.gather import WORDS
from weakmask.experiments.run import EXPERIMENTS, Request, reproduce, reproduce_table, tasks_of, training_of
from weakmask.phantoms import chest_ct
from weakmask.pipeline import Stage, run_stages
from weakmask.pipeline.parallel_runs import Task

RUN = ("nothing", "otsu", "cam", "cam-refine", "attention", "vessels", "anchor", "context", "supervised")
TWICE = {"otsu", "cam"}


def settings_of(preset: Preset, row: str) -> Settings:
    return EXPERIMENT.settings_of(Setup(Path("out"), preset, "quick"), Place(row, 3))


def make_quick(patch: pytest.MonkeyPatch) -> None:
    """One process, and of the runs' own reports, which other tests read, the name alone."""
    patch.setattr(chest_ct, "write_phantom_cohort", partial(chest_ct.write_phantom_cohort, workers=1))
    patch.setattr(methods, "write_report", lambda path, page: path.write_text(page.title))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    """Rows of every kind, two seeds of some."""
    out = tmp_path_factory.mktemp("table2")
    with pytest.MonkeyPatch.context() as patch:
        make_quick(patch)
        reproduce(with_preset(tiny()), out, Request(rows=",".join(sorted(TWICE)), seeds=2, jobs=1))
        return out, reproduce(with_preset(tiny()), out, Request(rows=",".join(RUN), seeds=1, jobs=1))


def test_every_row_of_the_paper_is_there() -> None:
    titles = [row.title for row in ROWS.values()]
    assert titles == [
        *("nothing", "Otsu in the region", "fixed threshold", "CAM raw", "CAM + refine", "dRAM raw"),
        *("dRAM + regularizer", "dRAM + refine", "dRAM + attention", "dRAM + vessel suppression"),
        *("dRAM + anchor", "dRAM + context (complete)", "supervised U-Net"),
    ]


@pytest.mark.parametrize("preset", [QUICK, PAPER], ids=["quick", "paper"])
def test_a_rung_differs_from_the_one_below_in_one_section(preset: Preset) -> None:
    added = {}
    for name, row in ROWS.items():
        if row.below is not None:
            ours, below = (settings_of(preset, one).model_dump() for one in (name, row.below))
            added[name] = [section for section in ours if ours[section] != below[section]]
    assert added == {
        "cam-refine": ["maps"],
        "regularizer": ["losses"],
        "refine": ["refinement"],
        "attention": ["refinement"],
        "vessels": ["vessels"],
        "anchor": ["losses", "refinement"],
        "context": ["context"],
    }
    for name in ROWS:
        found = settings_of(preset, name).model_dump()
        assert found["seed"] == found["data"]["split_seed"] == 3
        assert found["data"]["cohort"] == Path("out/phantoms/training")
        assert found["data"]["test"] == Path("out/phantoms/test")


def test_the_paper_preset_has_the_paper_s_numbers() -> None:
    complete = settings_of(PAPER, "context").model_dump()
    assert (PAPER.training_scans, PAPER.test_scans) == (322, 69)
    assert complete["prepare"]["crop_shape"] == (80, 80, 80)
    assert complete["network"]["width"] == 32
    assert complete["losses"]["equivariance"] == complete["losses"]["entropy"] == 1.0


def test_the_tables_have_their_columns(made: tuple[Path, pd.DataFrame]) -> None:
    out, shown = made
    table: Any = pd.read_csv(out / "table2.csv")
    summary = pd.read_csv(out / "summary.csv")
    assert tuple(table.columns) == (*WORDS, "seed", *NUMBERS, "seconds")
    assert tuple(summary.columns) == SUMMARY_COLUMNS
    assert summary["method"].tolist() == shown["row"].tolist() == [ROWS[name].title for name in RUN]
    assert table.groupby("row")["seed"].nunique().to_dict() == {name: 2 if name in TWICE else 1 for name in RUN}
    assert (table["scans"] == 3).all()
    assert table.loc[table["row"] == "nothing", "iou_mean"].item() == 0.0
    assert table.loc[table["row"] == "otsu", [f"iou_mean_{name}" for name in SUBTYPES.values()]].notna().any().any()
    assert (table["seconds"] > 0).all()


@pytest.mark.parametrize("row", RUN)
def test_a_row_s_run_tests_its_own_mask_against_the_others(made: tuple[Path, pd.DataFrame], row: str) -> None:
    run = made[0] / "rows" / row / "seed-0"
    methods = pd.read_csv(run / "summary.csv")["method"].tolist()
    compared = pd.read_csv(run / "significance.csv")
    assert compared["method"].unique().tolist() == methods[:1]
    assert compared["alternative"].tolist() == methods[1:]


def test_the_summary_is_the_median_over_seeds(made: tuple[Path, pd.DataFrame]) -> None:
    out, _ = made
    table, summary = pd.read_csv(out / "table2.csv"), pd.read_csv(out / "summary.csv").set_index("method")
    of_seeds = table.loc[table["row"] == "cam", "kappa"].to_numpy(dtype=float)
    assert len(of_seeds) == 2
    assert summary.loc["CAM raw", "kappa"] == pytest.approx(float(np.median(of_seeds)), abs=1e-5)


def test_tests_and_effects_name_their_pairs(made: tuple[Path, pd.DataFrame]) -> None:
    out, _ = made
    tested: Any = pd.read_csv(out / "significance.csv")
    added = pd.read_csv(out / "effects.csv")
    against_cam = tested[tested["question"] == "against CAM"]
    assert set(against_cam["alternative"]) == {"CAM + refine"}
    assert len(against_cam) == len(RUN) - 2
    rungs = {name for name in RUN if ROWS[name].below in RUN}
    assert len(tested) - len(against_cam) == len(rungs)
    assert set(added["row"]) == rungs
    for line in added.to_dict("records"):
        assert line["effect"] == pytest.approx(line["iou"] - line["iou_below"], abs=1e-5)
        assert line["low"] - 1e-9 <= line["effect"] <= line["high"] + 1e-9
    assert not math.isnan(tested["p_corrected"].min())


def test_rows_share_what_they_have_in_common(made: tuple[Path, pd.DataFrame]) -> None:
    out, _ = made

    def inode(row: str, file: str) -> int:
        return (out / "rows" / row / "seed-0" / file).stat().st_ino

    index, weights = "01-prepare/index.csv", "03-regression/last.safetensors"
    assert inode("context", weights) == inode("anchor", weights)
    assert len({inode(row, weights) for row in ("attention", "vessels", "anchor")}) == 3
    mask = next((out / "rows" / "anchor" / "seed-0" / "02-vessels" / "masks").iterdir()).name
    vessels = f"02-vessels/masks/{mask}"
    assert inode("anchor", vessels) == inode("vessels", vessels)  # which does not ask what the targets are made of
    assert inode("cam", "02-classification/last.safetensors") == inode(
        "cam-refine", "02-classification/last.safetensors"
    )
    assert len({inode(row, index) for row in RUN if row != "supervised"}) == 1
    assert inode("supervised", index) != inode("cam", index)
    assert not (out / "rows" / "vessels" / "seed-0" / "01-prepare" / "lesions").exists()


def test_examples_and_report_are_drawn(made: tuple[Path, pd.DataFrame]) -> None:
    out, _ = made
    with Image.open(out / "examples.webp") as picture:
        assert picture.format == "WEBP"
        assert min(picture.size) > 200
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "dRAM + context (complete), trained from scores alone" in page
    assert page.count("data:image/webp") > 1
    assert 'alt="Test scans from the least ill' in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_it_goes_on_after_a_stop(
    made: tuple[Path, pd.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_quick(monkeypatch)
    shutil.copytree(made[0] / "phantoms", tmp_path / "phantoms")
    experiment, real, trained = with_preset(tiny()), run_stages, []
    asked = Request(rows="nothing,raw", seeds=1, jobs=1)

    def stopped(stages: Sequence[Stage], folder: Path, settings: Settings) -> None:
        real(stages[:3], folder, settings)
        if len(stages) > 3 and folder.parent.name == "raw":
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "run_stages", stopped)
    with pytest.raises(KeyboardInterrupt):
        reproduce(experiment, tmp_path, asked)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("last.safetensors")}
    assert len(before) == 1

    def watched(stages: Sequence[Stage], folder: Path, settings: Settings) -> None:
        trained.append(folder.parent.name)
        real(stages, folder, settings)

    monkeypatch.setattr(training, "run_stages", watched)
    shown = reproduce(experiment, tmp_path, replace(asked, rows="raw,nothing"))
    assert shown["row"].tolist() == ["nothing", "dRAM raw"]
    assert set(trained) == {"raw"}  # the other row is complete
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("last.safetensors")} == before
    trained.clear()
    reproduce(experiment, tmp_path, asked)
    assert trained == []  # both are complete


def test_rows_in_parallel_wait_for_those_whose_stages_they_reuse(tmp_path: Path) -> None:
    setup = Setup(tmp_path, QUICK, "quick")

    def tasks(rows: Iterable[str], seed: int, jobs: int) -> list[Task]:
        trainings = {Place(row, seed): training_of(EXPERIMENT, setup, Place(row, seed)) for row in rows}
        return tasks_of(EXPERIMENT, setup, trainings, jobs)

    together = tasks(ROWS, seed=2, jobs=2)
    names = [task.name for task in together]
    assert len(names) == len(ROWS)
    assert names[:2] == ["dRAM + anchor, seed 2", "dRAM + context (complete), seed 2"]  # half of the time on two cores
    assert {task.name: task.after for task in together if task.after} == {
        "CAM + refine, seed 2": ("CAM raw, seed 2",),
        "dRAM + vessel suppression, seed 2": ("dRAM + anchor, seed 2",),
        "dRAM + context (complete), seed 2": ("dRAM + anchor, seed 2",),
    }
    assert together[0].log == tmp_path / "logs" / "anchor-seed-2.log"
    (alone,) = tasks(["context"], seed=0, jobs=2)
    assert alone.after == ()  # nobody asked for the others
    in_turn = tasks(ROWS, seed=2, jobs=1)
    assert [task.name for task in in_turn] == [f"{row.title}, seed 2" for row in ROWS.values()]
    assert not any(task.after for task in in_turn)


def test_a_table_goes_on_from_another_working_directory(
    made: tuple[Path, pd.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_quick(monkeypatch)
    shutil.copytree(made[0] / "phantoms", tmp_path / "here" / "phantoms")
    monkeypatch.setitem(EXPERIMENTS, "table2", with_preset(tiny()))
    monkeypatch.chdir(tmp_path)
    reproduce_table("table2", Path("here"), Request(None, rows="nothing", jobs=1))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    shown = reproduce_table("table2", Path("../here"), Request(None, rows="nothing", jobs=1))
    assert shown["row"].tolist() == ["nothing"]


def test_faults_are_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_quick(monkeypatch)
    with pytest.raises(UserError, match="unknown row 'rwa'; expected one of nothing, otsu"):
        reproduce(EXPERIMENT, tmp_path, Request(rows="rwa"))
    with pytest.raises(UserError, match="unknown preset 'large'; expected one of quick, paper"):
        reproduce(EXPERIMENT, tmp_path, Request(preset="large"))
    with pytest.raises(UserError, match="unknown row 'rwa'"):
        reproduce_table("table2", tmp_path, Request(None, rows="nothing,rwa"))
    small = replace(tiny(), training_scans=2, test_scans=1)
    dram_phantoms.make_phantoms(Setup(tmp_path, small, "quick"), [Place("nothing", 0)])
    with pytest.raises(UserError, match="choose another output folder"):
        reproduce(with_preset(replace(small, test_scans=2)), tmp_path, Request(rows="nothing", jobs=1))
