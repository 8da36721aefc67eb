"""The page "Use it from Python" runs as it is printed, from its first block to its last, and weakmask loads fast."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import weakmask as wm
from weakmask.methods import method_settings
from weakmask.phantoms.chest_ct import write_phantom_cohort

PROJECT = Path(__file__).resolve().parents[2]
PAGE = PROJECT / "docs" / "python.md"


def test_the_page_runs_as_printed(
    untrained: Callable[[float], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_phantom_cohort(tmp_path / "cohort", 4, 3, (64, 72, 76), (5.0, 5.0, 5.0))
    scan = min((tmp_path / "cohort" / "images").iterdir())
    np.save(tmp_path / "scan.npy", wm.read_volume(scan).voxels)
    lobes = wm.read_volume(tmp_path / "cohort" / "regions" / scan.name, "label").voxels
    (tmp_path / "runs").mkdir()
    shutil.copy(untrained(0.1034), tmp_path / "runs" / "demo")
    shutil.copytree(PROJECT / "configs", tmp_path / "configs")
    config = tmp_path / "configs" / "dram_phantom.yaml"
    text = config.read_text(encoding="utf-8")
    assert "steps: 250 " in text  # of the context network, which takes minutes
    config.write_text(text.replace("steps: 250 ", "steps: 2 "), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks[0].splitlines()) <= 10
    made: dict[str, Any] = {"lobes": lobes}
    for block in blocks:
        short = block.replace('"steps": 3000', '"steps": 2')
        exec(short, made)
        if "wm.load" in block and "train" not in block:
            assert made["mask"].shape == made["activation"].shape == lobes.shape
            assert 0 < made["mask"].mean() < 1
    assert "score_predicted" in capsys.readouterr().out
    names = {path.name.removesuffix(".nii.gz") for path in (tmp_path / "cohort" / "images").iterdir()}
    assert {path.parent.name for path in (tmp_path / "masks").glob("*/mask.nii.gz")} == names
    assert (tmp_path / "runs" / "mine" / "report.html").exists()
    assert isinstance(made["model"], wm.Model)
    assert {case.name for case in wm.read_cohort("cohort").cases} == names
    assert made["large"].sum() <= made["mask"].sum()
    assert made["refined"].shape == (1, 1, *lobes.shape)


def in_a_fresh_interpreter(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def test_the_import_alone_loads_nothing_and_takes_no_time() -> None:
    code = """
import sys, time
start = time.perf_counter()
import weakmask
seconds = time.perf_counter() - start
print(seconds, *sorted({name.split(".")[0] for name in sys.modules} & {"torch", "numpy", "pandas", "rich", "scipy"}))
"""
    seconds, *loaded = in_a_fresh_interpreter(code).split()
    assert not loaded
    assert float(seconds) < 0.2


def test_a_volume_needs_no_torch() -> None:
    assert in_a_fresh_interpreter("import weakmask as wm, sys; wm.Volume; print('torch' in sys.modules)") == "False"


def test_every_public_name_is_there_and_listed() -> None:
    assert [name for name in wm.__all__ if getattr(wm, name) is None] == []
    assert set(wm.__all__) <= set(dir(wm))
    assert {"dram", "cam", "supervised", "lobes"} <= set(wm.METHODS)
    rooms = [getattr(wm, name) for name in wm.__all__ if isinstance(getattr(wm, name), ModuleType)]
    assert {room.__name__.removeprefix("weakmask.") for room in rooms} == {
        *("activation", "anatomy", "datasets", "evaluation", "losses"),
        *("networks", "phantoms", "refinement", "scoring", "volume"),
    }
    for room in rooms:  # each offers functions or classes of its own
        own = [value for value in vars(room).values() if callable(value) and value.__module__.startswith(room.__name__)]
        assert own, room
    with pytest.raises(AttributeError, match="no attribute 'segment'; it offers METHODS, Geometry"):
        wm.segment  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]


def test_a_config_is_a_file_a_mapping_or_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("weakmask.api.train_method", lambda method, settings, run: seen.append((settings, run)))
    file = PROJECT / "configs" / "dram_phantom.yaml"
    changed: dict[str, Any] = {"seed": 7, "data": {"cohort": Path("here"), "test": None}, "regression": {"steps": 5}}
    wm.train(file, tmp_path / "run", **changed)
    wm.train(str(file), str(tmp_path / "run"), **changed)
    settings = seen[0][0]
    assert (settings.seed, settings.data.cohort, settings.regression.steps) == (7, Path("here"), 5)
    assert settings.data.validation == 0.05  # the other keys of a section stay
    wm.train(settings.model_dump(), tmp_path / "run")
    wm.train(settings, tmp_path / "run")
    assert all(one == seen[0] for one in seen)
    with pytest.raises(wm.UserError, match=r"config: unknown key regression\.step; did you mean steps\?"):
        wm.train(settings, tmp_path / "run", regression={"step": 5})
    with pytest.raises(wm.UserError, match="config: method is None; expected one of dram"):
        method_settings({}, "config")
