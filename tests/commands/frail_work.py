"""Work on scans for the workers of a cluster, which can import it: some scans kill their worker, once or always."""

import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

from weakmask.commands.scan_jobs import ScanJob
from weakmask.errors import UserError
from weakmask.progress import note


def begin(folder: Path) -> Callable[[ScanJob], str]:
    """The work, whose traces are left in a folder."""
    return partial(work, folder)


def work(folder: Path, job: ScanJob) -> str:
    """Count the tries of a scan; what it does then is in its name."""
    tries = folder / job.name
    tried = tries.read_text(encoding="ascii") if tries.exists() else ""
    tries.write_text(f"{tried}x", encoding="ascii")
    if job.name.startswith("deadly") or (job.name.startswith("once") and not tried):
        os.kill(os.getpid(), signal.SIGKILL)
    if job.name.startswith("faulty"):
        raise UserError("this scan has no voxels")
    note(f"{job.name}: done")
    return job.name.upper()


def begin_without_model() -> Callable[[ScanJob], str]:
    """A worker whose machine does not see the model."""
    raise UserError("run/model.safetensors: no such model")
