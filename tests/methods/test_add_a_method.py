"""A method added as CONTRIBUTING.md says works with every verb of the command line.

The method lies in `added/prototypes`: it learns from the classes of colour pictures (labels.csv) and has no regions.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner

from weakmask import methods
from weakmask.cli import app
from weakmask.commands import methods as listing
from weakmask.errors import UserError
from weakmask.pipeline import read_manifest
from weakmask.training import fit as loop
from weakmask.volume.files import write_volume
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Volume

ADDED = Path(__file__).parent / "added"
COLOURS = {"sky": (70, 120, 230), "grass": (80, 180, 50), "brick": (190, 70, 50)}
CLASSES = list(COLOURS)
PICTURES, SIDE, GROUND = 24, 40, 12


@pytest.fixture(scope="module", autouse=True)
def added() -> Iterator[None]:
    """Steps 3 to 7: the folder beside the other methods, its name in NAMES, its config beside the others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(methods, "__path__", [*methods.__path__, str(ADDED)])
        patch.setattr(methods, "NAMES", (*methods.NAMES, "prototypes"))
        patch.setattr(listing, "FOLDERS", (*listing.FOLDERS, ADDED / "configs"))
        yield
    for name in [name for name in sys.modules if name.startswith("weakmask.methods.prototypes")]:
        del sys.modules[name]
    vars(methods).pop("prototypes", None)


def run(*words: object) -> str:
    """The output of a verb that ends well."""
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def write_pictures(folder: Path, seed: int) -> None:
    """Pictures of rectangles in the colours of one or two classes on a dark ground."""
    chance = np.random.default_rng(seed)
    for room in ("images", "truth"):
        (folder / room).mkdir(parents=True)
    lines = ["image,sky,grass,brick"]  # an empty cell is unknown: the second picture says nothing about sky
    for number in range(PICTURES):
        pixels, truth = np.full((SIDE, SIDE, 3), GROUND), np.zeros((SIDE, SIDE), np.uint8)
        present = chance.permutation(3)[: 1 + number % 2]
        for place, label in enumerate(present):
            rows, columns = slice(2, chance.integers(20, 38)), slice(2 + 19 * place, 19 + 19 * place)
            pixels[rows, columns], truth[rows, columns] = COLOURS[CLASSES[label]], label + 1
        pixels = np.clip(pixels + chance.normal(0, 6, pixels.shape), 0, 255).astype(np.uint8)
        name = f"picture_{seed}_{number:02d}"
        Image.fromarray(pixels).save(folder / "images" / f"{name}.png")
        Image.fromarray(truth).save(folder / "truth" / f"{name}.png")
        given = [str(int(label in present)) for label in range(3)]
        lines.append(",".join([name, *([""] if number == 1 else given[:1]), *given[1:]]))
    (folder / "labels.csv").write_text("\n".join([*lines, ""]), encoding="utf-8")
    (folder / "truth.yaml").write_text("kind: classes\n", encoding="utf-8")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(folder / "cohort", 0)
    write_pictures(folder / "unseen", 1)
    return folder / "cohort"


def train_words(cohort: Path, folder: Path) -> tuple[object, ...]:
    change = ("--set", f"data.cohort={cohort}", "--set", "device=cpu")
    return "train", ADDED / "configs" / "prototypes.yaml", "--out", folder, *change


@pytest.fixture(scope="module")
def trained(cohort: Path) -> Path:
    run(*train_words(cohort, cohort.with_name("run")))
    return cohort.with_name("run")


def test_the_new_method_is_listed_and_shown() -> None:
    described = json.loads(run("methods", "--json"))
    assert list(described)[-1] == "prototypes"
    assert described["prototypes"]["labels"] == "classes per picture (labels.csv)"
    assert [Path(file).name for file in described["prototypes"]["configs"]] == ["prototypes.yaml"]
    assert "logit per squared distance between colours" in run("show", ADDED / "configs" / "prototypes.yaml")


def test_its_config_is_complete() -> None:
    text = (ADDED / "configs" / "prototypes.yaml").read_text(encoding="utf-8")
    shown = run("show", ADDED / "configs" / "prototypes.yaml")
    keys = re.compile(r"^ *\w+:", re.MULTILINE)
    assert keys.findall(text) == keys.findall(shown)


def test_the_record_is_the_one_that_the_guide_prints() -> None:
    record = (ADDED / "prototypes" / "__init__.py").read_text(encoding="utf-8").partition("METHOD = ")[2]
    guide = (ADDED.parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert f"```python\nMETHOD = {record.partition('__all__')[0].strip()}\n```" in guide


def test_its_cohort_is_accepted(cohort: Path) -> None:
    assert json.loads(run("check", cohort, "--json")) == {
        "scans": sorted(path.stem for path in (cohort / "images").iterdir()),
        "faults": [],
    }


def test_training_reaches_a_score_that_an_untrained_model_does_not(trained: Path, cohort: Path) -> None:
    detail = pd.read_csv(trained / "summary_detail.csv").query("cases == 'positives'").set_index("subset")
    assert (detail.loc[["all", *CLASSES], "iou_mean"] > 0.95).all()
    untrained = cohort.with_name("untrained")
    run(*train_words(cohort, untrained), "--set", "learning.steps=1")
    detail = pd.read_csv(untrained / "summary_detail.csv").query("cases == 'positives'").set_index("subset")
    assert detail.loc[CLASSES, "iou_mean"].mean() < 0.5


def test_validation_pictures_are_evaluated_and_the_others_are_learnt(trained: Path, cohort: Path) -> None:
    index = pd.read_csv(trained / "01-prepare" / "index.csv").groupby("split")["scan"].agg(set)
    every = {path.stem for path in (cohort / "images").iterdir()}
    assert index["training"] | index["validation"] == every
    assert len(index["validation"]) == PICTURES // 4
    assert not index["training"] & index["validation"]
    assert set(pd.read_csv(trained / "results.csv")["scan"]) == index["validation"]


def test_predict_writes_a_row_per_image_and_class(trained: Path, cohort: Path, tmp_path: Path) -> None:
    unseen = cohort.with_name("unseen")
    run("predict", trained, unseen, "--out", tmp_path / "masks")
    table = pd.read_csv(tmp_path / "masks" / "scores.csv")
    names = sorted(path.stem for path in (unseen / "images").iterdir())
    assert table.columns.tolist() == ["scan", "region", "class", "probability"]
    assert table["scan"].tolist() == [name for name in names for _ in CLASSES]
    assert table["class"].tolist() == CLASSES * PICTURES
    assert table["region"].isna().all()
    given = pd.read_csv(unseen / "labels.csv").melt("image").set_index(["image", "variable"])["value"]
    for row in table.to_dict("records"):
        if not np.isnan(given[row["scan"], row["class"]]):
            assert (row["probability"] > 0.5) == given[row["scan"], row["class"]], row
    page = (tmp_path / "masks" / "report.html").read_text(encoding="utf-8")
    assert re.search(r"sky [\d.e-]+, grass [\d.e-]+, brick [\d.e-]+", page)
    files = {path.name for path in (tmp_path / "masks" / names[0]).iterdir()}
    assert files == {"mask.png", "activation.png", "preview.webp", "scan.json"}


def test_evaluate_compares_its_masks_with_the_truth(trained: Path, cohort: Path, tmp_path: Path) -> None:
    unseen = cohort.with_name("unseen")
    run("predict", trained, unseen, "--out", tmp_path / "masks")
    run("evaluate", tmp_path / "masks", unseen, "--out", tmp_path / "evaluated")
    summary = pd.read_csv(tmp_path / "evaluated" / "summary.csv")
    assert summary["scans"].tolist() == [PICTURES]
    assert summary["iou_mean"].iloc[0] > 0.95


def test_report_is_written_again(trained: Path) -> None:
    (trained / "report.html").unlink()
    run("report", trained)
    assert "Colour prototypes: run" in (trained / "report.html").read_text(encoding="utf-8")
    assert [stage["stage"] for stage in read_manifest(trained)["stages"]] == [
        "01-prepare",
        "02-prototypes",
        "03-model",
        "04-evaluation",
    ]


def test_a_scan_without_colour_is_refused_in_one_line(trained: Path, tmp_path: Path) -> None:
    write_volume(Volume(np.zeros((2, 8, 8), np.int16), Geometry((2, 8, 8))), tmp_path / "ct.nii.gz")
    with pytest.raises(UserError, match=r"ct: not a picture; the model needs colour"):
        run("predict", trained, tmp_path / "ct.nii.gz", "--out", tmp_path / "out")


def test_stopped_in_a_stage_it_ends_with_the_same_result(
    trained: Path, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step_of_the_loop: Callable[..., object] = loop.one_step

    def stops(training: object, losses_of: object, batch: object, step: int) -> object:
        if step == 120:
            raise KeyboardInterrupt
        return step_of_the_loop(training, losses_of, batch, step)

    words = [str(word) for word in train_words(cohort, tmp_path / "run")]
    monkeypatch.setattr(loop, "one_step", stops)
    assert CliRunner().invoke(app, words).exit_code != 0
    assert (tmp_path / "run" / ".02-prototypes.partial" / "checkpoint.safetensors").exists()
    monkeypatch.undo()
    run(*words)
    colours = [
        load_file(folder / "03-model" / "model.safetensors")["colours"] for folder in (tmp_path / "run", trained)
    ]
    assert torch.equal(*colours)
    assert (tmp_path / "run" / "summary.csv").read_bytes() == (trained / "summary.csv").read_bytes()
