"""The split is made of the scans that were prepared, and a run that nothing could judge does not begin."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from weakmask.errors import UserError
from weakmask.methods.dram.config import DramSettings
from weakmask.phantoms.chest_ct import write_phantom_cohort
from weakmask.pipeline import Work
from weakmask.region_learning.prepare import prepare
from weakmask.region_learning.settings import DataSettings, PrepareSettings
from weakmask.volume.files import write_volume
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Volume


def work(tmp_path: Path, cohort: Path, validation: float) -> Work:
    config = DramSettings(
        data=DataSettings(cohort=cohort, validation=validation),
        prepare=PrepareSettings(spacing_mm=None, crop_shape=(8, 8, 8)),
    )
    out = tmp_path / "run" / "01-prepare"
    out.mkdir(parents=True)
    return Work(tmp_path / "run", out, config)


@pytest.mark.parametrize("faulty", range(3))
def test_a_faulty_scan_is_never_the_one_held_out(faulty: int, tmp_path: Path) -> None:
    cohort = tmp_path / "cohort"
    write_phantom_cohort(cohort, 3, 0, (40, 48, 48), (7.5, 7.5, 7.5), workers=1)
    (cohort / "images" / f"phantom_0_{faulty:04}.nii.gz").write_bytes(b"no image")
    prepare(work(tmp_path, cohort, validation=0.3))
    index = pd.read_csv(tmp_path / "run" / "01-prepare" / "index.csv")
    assert index.groupby("split")["scan"].nunique().to_dict() == {"training": 1, "validation": 1}


def pictures(folder: Path, seed: int) -> Path:
    """A cohort of four X-rays with lungs and scores."""
    rng = np.random.default_rng(seed)
    lungs = np.ones((1, 12, 12), np.uint8)
    for number in range(4):
        grid = Geometry(lungs.shape)
        image = rng.integers(0, 255, lungs.shape).astype(np.uint8)
        write_volume(Volume(image, grid), folder / "images" / f"x{seed}{number}.png")
        write_volume(Volume(lungs, grid, "label"), folder / "regions" / f"x{seed}{number}.png")
    rows = [f"x{seed}{number},{number}" for number in range(4)]
    (folder / "scores.csv").write_text("\n".join(["scan,image", *rows]))
    return folder


def on_pictures(tmp_path: Path, cohort: Path, window: tuple[float, float] = (0.0, 255.0), **data: object) -> Work:
    config = DramSettings.model_validate(
        {
            "data": {"cohort": cohort, "validation": 0.25, **data},
            "prepare": {"spacing_mm": None, "crop_shape": (1, 8, 8), "window": window},
        }
    )
    (tmp_path / "run" / "01-prepare").mkdir(parents=True, exist_ok=True)
    return Work(tmp_path / "run", tmp_path / "run" / "01-prepare", config)


def test_test_scans_that_are_trained_on_are_refused_unless_somebody_insists(tmp_path: Path) -> None:
    cohort, other = pictures(tmp_path / "cohort", 1), pictures(tmp_path / "other", 2)
    shutil.copy(cohort / "images" / "x11.png", other / "images" / "x23.png")  # under another name
    with pytest.raises(UserError, match="trained on, by name or content: x23; take them out") as caught:
        prepare(on_pictures(tmp_path, cohort, test=other))
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="by name or content: x10, x11, x12, x13;"):
        prepare(on_pictures(tmp_path, cohort, test=cohort))
    prepare(on_pictures(tmp_path, cohort, test=other, seen=True))
    assert (tmp_path / "run" / "01-prepare" / "index.csv").exists()


def test_a_picture_with_a_window_in_hounsfield_units_is_refused(tmp_path: Path) -> None:
    cohort = pictures(tmp_path / "cohort", 1)
    with pytest.raises(
        UserError, match=r"prepare\.window is \[-1200, 300\] HU; set prepare\.window to its grey"
    ) as caught:
        prepare(on_pictures(tmp_path, cohort, window=(-1200.0, 300.0)))
    assert "\n" not in str(caught.value)


def test_a_cohort_without_scores_is_refused_in_one_line(tmp_path: Path) -> None:
    cohort = pictures(tmp_path / "cohort", 1)
    (cohort / "scores.csv").unlink()
    with pytest.raises(UserError, match=r"no image has a score per region; give a table scores\.csv"):
        prepare(on_pictures(tmp_path, cohort))


def test_regions_that_cannot_be_made_are_refused_as_the_check_does(tmp_path: Path) -> None:
    cohort = pictures(tmp_path / "cohort", 1)
    shutil.rmtree(cohort / "regions")
    (cohort / "regions.yaml").write_text("labels: {image: 1}\n")
    with pytest.raises(UserError, match="region `image` cannot be made automatically"):
        prepare(on_pictures(tmp_path, cohort))


def test_a_run_without_anything_to_judge_is_refused_before_it_begins(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no scan is left to evaluate; give one of them"):
        prepare(work(tmp_path, tmp_path / "none", validation=0.0))
