"""A stage is a function that reads folders and writes one folder; a run is its stages in order.

The folder of a stage has its number and its name, for example `02-regression`. It is written under a temporary name and
renamed when complete, so that a stage is complete or absent; a stage that trains keeps its temporary folder after an
interruption and resumes from the checkpoint in it.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from weakmask.atomic_write import atomic_file, clear_litter, finish_folder, writing_into
from weakmask.config import DeviceSettings, Settings, differences, parse, read_yaml, restricted, to_yaml
from weakmask.errors import MachineError, UserError, is_machine_fault
from weakmask.folder_lock import locked
from weakmask.memory import is_out_of_memory
from weakmask.pipeline.keys import RECORD, FileState, changed_inputs, settings_key, state_of, whole_key
from weakmask.pipeline.manifest import read_stage, stage_folder, write_json, write_manifest
from weakmask.pipeline.peak_memory import peak_memory_mb, reset_peak_memory
from weakmask.terminal import say, sum_up
from weakmask.training.checkpoints import training_notes
from weakmask.training.devices import Spread, device_of

BEGUN = "begun.json"  # in the temporary folder of a resumable stage: the key it was begun with

Config = TypeVar("Config")


@dataclass
class Work(Generic[Config]):
    """Context of a stage function: folders, settings and notes.

    Attributes:
        run: The run folder.
        out: The folder that this stage writes.
        config: The settings of the method; of a stage that names the settings it reads, these alone.
        reads: Names of the stages whose folders may be read; None: any.
        notes: Lines for the manifest and the report: what was left out, what was decided.
        inputs: State of the files that were read, by path.
        printed: Notes of the run that were printed, by any stage; each is printed once.
        spread: The devices that share each training.
    """

    run: Path
    out: Path
    config: Config
    reads: tuple[str, ...] | None = None
    notes: list[str] = field(default_factory=list)
    inputs: dict[str, FileState] = field(default_factory=dict)
    printed: set[str] = field(default_factory=set)
    spread: Spread = field(default_factory=Spread)

    def stage(self, name: str) -> Path:
        """The folder of an earlier stage.

        Raises:
            ValueError: The stage does not declare that it reads it.
            UserError: That stage is not finished.
        """
        if self.reads is not None and name not in self.reads:
            raise ValueError(f"{self.out.name} reads {name} and does not name it in `after`")
        return stage_folder(self.run, name)

    def note(self, line: str) -> None:
        """Print a line now, once in a run, and keep it for the manifest and the report."""
        if line not in self.notes:
            self.notes.append(line)
        if line not in self.printed:
            self.printed.add(line)
            say("note", line)

    def note_all(self, kinds: Mapping[str, str]) -> None:
        """Keep many lines, and print them; where they are too many for a screen, those of a kind are summed up.

        Args:
            kinds: Line -> its kind; see `sum_up`.
        """
        kept = set(self.notes)
        self.notes += [line for line in kinds if line not in kept]
        new = {line: kind for line, kind in kinds.items() if line not in self.printed}
        self.printed.update(new)
        for line in sum_up(list(new), list(new.values())):
            say("note", line)

    def hash_input(self, path: Path) -> None:
        """Record the content of a file, of a folder (a DICOM series), or that the file is absent."""
        path = path.absolute()  # the link's name, not its target's
        self.inputs[str(path)] = state_of(path, self.inputs.get(str(path)))


@dataclass(frozen=True)
class Stage:
    """One step of a method.

    Attributes:
        name: In the paper's words, for example `regression`.
        run: The function; it writes into `work.out`.
        after: Names of the stages whose folders it reads.
        settings: Names of the settings it reads, for example `seed` or `refinement.weight`; None: all. The function
            sees no others.
        resumable: Whether its temporary folder is kept after an interruption, because it holds checkpoints.
        off: Settings -> whether they switch the stage off; its function then writes nothing. None: never.
    """

    name: str
    run: Callable[[Work[Any]], None]
    after: tuple[str, ...] = ()
    settings: tuple[str, ...] | None = None
    resumable: bool = False
    off: Callable[[Any], bool] | None = None


def run_stages(stages: Sequence[Stage], run: Path, config: Settings) -> None:
    """Run the stages that are not complete yet, in order.

    Raises:
        UserError: The folder is in use by another process, holds a run with other settings, or a finished stage was
            made from inputs that have changed since.
        MachineError: The folder cannot be written, or memory, disk or permissions ended a stage; the stage is not
            complete, and the same call goes on from there.
    """
    _open_run(run, config)
    clear_litter(run)
    keys: dict[str, str] = {}
    printed: set[str] = set()
    with locked(run):
        for number, stage in enumerate(stages, 1):
            folder = run / f"{number:02d}-{stage.name}"
            wanted, before = settings_key(stages, stage.name, config), {name: keys[name] for name in stage.after}
            off = stage.off is not None and stage.off(config)
            if folder.exists():
                keys[stage.name] = _checked_key(folder, wanted, before)
                say("off" if off else "have", folder.name)
                continue
            with _machine_faults(folder):
                temporary = _temporary_folder(folder, stage, {"settings_key": wanted, "after": before})
                say("off" if off else "stage", folder.name)
                settings, spread = restricted(config, stage.settings), spread_of(config)
                work = Work(run, temporary, settings, stage.after, printed=printed, spread=spread)
                record = _run_stage(stage, work)
                keys[stage.name] = whole_key(wanted, record.pop("states"), before)
                record |= {"settings_key": wanted, "after": before, "key": keys[stage.name]}
                write_json(temporary / RECORD, {"stage": folder.name, **record})
                (temporary / BEGUN).unlink(missing_ok=True)
                finish_folder(temporary, folder)
                write_manifest(run, config)


def spread_of(config: Settings) -> Spread:
    """The devices that share each training, as the section `training` says; one without such a section."""
    devices = getattr(config, "training", None)
    return Spread(**devices.model_dump()) if isinstance(devices, DeviceSettings) else Spread()


@contextmanager
def _machine_faults(folder: Path) -> Iterator[None]:
    """Turn lack of memory and a system's error in a stage into one line; the stage stays incomplete.

    Raises:
        MachineError: Such a fault.
    """
    again = "the same command goes on from here"
    try:
        yield
    except OSError as error:
        if not (is_machine_fault(error) or isinstance(error, PermissionError)):
            raise
        where = error.filename or folder.parent
        raise MachineError(f"stage {folder.name}: {where}: {error.strerror}; mend it, and {again}") from error
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise MachineError(f"stage {folder.name}: not enough memory; close other programs, and {again}") from error


def _run_stage(stage: Stage, work: Work[Any]) -> dict[str, Any]:
    """Call the stage's function; returns what its record says of it."""
    reset_peak_memory()
    start = time.perf_counter()
    stage.run(work)
    device = getattr(work.config, "device", None)
    return {
        "seconds": round(time.perf_counter() - start, 2),
        "peak_memory_mb": round(peak_memory_mb()),
        "computed": training_notes(work.out) or ({"device": str(device_of(device))} if device else {}),
        "notes": work.notes,
        "inputs": {path: asdict(state) for path, state in work.inputs.items()},
        "states": work.inputs,
    }


def _temporary_folder(folder: Path, stage: Stage, begun: dict[str, Any]) -> Path:
    """The folder that the stage writes into; what an interrupted call left is kept if it began with the same key."""
    temporary = folder.with_name(f".{folder.name}.partial")
    if not (stage.resumable and _begun(temporary) == begun):
        shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(exist_ok=True)
    if stage.resumable:
        write_json(temporary / BEGUN, begun)
    return temporary


def _begun(temporary: Path) -> dict[str, Any] | None:
    try:
        return read_yaml(temporary / BEGUN)  # JSON is YAML
    except UserError:
        return None


def _checked_key(folder: Path, wanted: str, before: dict[str, str]) -> str:
    """The key of a finished stage.

    Raises:
        UserError: It was made from other settings, inputs or earlier stages than those of now.
    """
    record = read_stage(folder)
    changed = changed_inputs(record)
    if record["settings_key"] != wanted:
        changed.append("its settings or its code have changed")
    changed += [f"stage {name} was made anew" for name, key in before.items() if record["after"].get(name) != key]
    if changed:
        more = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
        raise UserError(
            f"{folder} is out of date: {changed[0]}{more}; choose another output folder, or delete this folder and "
            "those with higher numbers to make them again"
        )
    return record["key"]


def _open_run(run: Path, config: Settings) -> None:
    """Make the run folder, or check that the existing one has the same settings."""
    with writing_into(run):
        run.mkdir(parents=True, exist_ok=True)
    existing = run / "config.yaml"
    if existing.exists():
        old = parse(type(config), read_yaml(existing), str(existing))
        if changed := differences(old, config):
            raise UserError(
                f"{run} holds a run with other settings: {', '.join(changed[:3])}; "
                "choose another output folder, or delete that one"
            )
        return
    if any(not file.name.startswith(".") for file in run.iterdir()):
        raise UserError(f"{run} is not empty and is not a run; choose another output folder")
    with atomic_file(existing) as temporary:
        temporary.write_text(to_yaml(config), encoding="utf-8")
