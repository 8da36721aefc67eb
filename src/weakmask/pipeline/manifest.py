"""The records that stages leave, and the manifest made of them: what a reader needs to trust or repeat a run."""

import hashlib
import json
import platform
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Generic, TypeVar

from weakmask import __version__
from weakmask.atomic_write import atomic_file
from weakmask.config import Settings, to_yaml
from weakmask.errors import UserError, refuse_machine_fault
from weakmask.pipeline.keys import RECORD

LIBRARIES = ("torch", "numpy", "scipy", "SimpleITK", "scikit-image", "lightning-fabric")
MANIFEST = "manifest.json"

Config = TypeVar("Config")


@dataclass(frozen=True)
class Run(Generic[Config]):
    """A run folder and its settings.

    Attributes:
        folder: The run folder.
        config: The settings of the method.
    """

    folder: Path
    config: Config

    def stage(self, name: str) -> Path:
        """The folder of a finished stage.

        Raises:
            UserError: The stage is not finished.
        """
        return stage_folder(self.folder, name)

    def manifest(self) -> dict[str, Any]:
        """The manifest.

        Raises:
            UserError: The folder is not a run.
        """
        return read_manifest(self.folder)


def find_stage(run: Path, name: str) -> Path | None:
    """The folder of a finished stage in a run, or None."""
    pattern = re.compile(rf"\d\d-{re.escape(name)}")
    folders = [path for path in run.iterdir() if pattern.fullmatch(path.name)] if run.is_dir() else []
    return folders[0] if folders else None


def stage_folder(run: Path, name: str) -> Path:
    """The folder of a finished stage in a run.

    Raises:
        UserError: The stage is not finished.
    """
    folder = find_stage(run, name)
    if folder is None:
        raise UserError(f"{run}: stage {name} is not finished; go on with `weakmask train` and the same --out")
    return folder


def read_stage(folder: Path) -> dict[str, Any]:
    """The record of a finished stage: seconds, memory, notes, inputs and keys.

    Raises:
        UserError: No such record, or one of an earlier version.
    """
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        refuse_machine_fault(error, folder / RECORD)
        raise UserError(f"{folder}: no readable {RECORD}; delete this folder and train again") from error
    if "key" not in record:
        raise UserError(f"{folder}: made by an earlier version of weakmask; choose another output folder")
    return record


def write_manifest(run: Path, config: Settings) -> dict[str, Any]:
    """Gather the records of a run's finished stages into manifest.json, and return the manifest."""
    done = [read_stage(folder) for folder in sorted(run.glob("[0-9][0-9]-*"))]
    computed = [stage["computed"] for stage in done if stage["computed"]]
    manifest = {
        **provenance(),
        "seed": getattr(config, "seed", None),
        "device": _joined(one.get("device") for one in computed),
        "precision": _joined(one.get("precision") for one in computed),
        "config_sha256": hashlib.sha256(to_yaml(config).encode()).hexdigest(),
        "stages": [{name: stage[name] for name in ("stage", "seconds", "peak_memory_mb")} for stage in done],
        "notes": list(dict.fromkeys(note for stage in done for note in stage["notes"])),
        "inputs": {path: state["sha256"] for stage in done for path, state in stage["inputs"].items()},
    }
    write_json(run / MANIFEST, manifest)
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


def read_manifest(run: Path) -> dict[str, Any]:
    """The manifest of a run.

    Raises:
        UserError: The folder is not a run.
    """
    try:
        return json.loads((run / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        refuse_machine_fault(error, run / MANIFEST)
        raise UserError(f"{run}: no readable {MANIFEST}; expected a run folder made by `weakmask train`") from error


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write plain values as an indented JSON file, completely or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def _joined(values: Any) -> str | None:
    """The different values in their order, as text; None without any."""
    return ", ".join(dict.fromkeys(str(value) for value in values if value)) or None
