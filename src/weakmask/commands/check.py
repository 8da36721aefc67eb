"""`weakmask check`: every file of a cohort is read, in this process or on a Ray cluster."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from weakmask.commands.cluster_scans import each_scan_on
from weakmask.commands.scan_jobs import ScanJob
from weakmask.datasets.case import Case, Cohort, Fault
from weakmask.datasets.cohort import CheckedCase, check_cohort
from weakmask.ray_cluster import Cluster


def check(folder: Path, *, hounsfield: bool = True, cluster: Cluster | None = None) -> Cohort:
    """As `check_cohort`, on a cluster if one is given.

    A case of which three workers die is a fault of its image, as one that cannot be read.

    Args:
        folder: The cohort folder, which all machines of the cluster see under the same path.
        hounsfield: As in `check_cohort`.
        cluster: The cluster; None: this process reads.

    Raises:
        UserError: As `check_cohort`, or no such cluster.
        MachineError: A worker's machine is at fault.
    """
    if cluster is None:
        return check_cohort(folder, hounsfield=hounsfield)
    return check_cohort(folder, hounsfield=hounsfield, each=partial(_each_on, cluster))


def _each_on(cluster: Cluster, cases: Sequence[Case], checked: Callable[[Case], CheckedCase]) -> Iterable[CheckedCase]:
    """The cases in their order, checked by workers."""
    dead: dict[str, CheckedCase] = {}

    def failed(job: ScanJob, line: str) -> None:
        """Keep a case that no worker survived."""
        dead[job.name] = CheckedCase(None, (Fault(job.name, f"images/{job.image.name}", line, fatal=True),))

    jobs = [ScanJob(case.name, case.image, {}) for case in cases]
    begin = partial(_begin, {case.name: case for case in cases}, checked)
    done = each_scan_on(cluster, jobs, "check", begin, failed=failed)
    found = dead | {job.name: result for job, result in done.results}
    return [found[case.name] for case in cases]


def _begin(cases: Mapping[str, Case], checked: Callable[[Case], CheckedCase]) -> Callable[[ScanJob], CheckedCase]:
    return partial(_of_job, cases, checked)


def _of_job(cases: Mapping[str, Case], checked: Callable[[Case], CheckedCase], job: ScanJob) -> CheckedCase:
    return checked(cases[job.name])
