"""`weakmask subtypes-table` on cohorts with and without labelled lesions."""

from pathlib import Path

import numpy as np
import pytest

from weakmask.commands.subtypes import build_subtype_table
from weakmask.errors import UserError
from weakmask.phantoms.chest_ct import write_phantom_cohort
from weakmask.scoring.subtype_reference import read_reference
from weakmask.volume.files import read_volume, write_volume


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    write_phantom_cohort(tmp_path / "cohort", 3, 0, (40, 48, 48), (7.5, 7.5, 7.5), workers=1)
    return tmp_path / "cohort"


def test_every_lesion_of_the_cohort_is_in_the_table(cohort: Path, tmp_path: Path):
    summary = build_subtype_table(cohort, tmp_path / "table.csv")
    table = read_reference(tmp_path / "table.csv")
    voxels = sum((read_volume(path, "label").voxels > 0).sum() for path in (cohort / "truth").iterdir())
    assert sum(table["voxels"].tolist()) == voxels > 0
    assert sum(summary["components"].tolist()) == len(table)
    assert list(summary.columns) == ["subtype", "components", "scans", "volume_ml"]


def test_one_bad_scan_does_not_stop_the_others(cohort: Path, tmp_path: Path):
    first = min((cohort / "truth").iterdir())
    first.write_bytes(b"no image")
    build_subtype_table(cohort, tmp_path / "table.csv")
    assert first.name.split(".")[0] not in set(read_reference(tmp_path / "table.csv")["scan"])


def test_lesions_that_are_not_told_apart_are_refused(cohort: Path, tmp_path: Path):
    for path in (cohort / "truth").iterdir():
        lesions = read_volume(path, "label")
        write_volume(lesions.with_voxels((lesions.voxels > 0).astype(np.uint8)), path)
    with pytest.raises(UserError, match=r"no lesions in it are told apart; expected labels .* 1 ground-glass"):
        build_subtype_table(cohort, tmp_path / "table.csv")
    assert not (tmp_path / "table.csv").exists()


def test_a_file_that_is_no_such_table_is_not_replaced(cohort: Path):
    scores = (cohort / "scores.csv").read_text()
    with pytest.raises(UserError, match=r"scores\.csv: exists and is not a table of subtypes"):
        build_subtype_table(cohort, cohort / "scores.csv")
    assert (cohort / "scores.csv").read_text() == scores
