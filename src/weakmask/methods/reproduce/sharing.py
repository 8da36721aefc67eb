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
from weakmask.config import Settings, read_yaml
from weakmask.pipeline import Stage, run_stages
from weakmask.progress import console

CROPS = {"seed", "data", "prepare"}
VESSELS = "02-vessels"
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
    """Open a run and give it its first stage, which is made once in `shared` for all runs that begin with the same."""
    if not (shared / stage.name).exists():
        shutil.rmtree(shared, ignore_errors=True)
        run_stages([stage], shared, settings)
    run_stages([], run, settings)
    if not (run / stage.name).exists():
        _copy(shared / stage.name, run)


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
