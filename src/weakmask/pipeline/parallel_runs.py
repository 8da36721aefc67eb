"""Trainings in parallel: a process each, one per core; a training that reuses stages of another waits for it.

The networks of the quick presets are too small to fill two cores: two trainings on one thread each end sooner than one
after the other on two threads.
"""

import multiprocessing
import os
import traceback
from collections.abc import Callable, Collection, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import monotonic
from typing import Any, Protocol, TypeVar

import torch
from joblib import cpu_count

from weakmask.errors import MachineError, UserError, is_machine_fault
from weakmask.memory import is_out_of_memory
from weakmask.progress import bar
from weakmask.terminal import say
from weakmask.training.devices import device_of
from weakmask.worker_processes import end_with_parent

MOST_JOBS = 4  # each holds its crops in memory
Handle = TypeVar("Handle")  # of a task under way
Fault = tuple[type[Exception], str]  # kind and line; of a fault of the program, its log says more


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
    run_tasks(tasks, jobs, Processes(max(1, cpu_count() // jobs), short_of_memory))


class Engine(Protocol[Handle]):
    """The place where tasks run."""

    def start(self, task: Task) -> Handle:
        """Begin a task."""
        ...

    def ended(self, under_way: Sequence[Handle]) -> Collection[Handle]:
        """Wait for the next task to end; all that have ended."""
        ...

    def check(self, task: Task, handle: Handle) -> None:
        """Raise the fault of a task that has ended with one."""
        ...

    def stop(self, handle: Handle) -> None:
        """End a task."""
        ...


def run_tasks(tasks: Sequence[Task], most: int, engine: Engine[Any]) -> None:
    """Do all tasks, each once those are done that it waits for; a fault stops the others.

    Args:
        tasks: Earlier tasks begin first.
        most: How many at a time.
        engine: Where they run.

    Raises:
        Exception: The first fault that the engine finds.
    """
    waiting, under_way, unfinished = list(tasks), dict[Any, tuple[Task, float]](), {task.name for task in tasks}
    try:
        with bar("trainings", len(tasks)) as advance:
            while unfinished:
                ready = [task for task in waiting if not unfinished.intersection(task.after)]
                for task in ready[: most - len(under_way)]:
                    waiting.remove(task)
                    say(task.name, "")
                    task.log.parent.mkdir(parents=True, exist_ok=True)
                    under_way[engine.start(task)] = task, monotonic()
                for handle in engine.ended(list(under_way)):
                    task, since = under_way.pop(handle)
                    engine.check(task, handle)
                    unfinished.remove(task.name)
                    say("done", f"{task.name}, {(monotonic() - since) / 60:.1f} minutes")
                    advance()
    finally:
        for handle in under_way:
            engine.stop(handle)


@dataclass(frozen=True)
class Running:
    """A task in a process of its own."""

    process: BaseProcess
    outcome: Connection


@dataclass(frozen=True)
class Processes:
    """Processes of this machine, one a task.

    Attributes:
        threads: Of each.
        short_of_memory: Advice for a user whose memory is too small.
    """

    threads: int
    short_of_memory: str

    def start(self, task: Task) -> Running:
        """Begin a task."""
        receiver, sender = multiprocessing.Pipe(duplex=False)
        # a forked process may hang where its parent has computed with threads
        process = multiprocessing.get_context("spawn").Process(
            target=_in_a_process, args=(task.work, task.log, self.threads, sender, os.getpid()), daemon=True
        )
        process.start()
        sender.close()
        return Running(process, receiver)

    def ended(self, under_way: Sequence[Running]) -> list[Running]:
        """Wait for the next task to end; all that have ended."""
        ended = set(wait([one.process.sentinel for one in under_way]))
        return [one for one in under_way if one.process.sentinel in ended]

    def check(self, task: Task, handle: Running) -> None:
        """Raise the fault of a task that has ended with one."""
        handle.process.join()
        code = handle.process.exitcode
        with handle.outcome, suppress(EOFError):  # nothing was sent
            raise_fault(task, handle.outcome.recv())
        if code is not None and code < 0:
            raise MachineError(f"{task.name} was killed (signal {-code}); if memory is short, {self.short_of_memory}")
        if code:
            raise_fault(task, (RuntimeError, ""))

    def stop(self, handle: Running) -> None:
        """End a task."""
        handle.process.terminate()
        handle.process.join()


def raise_fault(task: Task, fault: Fault) -> None:
    """Raise the fault of a task.

    Raises:
        UserError, MachineError: The user or the machine is at fault.
        RuntimeError: The program is; the log has the traceback.
    """
    kind, line = fault
    if kind is RuntimeError:
        raise RuntimeError(f"{task.name} failed; its traceback is in {task.log}")
    raise kind(f"{task.name}: {line}")


def work_into_log(work: Callable[[], None], log: Path, threads: int) -> Fault | None:
    """Do the work of a task in this process, which prints to the log; returns its fault, if it has one.

    Args:
        work: The work.
        log: The log, which is continued.
        threads: Of torch.
    """
    torch.set_num_threads(threads)
    with log.open("a", buffering=1, encoding="utf-8") as file, redirect_stdout(file), redirect_stderr(file):
        try:
            work()
        except (UserError, MachineError) as error:
            return type(error), str(error)
        except Exception as error:  # noqa: BLE001 - the log is to say why
            if is_machine_fault(error) or is_out_of_memory(error):
                return MachineError, str(error).splitlines()[0]
            traceback.print_exc()
            return RuntimeError, str(error)
    return None


def _in_a_process(work: Callable[[], None], log: Path, threads: int, outcome: Connection, parent: int) -> None:
    end_with_parent(parent)
    try:
        fault = work_into_log(work, log, threads)
    except KeyboardInterrupt:
        raise SystemExit(1) from None
    if fault is not None:
        outcome.send(fault)
