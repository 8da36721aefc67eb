"""check, lobes and evaluate on a cluster: tables, files and notes of a run without one."""

import json
from contextlib import nullcontext
from pathlib import Path

import pytest
from fake_ray import FakeRay
from typer.testing import CliRunner

import weakmask as package
from weakmask.cli import app
from weakmask.commands import cluster_scans
from weakmask.phantoms.chest_ct import write_phantom_cohort

WITH_TIMES = ("evaluate.json", "lobes.json")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    """A cluster in this process."""
    ray = FakeRay()
    monkeypatch.setattr(cluster_scans, "connected", lambda cluster: nullcontext(ray))
    return ray


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phantoms, of which one has a damaged truth and one a faulty image."""
    folder = tmp_path_factory.mktemp("verbs") / "cohort"
    write_phantom_cohort(folder, 3, 0, (20, 20, 20), (12.0, 12.0, 12.0), workers=1)
    (folder / "truth" / "phantom_0_0001.nii.gz").write_bytes(b"damaged")
    (folder / "images" / "phantom_0_0002.nii.gz").write_bytes(b"damaged")
    return folder


def run(*words: object) -> tuple[int, str, str]:
    found = CliRunner().invoke(app, list(map(str, words)))
    return found.exit_code, found.stdout, found.stderr


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name not in WITH_TIMES}


def lines_of(text: str) -> list[str]:
    """The lines about scans, in any order."""
    return sorted(line for line in text.splitlines() if "phantom" in line)


VERBS = ["check", "evaluate", "lobes"]


def verbs_that_agree(cohort: Path, out: Path, *flags: str) -> list[str]:
    """Run all three verbs without and with a cluster; those that print and write the same."""
    masks = cohort / "regions"
    plain, ray = (run("check", cohort, "--json", *more) for more in ((), flags))
    assert plain[:2] == ray[:2]
    assert json.loads(plain[1])["faults"]
    agree = ["check"]
    for verb, words in {"evaluate": (masks, cohort), "lobes": (cohort / "images",)}.items():
        plain, ray = (run(verb, *words, "-o", out / f"{verb}{len(more)}", *more) for more in ((), flags))
        assert plain[:2] == ray[:2]
        assert lines_of(plain[2]) == lines_of(ray[2])
        files = files_of(out / f"{verb}0")
        assert len(files) >= 2
        assert files == files_of(out / f"{verb}{len(flags)}")
        agree.append(verb)
    return agree


def test_workers_do_the_same(cohort: Path, tmp_path: Path, fake: FakeRay) -> None:
    assert verbs_that_agree(cohort, tmp_path, "--ray", "auto") == VERBS
    assert fake.made == 3 * 3  # as many workers as CPUs, for each verb


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_processes_do_the_same(cohort: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", str(Path(package.__file__).parents[1]))
    assert verbs_that_agree(cohort, tmp_path, "--ray", "local", "--workers", "2") == VERBS


def test_a_case_that_kills_its_workers_is_a_fault(cohort: Path, fake: FakeRay, monkeypatch: pytest.MonkeyPatch) -> None:
    get = fake.get

    def dying(ready: object) -> object:
        if ready.args[0].name == "phantom_0_0000":  # pyright: ignore[reportAttributeAccessIssue]
            raise OSError("the worker died")
        return get(ready)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(fake, "get", dying)
    code, printed, _ = run("check", cohort, "--json", "--ray", "auto")
    faults = {fault["scan"]: fault["message"] for fault in json.loads(printed)["faults"] if fault["fatal"]}
    assert code == 2
    assert "3 workers died of it" in faults["phantom_0_0000"]
    assert set(faults) == {"phantom_0_0000", "phantom_0_0002"}
