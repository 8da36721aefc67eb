"""What rows have in common is computed once: a finished stage is taken over from a row of the same seed.

A stage may be taken over where all that it reads is the same: the stages before it, and sections of the config. The
copy is made of hard links, so that it costs no space; a stage that is complete is never written again.
"""

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from weakmask.atomic_write import finish_folder
from weakmask.config import Settings, differences, parse, read_yaml
from weakmask.errors import UserError
from weakmask.pipeline import Stage, run_stages
from weakmask.progress import console

CROPS = {"seed", "data", "prepare"}
VESSELS = "02-vessels"
PLACES = ("data.cohort ", "data.test ")
OPENED = ("config.yaml", "manifest.json")  # all that a run holds beside its stages
# method, stage -> sections that it reads, or "all but" those that only later stages read
READS: dict[tuple[str, str], set[str]] = {
    ("dram", "01-prepare"): CROPS,
    ("dram", VESSELS): {*CROPS, "device", "network", "vessels", "regression"},
    ("cam", "01-prepare"): CROPS,
    ("floor", "01-prepare"): CROPS,  # the supervised bound's holds true masks, which no other row is to see
}
ALL_BUT: dict[tuple[str, str], set[str]] = {
    ("dram", "03-regression"): {"maps", "context"},
    ("cam", "02-classification"): {"maps"},
}


def take_over(run: Path, stages: Sequence[Stage], settings: Settings, others: Iterable[Path]) -> list[str]:
    """Copy the stages that another run has finished with the same settings, until the first that none has.

    Args:
        run: A run folder, opened.
        stages: Of its method.
        settings: Its own.
        others: Run folders of other rows; those that are not there are passed over.

    Returns:
        The names of the stages taken over.
    """
    taken = []
    others = [other for other in others if other != run and (other / "config.yaml").exists()]
    for stage in stages:
        if (run / stage.name).exists():
            continue
        source = _finished(stage.name, settings.model_dump(mode="json"), others)
        if source is None:
            break
        _copy(source, run)
        console.print(f"[green]have[/] {stage.name}, as {source.parent.parent.name} has it", highlight=False)
        taken.append(stage.name)
    return taken


def share_first(stage: Stage, run: Path, settings: Settings, shared: Path) -> None:
    """Open a run and give it its first stage, which is made once in `shared` for all runs that begin with the same.

    Args:
        stage: The first of the run's method.
        run: The run folder.
        settings: The run's.
        shared: A run folder of that stage alone.

    Raises:
        UserError: A folder cannot be written, one of the two was made with other settings, or `shared` is not ours.
    """
    if not (shared / stage.name).exists():
        _forget_stopped(shared)
        run_stages([stage], shared, settings)
    elif not (run / stage.name).exists():
        _check_made_with(settings, shared)
    run_stages([], run, settings)
    if not (run / stage.name).exists():
        _copy(shared / stage.name, run)


def _forget_stopped(shared: Path) -> None:
    """Remove the settings that a stopped call left, which may be another row's; what is not ours is left alone."""
    if not shared.is_dir():
        return
    there = {file.name for file in shared.iterdir() if not file.name.startswith(".")}
    if there and (there - set(OPENED) or "config.yaml" not in there):
        raise UserError(f"{shared} is not empty and is not what an earlier call left; choose another output folder")
    for name in OPENED:
        (shared / name).unlink(missing_ok=True)


def _check_made_with(settings: Settings, shared: Path) -> None:
    """Refuse scans that were prepared in another way; where they lie may differ, for folders are moved."""
    there = shared / "config.yaml"
    found = differences(parse(type(settings), read_yaml(there), str(there)), settings)
    if changed := [one for one in found if one.startswith(("data.", "prepare.")) and not one.startswith(PLACES)]:
        raise UserError(
            f"{shared} was made with other settings: {', '.join(changed[:3])}; "
            "choose another output folder, or delete that one"
        )


def _copy(stage: Path, run: Path) -> None:
    """The folder of a finished stage into another run."""
    temporary = run / f".{stage.name}.partial"
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(stage, temporary, copy_function=_link)
    finish_folder(temporary, run / stage.name)


def _finished(stage: str, settings: dict[str, Any], others: Iterable[Path]) -> Path | None:
    """The folder of a finished stage that has read the same."""
    for other in others:
        if not (other / stage).exists():
            continue
        theirs = read_yaml(other / "config.yaml")
        read = _read_by(stage, settings)
        if read is not None and read == _read_by(stage, theirs):
            return other / stage
    return None


def _read_by(stage: str, settings: dict[str, Any]) -> dict[str, Any] | None:
    """What a stage reads of the settings; None where it may not be taken over."""
    key = settings["method"], stage
    if key in READS:
        read = {name: settings[name] for name in sorted(READS[key])}
        # without a refinement there is no target to take vessels out of, and the stage finds none
        return read | {"refined": bool(settings.get("refinement", {}).get("weight"))} if stage == VESSELS else read
    if key in ALL_BUT:
        return {name: value for name, value in settings.items() if name not in ALL_BUT[key]}
    return None


def _link(source: str, target: str) -> None:
    """A hard link, or a copy where the disk has none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
