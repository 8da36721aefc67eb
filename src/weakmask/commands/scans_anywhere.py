"""The same work on every scan, in this process or on a Ray cluster."""

from collections.abc import Callable, Sequence
from typing import Any

from weakmask.commands.cluster_scans import Begin, each_scan_on
from weakmask.commands.scan_jobs import Done, ScanJob, each_scan
from weakmask.ray_cluster import Cluster

Finished = Callable[[ScanJob, Any], None]


def each_scan_anywhere(
    cluster: Cluster | None,
    jobs: Sequence[ScanJob],
    what: str,
    begin: Begin,
    finished: Finished | None = None,
    failed: Callable[[ScanJob, str], None] | None = None,
) -> Done[Any]:
    """Do the same with every scan; a scan at fault is named in one line and the others go on.

    Args:
        cluster: The cluster; None: this process does the work.
        jobs: The scans.
        what: The word beside the progress bar.
        begin: Is called once in each process and gives the work on one scan; it is pickled for a cluster.
        finished: Is called here with a scan and its result, as they come.
        failed: Is called here with a scan that failed, and why.

    Raises:
        UserError: Every scan failed, or no such cluster.
        MachineError: A worker's machine is at fault; the same command goes on.
    """
    if cluster is not None:
        return each_scan_on(cluster, jobs, what, begin, finished, failed)
    work = begin()

    def whole(job: ScanJob) -> Any:
        """The work on a scan, and the call after it."""
        result = work(job)
        if finished is not None:
            finished(job, result)
        return result

    return each_scan(jobs, what, whole, failed)
