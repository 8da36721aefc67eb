"""The table of mitochondria: real stacks become cohorts, rows share networks, and its numbers are those of the runs."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from weakmask.datasets.cohort import read_cohort
from weakmask.errors import UserError
from weakmask.evaluation.instance_overlap import instance_overlap
from weakmask.evaluation.instances import instance_scores
from weakmask.evaluation.overlap_table import instance_interval
from weakmask.experiments import mitochondria_sets, mitochondria_table
from weakmask.experiments.experiment import Preset, Setup
from weakmask.experiments.mitochondria_presets import CPU, ONE_SIZE, QUICK, Values, settings
from weakmask.experiments.mitochondria_sets import PARTS, SETS, write_real
from weakmask.experiments.mitochondria_table import EXPERIMENT, ROWS, compared, has
from weakmask.experiments.run import Request, places_of, reproduce
from weakmask.methods import load_config
from weakmask.methods.mitochondria.instances import OWN
from weakmask.phantoms.em_cohort import write_em_cohort
from weakmask.volume.files import read_volume
from weakmask.volume.stack_files import open_stack

CONFIGS = Path(__file__).parents[2] / "configs"
TINY: Values = {
    **CPU,
    "network.widths": (2, 2),
    "data.validation": 0.25,
    "prepare.pixel_nm": 40.0,
    "train.patch": (4, 16, 16),
    "train.steps": 1,
    "train.fine_patch": (4, 24, 24),
    "train.fine_steps": 0,
    "decoder.search": False,
    "decoder.seed": 0.4,
    "decoder.mask": 0.4,
}


ASKED = ("components", "h-paper", "multi-scale")
REQUEST = Request(seeds=1, jobs=1, sets="phantoms")


def tiny() -> Preset:
    values = {of: settings(TINY) for of in SETS}
    fine = {f"{of}-fine": settings({**TINY, "train.fine_steps": 1}) for of in SETS}
    return Preset({**values, **fine}, 2, 1, (4, 40, 40), (30e-6, 20e-6, 20e-6))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both real sets in small; masks 01, 07 and 18 of VNC are 1-bit pictures."""
    folder = tmp_path_factory.mktemp("data")
    chance = np.random.default_rng(0)
    vnc, cdeep3m = folder / "em_drosophila_vnc", folder / "cdeep3m_sbem"
    for place in (vnc / "raw", vnc / "mitochondria", cdeep3m / "noisy", cdeep3m / "mitochondria"):
        place.mkdir(parents=True)
    mask = np.zeros((40, 44), np.uint8)
    mask[8:24, 10:30] = 255
    for number in range(40):
        grey = np.clip(chance.normal(170, 20, mask.shape) - mask / 2, 0, 255).astype(np.uint8)
        if number < 20:
            Image.fromarray(grey).save(vnc / "raw" / f"{number:02d}.tif")
            picture = Image.fromarray(mask)
            picture = picture.convert("1") if number in {1, 7, 18} else picture
            picture.save(vnc / "mitochondria" / f"{number:02d}.png")
        if number >= 10:
            Image.fromarray(grey).save(cdeep3m / "noisy" / f"{number:03d}.png")
            Image.fromarray(mask).save(cdeep3m / "mitochondria" / f"{number:03d}.png")
    return folder


def small(rows: tuple[str, ...]) -> Any:
    """The table with a tiny preset."""
    return replace(EXPERIMENT, presets={"tiny": tiny()}, rows={row: ROWS[row] for row in ("grey", *rows)})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of one seed on phantoms."""
    out = tmp_path_factory.mktemp("out") / "table"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mitochondria_sets, "write_em_cohort", lambda *given: write_em_cohort(*given, workers=1))
        reproduce(small(ASKED), out, REQUEST)
    return out


@pytest.fixture(autouse=True, scope="module")
def few_draws() -> Iterator[None]:
    """Intervals of a few draws: they are tested where they are made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mitochondria_table, "instance_interval", partial(instance_interval, resamples=5))
        yield


def test_numbers_are_those_of_the_written_instances(made: Path) -> None:
    table: Any = pd.read_csv(made / "table.csv").set_index("row")
    assert list(table.index) == ["grey", *ASKED]
    test = made / "cohorts" / "phantoms" / "test"
    (case,) = read_cohort(test).cases
    truth = read_volume(test / "truth" / f"{case.name}.nii.gz", "label").voxels
    for row in ASKED:
        run = made / "rows" / row / "seed-0" / "fold-0"
        found = open_stack(run / "06-instances" / OWN / f"{case.name}.tif", "label")[:]
        scores = instance_scores(instance_overlap(found, truth)).row()
        for name in ("dice", "ap_75", "ap_50", "tp", "fp", "fn", "merges"):
            assert table.loc[row, name] == pytest.approx(scores[name], abs=1e-5), (row, name)
    assert table.loc["grey", "dice"] > 0.1
    page = (made / "report.html").read_text(encoding="utf-8")
    assert "paper: AP-75 (MitoEM)" not in page  # of the rows asked for none is the paper's
    stacks: Any = pd.read_csv(made / "stacks.csv")
    assert stacks["foreground"].tolist() == pytest.approx([(truth > 0).mean()], rel=1e-4)


def test_rows_that_differ_in_the_decoder_share_one_network(made: Path) -> None:
    files = [made / "rows" / row / "seed-0" / "fold-0" / "03-train" / "first" / "last.safetensors" for row in ASKED[:2]]
    assert files[0].stat().st_ino == files[1].stat().st_ino


def test_a_killed_table_goes_on_and_trains_nothing_again(made: Path) -> None:
    weights = {file: file.stat().st_mtime_ns for file in made.rglob("*.safetensors")}
    table = (made / "table.csv").read_text(encoding="utf-8")
    run = made / "rows" / "components" / "seed-0" / "fold-0"
    shutil.rmtree(run / "08-evaluation")
    for name in ("report.html", "results.csv", "summary.csv"):
        (run / name).unlink()
    (made / "table.csv").unlink()
    reproduce(small(ASKED), made, REQUEST)
    assert {file: file.stat().st_mtime_ns for file in made.rglob("*.safetensors")} == weights
    again = pd.read_csv(made / "table.csv").drop(columns="minutes")
    assert again.equals(pd.read_csv(StringIO(table)).drop(columns="minutes"))


def test_real_stacks_keep_their_masks_and_their_slabs(data: Path, tmp_path: Path) -> None:
    vnc = data / "em_drosophila_vnc"
    write_real(tmp_path / "a", vnc, "vnc", PARTS[2].training)
    cohort = read_cohort(tmp_path / "a")
    assert [case.name for case in cohort.cases] == ["vnc_00_06", "vnc_14_19"]
    assert {case.truth_kind for case in cohort.cases} == {"binary"}
    truth = read_volume(tmp_path / "a" / "truth" / "vnc_00_06.nii.gz", "label").voxels
    assert (truth[1] == truth[0]).all()  # the 1-bit section
    assert truth[1].sum() == 16 * 20
    image = read_volume(tmp_path / "a" / "images" / "vnc_14_19.nii.gz")
    assert np.array_equal(image.voxels[0], np.asarray(Image.open(vnc / "raw" / "14.tif")))
    assert [edge * 1e6 for edge in image.geometry.spacing_mm] == pytest.approx([50, 4.6, 4.6], rel=1e-4)


def test_smooth_sections_are_the_noisy_ones_after_a_gaussian(data: Path, tmp_path: Path) -> None:
    sbem = data / "cdeep3m_sbem"
    for name, noisy in (("smooth", False), ("noisy", True)):
        write_real(tmp_path / name, sbem, "cdeep3m", [PARTS[4].test], noisy=noisy)
    smooth, raw = (
        read_volume(tmp_path / name / "images" / "cdeep3m_30_39.nii.gz").voxels for name in ("smooth", "noisy")
    )
    assert np.array_equal(raw[0], np.asarray(Image.open(sbem / "noisy" / "030.png")))
    assert smooth.std(axis=(1, 2)).mean() < raw.std(axis=(1, 2)).mean()


def test_parts_of_a_set_test_every_section_once() -> None:
    for of, sections in (("vnc", range(20)), ("cdeep3m", range(30, 40))):
        tested = [n for k in SETS[of] for n in range(PARTS[k].test[0], PARTS[k].test[1] + 1)]
        assert tested == list(sections)
        for k in SETS[of]:
            learnt = {n for first, last in PARTS[k].training for n in range(first, last + 1)}
            assert learnt.isdisjoint(range(PARTS[k].test[0], PARTS[k].test[1] + 1))


def test_sets_without_their_data_and_unknown_sets_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no --data: vnc and cdeep3m needs em_drosophila_vnc and cdeep3m_sbem; give"):
        reproduce(small(("h-paper",)), tmp_path / "a", Request(seeds=1))
    with pytest.raises(UserError, match="unknown set 'urocell'; expected one of phantoms, vnc, cdeep3m"):
        reproduce(small(("h-paper",)), tmp_path / "a", Request(data, seeds=1, sets="urocell"))
    with pytest.raises(UserError, match="--rows phantoms-alone: of the sets phantoms, the table has no such row"):
        reproduce(small(("phantoms-alone",)), tmp_path / "a", Request(rows="phantoms-alone", sets="phantoms"))


def test_the_network_of_phantoms_alone_is_tested_on_all_real_sections(data: Path, tmp_path: Path) -> None:
    places = [place for place in places_of(EXPERIMENT, Request(data, "phantoms-alone", 1)) if place.row != "grey"]
    assert [place.fold for place in places] == [1, 4]
    setup = Setup(tmp_path, tiny(), "tiny", data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mitochondria_sets, "write_em_cohort", lambda *given: write_em_cohort(*given, workers=1))
        mitochondria_sets.make_cohorts(setup, places[:1])
    training, test = mitochondria_sets.cohorts_of(setup, places[0])
    assert [case.name for case in read_cohort(test).cases] == ["vnc_00_19"]
    assert all(case.name.startswith("phantom_1_") for case in read_cohort(training).cases)
    assert all(has(place) for place in places)


def test_each_row_is_compared_with_the_row_below() -> None:
    lines = [
        {"set": "s", "row": row, "method": row, "ap_75": ap, "dice": dice, "merges": merges}
        for row, ap, dice, merges in (("grey", 0.0, 0.3, 5), ("components", 0.2, 0.7, 4), ("h-paper", 0.5, 0.8, 1),
                                      ("phantoms-alone", 0.1, 0.4, 2))
    ]  # fmt: skip
    notes = compared(lines)
    assert "s: h-paper, against components: AP-75 +0.300, Dice +0.100, merges -3.0" in notes
    assert "s: a network that saw phantoms alone has a Dice of 0.400, the grey threshold 0.300: better" in notes


@pytest.mark.parametrize("of", ["vnc", "cdeep3m"])
def test_the_shipped_config_is_the_quick_presets_row_of_one_decoder(of: str) -> None:
    shipped: Any = load_config(CONFIGS / f"mitochondria_{of}.yaml")[1]
    quick = settings({**QUICK[of], **ONE_SIZE, "network.architecture": ROWS["r"].changes["network"]["architecture"]})
    data = quick.data.model_copy(update={"spacing_nm": shipped.data.spacing_nm, "cohort": shipped.data.cohort})
    assert quick.model_copy(update={"data": data}) == shipped
