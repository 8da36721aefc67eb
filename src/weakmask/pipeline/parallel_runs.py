"""Trainings in parallel: a process each, one per core; a training that reuses stages of another waits for it.

The networks of the quick presets are too small to fill two cores: two trainings on one thread each end sooner than one
after the other on two threads.
"""

import multiprocessing
import os
import traceback
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import monotonic

import torch
from joblib import cpu_count

from weakmask.errors import MachineError, UserError, is_machine_fault
from weakmask.memory import is_out_of_memory
from weakmask.progress import bar
from weakmask.terminal import say
from weakmask.training.devices import device_of
from weakmask.worker_processes import end_with_parent

MOST_JOBS = 4  # each holds its crops in memory


@dataclass(frozen=True)
class Task:
    """One training.

    Attributes:
        name: Printed when it begins and ends; no two tasks have the same.
        work: Trains, and resumes an interrupted training. It is pickled.
        log: The file that it prints to where it is one of several.
        after: Names of tasks that must be done before; names of no task count as done.
    """

    name: str
    work: Callable[[], None]
    log: Path
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Running:
    """A task in progress."""

    task: Task
    process: BaseProcess
    outcome: Connection
    since: float


def jobs_for(device: str) -> int:
    """The default number of trainings at a time: one on a GPU, else one per core, at most four."""
    return min(MOST_JOBS, cpu_count()) if device_of(device).type == "cpu" else 1


def run_in_parallel(tasks: Sequence[Task], jobs: int, short_of_memory: str = "go on with --jobs 1") -> None:
    """Do all tasks: with one job in this process in turn, else each in its own process, earlier tasks first.

    Args:
        tasks: With one job, each comes after those that it waits for.
        jobs: How many at a time; they share the cores.
        short_of_memory: Advice for a user whose memory is too small, for the message about a killed task.

    Raises:
        UserError, MachineError: The first fault of a task, which stops the others; or a task was killed.
        RuntimeError: A task failed by a fault of the program; its log has the traceback.
    """
    if jobs == 1:
        for task in tasks:
            say(task.name, "")
            task.work()
        return
    waiting, under_way, unfinished = list(tasks), list[Running](), {task.name for task in tasks}
    try:
        with bar("trainings", len(tasks)) as advance:
            while unfinished:
                ready = [task for task in waiting if not unfinished.intersection(task.after)]
                for task in ready[: jobs - len(under_way)]:
                    waiting.remove(task)
                    say(task.name, "")
                    under_way.append(_started(task, max(1, cpu_count() // jobs)))
                for one in _ended(under_way):
                    under_way.remove(one)
                    _check(one, short_of_memory)
                    unfinished.remove(one.task.name)
                    minutes = (monotonic() - one.since) / 60
                    say("done", f"{one.task.name}, {minutes:.1f} minutes")
                    advance()
    finally:
        for one in under_way:
            one.process.terminate()
            one.process.join()


def _started(task: Task, threads: int) -> Running:
    task.log.parent.mkdir(parents=True, exist_ok=True)
    receiver, sender = multiprocessing.Pipe(duplex=False)
    # a forked process may hang where its parent has computed with threads
    process = multiprocessing.get_context("spawn").Process(
        target=_in_a_process, args=(task.work, task.log, threads, sender, os.getpid()), daemon=True
    )
    process.start()
    sender.close()
    return Running(task, process, receiver, monotonic())


def _ended(under_way: Sequence[Running]) -> list[Running]:
    """Wait for the next task to end; return all that have ended."""
    ended = set(wait([one.process.sentinel for one in under_way]))
    return [one for one in under_way if one.process.sentinel in ended]


def _check(one: Running, short_of_memory: str) -> None:
    """Raise the fault of a task that has ended with one."""
    one.process.join()
    code = one.process.exitcode
    with one.outcome, suppress(EOFError):  # nothing was sent
        kind, line = one.outcome.recv()
        raise kind(f"{one.task.name}: {line}")
    if code is not None and code < 0:
        raise MachineError(f"{one.task.name} was killed (signal {-code}); if memory is short, {short_of_memory}")
    if code:
        raise RuntimeError(f"{one.task.name} failed; its traceback is in {one.task.log}")


def _in_a_process(work: Callable[[], None], log: Path, threads: int, outcome: Connection, parent: int) -> None:
    torch.set_num_threads(threads)
    end_with_parent(parent)
    with log.open("a", buffering=1, encoding="utf-8") as file, redirect_stdout(file), redirect_stderr(file):
        try:
            work()
        except (UserError, MachineError) as error:
            outcome.send((type(error), str(error)))
        except KeyboardInterrupt:
            raise SystemExit(1) from None
        except Exception as error:  # noqa: BLE001 - the process ends here, and the log is to say why
            if is_machine_fault(error) or is_out_of_memory(error):
                outcome.send((MachineError, str(error).splitlines()[0]))
                return
            traceback.print_exc()
            raise SystemExit(1) from None
