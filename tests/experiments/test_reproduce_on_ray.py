"""`weakmask reproduce --ray`: the tables of a run without it, though a worker is killed in the midst."""

import os
import signal
import threading
from pathlib import Path

import pandas as pd
import pytest
from tiny_table import tiny, with_preset

import weakmask as package
from ray_processes import MARK, workers_at
from weakmask.errors import UserError
from weakmask.experiments.run import Request, reproduce, reproduce_table
from weakmask.ray_cluster import Cluster

LOCAL = Cluster("local", 2, "cpu")


def kill_one(out: Path, ended: threading.Event, killed: list[int]) -> None:
    """Kill a worker once its training has begun."""
    while not killed and not ended.wait(0.05):
        if any(log.stat().st_size for log in out.glob("logs/*")) and (alive := workers_at(b"ray::_in_a_worker")):
            killed.append(alive[0])
            os.kill(alive[0], signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_killed_worker_changes_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv(MARK, str(os.getpid()))
    monkeypatch.setenv("PYTHONPATH", str(Path(package.__file__).parents[1]))
    experiment = with_preset(tiny())
    reproduce(experiment, tmp_path / "plain", Request(rows="cam,raw", seeds=1, jobs=1))
    ended, killed = threading.Event(), []
    killer = threading.Thread(target=kill_one, args=(tmp_path / "ray", ended, killed))
    killer.start()
    try:
        reproduce(experiment, tmp_path / "ray", Request(rows="cam,raw", seeds=1, ray=LOCAL))
    finally:
        ended.set()
        killer.join()
    assert len(killed) == 1
    names = sorted(file.name for file in (tmp_path / "plain").glob("*.csv"))
    assert "results.csv" in names
    for name in names:
        plain, ray = (pd.read_csv(tmp_path / way / name) for way in ("plain", "ray"))
        pd.testing.assert_frame_equal(*(one.drop(columns="seconds", errors="ignore") for one in (plain, ray)))
    assert len(list((tmp_path / "ray" / "logs").iterdir())) == 2


def test_jobs_and_a_cluster_are_refused_together(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--jobs 2: trainings on a cluster are as many as --workers says"):
        reproduce_table("table2", tmp_path, Request(jobs=2, ray=LOCAL))
    with pytest.raises(UserError, match="--final takes no --ray"):
        reproduce_table("covid-semiseg", tmp_path, Request(tmp_path, final=True, ray=LOCAL))
