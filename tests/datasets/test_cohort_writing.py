"""Cohorts made of data sets read back as what they were made of."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from weakmask.datasets.case import Case, Cohort
from weakmask.datasets.cohort import check_cohort
from weakmask.datasets.cohort_writing import write_cohort
from weakmask.scoring.severity import CT_SEVERITY, ScoreMap
from weakmask.volume.files import read_volume

HALVES = ScoreMap("halves", {0: (0.0, 0.0), 1: (0.0, 0.5), 2: (0.5, 1.0)})


def picture(path: Path, seed: int, highest: int = 256) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, highest, (12, 10), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    """Two pictures of one patient with classes, scores of two regions and true classes."""
    data = tmp_path / "data"
    cases = [
        Case(
            name=f"p{k}",
            image=picture(data / f"{k}.PNG", k),
            regions=picture(data / f"{k}_regions.png", 5, 3),
            truth=picture(data / f"{k}_truth.png", 9 + k, 3),
            scores={1: 2, 2: k},
            patient="=7",
            presence={None: {"cat": bool(k), **({"dog": True} if k else {})}},
            truth_kind="classes",
        )
        for k in range(2)
    ]
    return Cohort(data, HALVES, {1: "upper", 2: "lower"}, tuple(cases), (), ("cat", "dog"))


def test_a_written_cohort_is_read_back(cohort: Cohort, tmp_path: Path) -> None:
    write_cohort(cohort, tmp_path / "out", truth=True)
    found = check_cohort(tmp_path / "out", hounsfield=False)
    assert not [fault for fault in found.faults if fault.fatal]
    assert (found.classes, found.region_names, found.score_map) == (("cat", "dog"), cohort.region_names, HALVES)
    for before, after in zip(cohort.cases, found.cases, strict=True):
        same = ("name", "scores", "patient", "presence", "truth_kind")
        assert all(getattr(before, name) == getattr(after, name) for name in same)
        for name in ("image", "regions", "truth"):
            assert getattr(before, name).read_bytes() == getattr(after, name).read_bytes()


def test_a_cohort_to_train_on_has_no_truth_and_a_part_of_the_images(cohort: Cohort, tmp_path: Path) -> None:
    part = replace(cohort, cases=cohort.cases[1:], score_map=CT_SEVERITY)
    write_cohort(part, tmp_path / "out", truth=False)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("images", "regions", "scores.csv", "labels.csv", "regions.yaml"),
    }
    assert [path.name for path in (tmp_path / "out" / "images").iterdir()] == ["p1.png"]


def test_truth_without_a_file_is_made_and_an_existing_cohort_stays(cohort: Cohort, tmp_path: Path) -> None:
    made = np.full((12, 10), 2, np.uint8)
    write_cohort(cohort, tmp_path / "out", truth=True, truth_of=lambda case: made if case.name == "p0" else None)
    truths = list((tmp_path / "out" / "truth").iterdir())
    assert [path.name for path in truths] == ["p0.png"]
    assert np.array_equal(read_volume(truths[0], "label").voxels[0], made)
    write_cohort(cohort, tmp_path / "out", truth=False)
    assert truths[0].exists()
