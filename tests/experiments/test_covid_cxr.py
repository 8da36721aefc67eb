"""The table of the COVID-19 X-rays on a handful of made X-rays and two steps: cohorts, pixels that count, the claim."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from weakmask.datasets.cohort import read_cohort
from weakmask.evaluation.overlap import Overlap
from weakmask.evaluation.table import COUNTS, result_rows, results_table
from weakmask.experiments.covid_cxr import (
    EXPERIMENT,
    OPACITY,
    QUICK,
    ROWS,
    cohorts_of,
    dice_numbers,
    make_cohorts,
    read_per_image,
    tabulate,
)
from weakmask.experiments.experiment import Experiment, Judged, Place, Preset, Setup, changed
from weakmask.experiments.run import Request, reproduce
from weakmask.methods.wsmis.evaluation import OWN

LOOP = {
    "steps": 2,
    "batch": 2,
    "average_decay": 0.5,
    "precision": "32-true",
    "validate_every": 2,
    "checkpoint_every": 2,
}


def tiny() -> Experiment:
    small = {"prepare": {"crop_shape": (1, 32, 24)}}
    trained = {"floor": {}, "dram": {"regression": LOOP}}
    settings = {name: changed(QUICK.settings[name], {**small, **parts}) for name, parts in trained.items()}
    return replace(EXPERIMENT, presets={"quick": Preset(settings)})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Nine X-rays of as many patients; the left lung of most is opaque in part, and so is one right lung in two."""
    folder, rows = tmp_path / "data", ["image,right_lung_fraction,left_lung_fraction,patient"]
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for number in range(9):
        rng = np.random.default_rng(number)
        lungs = np.zeros((48, 60), np.uint8)
        lungs[4:44, 5:27], lungs[4:44, 33:55] = 1, 2
        opaque = np.zeros(lungs.shape, np.uint8)
        opaque[30 : 30 + 2 * (number % 4), 25:60] = 3  # also outside the lungs
        opaque[10:20, 5 : 5 + 8 * (number % 2)] = 1
        grey = np.where(lungs > 0, 60, 190) + 70 * (opaque > 0) + rng.normal(0, 5, lungs.shape)
        for kind, pixels in (
            ("images/x{}.png", grey),
            ("masks/x{}_lungs.png", lungs),
            ("masks/x{}_lesions.png", opaque),
        ):
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / kind.format(number))
        shares = [float((opaque[lungs == label] > 0).mean()) for label in (1, 2)]
        rows.append(f"x{number},{shares[0]:.4f},{shares[1]:.4f},{number}")
    (folder / "table.csv").write_text("\n".join([*rows, ""]), encoding="utf-8")
    return folder


def test_each_x_ray_of_a_fold_is_tested_in_each_row(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    table = reproduce(tiny(), out, Request(data, rows="dram", seeds=1, folds=(0,), jobs=1))
    assert table["row"].tolist() == [*EXPERIMENT.floors, "dram"]
    results = pd.read_csv(out / "results.csv", dtype={"scan": str})
    tested = set(pd.read_csv(out / "splits.csv", dtype=str).query("part == 'test' and fold == '0'")["scan"])
    for _, lines in results.groupby("row"):
        assert set(lines["scan"]) == tested
        assert lines[list(COUNTS)].sum(axis=1).eq(2 * 40 * 22).all()  # both lungs
    assert results.query("row == 'everything'")["sensitivity"].dropna().eq(1).all()
    assert not (out / "cohorts" / "fold-0" / "scores" / "truth").exists()
    assert {case.name for case in read_cohort(out / "cohorts" / "fold-0" / "scores").cases}.isdisjoint(tested)


def test_a_method_without_regions_gets_each_lung_and_is_counted_by_x_ray(data: Path, tmp_path: Path) -> None:
    setup, place = Setup(tmp_path / "out", QUICK, "quick", data), Place("wsmis", 0, 1)
    make_cohorts(setup, [place])
    training, test = (read_cohort(folder) for folder in cohorts_of(setup, place))
    assert all(case.truth is None for case in training.cases)
    assert (len(training.cases), len(test.cases)) == (12, 6)
    assert {case.patient for case in training.cases}.isdisjoint(case.patient for case in test.cases)
    rows = []
    for method in ("nothing", OWN):
        for case in test.cases:
            counted = Overlap(3, 1, 2, 4) if case.name.endswith("left") else Overlap(0, 2, 1, 7)
            rows += result_rows(method, case.name, {"all": counted, OPACITY: counted}, case.patient)
    results_table(rows).to_csv(tmp_path / "results.csv", index=False)
    found = read_per_image(tmp_path / "results.csv")
    assert sorted(found["scan"]) == sorted({case.name.removesuffix("-left") for case in test.cases[1::2]})
    assert found[list(COUNTS)].drop_duplicates().to_numpy().tolist() == [[3, 3, 3, 11]]
    assert found["dice"].iloc[0] == pytest.approx(6 / 12)
    assert set(found["patient"]) == {case.patient for case in test.cases}


def judged(row: str, counts: list[Overlap]) -> Judged:
    rows = [line for k, one in enumerate(counts) for line in result_rows(OWN, f"x{k}", {"all": one})]
    settings = QUICK.settings[ROWS[row].method]
    return Judged(Place(row, 0, 0), Path(), ROWS[row], settings, results_table(rows))


def test_dice_is_a_mean_over_x_rays_and_dram_is_compared_with_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    half, good = Overlap(1, 1, 1, 7), Overlap(4, 1, 1, 4)  # Dice 0.5 and 0.8
    clear = Overlap(0, 2, 0, 8)  # an X-ray without opacities has no Dice; its pixels count
    numbers = dice_numbers([judged("dram", [half]), judged("dram", [good, clear])])
    assert numbers["dice"] == pytest.approx(0.65)
    assert numbers["iou_pooled"] == pytest.approx(5 / 11)
    monkeypatch.setattr("weakmask.experiments.gather.read_manifest", lambda run: {"stages": []})
    runs = [judged("dram", [half, good]), judged("supervised", [good, good])]
    assert tabulate(runs).notes[-1].startswith("does not hold: dRAM reaches 0.81 of the supervised")
    assert (
        tabulate([runs[1], replace(runs[0], results=runs[1].results)]).notes[-1].startswith("holds: dRAM reaches 1.00")
    )
    assert not tabulate(runs[:1]).notes
