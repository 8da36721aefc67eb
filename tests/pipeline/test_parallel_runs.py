"""Trainings side by side: what waits for what, what the logs hold, and how faults come back."""

import os
import signal
import sys
from functools import partial
from pathlib import Path
from time import monotonic, sleep

import pytest
import torch

from weakmask.errors import MachineError, UserError
from weakmask.pipeline.parallel_runs import Task, jobs_for, run_in_parallel


def note(folder: Path, name: str, needs: tuple[str, ...] = ()) -> None:
    sys.stdout.write(f"{name} on {torch.get_num_threads()} threads in {os.getpid()}\n")
    missing = [other for other in needs if not (folder / other).exists()]
    (folder / name).write_text(",".join(missing))


def wait_for(folder: Path, name: str, seconds: float = 60.0) -> None:
    """Ends only if another task runs meanwhile."""
    end = monotonic() + seconds
    while not (folder / name).exists():
        if monotonic() > end:
            raise UserError(f"{name} never came")
        sleep(0.05)


def refuse() -> None:
    raise UserError("a score of 7")


def fall_over() -> None:
    raise ZeroDivisionError("ours")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def linger(folder: Path) -> None:
    sleep(60)
    (folder / "lingered").touch()


def chain(folder: Path) -> list[Task]:
    """c waits for b, b for a; d for something that nobody asked for."""
    needs = {"a": (), "b": ("a",), "c": ("b",), "d": ("z",)}
    return [
        Task(name, partial(note, folder, name, tuple(n for n in after if n != "z")), folder / "logs" / name, after)
        for name, after in needs.items()
    ]


@pytest.mark.parametrize("jobs", [1, 2])
def test_everything_is_done_and_nothing_before_what_it_waits_for(tmp_path: Path, jobs: int) -> None:
    tasks = chain(tmp_path)
    run_in_parallel(tasks if jobs == 1 else tasks[::-1], jobs)
    assert {name: (tmp_path / name).read_text() for name in "abcd"} == dict.fromkeys("abcd", "")
    assert (tmp_path / "logs").exists() == (jobs > 1)
    if jobs > 1:
        lines = [(tmp_path / "logs" / name).read_text().split() for name in "abcd"]
        assert [line[0] for line in lines] == list("abcd")
        assert str(os.getpid()) not in {line[-1] for line in lines}


def test_two_run_at_the_same_time(tmp_path: Path) -> None:
    run_in_parallel(
        [
            Task("first", partial(wait_for, tmp_path, "second"), tmp_path / "logs" / "first"),
            Task("second", partial(note, tmp_path, "second"), tmp_path / "logs" / "second"),
        ],
        jobs=2,
    )
    assert (tmp_path / "second").exists()


@pytest.mark.parametrize(
    ("work", "error", "told"),
    [
        (refuse, UserError, "bad: a score of 7"),
        (die, MachineError, r"bad was killed \(signal 9\).*--jobs 1"),
        (fall_over, RuntimeError, "bad failed; its traceback is in"),
    ],
)
def test_a_fault_comes_back_and_stops_the_others(tmp_path: Path, work, error: type[Exception], told: str) -> None:
    tasks = [
        Task("slow", partial(linger, tmp_path), tmp_path / "logs" / "slow"),
        Task("bad", work, tmp_path / "logs" / "bad"),
        Task("never", partial(note, tmp_path, "never"), tmp_path / "logs" / "never", ("slow",)),
    ]
    start = monotonic()
    with pytest.raises(error, match=told):
        run_in_parallel(tasks, jobs=2)
    assert monotonic() - start < 50
    assert not (tmp_path / "never").exists()
    assert not (tmp_path / "lingered").exists()
    if work is fall_over:
        assert "ZeroDivisionError: ours" in (tmp_path / "logs" / "bad").read_text()


def test_one_job_lets_faults_through(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^a score of 7$"):
        run_in_parallel([Task("bad", refuse, tmp_path / "log")], jobs=1)


def test_jobs_are_as_many_as_cores_but_not_many() -> None:
    assert 1 <= jobs_for("cpu") <= 4


def test_a_killed_task_ends_in_the_caller_s_advice(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"^bad was killed \(signal 9\); if memory is short, buy more$"):
        run_in_parallel([Task("bad", die, tmp_path / "log")], jobs=2, short_of_memory="buy more")
