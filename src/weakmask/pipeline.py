"""Stages, the run folder, its manifest, and going on after any interruption: the only framework code there is.

A stage is a function that reads folders and writes one folder. It is handed a `Work` and returns nothing. Its folder
is written under a temporary name and renamed when complete, so that a stage is complete or absent; a stage that
trains keeps its temporary folder over a kill and goes on from the checkpoint in it.
"""

import hashlib
import json
import platform
import resource
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from weakmask import __version__
from weakmask.atomic_write import atomic_file, finish_folder, unwritable
from weakmask.config import Settings, differences, parse, read_yaml, to_yaml
from weakmask.errors import UserError
from weakmask.progress import console

LIBRARIES = ("torch", "numpy", "scipy", "SimpleITK", "scikit-image", "lightning-fabric")


@dataclass
class Work:
    """What a stage is handed.

    Attributes:
        run: The run folder; finished stages lie in it under their names.
        out: The folder this stage writes.
        config: The resolved settings of the method.
        notes: Lines for the manifest and the report: what was left out, what was decided.
        inputs: SHA-256 of the files that went in, by name.
    """

    run: Path
    out: Path
    config: Any
    notes: list[str] = field(default_factory=list)
    inputs: dict[str, str] = field(default_factory=dict)

    def note(self, line: str) -> None:
        """Tell the user now, and keep the line for the manifest and the report."""
        if line not in self.notes:
            self.notes.append(line)
            console.print(f"[yellow]note[/] {line}", highlight=False, soft_wrap=True)

    def hash_input(self, path: Path) -> None:
        """Remember what exactly went in; a folder (a DICOM series) is the digest of its files' digests."""
        if path.is_file():
            self.inputs[str(path)] = _sha256(path)
            return
        digests = "".join(_sha256(file) for file in sorted(path.rglob("*")) if file.is_file())
        self.inputs[str(path)] = hashlib.sha256(digests.encode()).hexdigest()


@dataclass(frozen=True)
class Stage:
    """One step of a method.

    Attributes:
        name: The folder's name, for example `03-regression`.
        run: The function; writes into `work.out`.
        goes_on: Whether its temporary folder is kept over an interruption (it holds checkpoints).
    """

    name: str
    run: Callable[[Work], None]
    goes_on: bool = False


def run_stages(stages: Sequence[Stage], run: Path, config: Settings) -> None:
    """Run the stages that are not complete yet, in order.

    Raises:
        UserError: The folder cannot be written, or holds a run with other settings.
    """
    _open_run(run, config)
    for stage in stages:
        if (run / stage.name).exists():
            console.print(f"[green]have[/] {stage.name}", highlight=False)
            continue
        temporary = run / f".{stage.name}.partial"
        if not stage.goes_on:
            shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(exist_ok=True)
        console.print(f"[bold]stage[/] {stage.name}", highlight=False)
        work = Work(run, temporary, config)
        start = time.perf_counter()
        stage.run(work)
        _write_json(
            temporary / "stage.json",
            {
                "stage": stage.name,
                "seconds": round(time.perf_counter() - start, 2),
                "peak_memory_mb": round(_peak_memory_mb()),
                "notes": work.notes,
                "inputs": work.inputs,
            },
        )
        finish_folder(temporary, run / stage.name)
        write_manifest(run, stages, config)


def write_manifest(run: Path, stages: Sequence[Stage], config: Settings) -> dict[str, Any]:
    """Gather what a reader needs to trust or repeat the run into manifest.json, and return it."""
    done = [read_stage(run, stage.name) for stage in stages if (run / stage.name).exists()]
    manifest = {
        **provenance(),
        "seed": getattr(config, "seed", None),
        "device": getattr(config, "device", None),
        "config_sha256": hashlib.sha256(to_yaml(config).encode()).hexdigest(),
        "stages": [{k: s[k] for k in ("stage", "seconds", "peak_memory_mb")} for s in done],
        "notes": list(dict.fromkeys(note for s in done for note in s["notes"])),
        "inputs": {path: digest for s in done for path, digest in s["inputs"].items()},
    }
    _write_json(run / "manifest.json", manifest)
    return manifest


def provenance() -> dict[str, Any]:
    """Versions and machine, as every manifest and weights file carries them."""
    return {
        "weakmask": __version__,
        "python": platform.python_version(),
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
        "machine": f"{platform.system()} {platform.machine()}",
        "written": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def read_stage(run: Path, name: str) -> dict[str, Any]:
    """The record a finished stage left: seconds, memory, notes, inputs."""
    return json.loads((run / name / "stage.json").read_text(encoding="utf-8"))


def read_manifest(run: Path) -> dict[str, Any]:
    """The manifest of a run.

    Raises:
        UserError: The folder is not a run.
    """
    try:
        return json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{run}: no readable manifest.json; expected a run folder that `weakmask train` left"
        ) from error


def _open_run(run: Path, config: Settings) -> None:
    """Make the run folder, or make sure that the one there is of the same settings."""
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(unwritable(run, error)) from error
    there = run / "config.yaml"
    if there.exists():
        old = parse(type(config), read_yaml(there), str(there))
        if changed := differences(old, config):
            raise UserError(
                f"{run} holds a run with other settings: {', '.join(changed[:3])}; "
                "choose another output folder, or delete that one"
            )
        return
    if any(not file.name.startswith(".") for file in run.iterdir()):
        raise UserError(f"{run} is not empty and is not a run; choose another output folder")
    with atomic_file(there) as temporary:
        temporary.write_text(to_yaml(config), encoding="utf-8")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_json(path: Path, values: dict[str, Any]) -> None:
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def _peak_memory_mb() -> float:
    """Peak resident memory of this process so far; Linux counts in KiB, macOS in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if platform.system() == "Darwin" else peak / 2**10
