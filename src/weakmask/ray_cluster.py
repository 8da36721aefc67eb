"""A Ray cluster: its address, its workers, and the connection with it."""

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from weakmask.errors import UserError

STORE_BYTES = 100 * 2**20  # shared memory of a cluster that is started: answers are small
LOCAL = "local"


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster.

    Attributes:
        address: `local` starts one on this machine, `auto` takes the one that runs on it; else HOST:PORT.
        workers: Number of processes; None: one a GPU where the device may be one and the cluster has some, else one a
            CPU.
        device: auto, cpu or cuda.
    """

    address: str
    workers: int | None = None
    device: str = "auto"

    @classmethod
    def of(cls, address: str | None, workers: int | None, device: str) -> "Cluster | None":
        """The cluster of the options of a command; None: no cluster.

        Raises:
            UserError: Workers without an address.
        """
        if address is None:
            if workers is not None:
                raise UserError(f"--workers {workers}: this command uses no cluster; give --ray {LOCAL}, too")
            return None
        return cls(address, workers, device)


def workers_of(cluster: Cluster, resources: dict[str, float]) -> tuple[int, dict[str, float]]:
    """The number of workers, and the share of a node that each takes.

    Args:
        cluster: The cluster that is asked for.
        resources: Of the cluster, by Ray's names.
    """
    graphics = int(resources.get("GPU", 0)) if cluster.device in {"auto", "cuda"} else 0
    most = graphics or int(resources.get("CPU", 1))
    count = cluster.workers or max(1, most)
    return count, {"num_cpus": 1, "num_gpus": 1} if graphics else {"num_cpus": 1}


@contextmanager
def connected(cluster: Cluster) -> Iterator[Any]:
    """The module `ray`, connected with a cluster; one that was started for it ends with the block.

    Raises:
        UserError: Ray is not installed, no cluster is at that address, or none starts.
    """
    if find_spec("ray") is None:
        raise UserError("--ray needs Ray; run `pip install 'weakmask[cluster]'`")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would report each start to its makers
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "1")  # workers without a GPU see none; else it warns
    import ray  # noqa: PLC0415 - optional

    local = {"num_cpus": cluster.workers, "object_store_memory": STORE_BYTES, "include_dashboard": False}
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM) if main else None
    try:
        ray.init(
            cluster.address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            **(local if cluster.address == LOCAL else {}),
        )
    except Exception as error:  # Ray raises this very class where its own processes do not start
        ray.shutdown()
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise UserError(
            f"--ray {cluster.address}: no Ray cluster there ({reason}); start one by `ray start --head`, or use "
            f"--ray {LOCAL}"
        ) from error
    try:
        if main:
            signal.signal(signal.SIGTERM, before)  # Ray has put its own in the place
        yield ray
    finally:
        ray.shutdown()
