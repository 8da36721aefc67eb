"""Scans on a Ray cluster: each worker process holds one model and takes one scan at a time.

A worker that dies costs the seconds of its scan, which another worker tries again. As many scans are under way as there
are workers, so that thousands of scans need no more memory than a few.
"""

import os
import platform
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from weakmask.commands.scan_jobs import Done, Outcomes, ScanJob
from weakmask.errors import MachineError, UserError
from weakmask.memory import memory_for
from weakmask.pipeline.peak_memory import peak_memory_mb
from weakmask.progress import bar, collected_notes, note
from weakmask.ray_cluster import Cluster, connected, workers_of
from weakmask.terminal import say

MOST_DEATHS = 3  # of workers on one scan, which is then left out

Result = TypeVar("Result")
Begin = Callable[[], Callable[[ScanJob], Any]]


@dataclass(frozen=True)
class Answer:
    """A worker's report on a scan.

    Attributes:
        result: Of the work; None if the scan or the machine is at fault.
        scan_fault: Why the scan has no result.
        machine_fault: Why the worker cannot work at all.
        notes: Lines that the work made.
        memory_mb: The most memory that the worker has had.
    """

    result: Any = None
    scan_fault: str = ""
    machine_fault: str = ""
    notes: tuple[str, ...] = ()
    memory_mb: float = 0.0


class Worker:
    """A process that does the same work with one scan after another."""

    def __init__(self, begin: Begin, folder: str) -> None:
        """Hold the work, which begins with the first scan.

        Args:
            begin: Loads what all scans need, and gives the work on one scan.
            folder: Working directory of the command, from which its paths lead to the scans.
        """
        self._begin, self._folder = begin, folder
        self._work: Callable[[ScanJob], Any] | None = None

    def of(self, job: ScanJob) -> Answer:
        """Work on a scan."""
        try:
            work = self._begun()
        except (UserError, MachineError, OSError) as error:
            return Answer(machine_fault=f"{platform.node()}: {error}")
        with collected_notes() as notes:
            answer: dict[str, Any] = {}
            try:
                with memory_for(job.image):
                    answer["result"] = work(job)
            except UserError as error:
                answer["scan_fault"] = str(error)
            except MachineError as error:
                answer["machine_fault"] = f"{platform.node()}: {error}"
        return Answer(**answer, notes=tuple(notes), memory_mb=peak_memory_mb())

    def _begun(self) -> Callable[[ScanJob], Any]:
        """The work, begun once."""
        if self._work is None:
            os.chdir(self._folder)
            self._work = self._begin()
        return self._work


@dataclass
class _Pool:
    """The workers of a command, and the scans that they work on."""

    ray: Any
    start: Callable[[], Any]
    waiting: deque[ScanJob]
    running: dict[Any, tuple[Any, ScanJob]] = field(default_factory=dict)
    deaths: Counter[str] = field(default_factory=Counter)

    def give(self, worker: Any) -> None:
        """Give a worker the next scan, if there is one."""
        if self.waiting:
            job = self.waiting.popleft()
            self.running[worker.of.remote(job)] = (worker, job)
        else:
            self.ray.kill(worker)

    def answers(self) -> Iterator[tuple[ScanJob, Answer]]:
        """The answer to each scan, as they come; a scan whose worker died is tried again."""
        while self.running:
            (ready,), _ = self.ray.wait(list(self.running))
            worker, job = self.running.pop(ready)
            try:
                answer = self.ray.get(ready)
            except self.ray.exceptions.RayTaskError:  # a fault of the program
                raise
            except self.ray.exceptions.RayError as error:
                if getattr(error, "actor_init_failed", False):
                    why = str(error).strip().splitlines()[-1]
                    yield job, Answer(machine_fault=f"no worker starts; is the same weakmask on all machines? ({why})")
                self.ray.kill(worker)
                worker = self.start()
                self.deaths[job.name] += 1
                if self.deaths[job.name] < MOST_DEATHS:
                    self.waiting.append(job)
                else:
                    yield job, Answer(scan_fault=f"{job.image}: {MOST_DEATHS} workers died of it; look at it alone")
            else:
                yield job, answer
            self.give(worker)


def each_scan_on(
    cluster: Cluster,
    jobs: Sequence[ScanJob],
    what: str,
    begin: Begin,
    finished: Callable[[ScanJob, Any], None] | None = None,
    failed: Callable[[ScanJob, str], None] | None = None,
) -> Done[Any]:
    """As `each_scan`, on a cluster.

    Args:
        cluster: The cluster; all its nodes see the files under the same paths.
        jobs: The scans.
        what: The word beside the progress bar.
        begin: Is called once in each worker and gives the work on one scan; it is pickled.
        finished: Is called with a scan and its result, as they come.
        failed: Is called with a scan that failed, and why.

    Raises:
        UserError: Ray is not installed, no cluster at that address, or every scan failed.
        MachineError: A worker's machine is at fault; the same command goes on.
    """
    outcomes: Outcomes[Any] = Outcomes(len(jobs), failed)
    memory = 0.0
    with connected(cluster) as ray, bar(what, len(jobs)) as advance:
        count, resources = workers_of(cluster, ray.cluster_resources())
        actor = ray.remote(**resources)(Worker)
        begun = ray.put(begin)
        pool = _Pool(ray, partial(actor.remote, begun, str(Path.cwd())), deque(jobs))
        for _ in range(min(count, len(jobs))):
            pool.give(pool.start())
        for job, answer in pool.answers():
            for line in answer.notes:
                note(line, again=True)
            if answer.machine_fault:
                raise MachineError(answer.machine_fault)
            if answer.scan_fault:
                outcomes.leave_out(job, answer.scan_fault)
            else:
                outcomes.add(job, answer.result)
                if finished is not None:
                    finished(job, answer.result)
            memory = max(memory, answer.memory_mb)
            advance(note=f"{len(pool.running)} workers, at most {memory:.0f} MB each")
    say("ray", f"{count} workers, at most {memory:.0f} MB each; {sum(pool.deaths.values())} died")
    return outcomes.done(jobs)
