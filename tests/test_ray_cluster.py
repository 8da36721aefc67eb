"""The number of workers of a cluster, and its faults in one line."""

import sys
from types import SimpleNamespace

import pytest

from weakmask import ray_cluster
from weakmask.errors import UserError
from weakmask.ray_cluster import Cluster, connected, workers_of


@pytest.mark.parametrize(
    ("cluster", "resources", "count", "graphics"),
    [
        (Cluster("auto"), {"CPU": 8.0}, 8, False),
        (Cluster("auto", 3), {"CPU": 8.0}, 3, False),
        (Cluster("auto"), {"CPU": 64.0, "GPU": 4.0}, 4, True),
        (Cluster("auto", None, "cpu"), {"CPU": 64.0, "GPU": 4.0}, 64, False),
        (Cluster("auto"), {}, 1, False),
    ],
)
def test_a_worker_takes_a_gpu_or_a_cpu(cluster: Cluster, resources: dict[str, float], count: int, *, graphics: bool):
    assert workers_of(cluster, resources) == (count, {"num_cpus": 1, "num_gpus": 1} if graphics else {"num_cpus": 1})


@pytest.mark.parametrize("fault", [Exception("The current node timed out during startup.\nMore."), ConnectionError()])
def test_a_cluster_that_does_not_start_is_one_line(monkeypatch: pytest.MonkeyPatch, fault: Exception):
    ended = []

    def init(*_: object, **__: object) -> None:
        raise fault

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init, shutdown=lambda: ended.append(True)))
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: name)
    with pytest.raises(UserError, match="--ray local: no Ray cluster there") as raised, connected(Cluster("local")):
        pass
    assert "\n" not in str(raised.value)
    assert ended == [True]


def test_workers_without_a_cluster_are_refused():
    assert Cluster.of(None, None, "cpu") is None
    assert Cluster.of("auto", 2, "cpu") == Cluster("auto", 2, "cpu")
    with pytest.raises(UserError, match="--workers 2: this command uses no cluster; give --ray local, too"):
        Cluster.of(None, 2, "cpu")
