"""Work on many items in several processes, and processes that end with a killed parent."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep

import pytest

from weakmask.worker_processes import each_in_processes

STAYING = """
import os, sys
from functools import partial
from pathlib import Path
from time import sleep
from weakmask.pipeline.parallel_runs import Task, run_in_parallel
from weakmask.worker_processes import each_in_processes

def stay(folder, name):
    (folder / f"part-{name}").write_text(str(os.getpid()))
    (folder / f"part-{name}").rename(folder / name)
    sleep(300)

if __name__ == "__main__":
    folder, names = Path(sys.argv[1]), ("one", "other")
    if sys.argv[2] == "trainings":
        run_in_parallel([Task(name, partial(stay, folder, name), folder / "logs" / name) for name in names], jobs=2)
    else:
        list(each_in_processes(partial(stay, folder), names, 2))
"""


def square(number: int) -> tuple[int, int]:
    return number**2, os.getpid()


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order(workers: int) -> None:
    results = list(each_in_processes(square, range(9), workers))
    assert [result for result, _ in results] == [number**2 for number in range(9)]
    assert (os.getpid() in {process for _, process in results}) == (workers == 1)


@pytest.mark.parametrize(
    ("what", "how"), [("trainings", signal.SIGTERM), ("trainings", signal.SIGKILL), ("items", signal.SIGKILL)]
)
def test_processes_end_with_a_killed_parent(tmp_path: Path, what: str, how: signal.Signals) -> None:
    """The processes that make phantoms stayed for minutes."""
    (tmp_path / "staying.py").write_text(STAYING)
    command = [sys.executable, tmp_path / "staying.py", tmp_path, what]
    parent = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        children = []
        for name in ("one", "other"):
            until((tmp_path / name).exists)
            children.append(int((tmp_path / name).read_text()))
        assert all(map(alive, children))
        parent.send_signal(how)
        parent.wait()
        until(lambda: not any(map(alive, children)))
    finally:
        parent.kill()


def until(true: Callable[[], bool]) -> None:
    start = monotonic()
    while not true():
        assert monotonic() - start < 60
        sleep(0.1)


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/stat")  # in a container nobody may collect the dead
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
