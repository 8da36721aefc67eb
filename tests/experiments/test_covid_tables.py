"""The tables and the claims of the COVID-SemiSeg reproduction, from numbers worked out by hand."""

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from weakmask.config import parse, read_yaml
from weakmask.evaluation.overlap import Overlap
from weakmask.evaluation.table import result_rows, results_table, score_rows, scores_table
from weakmask.experiments.covid_semiseg import EXPERIMENT, ROWS, SLICES, checked_claims, explained, row_line
from weakmask.experiments.experiment import Place, Setup, changed, settings_of
from weakmask.experiments.report import write_results
from weakmask.methods.dram import DramSettings
from weakmask.scoring.severity import CT_SEVERITY


def write_run(out: Path, place: Place, masks: dict[str, dict[str, Overlap]]) -> None:
    """A complete run, its own mask first: method -> slice -> counts."""
    run = out.joinpath("rows", *place.names)
    run.mkdir(parents=True)
    results, scores = [], []
    for method, slices in masks.items():
        for scan, counted in slices.items():
            results += result_rows(method, scan, {"all": counted})
            scores += score_rows(method, scan, {1: 1}, {1: 0.04}, {1: "upper lung"}, CT_SEVERITY)
    results_table(results).to_csv(run / "results.csv", index=False)
    scores_table(scores).to_csv(run / "severity.csv", index=False)
    (run / "manifest.json").write_text(json.dumps({"stages": [{"seconds": 1.5}]}))
    (run / "report.html").touch()


def seed_line(seed: int, dice: float, ppv: float) -> dict[str, object]:
    names = {"row": "complete", "method": "dRAM complete", "seed": seed, "scans": 2}
    return {**names, "dice_mean": dice, "iou_pooled": 0.5, "sensitivity": 0.5, "ppv": ppv}


def tabulated(out: Path) -> pd.DataFrame:
    return write_results(EXPERIMENT, Setup(out, SLICES, "slices")).set_index("row")


def test_dice_is_averaged_over_slices_and_then_over_seeds(tmp_path: Path) -> None:
    half, good, bad = Overlap(1, 1, 1, 7), Overlap(4, 1, 1, 4), Overlap(1, 4, 4, 1)  # Dice 0.5, 0.8, 0.2
    for seed, fold, counted in ((0, 0, half), (0, 1, good), (1, 0, good), (1, 1, bad), (2, 0, bad)):  # 2: one fold yet
        write_run(tmp_path, Place("complete", seed, fold), {"own": {str(fold): counted}})
    write_run(tmp_path, Place("raw", 0, 0), {"own": {"0": bad}})
    write_run(tmp_path, Place("otsu", 0, 0), {"own": {"0": half}})
    table = tabulated(tmp_path)
    assert list(table.index) == ["otsu", "raw", "complete"]
    assert table.loc["complete", "dice_mean"] == pytest.approx((0.65 + 0.5) / 2)
    assert table.loc["complete", "dice_sd"] == pytest.approx(0.15 / math.sqrt(2))
    assert table.loc["complete", "dice_of_seeds"] == "0.650 0.500"
    assert table.loc["complete", "iou_pooled"] == pytest.approx((5 / 9 + 5 / 15) / 2)
    assert table.loc["complete", "sensitivity"] == pytest.approx((0.65 + 0.5) / 2)
    assert table.loc["complete", "ppv"] == pytest.approx((0.65 + 0.5) / 2)
    assert table.loc["complete", "scans"] == table.loc["complete", "seeds"] == 2
    assert math.isnan(table.loc["raw", "dice_sd"])  # pyright: ignore[reportArgumentType]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "chosen while looking at the masks of these 50 slices" in page
    assert "each slice counts as a patient of its own" in page


def test_an_empty_mask_has_no_ppv() -> None:
    assert row_line([seed_line(0, 0.5, 0.5), seed_line(1, 0.0, math.nan)])["ppv"] == 0.5


def test_a_run_counts_with_its_own_masks_alone(tmp_path: Path) -> None:
    methods = ("CAM + refine", "CAM raw", "Otsu in the region", "nothing")
    counts = [Overlap(3, 2, 2, 3), Overlap(1, 4, 4, 1), Overlap(2, 3, 3, 2), Overlap(0, 0, 5, 5)]
    masks = {method: {"7": counted} for method, counted in zip(methods, counts, strict=True)}
    write_run(tmp_path, Place("cam-refine", 0, 3), masks)
    found = tabulated(tmp_path)
    assert list(found.index) == ["cam-refine"]
    assert found["scans"].tolist() == [1]
    assert found["dice_mean"].tolist() == pytest.approx([0.6])
    slices = pd.read_csv(tmp_path / "per_slice.csv")
    assert slices[["row", "fold", "scan"]].to_numpy().tolist() == [["cam-refine", 3, 7]]


def test_claims_are_checked_against_the_rows_that_are_there() -> None:
    table = pd.DataFrame(
        {
            "row": ["fixed-balanced", "raw", "complete", "supervised"],
            "method": ["fixed threshold", "dRAM raw", "dRAM complete", "supervised U-Net"],
            "dice_mean": [0.50, 0.62, 0.66, 0.72],
            "dice_sd": [math.nan, 0.08, 0.02, 0.01],
            "scans": 50,
        }
    )
    claims = checked_claims(table)
    assert claims[0].startswith("dRAM from scores alone reaches a Dice of 0.660")
    assert [text.split(":")[0] for text in claims[1:]] == ["holds", "holds", "does not hold", "holds"]
    assert checked_claims(table.query("row == 'raw'")) == []
    table.loc[3, "scans"] = 20
    assert not any("bound" in text for text in checked_claims(table))


def test_a_bad_slice_is_explained_by_its_counts() -> None:
    counts = {"tp": 1, "fn": 9, "fp": 0, "tn": 90}
    assert explained(counts) == "lesions fill 10.0 % of the lungs, most of it missed"
    assert "3.0 times as much marked" in explained({"tp": 10, "fn": 0, "fp": 20, "tn": 70})
    assert "elsewhere" in explained({"tp": 5, "fn": 5, "fp": 5, "tn": 85})


def test_rows_differ_in_labels_and_losses_alone(tmp_path: Path) -> None:
    test = tmp_path / "test"
    settings: dict[str, Any] = {n: settings_of(row, SLICES, 3, (tmp_path / "train", test)) for n, row in ROWS.items()}
    kinds = {type(one).__name__ for one in settings.values()}
    assert kinds == {"CamSettings", "DramSettings", "FloorSettings", "SupervisedSettings"}
    assert all(one.seed == 3 and one.prepare == settings["raw"].prepare for one in settings.values())
    assert all((one.data.cohort, one.data.test) == (tmp_path / "train", test) for one in settings.values())
    assert [name for name, row in ROWS.items() if row.labels == "masks"] == ["supervised"]
    complete, longer = settings["complete"], settings["complete-long"]
    assert longer.regression.steps == 3 * complete.regression.steps
    assert longer.model_copy(update={"regression": complete.regression}) == complete


def test_the_shipped_config_is_the_final_model() -> None:
    path = Path(__file__).parents[2] / "configs" / "dram_covid_semiseg.yaml"
    beside = Path("runs/covid-semiseg-best-cohorts")
    expected = settings_of(ROWS["complete"], SLICES, 0, (beside / "all", beside / "expert"))
    expected = changed(expected, {"data": {"seen": True}})
    assert parse(DramSettings, read_yaml(path), str(path)) == expected
