"""Trainings on a Ray cluster: a task each; one whose worker dies is begun again and goes on from its checkpoint."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joblib import cpu_count

from weakmask.errors import MachineError
from weakmask.pipeline.parallel_runs import Fault, Task, raise_fault, run_tasks, work_into_log
from weakmask.ray_cluster import LOCAL, Cluster, connected, workers_of

MOST_DEATHS = 3  # of workers on one training


def run_on_cluster(tasks: Sequence[Task], cluster: Cluster) -> None:
    """Do all tasks on a cluster, whose machines see run folders and cohorts under the same paths.

    As many run at a time as the cluster is to have workers; they share its CPUs, at most those of a machine each, or
    have a GPU each.

    Args:
        tasks: Earlier tasks begin first; logs are those of `run_in_parallel`.
        cluster: The cluster.

    Raises:
        UserError: A fault of a task, which stops the others; or no such cluster.
        MachineError: Likewise; or the workers of a task died again and again.
        RuntimeError: A task failed by a fault of the program; its log has the traceback.
    """
    with connected(cluster) as ray:
        total = ray.cluster_resources()
        count, resources = workers_of(cluster, total)
        largest = max(int(node["Resources"].get("CPU", 1)) for node in ray.nodes())
        share = max(1, min(int(total.get("CPU", 1)) // count, largest))
        threads = max(1, cpu_count() // count) if cluster.address == LOCAL else share
        run_tasks(tasks, count, ClusterTasks(ray, {**resources, "num_cpus": share}, threads))


@dataclass(frozen=True)
class ClusterTasks:
    """Tasks of Ray.

    Attributes:
        ray: The module `ray`, connected.
        resources: Of each task, by Ray's names.
        threads: Of each task.
    """

    ray: Any
    resources: dict[str, float]
    threads: int

    def start(self, task: Task) -> Any:
        """Begin a task."""
        remote = self.ray.remote(**self.resources, max_retries=MOST_DEATHS - 1)(_in_a_worker)
        return remote.remote(task.work, task.log.absolute(), self.threads, str(Path.cwd()))

    def ended(self, under_way: Sequence[Any]) -> Sequence[Any]:
        """Wait for the next task to end; all that have ended."""
        return self.ray.wait(list(under_way))[0]

    def check(self, task: Task, handle: Any) -> None:
        """Raise the fault of a task that has ended with one."""
        try:
            fault = self.ray.get(handle)
        except self.ray.exceptions.RayTaskError:  # a fault of the program
            raise
        except self.ray.exceptions.RayError as error:
            why = str(error).strip().splitlines()[0][:200]
            raise MachineError(
                f"{task.name}: {MOST_DEATHS} workers died of it ({why}); the same command goes on from its checkpoint"
            ) from error
        if fault is not None:
            raise_fault(task, fault)

    def stop(self, handle: Any) -> None:
        """End a task."""
        self.ray.cancel(handle, force=True)


def _in_a_worker(work: Callable[[], None], log: Path, threads: int, folder: str) -> Fault | None:
    os.chdir(folder)
    return work_into_log(work, log, threads)
