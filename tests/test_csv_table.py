"""Tables as CSV: harmless in a spreadsheet, and equal when they are read again."""

import errno
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weakmask.csv_table import read_csv, write_csv
from weakmask.datasets.run_length import read_run_lengths
from weakmask.datasets.splits import Split, read_splits, write_splits
from weakmask.errors import MachineError
from weakmask.evaluation.overlap import Overlap
from weakmask.evaluation.table import read_results, result_rows, results_table, scores_table, write_tables
from weakmask.scoring.subtype_reference import read_reference

SOURCE = Path(__file__).resolve().parents[1] / "src" / "weakmask"
HOSTILE = [
    "=cmd|' C'!A0",
    "+1",
    "-2",
    "@x",
    "\ta",
    "\rb",
    "a\nb",
    "\x1b[2J",
    "\udcff\udcfe",
    "007",
    "NA",
    "nan",
    'q"q,;',
]
NAMES = st.text(st.characters(exclude_categories=()), min_size=1) | st.sampled_from(HOSTILE)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(NAMES, min_size=1, max_size=5))
def test_names_and_numbers_read_back_equal(tmp_path: Path, names: list[str]) -> None:
    table = pd.DataFrame({"scan": names, "fraction": [-0.25] * len(names), "score": [2] * len(names)})
    write_csv(table, tmp_path / "t.csv")
    text = (tmp_path / "t.csv").read_text(encoding="utf-8")
    assert text.count("\n") == len(names) + 1
    pd.testing.assert_frame_equal(read_csv(tmp_path / "t.csv"), table, check_dtype=False)


def test_no_cell_begins_as_a_formula_and_numbers_stay_numbers(tmp_path: Path) -> None:
    table = pd.DataFrame({"scan": HOSTILE, "=x": [-1.5] * len(HOSTILE), "gap": [None, *HOSTILE[1:]]})
    write_csv(table, tmp_path / "t.csv", "%.6g")
    cells = [cell for row in pd.read_csv(tmp_path / "t.csv", header=None, dtype=str).to_numpy() for cell in row]
    assert [cell for cell in cells if str(cell).startswith(("=", "+", "@", "\t", "\r"))] == []
    assert {cell for cell in cells if str(cell).startswith("-")} == {"-1.5"}
    again = read_csv(tmp_path / "t.csv")
    assert list(again.columns) == ["scan", "=x", "gap"]
    assert again["=x"].tolist() == [-1.5] * len(HOSTILE)
    assert again["gap"].isna().tolist() == [True] + [False] * (len(HOSTILE) - 1)


def test_results_and_splits_of_hostile_names_read_back_equal(tmp_path: Path) -> None:
    rows = [row for name in HOSTILE for row in result_rows("=m", name, {"all": Overlap(1, 2, 3, 4)})]
    write_tables(tmp_path, results_table(rows), scores_table([]))
    assert read_results(tmp_path / "results.csv")["scan"].tolist() == HOSTILE
    assert read_results(tmp_path / "results.csv")["patient"].tolist() == HOSTILE
    split = Split(tuple(sorted(HOSTILE)), (), ())
    write_splits([split], tmp_path / "splits.csv")
    assert read_splits(tmp_path / "splits.csv") == (split,)


def test_what_is_no_table_is_a_value_error(tmp_path: Path) -> None:
    for content in (b"", b"\xff\xfe", b'"' + 200_000 * b"x"):
        (tmp_path / "t.csv").write_bytes(content)
        with pytest.raises(ValueError, match=r"."):
            read_csv(tmp_path / "t.csv")


@pytest.mark.parametrize("read", [read_csv, read_results, read_reference, read_splits, read_run_lengths])
def test_a_disk_that_fails_is_the_machine_s_fault(
    read: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*arguments: object, **named: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    (tmp_path / "t.csv").write_text("a\n1\n")
    monkeypatch.setattr(Path, "open", failing)
    with pytest.raises(MachineError, match=r"t\.csv: cannot be read \(Input/output error\)"):
        read(tmp_path / "t.csv")


def test_no_other_module_writes_or_reads_a_table_by_pandas() -> None:
    direct = re.compile(r"\.to_csv\(|pd\.read_csv\b|\.to_excel\(|pd\.read_excel\b")
    found = {path.name for path in SOURCE.rglob("*.py") if direct.search(path.read_text(encoding="utf-8"))}
    assert found == {"csv_table.py"}
