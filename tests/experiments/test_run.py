"""What is asked of a table is done or refused, never passed over."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from weakmask.errors import UserError
from weakmask.experiments import run
from weakmask.experiments.experiment import Experiment
from weakmask.experiments.run import EXPERIMENTS, Request, places_of, reproduce_table

DATA = Path("data")


@pytest.fixture(autouse=True)
def called(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the experiments are asked for, instead of doing it: name, folder, runs, jobs and preset."""
    calls: list[tuple[Any, ...]] = []

    def reproduce(experiment: Experiment, out: Path, request: Request) -> pd.DataFrame:
        name = next(name for name, one in EXPERIMENTS.items() if one is experiment)
        places = places_of(experiment, request)
        rows = [row for row in dict.fromkeys(place.row for place in places) if row not in experiment.floors]
        seeds = sorted({place.seed for place in places})
        calls.append((name, out, rows, seeds, request.preset, request.jobs))
        return pd.DataFrame()

    def final(data: Path, folder: Path, seed: int) -> pd.DataFrame:
        calls.append(("final", data, folder, seed))
        return pd.DataFrame()

    monkeypatch.setattr(run, "reproduce", reproduce)
    monkeypatch.setitem(EXPERIMENTS, "covid-semiseg", replace(EXPERIMENTS["covid-semiseg"], final=final))
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
        ("wsmis-pets", Request(DATA, final=True, preset="paper"), "wsmis-pets --final takes no --preset"),
        ("wsmis-siim", Request(DATA, final=True), "wsmis-siim takes no --final"),
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
    every = {
        name: [row for row in experiment.rows if row not in experiment.floors]
        for name, experiment in EXPERIMENTS.items()
    }
    assert called == [
        ("lobes", tmp_path, every["lobes"], [0, 1, 2], None, None),
        ("table2", tmp_path, every["table2"], [0], None, None),
        ("table2", tmp_path, ["otsu", "raw"], [0, 1], "paper", 3),
        ("covid-semiseg", tmp_path, every["covid-semiseg"], [0, 1, 2], None, 2),
        ("final", DATA, tmp_path, 0),
        ("final", DATA, tmp_path, 4),
    ]


def test_unknown_tables_and_data_that_is_not_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"^unknown table 'table3'; expected one of {', '.join(EXPERIMENTS)}$"):
        reproduce_table("table3", tmp_path, Request())
    with pytest.raises(UserError, match="needs its data set: give --data FOLDER"):
        reproduce_table("covid-semiseg", tmp_path, Request())


def test_a_row_that_is_named_twice_is_trained_once() -> None:
    assert len(places_of(EXPERIMENTS["lobes"], Request(rows="pdv,pdv", seeds=1))) == 1


def test_floors_are_made_of_every_fold_and_of_the_first_seed() -> None:
    experiment = EXPERIMENTS["covid-semiseg"]
    places = places_of(experiment, Request(rows="raw", seeds=2, folds=(0, 3)))
    assert [(place.seed, place.fold) for place in places if place.row == "raw"] == [(0, 0), (0, 3), (1, 0), (1, 3)]
    for floor in experiment.floors:
        assert [(place.seed, place.fold) for place in places if place.row == floor] == [(0, 0), (0, 3)]
    assert len(places_of(experiment, Request(rows="raw", seeds=1))) == 5 * (1 + len(experiment.floors))
