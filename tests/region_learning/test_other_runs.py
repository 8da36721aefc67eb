"""A run's report shows the rows of other runs below its own."""

from pathlib import Path

import pandas as pd
import pytest

from weakmask.errors import UserError
from weakmask.region_learning.other_runs import with_other_runs, write_other_runs


def finished(run: Path, method: str, iou: float) -> pd.DataFrame:
    table = pd.DataFrame({"method": [method, "nothing"], "iou_mean": [iou, 0.0]})
    (run / "08-evaluation").mkdir(parents=True)
    table.to_csv(run / "08-evaluation" / "summary.csv", index=False)
    return table


def test_the_own_rows_of_other_runs_come_after_that_of_the_run(tmp_path: Path) -> None:
    summary = finished(tmp_path / "a", "A", 0.5)
    others = [tmp_path / "b", tmp_path / "c"]
    finished(others[0], "B", 0.25)
    finished(others[1], "C", 0.75)
    pd.testing.assert_frame_equal(with_other_runs(summary, tmp_path / "a"), summary)
    write_other_runs(tmp_path / "a", others)
    shown = with_other_runs(summary, tmp_path / "a")
    assert shown.to_dict("list") == {"method": ["A", "B", "C", "nothing"], "iou_mean": [0.5, 0.25, 0.75, 0.0]}


def test_a_run_that_is_not_finished_is_named(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    with pytest.raises(UserError, match="b: stage evaluation is not finished"):
        write_other_runs(tmp_path, [tmp_path / "b"])
    assert [path.name for path in tmp_path.iterdir()] == ["b"]
