"""Scans on a cluster: a dead worker costs the seconds of its scan, a deadly scan is left out, the order is kept."""

from contextlib import nullcontext
from functools import partial
from pathlib import Path

import frail_work
import pytest
from fake_ray import FakeRay

from weakmask import ray_cluster
from weakmask.commands import cluster_scans
from weakmask.commands.cluster_scans import each_scan_on
from weakmask.commands.scan_jobs import ScanJob
from weakmask.errors import MachineError, UserError
from weakmask.ray_cluster import Cluster

NAMES = ("plain-1", "once-1", "faulty", "deadly", "once-2", "plain-2", "plain-3")
RESULTS = ["PLAIN-1", "ONCE-1", "ONCE-2", "PLAIN-2", "PLAIN-3"]

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


def jobs_of(*names: str) -> list[ScanJob]:
    return [ScanJob(name, Path(f"{name}.nii.gz"), {}) for name in names]


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers import what this process gives them."""
    source = Path(cluster_scans.__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", f"{source}:{Path(__file__).parent}")


@pytest.mark.slow
def test_on_ray_every_scan_has_one_result(tmp_path: Path, importable: None, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("ray")
    finished, failed = [], []
    done = each_scan_on(
        Cluster("local", 2, "cpu"),
        jobs_of(*NAMES),
        "scans",
        partial(frail_work.begin, tmp_path),
        lambda job, result: finished.append(result),
        lambda job, line: failed.append(line),
    )
    assert [result for _, result in done.results] == RESULTS
    assert sorted(finished) == sorted(RESULTS)
    assert done.failures == (
        "faulty.nii.gz: this scan has no voxels",
        "deadly.nii.gz: 3 workers died of it; look at it alone",
    )
    assert sorted(failed) == sorted(done.failures)
    tries = {path.name: len(path.read_text(encoding="ascii")) for path in tmp_path.iterdir()}
    assert tries == {name: {"deadly": 3, "once-1": 2, "once-2": 2}.get(name, 1) for name in NAMES}
    printed = capsys.readouterr().err
    assert "plain-1: done" in printed
    assert "5 died" in printed


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    ray = FakeRay()
    monkeypatch.setattr(cluster_scans, "connected", lambda cluster: nullcontext(ray))
    return ray


def test_as_many_scans_are_under_way_as_there_are_workers(tmp_path: Path, fake: FakeRay):
    jobs = jobs_of(*(f"plain-{number}" for number in range(20)))
    begin = partial(frail_work.begin, tmp_path)
    done = each_scan_on(Cluster("auto"), jobs, "scans", begin, lambda job, result: None)
    assert [job.name for job, _ in done.results] == [job.name for job in jobs]
    assert (fake.most, fake.made) == (3, 3)


def test_a_machine_that_cannot_work_ends_the_command_in_one_line(fake: FakeRay):
    with pytest.raises(MachineError, match=r"model\.safetensors: no such model"):
        each_scan_on(
            Cluster("auto"), jobs_of("a", "b"), "scans", frail_work.begin_without_model, lambda job, result: None
        )


def test_a_machine_without_weakmask_ends_the_command_in_one_line(fake: FakeRay, monkeypatch: pytest.MonkeyPatch):
    class InitFailedError(OSError):
        actor_init_failed = True

    def get(ready: object) -> None:
        raise InitFailedError("The actor died.\n  trace\nModuleNotFoundError: No module named 'weakmask'\n")

    monkeypatch.setattr(fake, "get", get)
    with pytest.raises(
        MachineError, match=r"no worker starts; is .* \(ModuleNotFoundError: No module named 'weakmask'\)"
    ):
        each_scan_on(
            Cluster("auto"), jobs_of("a", "b"), "scans", frail_work.begin_without_model, lambda job, result: None
        )


def test_all_scans_at_fault_are_one_line(tmp_path: Path, fake: FakeRay):
    begin = partial(frail_work.begin, tmp_path)
    with pytest.raises(UserError, match=r"all 2 scans failed; the first: faulty-1\.nii\.gz: this scan has no voxels"):
        each_scan_on(Cluster("auto"), jobs_of("faulty-1", "faulty-2"), "scans", begin, lambda job, result: None)


def test_without_ray_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"--ray needs Ray; run `pip install 'weakmask\[cluster\]'`"):
        each_scan_on(Cluster("local"), jobs_of("a"), "scans", frail_work.begin_without_model, lambda job, result: None)
