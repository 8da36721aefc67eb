"""Trainings of two processes: one is killed and the training goes on; the launchers torchrun and Slurm."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from shared_line import Batches, train
from test_ranks import CLOSE, largest_difference

from weakmask.commands.phantom import PhantomRequest, write_phantoms
from weakmask.training import ranks

pytestmark = pytest.mark.slow

MODULES = Path(__file__).parents[1] / "training"  # of shared_line
SECONDS = 0.5  # that a step takes at least
WAIT = 600.0


def environment(**more: str) -> dict[str, str]:
    source = Path(ranks.__file__).parents[2]
    return {**os.environ, "PYTHONPATH": f"{source}:{MODULES}", "OMP_NUM_THREADS": "1", **more}


def started(folder: Path, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "import shared_line; shared_line.main()", str(folder), "2", str(SECONDS)]
    with log.open("wb") as stream:
        return subprocess.Popen(command, stderr=stream, env=environment())


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def other_rank(process: subprocess.Popen[bytes]) -> int:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
    assert len(children) == 1
    return int(children[0])


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="ascii").split()[2] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds the other rank in /proc")
def test_a_killed_rank_ends_the_other_and_the_same_command_goes_on(tmp_path: Path):
    folder, log = tmp_path / "two", tmp_path / "log"
    checkpoint = folder / "checkpoint.safetensors"

    process = started(folder, log)
    until(checkpoint.exists)
    os.kill(other_rank(process), signal.SIGKILL)
    assert process.wait(WAIT) == 2
    lines = log.read_text(encoding="utf-8").strip().splitlines()
    assert len(lines) == 1
    assert "rank 1 of 2 has ended (killed by signal 9); the same command goes on from the last checkpoint" in lines[0]

    written = checkpoint.stat().st_mtime_ns
    process = started(folder, log)
    until(lambda: checkpoint.stat().st_mtime_ns > written)
    other = other_rank(process)
    process.kill()
    process.wait()
    until(lambda: not is_running(other))
    lines = log.read_text(encoding="utf-8").strip().splitlines()
    assert len(lines) == 1
    assert "rank 1: rank 0 has ended; the same command goes on from the last checkpoint" in lines[0]

    assert started(folder, log).wait(WAIT) == 0
    assert log.read_text(encoding="utf-8") == ""
    train(tmp_path / "one", 1, Batches())
    assert largest_difference(tmp_path / "one/last.safetensors", folder / "last.safetensors") < CLOSE
    assert not checkpoint.exists()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def train_command(cohort: Path, run: Path, devices: int) -> list[str]:
    config = Path(__file__).parents[2] / "configs" / "mitochondria_phantom.yaml"
    changed = {"data.cohort": cohort, "data.test": "null", "device": "cpu", "training.devices": devices}
    changed |= {"network.norm": "none", "network.widths": "[4,4]", "decoder.search": "false"}
    changed |= {"train.steps": 4, "train.patch": "[4,32,32]", "train.validate_every": 2, "train.precision": "32-true"}
    settings = [part for name, value in changed.items() for part in ("--set", f"{name}={value}")]
    return ["-m", "weakmask", "train", str(config), *settings, "--out", str(run)]


def by_itself(command: list[str]) -> list[subprocess.Popen[str]]:
    return [launched(command)]


def by_torchrun(command: list[str]) -> list[subprocess.Popen[str]]:
    return [launched(["-m", "torch.distributed.run", "--nproc-per-node=2", f"--master-port={free_port()}", *command])]


def by_srun(command: list[str]) -> list[subprocess.Popen[str]]:
    """What srun does: one process a task, each with Slurm's variables."""
    job = {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_JOB_NAME": "train", "SLURM_JOB_ID": "1"}
    job |= {
        "SLURM_NODELIST": "localhost",
        "SLURM_NODEID": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
    }
    return [launched(command, **job, SLURM_PROCID=str(rank), SLURM_LOCALID=str(rank)) for rank in range(2)]


def launched(command: list[str], **more: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, *command], stdout=pipe, stderr=pipe, text=True, env=environment(**more))


def outputs(processes: list[subprocess.Popen[str]]) -> str:
    ended = [process.communicate(timeout=2 * WAIT) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), ended
    return "".join(printed for printed, _ in ended)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A cohort of stacks, and the run that one process trained on it."""
    folder = tmp_path_factory.mktemp("alone")
    write_phantoms(folder / "cohort", PhantomRequest("em-easy", 2, 0, (8, 48, 48), None, None, None))
    outputs(by_itself(train_command(folder / "cohort", folder / "run", 1)))
    return folder / "cohort", folder / "run"


@pytest.mark.parametrize("launch", [by_itself, by_torchrun, by_srun])
def test_the_run_of_two_processes_is_that_of_one(
    launch: Callable[[list[str]], list[subprocess.Popen[str]]], alone: tuple[Path, Path], tmp_path: Path
):
    cohort, run = alone
    printed = outputs(launch(train_command(cohort, tmp_path / "run", 2)))
    assert printed.count("report: ") == 1
    weights = "*-train/first/last.safetensors"
    (one,), (two,) = run.glob(weights), (tmp_path / "run").glob(weights)
    assert largest_difference(one, two) < CLOSE
    assert {path.name for path in run.iterdir()} == {path.name for path in (tmp_path / "run").iterdir()}
    assert not list((tmp_path / "run").glob(".*"))
