"""The layout of COVID-SemiSeg, on a handful of made slices and on the real folder where it is."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from weakmask.datasets.cohort import check_cohort
from weakmask.datasets.cohort_writing import write_cohort
from weakmask.datasets.covid_semiseg import cohort_of, read_covid_semiseg
from weakmask.errors import UserError


def save(pixels: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """Two expert slices and two weak slices of one volume."""
    folder = tmp_path / "covid"
    rng = np.random.default_rng(0)
    regions = np.zeros((40, 30), np.uint8)
    regions[2:18, 3:27], regions[22:38, 3:27] = 1, 2
    parts = {"train_expert": ["0", "1"], "train_weak": ["Data-1_vol_001_3", "Data-1_vol_001_4"]}
    for part, names in parts.items():
        rows = ["scan,region,score"]
        for name in names:
            save(rng.integers(0, 256, regions.shape, dtype=np.uint8), folder / part / "images" / f"{name}.jpg")
            save(regions, folder / part / "regions" / f"{name}.png")
            if part == "train_expert":
                save((regions == 2).astype(np.uint8) * 255, folder / part / "masks" / f"{name}.png")
            rows += [f"{name},1,0", f"{name},2,5"]
        table = "scores_expert.csv" if part == "train_expert" else "scores_simulated.csv"
        (folder / table).write_text("\n".join(rows) + "\n")
    return folder


def test_slices_scores_and_volumes_are_read(layout: Path) -> None:
    found = read_covid_semiseg(layout)
    assert [case.name for case in found.expert] == ["0", "1"]
    assert dict(found.expert[0].scores) == {1: 0, 2: 5}
    assert {case.group for case in found.weak} == {"Data-1_vol_001"}
    assert all(case.truth is None for case in found.weak)


def test_a_cohort_to_train_on_has_no_masks(layout: Path, tmp_path: Path) -> None:
    found = read_covid_semiseg(layout)
    write_cohort(cohort_of(layout, (*found.expert, *found.weak)), tmp_path / "train", truth=False)
    write_cohort(cohort_of(layout, found.expert), tmp_path / "test", truth=True)
    assert not (tmp_path / "train" / "truth").exists()
    train, test = check_cohort(tmp_path / "train"), check_cohort(tmp_path / "test")
    assert len(train.cases) == 4
    assert train.region_names == {1: "upper lung", 2: "lower lung"}
    assert all(case.truth is None for case in train.cases)
    assert all(case.truth is not None for case in test.cases)
    assert {case.patient for case in train.cases} == {"0", "1", "Data-1_vol_001"}


def test_a_missing_file_and_a_strange_score_are_told(layout: Path) -> None:
    (layout / "train_weak" / "regions" / "Data-1_vol_001_4.png").unlink()
    with pytest.raises(UserError, match=r"Data-1_vol_001_4\.png: no such file"):
        read_covid_semiseg(layout)
    table = layout / "scores_expert.csv"
    table.write_text(table.read_text().replace("0,2,5", "0,2,6"))
    with pytest.raises(UserError, match="region '2' with score '6'"):
        read_covid_semiseg(layout)


@pytest.mark.real_data
def test_the_real_folder_has_its_slices(real_data: Callable[[str], Path]) -> None:
    found = read_covid_semiseg(real_data("covid_semiseg"))
    assert (len(found.expert), len(found.weak)) == (50, 1600)
    assert len({case.group for case in found.weak}) == 20
    assert sum(len(case.scores) for case in found.expert) == 100
