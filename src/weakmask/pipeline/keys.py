"""Keys of stages: the settings that a stage reads, its input files, and the stages before it.

A stage is up to date when all three are unchanged. Files are compared by size and modification time first and are
hashed only where these differ, so that a large cohort is not read again on every resume.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from weakmask.config import Settings, counted_fields, restricted

ABSENT = "absent"  # the digest of a file that does not exist; a file that appears later is a change, too
RECORD = "stage.json"


@runtime_checkable
class Keyed(Protocol):
    """The part of a stage that its key is made of."""

    @property
    def name(self) -> str:
        """Of the stage."""
        ...

    @property
    def run(self) -> Callable[..., None]:
        """The function."""
        ...

    @property
    def after(self) -> tuple[str, ...]:
        """Names of the stages it reads."""
        ...

    @property
    def settings(self) -> tuple[str, ...] | None:
        """Names of the settings it reads; None: all."""
        ...


@dataclass(frozen=True)
class FileState:
    """The state of an input file or folder.

    Attributes:
        sha256: Of the content; of a folder the digest of its files' digests.
        size: In bytes, of all files.
        modified: Nanoseconds, of a file; of a folder a number made of the name, size and time of each of its files.
    """

    sha256: str
    size: int
    modified: int


def state_of(path: Path, known: FileState | None = None, without: Path | None = None) -> FileState:
    """The state of a file, of a folder (a DICOM series), or of nothing.

    Args:
        path: A file or folder, which may be absent.
        known: An earlier state: its digest is taken where size and time are the same.
        without: A folder inside `path` whose files do not count; one of results, for instance.
    """
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    if without is not None and path.is_dir() and not path.is_relative_to(without):
        files = [file for file in files if not file.is_relative_to(without)]
    if not files:
        return FileState(ABSENT, 0, 0)
    stats = [file.stat() for file in files]
    size, modified = sum(stat.st_size for stat in stats), _time_of(path, files, stats)
    if known is not None and (known.size, known.modified) == (size, modified):
        return known
    digests = [_sha256(file, stat.st_size, stat.st_mtime_ns) for file, stat in zip(files, stats, strict=True)]
    whole = digests[0] if path.is_file() else hashlib.sha256("".join(digests).encode()).hexdigest()
    return FileState(whole, size, modified)


def settings_key(stages: Sequence[Keyed], name: str, config: Settings) -> str:
    """The part of a stage's key that is known before it runs: its function, its settings, and those of earlier stages.

    Args:
        stages: The stages of the method.
        name: Of the stage.
        config: The settings of the run.
    """
    stage = next(stage for stage in stages if stage.name == name)
    function = stage.run.func if isinstance(stage.run, partial) else stage.run
    return _digest(
        {
            "function": f"{function.__module__}.{function.__qualname__}",
            "settings": _dumped(restricted(config, stage.settings)),
            "after": {before: settings_key(stages, before, config) for before in stage.after},
        }
    )


def whole_key(settings: str, inputs: Mapping[str, FileState], after: Mapping[str, str]) -> str:
    """The key of a finished stage.

    Args:
        settings: Its `settings_key`.
        inputs: State of each input by its path.
        after: Whole key of each stage that it has read, by name.
    """
    digests = {path: state.sha256 for path, state in inputs.items()}
    return _digest({"settings": settings, "inputs": digests, "after": dict(after)})


def changed_inputs(record: Mapping[str, Any]) -> list[str]:
    """Paths of a finished stage's inputs that have changed since, with what happened to each.

    Args:
        record: The stage's record.
    """
    lines = []
    for path, before in record["inputs"].items():
        known = FileState(**before)
        now = state_of(Path(path), known)
        if now.sha256 != known.sha256:
            happened = "is gone" if now.sha256 == ABSENT else "is new" if known.sha256 == ABSENT else "has changed"
            lines.append(f"{path} {happened}")
    return lines


def finished_elsewhere(stages: Sequence[Keyed], name: str, config: Settings, folders: Iterable[Path]) -> Path | None:
    """A finished stage of another run that was made from the same settings and inputs, and may be copied.

    Args:
        stages: The stages of the method.
        name: Of the stage.
        config: The settings of the run that needs it.
        folders: Stage folders of other runs; those that do not exist are skipped.
    """
    wanted = settings_key(stages, name, config)
    for folder in folders:
        if (folder / RECORD).is_file():
            record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
            if record.get("settings_key") == wanted and not changed_inputs(record):
                return folder
    return None


def _time_of(path: Path, files: Sequence[Path], stats: Sequence[os.stat_result]) -> int:
    """The time of a file; of a folder a number that changes with the name, size or time of any file in it.

    The latest time would not do: an older file of the same size in the place of another changes neither.
    """
    if path.is_file():
        return stats[0].st_mtime_ns
    listing = [
        [str(file.relative_to(path)), stat.st_size, stat.st_mtime_ns] for file, stat in zip(files, stats, strict=True)
    ]
    return int(hashlib.sha256(json.dumps(listing).encode()).hexdigest()[:15], 16)


def _dumped(settings: Settings) -> dict[str, Any]:
    """The readable part of settings as plain values, without the fields that change no number."""
    return {
        name: _dumped(value) if isinstance(value, Settings) else settings.model_dump(mode="json", include={name})[name]
        for name, value in settings.__dict__.items()
        if name in counted_fields(settings)
    }


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


@lru_cache(maxsize=100_000)
def _sha256(path: Path, size: int, modified: int) -> str:  # noqa: ARG001 - several stages read the same file
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
