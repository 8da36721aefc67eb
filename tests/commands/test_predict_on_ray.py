"""`weakmask predict --ray`: the same bytes as without, and each scan once, though workers are killed all the time."""

import json
import os
import random
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_model import small_model

import weakmask as package
from ray_processes import MARK, workers_at
from weakmask.phantoms.chest_ct import make_phantom
from weakmask.volume.files import write_volume

Run = Callable[..., tuple[int, list[str]]]
SCANS, DEATHS = 12, 4
VARYING = ("seconds", "provenance")  # of scan.json
WITH_TIMES = ("report.html", "predict.json")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model that marks a part of every phantom."""
    (tmp_path / "run").mkdir()
    small_model(tmp_path / "run", threshold=0.1034)
    return tmp_path / "run" / "model.safetensors"


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """A cohort of small phantoms."""
    for number in range(SCANS):
        phantom = make_phantom(number, (16, 32, 32), (20.0, 12.0, 12.0))
        write_volume(phantom.image, tmp_path / "cohort" / "images" / f"p{number:02}.nii.gz")
        write_volume(phantom.lobes, tmp_path / "cohort" / "regions" / f"p{number:02}.nii.gz")
    return tmp_path / "cohort"


def kill_workers(results: Path, ended: threading.Event, killed: list[int]) -> None:
    """Kill workers at random moments, as long as so many scans wait that none is hit three times."""
    rng = random.Random(0)
    while len(killed) < DEATHS and not ended.wait(rng.uniform(0.0, 0.5)):
        if len(list(results.rglob("scan.json"))) <= SCANS // 2 and (alive := workers_at(b"ray::Worker.of")):
            killed.append(rng.choice(alive))
            os.kill(killed[-1], signal.SIGKILL)


def content_of(out: Path) -> dict[str, Any]:
    """What a command wrote, without its times."""
    found: dict[str, Any] = {}
    for file in sorted(path for path in out.rglob("*") if path.is_file()):
        name = str(file.relative_to(out))
        if file.name == "scan.json":
            found[name] = {key: value for key, value in json.loads(file.read_bytes()).items() if key not in VARYING}
        elif file.name not in WITH_TIMES:
            found[name] = file.read_bytes()
    return found


def test_killed_workers_change_nothing(
    model: Path, cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weakmask: Run
) -> None:
    pytest.importorskip("ray")
    command = ["predict", model, cohort / "images", "--regions", cohort / "regions", "--device", "cpu", "--out"]
    assert weakmask(*command, tmp_path / "plain") == (0, [])
    monkeypatch.setenv(MARK, str(os.getpid()))
    monkeypatch.setenv("PYTHONPATH", str(Path(package.__file__).parents[1]))
    ended, killed = threading.Event(), []
    killer = threading.Thread(target=kill_workers, args=(tmp_path / "ray", ended, killed))
    killer.start()
    try:
        code, lines = weakmask(*command, tmp_path / "ray", "--ray", "local", "--workers", "2")
    finally:
        ended.set()
        killer.join()
    assert code == 0, lines
    assert len(killed) == DEATHS
    assert f"{DEATHS} died" in lines[-1]
    assert content_of(tmp_path / "ray") == content_of(tmp_path / "plain")
    assert weakmask(*command, tmp_path / "ray") == (0, [])  # without Ray the same command has nothing to do
    assert content_of(tmp_path / "ray") == content_of(tmp_path / "plain")
