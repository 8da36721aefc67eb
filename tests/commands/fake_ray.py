"""Ray's calls in one process."""

import pickle
from functools import partial
from types import SimpleNamespace

from weakmask.commands.cluster_scans import Worker
from weakmask.commands.scan_jobs import ScanJob


class FakeRay:
    """Ray's calls in this process: enough for what its own does not decide."""

    exceptions = SimpleNamespace(RayError=OSError, RayTaskError=ZeroDivisionError)

    def __init__(self) -> None:
        self.alive, self.most, self.made = 0, 0, 0

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 3.0}

    def remote(self, **resources: float):
        return lambda kind: SimpleNamespace(remote=partial(self._start, kind))

    def _start(self, kind: type[Worker], *arguments: object) -> SimpleNamespace:
        self.made += 1
        worker = kind(*arguments)  # pyright: ignore[reportArgumentType]

        def of(job: ScanJob) -> object:
            self.alive += 1
            self.most = max(self.most, self.alive)
            return partial(worker.of, job)

        return SimpleNamespace(of=SimpleNamespace(remote=of))

    def put(self, value: object) -> object:
        return pickle.loads(pickle.dumps(value))  # as another process gets it

    def kill(self, worker: object) -> None: ...

    def wait(self, running: list) -> tuple[list, list]:
        return running[-1:], running[:-1]  # the last that was given

    def get(self, ready: partial) -> object:
        self.alive -= 1
        return ready()
