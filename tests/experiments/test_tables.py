"""What is asked of a table is done or refused, never passed over."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from weakmask.errors import UserError
from weakmask.experiments import covid_semiseg, lobes, table2
from weakmask.experiments.tables import Request, reproduce_table

DATA = Path("data")


@pytest.fixture(autouse=True)
def called(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The tables' functions only tell what they are called with."""
    calls: list[tuple[Any, ...]] = []

    def telling(name: str) -> Any:
        def told(*given: Any, **named: Any) -> pd.DataFrame:
            calls.append((name, *given, *named.values()))
            return pd.DataFrame()

        return told

    for module in (covid_semiseg, lobes, table2):
        monkeypatch.setattr(module, "reproduce", telling(module.__name__.rsplit(".", 1)[-1]))
    monkeypatch.setattr(covid_semiseg, "final_model", telling("final"))
    return calls


@pytest.mark.parametrize(
    ("table", "request_", "flag"),
    [
        ("table2", Request(final=True), "table2 takes no --final"),
        ("table2", Request(seed=7), "table2 takes no --seed"),
        ("lobes", Request(seed=0), "lobes takes no --seed"),
        ("lobes", Request(DATA), "lobes takes no --data"),
        ("table2", Request(DATA), "table2 takes no --data"),
        ("covid-semiseg", Request(DATA, preset="quick"), "covid-semiseg takes no --preset"),
        ("covid-semiseg", Request(DATA, seed=1), "covid-semiseg takes no --seed"),
        ("covid-semiseg", Request(DATA, final=True, rows="raw"), "covid-semiseg --final takes no --rows"),
        ("covid-semiseg", Request(DATA, final=True, seeds=2), "covid-semiseg --final takes no --seeds"),
        ("covid-semiseg", Request(DATA, final=True, preset="paper"), "covid-semiseg --final takes no --preset"),
        ("covid-semiseg", Request(DATA, final=True, jobs=2), "covid-semiseg --final takes no --jobs"),
    ],
)
def test_what_does_not_apply_is_refused(
    tmp_path: Path, called: list[tuple[Any, ...]], table: str, request_: Request, flag: str
) -> None:
    with pytest.raises(UserError, match=f"^{flag}; it takes --[a-z, -]*; leave it out$"):
        reproduce_table(table, tmp_path, request_)
    assert called == []


def test_what_is_not_asked_has_its_default(tmp_path: Path, called: list[tuple[Any, ...]]) -> None:
    for table, request_ in (
        ("lobes", Request()),
        ("table2", Request(rows="all")),
        ("table2", Request(rows="raw,otsu", seeds=2, preset="paper", jobs=3)),
        ("covid-semiseg", Request(DATA, jobs=2)),
        ("covid-semiseg", Request(DATA, final=True)),
        ("covid-semiseg", Request(DATA, final=True, seed=4)),
    ):
        reproduce_table(table, tmp_path, request_)
    assert called == [
        ("lobes", tmp_path, "quick", None, 3, None),
        ("table2", tmp_path, "quick", None, 1, None),
        ("table2", tmp_path, "paper", ["raw", "otsu"], 2, 3),
        ("covid_semiseg", DATA, tmp_path, None, 3, 2),
        ("final", DATA, tmp_path, 0),
        ("final", DATA, tmp_path, 4),
    ]


def test_unknown_tables_and_data_that_is_not_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown table 'table3'; expected one of covid-semiseg, lobes, table2"):
        reproduce_table("table3", tmp_path, Request())
    with pytest.raises(UserError, match="needs its data set: give --data FOLDER"):
        reproduce_table("covid-semiseg", tmp_path, Request())
