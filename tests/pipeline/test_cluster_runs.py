"""Trainings on a cluster: what waits for what, shares of the machines, faults in one line, and dead workers."""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import weakmask as package
from weakmask.errors import MachineError, UserError
from weakmask.pipeline import cluster_runs
from weakmask.pipeline.cluster_runs import run_on_cluster
from weakmask.pipeline.parallel_runs import Task
from weakmask.ray_cluster import Cluster


class FakeRay:
    """Ray's calls for tasks, in this process."""

    exceptions = SimpleNamespace(RayError=OSError, RayTaskError=KeyError)

    def __init__(self, *cpus: float) -> None:
        self.cpus, self.asked, self.most = cpus, {}, 0
        self.under_way: list[Callable[[], Any]] = []
        self.cancelled: list[Callable[[], Any]] = []

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": sum(self.cpus)}

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Resources": {"CPU": count}} for count in self.cpus]

    def remote(self, **asked: float) -> Any:
        self.asked = asked

        def begin(function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
            self.under_way.append(partial(function, *arguments))
            self.most = max(self.most, len(self.under_way))
            return self.under_way[-1]

        return lambda function: SimpleNamespace(remote=partial(begin, function))

    def wait(self, handles: list[Any]) -> tuple[list[Any], list[Any]]:
        return handles[-1:], handles[:-1]

    def get(self, handle: Callable[[], Any]) -> Any:
        self.under_way.remove(handle)
        return handle()

    def cancel(self, handle: Callable[[], Any], *, force: bool) -> None:
        assert force
        self.cancelled.append(handle)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    """Two machines, of eight and four CPUs."""
    ray = FakeRay(8.0, 4.0)
    monkeypatch.setattr(cluster_runs, "connected", lambda cluster: nullcontext(ray))
    threads = torch.get_num_threads()
    yield ray
    torch.set_num_threads(threads)


def note(folder: Path, name: str, needs: tuple[str, ...] = ()) -> None:
    sys.stdout.write(f"{name} on {torch.get_num_threads()} threads\n")
    (folder / name).write_text(",".join(other for other in needs if not (folder / other).exists()))


def refuse() -> None:
    raise UserError("a score of 7")


def fall_over() -> None:
    raise ZeroDivisionError("ours")


def die(tries: Path, times: int) -> None:
    """Kill this process so many times."""
    before = len(tries.read_text()) if tries.exists() else 0
    tries.write_text("x" * (before + 1))
    if before < times:
        os.kill(os.getpid(), signal.SIGKILL)


def chain(folder: Path) -> list[Task]:
    """c waits for b, b for a; d for something that nobody asked for."""
    needs = {"a": (), "b": ("a",), "c": ("b",), "d": ("z",)}
    return [
        Task(name, partial(note, folder, name, tuple(n for n in after if n != "z")), folder / "logs" / name, after)
        for name, after in needs.items()
    ]


@pytest.mark.parametrize(
    ("workers", "share", "most"), [(None, 1, 2), (2, 6, 2), (1, 8, 1)]
)  # of one worker the larger machine is all it can have
def test_everything_is_done_and_nothing_before_what_it_waits_for(
    tmp_path: Path, fake: FakeRay, workers: int | None, share: int, most: int
) -> None:
    tasks = chain(tmp_path)
    run_on_cluster(tasks if workers == 1 else tasks[::-1], Cluster("auto", workers, "cpu"))
    assert {name: (tmp_path / name).read_text() for name in "abcd"} == dict.fromkeys("abcd", "")
    assert (tmp_path / "logs" / "a").read_text() == f"a on {share} threads\n"
    assert fake.asked == {"num_cpus": share, "max_retries": 2}
    assert fake.most == most


@pytest.mark.parametrize(
    ("work", "error", "line"),
    [(refuse, UserError, "bad: a score of 7"), (fall_over, RuntimeError, "bad failed; its traceback is in")],
)
def test_a_fault_comes_back_and_stops_the_others(
    tmp_path: Path, fake: FakeRay, work: Callable[[], None], error: type[Exception], line: str
) -> None:
    others = [Task(name, partial(note, tmp_path, name), tmp_path / "logs" / name) for name in ("slow", "never")]
    with pytest.raises(error, match=line):
        run_on_cluster([others[0], Task("bad", work, tmp_path / "logs" / "bad")], Cluster("auto", 2, "cpu"))
    assert len(fake.cancelled) == 1
    assert not (tmp_path / "slow").exists()
    if work is fall_over:
        assert "ZeroDivisionError: ours" in (tmp_path / "logs" / "bad").read_text()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_on_ray_a_dead_worker_is_replaced_and_a_deadly_task_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    source = Path(package.__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", f"{source}:{Path(__file__).parent}")
    once = Task("once", partial(die, tmp_path / "once", 1), tmp_path / "logs" / "once")
    run_on_cluster([once, *chain(tmp_path)], Cluster("local", 2, "cpu"))
    assert (tmp_path / "once").read_text() == "xx"
    assert {name: (tmp_path / name).read_text() for name in "abcd"} == dict.fromkeys("abcd", "")
    deadly = Task("deadly", partial(die, tmp_path / "deadly", 9), tmp_path / "logs" / "deadly")
    with pytest.raises(MachineError, match="deadly: 3 workers died of it"):
        run_on_cluster([deadly], Cluster("local", 2, "cpu"))
    assert (tmp_path / "deadly").read_text() == "xxx"
