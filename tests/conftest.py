"""Fixtures that every room shares."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import jaxtyping
import pytest

from simulated_windows import simulated_windows  # noqa: F401 - a fixture
from weakmask.cli import main

Run = Callable[..., tuple[int, list[str]]]
UNTRAINED = "note the model marked no voxel"  # of the models here, which is no fault; `test_predict_files` tests it
PROJECT = Path(__file__).resolve().parents[1]

hypothesis.settings.register_profile("busy machines", deadline=None)  # an example may take long, and be right
hypothesis.settings.load_profile("busy machines")


@pytest.fixture
def unchecked_types() -> Iterator[None]:
    """As users run it: without the run-time check of annotations that the other tests have."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """The folder of one real data set; the test is skipped, saying why, where the data is absent."""
    root = Path(os.environ.get("WEAKMASK_DATA", PROJECT.parent / "shared" / "data"))

    def folder(name: str) -> Path:
        if not (root / name).exists():
            pytest.skip(f"real data {name} is not at {root}; set WEAKMASK_DATA to the folder that holds it")
        return root / name

    return folder


@pytest.fixture
def weakmask(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Arguments -> the exit code and the lines on the error stream, but for the note that a model is untrained."""

    def run(*arguments: object) -> tuple[int, list[str]]:
        monkeypatch.setattr(sys, "argv", ["weakmask", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        lines = [line for line in capsys.readouterr().err.splitlines() if line.strip()]
        return int(ended.value.code or 0), [line for line in lines if not line.startswith(UNTRAINED)]

    return run
