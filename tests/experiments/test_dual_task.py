"""The tables of dual-task MIL: their rows, their cohorts, the three averages of a number, and the claims."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from weakmask.evaluation.overlap import Overlap, overlap
from weakmask.evaluation.table import result_rows, results_table
from weakmask.experiments import dual_task, dual_task_phantoms
from weakmask.experiments.dual_task_tables import CHAIN, LEAK, checked_claims, measured
from weakmask.experiments.experiment import Judged, Place, Setup
from weakmask.experiments.run import EXPERIMENTS, Request, places_of
from weakmask.experiments.training import method_of
from weakmask.pipeline.keys import settings_key
from weakmask.volume.files import read_volume, write_volume

EXPERIMENT = dual_task.EXPERIMENT
SETUP = Setup(Path("out"), dual_task.SLICES, "slices", Path("data"))


def test_the_bound_alone_is_cross_validated() -> None:
    places = places_of(EXPERIMENT, Request(seeds=1))
    folds = {row: [place.fold for place in places if place.row == row] for row in EXPERIMENT.rows}
    assert folds.pop("supervised") == [0, 1, 2, 3, 4]
    assert set(map(tuple, folds.values())) == {(None,)}
    training, test = dual_task.cohorts_of(SETUP, Place("supervised", 0, 2))
    assert training.parts[-2:] == ("fold-2", "masks")
    assert test.parts[-2:] == ("fold-2", "test")
    assert [path.name for path in dual_task.cohorts_of(SETUP, Place(CHAIN, 0))] == ["weak", "test"]


@pytest.mark.parametrize("experiment", [EXPERIMENT, dual_task_phantoms.EXPERIMENT], ids=lambda one: one.title)
def test_every_row_has_settings_that_its_method_takes(experiment) -> None:
    assert experiment in EXPERIMENTS.values()
    setup = Setup(Path("out"), next(iter(experiment.presets.values())), "", Path("data"))
    for row in experiment.rows:
        fold = experiment.folds_of(row)[0]
        found = experiment.settings_of(setup, Place(row, 1, fold))
        assert isinstance(found, method_of(experiment.rows[row].method).settings)
        assert type(found).model_validate(found.model_dump()) == found


def shared_stages(row: str, other: str) -> list[str]:
    """The stages whose finished folders one row takes from another."""
    one, two = (EXPERIMENT.settings_of(SETUP, Place(name, 0)) for name in (row, other))
    stages = method_of(EXPERIMENT.rows[row].method).stages
    return [
        stage.name for stage in stages if settings_key(stages, stage.name, one) == settings_key(stages, stage.name, two)
    ]


def test_rows_share_what_they_have_in_common() -> None:
    first = ["prepare", "classification", "grad-cam"]
    assert shared_stages("grad-cam", CHAIN)[:5] == [*first, "patches", "labels"]
    assert "segmentation" not in shared_stages("grad-cam", CHAIN)
    for row in ("anchor", "easy-chain", "large-patches"):
        assert [name for name in shared_stages(row, CHAIN) if "again" not in name] == first
    assert "segmentation" not in shared_stages("bootstrapping", CHAIN)
    assert "patches" in shared_stages("bootstrapping", CHAIN)
    assert shared_stages("decovnet-authors", "decovnet") == ["prepare", "classification"]
    assert shared_stages("ad3d-attention", "ad3d-instance") == ["prepare", "classification"]


def judged(folder: Path, dice_of_auc: float) -> tuple[Judged, Overlap, Overlap]:
    """A run on two pictures whose lesions lie in part outside the regions; its counts inside and everywhere."""
    rng = np.random.default_rng(0)
    test, run = folder / "test", folder / "run"
    for part in ("images", "regions", "truth"):
        (test / part).mkdir(parents=True)
    (run / "05-maps" / "masks").mkdir(parents=True)
    inside, everywhere, rows = Overlap(), Overlap(), []
    for name in ("a", "b"):
        regions = np.zeros((12, 14), np.uint8)
        regions[2:10, 2:12] = 1
        truth = (rng.random(regions.shape) < 0.4).astype(np.uint8)
        mask = ((rng.random(regions.shape) < 0.5) & (regions > 0)).astype(np.uint8)
        for part, voxels in (("images", 100 + truth), ("regions", regions), ("truth", truth)):
            Image.fromarray(voxels.astype(np.uint8)).save(test / part / f"{name}.png")
        image = read_volume(test / "images" / f"{name}.png")
        write_volume(image.with_voxels(mask[None], "label"), run / "05-maps" / "masks" / f"{name}.nii.gz")
        counted = overlap(mask, truth, regions)
        inside, everywhere = inside + counted, everywhere + overlap(mask, truth)
        rows += result_rows("m", name, {"all": counted})
    (test / "scores.csv").write_text("scan,region,score\na,left,1\nb,left,1\n")
    (test / "regions.yaml").write_text("labels: {left: 1}\n")
    pd.DataFrame({"auc": [dice_of_auc]}).to_csv(run / "classifier.csv", index=False)
    settings = EXPERIMENT.settings_of(SETUP, Place(CHAIN, 0))
    settings = settings.model_copy(update={"data": settings.data.model_copy(update={"test": test})})  # pyright: ignore[reportAttributeAccessIssue]
    return Judged(Place(CHAIN, 0), run, EXPERIMENT.rows[CHAIN], settings, results_table(rows)), inside, everywhere


def test_a_number_is_a_mean_over_slices_pooled_inside_and_over_the_picture(tmp_path: Path) -> None:
    run, inside, everywhere = judged(tmp_path, 0.9)
    found = measured([run])
    assert found["slice_dice"] == pytest.approx(run.results["dice"].mean())
    assert found["inside_dice"] == pytest.approx(inside.dice)
    assert found["picture_dice"] == pytest.approx(everywhere.dice)
    assert found["picture_sensitivity"] < found["inside_sensitivity"]  # lesions outside the regions count
    assert (found["scans"], found["auc"]) == (2, 0.9)


def line(row: str, dice: float, spread: float = 0.01) -> dict[str, object]:
    numbers = {f"{measure}_dice": dice + add for measure, add in (("slice", 0.0), ("inside", 0.08), ("picture", 0.07))}
    return {"row": row, "method": row, **numbers, "slice_dice_sd": spread}


def test_claims_hold_or_not_by_the_numbers() -> None:
    assert checked_claims(pd.DataFrame([line("opened", 0.6)])) == []
    good = checked_claims(pd.DataFrame([line(CHAIN, 0.68), line("opened", 0.66), line("decovnet", 0.6)]))
    assert LEAK in good[0]
    assert "0.680 as mean over slices, 0.760 pooled inside" in good[0]
    assert len(good) == 7
    assert all(claim.startswith("holds") for claim in good[1:])
    bad = checked_claims(pd.DataFrame([line(CHAIN, 0.6, 0.03), line("opened", 0.61), line("ad3d-instance", 0.58)]))
    assert all(claim.startswith("does not hold") for claim in bad[1:])
