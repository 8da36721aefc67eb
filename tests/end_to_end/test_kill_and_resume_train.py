"""`weakmask train` killed with SIGKILL at ten random moments ends with the weights of an unbroken run."""

import random
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest
import torch
from command_forks import start_command
from safetensors.torch import load_file

from weakmask.config import to_yaml
from weakmask.methods.dram.config import ContextSettings, DramSettings, MapSettings
from weakmask.phantoms.chest_ct import write_phantom_cohort
from weakmask.region_learning.settings import DataSettings, NetworkSettings, PrepareSettings, TrainingSettings

KILLS = 10


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kill")
    write_phantom_cohort(folder / "cohort", 5, 3, (40, 44, 48), (8.0, 8.0, 8.0), workers=1)
    settings = DramSettings(
        device="cpu",
        data=DataSettings(cohort=folder / "cohort", validation=0.2),
        prepare=PrepareSettings(spacing_mm=None, crop_shape=(16, 16, 16)),
        network=NetworkSettings(width=2),
        regression=TrainingSettings(
            steps=50, batch=2, validate_every=10, checkpoint_every=1, average_decay=0.9, precision="32-true"
        ),
        maps=MapSettings(scales=(1.0,)),
        context=ContextSettings(spacing_mm=None, window_voxels=4, width=2, steps=8, batch=1, from_regression=True),
    )
    path = folder / "config.yaml"
    path.write_text(to_yaml(settings))
    return path


def start(config: Path, run: Path) -> ForkServerProcess:
    return start_command(["train", str(config), "--out", str(run)], run.with_suffix(".log"))


def train(config: Path, run: Path) -> None:
    """Train to the end; it must end well."""
    process = start(config, run)
    process.join(timeout=300)
    assert process.exitcode == 0, run.with_suffix(".log").read_text()


def progress(run: Path) -> int:
    """How many files the run has written so far; checkpoints count each time anew."""
    return sum(path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()) if run.exists() else 0


def kill_in_the_work(config: Path, run: Path, chance: random.Random) -> bool:
    """Start, wait until something new is written, a random moment more, and kill; whether it was still running."""
    before = progress(run)
    process = start(config, run)
    deadline = time.monotonic() + 60
    while process.is_alive() and time.monotonic() < deadline:
        try:
            if progress(run) != before:
                break
        except FileNotFoundError:
            break  # a file was renamed under our eyes: it works
        time.sleep(0.01)
    time.sleep(chance.uniform(0.0, 0.6))
    killed = process.is_alive()
    process.kill()
    process.join()
    return killed


def test_ten_kills_change_nothing(config: Path, tmp_path: Path) -> None:
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    train(config, unbroken)
    chance = random.Random(5)
    killed = [kill_in_the_work(config, broken, chance) for _ in range(KILLS)]
    assert sum(killed) >= KILLS // 2, "most kills must hit a running training"
    train(config, broken)
    trained = (
        "03-regression/last",
        "03-regression/best",
        "04-model/model",
        "06-context-model/last",
        "06-context-model/model",
    )
    for file in (f"{name}.safetensors" for name in trained):
        ours, theirs = load_file(broken / file), load_file(unbroken / file)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours), file
    assert (broken / "03-regression" / "curves.csv").read_bytes() == (
        unbroken / "03-regression" / "curves.csv"
    ).read_bytes()
    assert (broken / "summary.csv").read_bytes() == (unbroken / "summary.csv").read_bytes()
    assert not [path for path in broken.iterdir() if path.name.startswith(".")]
