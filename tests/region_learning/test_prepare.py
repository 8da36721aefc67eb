"""The split is made of the scans that were prepared, and a run that nothing could judge does not begin."""

from pathlib import Path

import pandas as pd
import pytest

from weakmask.errors import UserError
from weakmask.methods.dram.config import DramSettings
from weakmask.phantoms.chest_ct import write_phantom_cohort
from weakmask.pipeline import Work
from weakmask.region_learning.prepare import prepare
from weakmask.region_learning.settings import DataSettings, PrepareSettings


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
    (cohort / "images" / f"phantom_{faulty:04}.nii.gz").write_bytes(b"no image")
    prepare(work(tmp_path, cohort, validation=0.3))
    index = pd.read_csv(tmp_path / "run" / "01-prepare" / "index.csv")
    assert index.groupby("split")["scan"].nunique().to_dict() == {"training": 1, "validation": 1}


def test_a_run_without_anything_to_judge_is_refused_before_it_begins(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no scan is left to judge; give one of them"):
        prepare(work(tmp_path, tmp_path / "none", validation=0.0))
