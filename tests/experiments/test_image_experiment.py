"""An experiment with other rows and columns than those of region methods: classes of whole images, no regions.

The method is a toy: it cuts the mean grey value of a picture. The experiment is data, as for any other method.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from weakmask.config import Settings
from weakmask.datasets.case import Cohort
from weakmask.datasets.cohort import read_cohort
from weakmask.experiments.experiment import ANYWHERE, Experiment, Judged, Place, Preset, Row, Setup
from weakmask.experiments.floors import FLOOR_METHODS
from weakmask.experiments.gather import mean_tables
from weakmask.experiments.run import Request, reproduce
from weakmask.methods.method import Method
from weakmask.pipeline import Run, Stage, Work
from weakmask.report.page import Page
from weakmask.volume.files import read_volume

GREY = {"dark": 40, "bright": 200}
PICTURES = 3  # of each class and fold


class CohortSettings(Settings):
    """The pictures; there is no split and no region."""

    cohort: Path = ANYWHERE.cohort
    test: Path = ANYWHERE.cohort


class RuleSettings(Settings):
    """How a picture gets its class."""

    kind: Literal["most frequent", "brightness"] = "brightness"


class PictureSettings(Settings):
    """All settings."""

    method: Literal["picture-classes"] = "picture-classes"
    seed: int = 0
    data: CohortSettings = CohortSettings()
    rule: RuleSettings = RuleSettings()


def grey_values(cohort: Cohort, work: Work[Any]) -> pd.DataFrame:
    """Mean grey value and given class of each picture."""
    lines = []
    for case in cohort.cases:
        work.hash_input(case.image)
        given = next(name for name, there in case.presence[None].items() if there)
        lines.append({"scan": case.name, "given": given, "grey": float(read_volume(case.image).voxels.mean())})
    return pd.DataFrame(lines)


def prepare(work: Work[Any]) -> None:
    grey_values(read_cohort(work.config.data.cohort), work).to_csv(work.out / "grey.csv", index=False)


def learn(work: Work[Any]) -> None:
    """The cut lies between the classes, a little off by chance."""
    table: Any = pd.read_csv(work.stage("prepare") / "grey.csv")
    cut = table.groupby("given")["grey"].mean().mean() + np.random.default_rng(work.config.seed).normal()
    (work.out / "cut.json").write_text(json.dumps({"cut": cut, "most": table["given"].mode()[0]}), encoding="utf-8")


def evaluate(work: Work[Any]) -> None:
    learned = json.loads((work.stage("learning") / "cut.json").read_text(encoding="utf-8"))
    table = grey_values(read_cohort(work.config.data.test), work)
    table["found"] = np.where(table["grey"] > learned["cut"], "bright", "dark")
    if work.config.rule.kind == "most frequent":
        table["found"] = learned["most"]
    table.assign(cut=learned["cut"]).to_csv(work.out / "results.csv", index=False)
    pd.DataFrame({"pictures": [len(table)]}).to_csv(work.out / "summary.csv", index=False)


def page(run: Run[Any]) -> Page:
    return Page(title=run.folder.name, summary="Classes of pictures.")


METHOD = Method(
    title="classes of pictures",
    paper="none",
    labels="labels.csv",
    settings=PictureSettings,
    stages=(
        Stage("prepare", prepare, settings=("data.cohort",)),
        Stage("learning", learn, after=("prepare",), settings=("seed",)),
        Stage("evaluation", evaluate, after=("learning",), settings=("data.test", "rule")),
    ),
    report=page,
)


def write_cohort(folder: Path, seed: int) -> None:
    """Pictures of both classes; of dark ones there is one more."""
    chance = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    lines = ["image,label"]
    for number, name in enumerate((*GREY, "dark") * PICTURES):
        pixels = (GREY[name] + chance.normal(0, 5, (8, 8))).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{seed}-{number}.png")
        lines.append(f"{seed}-{number},{name}")
    (folder / "labels.csv").write_text("\n".join([*lines, ""]), encoding="utf-8")


def cohorts_of(setup: Setup, place: Place) -> tuple[Path, Path]:
    folder = setup.out / "cohorts" / f"fold-{place.fold}"
    return folder / "training", folder / "test"


def make_cohorts(setup: Setup, places: Collection[Place]) -> None:
    for place in places:
        for number, folder in enumerate(cohorts_of(setup, place)):
            if not folder.exists():
                write_cohort(folder, 2 * (place.fold or 0) + number)


def accuracies(runs: Sequence[Judged]) -> dict[str, float]:
    """The accuracy over all folds, that of each class, and the mean cut."""
    results: Any = pd.concat([run.results for run in runs])
    right = results["given"] == results["found"]
    of_class = {f"accuracy_{name}": float(right[results["given"] == name].mean()) for name in GREY}
    return {"accuracy": float(right.mean()), **of_class, "cut": float(results["cut"].mean())}


ROWS = {
    "most": Row("most frequent class", "picture-classes", {"rule": {"kind": "most frequent"}}),
    "cut": Row("mean grey value", "picture-classes", published={"published accuracy": 0.875}),
}
EXPERIMENT = Experiment(
    title="Classes of pictures",
    paper="Nobody, nowhere",
    rows=ROWS,
    presets={"tiny": Preset({"picture-classes": PictureSettings()})},
    cohorts=cohorts_of,
    make_cohorts=make_cohorts,
    read=partial(pd.read_csv, dtype={"scan": str}),
    tabulate=partial(mean_tables, measure=accuracies),
    caption="Accuracy is the share of pictures with the right class.",
    seeds=2,
    folds=2,
    floors=("most",),
)


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FLOOR_METHODS, "picture-classes", METHOD)


def test_classes_of_images_make_a_table(tmp_path: Path) -> None:
    table: Any = reproduce(EXPERIMENT, tmp_path, Request(jobs=1)).set_index("row")
    assert list(table.index) == ["most", "cut"]
    assert table.loc["most", "accuracy":"accuracy_bright_sd":2].tolist() == pytest.approx([2 / 3, 1.0, 0.0])
    assert table.loc["cut", ["accuracy", "accuracy_sd", "accuracy_bright"]].tolist() == [1.0, 0.0, 1.0]
    assert table["seeds"].tolist() == [1, 2]  # a floor has one seed
    seeds: Any = pd.read_csv(tmp_path / "seeds.csv").query("row == 'cut'")
    assert table.loc["cut", "cut"] == pytest.approx(seeds["cut"].mean(), abs=1e-3)
    assert table.loc["cut", "cut_sd"] == pytest.approx(seeds["cut"].std(), abs=1e-3)
    assert seeds["cut"].std() > 0
    assert len(pd.read_csv(tmp_path / "results.csv")) == 3 * 2 * 3 * PICTURES  # runs of each fold, pictures
    report = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "mean grey value has the highest accuracy: 1.000." in report
    assert "published accuracy" in report
    assert "0.875" in report
    assert "share of pictures with the right class" in report


def test_a_seed_that_lacks_a_fold_counts_in_no_mean(tmp_path: Path) -> None:
    reproduce(EXPERIMENT, tmp_path, Request(rows="cut", seeds=2, folds=(0,), jobs=1))
    table: Any = reproduce(EXPERIMENT, tmp_path, Request(rows="cut", seeds=1, folds=(1,), jobs=1)).set_index("row")
    assert table.loc["cut", "seeds"] == 1
    assert set(pd.read_csv(tmp_path / "results.csv").query("row == 'cut'")["seed"]) == {0, 1}


def test_rows_without_regions_reuse_stages_and_go_on(tmp_path: Path) -> None:
    reproduce(EXPERIMENT, tmp_path, Request(rows="cut", seeds=1, folds=(1,), jobs=1))
    tables = [tmp_path / "rows" / row / "seed-0" / "fold-1" / "01-prepare" / "grey.csv" for row in ROWS]
    assert len({table.stat().st_ino for table in tables}) == 1
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("cut.json")}
    table = reproduce(EXPERIMENT, tmp_path, Request(seeds=2, jobs=1))
    assert table["seeds"].tolist() == [1, 2]
    assert before.items() <= {path: path.stat().st_mtime_ns for path in tmp_path.rglob("cut.json")}.items()


def test_an_experiment_without_cohorts_takes_the_data_of_its_preset(tmp_path: Path) -> None:
    write_cohort(tmp_path / "training", 0)
    write_cohort(tmp_path / "test", 1)
    data = CohortSettings(cohort=tmp_path / "training", test=tmp_path / "test")
    preset = Preset({"picture-classes": PictureSettings(data=data)})
    alone = replace(EXPERIMENT, presets={"tiny": preset}, cohorts=None, make_cohorts=None, folds=0)
    table = reproduce(alone, tmp_path / "out", Request(rows="cut", seeds=1, jobs=1))
    assert table["accuracy"].tolist() == pytest.approx([2 / 3, 1.0])
    assert (tmp_path / "out" / "rows" / "cut" / "seed-0" / "03-evaluation" / "results.csv").exists()
