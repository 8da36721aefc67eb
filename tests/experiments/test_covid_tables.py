"""The tables and the claims of the COVID-SemiSeg reproduction, from numbers worked out by hand."""

import math
from pathlib import Path

import pandas as pd
import pytest

from weakmask.config import parse, read_yaml
from weakmask.experiments.covid_floors import FIXED
from weakmask.experiments.covid_rows import ROWS
from weakmask.experiments.covid_tables import checked_claims, explained, tabulate, write_results
from weakmask.methods.dram import DramSettings


def line(row: str, seed: int, scan: str, dice: float, counts: tuple[int, int, int] = (1, 1, 1)) -> dict[str, object]:
    tp, fp, fn = counts
    return {
        "row": row,
        "method": row.title(),
        "seed": seed,
        "scan": scan,
        "dice": dice,
        "sensitivity": 0.5,
        "ppv": 0.5,
        "tp": tp,
        "fp": fp,
        "fn": fn,
    }


def test_dice_is_averaged_over_slices_and_then_over_seeds() -> None:
    lines = [
        line("complete", 0, "a", 0.6, (3, 1, 0)),
        line("complete", 0, "b", 0.8, (1, 0, 5)),
        line("complete", 1, "a", 0.7),
        line("complete", 1, "b", math.nan),
        line("complete", 2, "a", 0.1),  # has not judged "b" yet
        line("raw", 0, "a", 0.4),
        line("Otsu in the region", 0, "a", 0.3),
    ]
    table = tabulate(pd.DataFrame(lines)).set_index("row")
    assert list(table.index) == ["Otsu in the region", "raw", "complete"]
    assert table.loc["complete", "dice_mean"] == pytest.approx(0.7)
    assert table.loc["complete", "dice_sd"] == pytest.approx(0.0)
    assert table.loc["complete", "dice_of_seeds"] == "0.700 0.700"
    assert table.loc["complete", "iou_pooled"] == pytest.approx((4 / 10 + 2 / 6) / 2)
    assert table.loc["complete", "scans"] == 2
    assert math.isnan(table.loc["raw", "dice_sd"])  # pyright: ignore[reportArgumentType]


def test_a_seed_that_is_not_complete_counts_in_no_column() -> None:
    complete = [line("raw", seed, scan, 0.5) for seed in (0, 1) for scan in "ab"]
    unfinished = line("raw", 2, "a", 0.9) | {"sensitivity": 1.0, "ppv": 1.0}
    expected = tabulate(pd.DataFrame(complete))
    assert expected["sensitivity"].tolist() == expected["ppv"].tolist() == [0.5]
    pd.testing.assert_frame_equal(tabulate(pd.DataFrame([*complete, unfinished])), expected)


def test_a_run_counts_with_its_own_masks_alone(tmp_path: Path) -> None:
    run = tmp_path / "rows" / "cam-refine" / "seed-0" / "fold-3"
    run.mkdir(parents=True)
    methods = ("CAM + refine", "CAM raw", "Otsu in the region", "nothing")
    lines = [
        line(method, 0, "7", dice) | {"iou": dice, "tn": 1}
        for method, dice in zip(methods, (0.6, 0.2, 0.4, 0.0), strict=True)
    ]
    table = pd.DataFrame(lines).assign(method=methods, subset="all").drop(columns=["row", "seed"])
    table.to_csv(run / "results.csv", index=False)
    found = write_results(tmp_path).set_index("row")
    assert list(found.index) == ["Otsu in the region", "cam-refine"]
    assert found["scans"].tolist() == [1, 1]
    assert found["dice_mean"].tolist() == [0.4, 0.6]
    assert pd.read_csv(tmp_path / "per_slice.csv")["fold"].tolist() == [3, 3]


def test_claims_are_checked_against_the_rows_that_are_there() -> None:
    table = pd.DataFrame(
        {
            "row": [FIXED, "raw", "complete", "supervised"],
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
    settings = {name: row.settings(tmp_path / "train", None, 3) for name, row in ROWS.items()}
    assert {type(one).__name__ for one in settings.values()} == {"CamSettings", "DramSettings", "SupervisedSettings"}
    assert all(one.seed == 3 and one.prepare == settings["raw"].prepare for one in settings.values())  # pyright: ignore[reportAttributeAccessIssue]
    assert [name for name, row in ROWS.items() if row.source == "masks"] == ["supervised"]
    complete, longer = settings["complete"], settings["complete-long"]
    assert isinstance(complete, DramSettings)
    assert isinstance(longer, DramSettings)
    assert longer.regression.steps == 3 * complete.regression.steps
    same = {"regression": complete.regression}
    assert longer.model_copy(update=same) == complete


def test_the_shipped_config_is_the_final_model() -> None:
    path = Path(__file__).parents[2] / "configs" / "dram_covid_semiseg.yaml"
    beside = Path("runs/covid-semiseg-best-cohorts")
    expected = ROWS["complete"].settings(beside / "all", beside / "expert", 0)
    assert parse(DramSettings, read_yaml(path), str(path)) == expected
