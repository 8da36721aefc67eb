"""Stages that several rows have in common are computed once: a finished stage is copied from another run.

A stage may be copied where its key is equal: it was made from the same settings, inputs and earlier stages. The copy is
made of hard links, so that it takes no space; a stage that is complete is never written again.
"""

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from weakmask.atomic_write import finish_folder
from weakmask.config import Settings
from weakmask.errors import UserError
from weakmask.pipeline import Stage, finished_elsewhere, run_stages
from weakmask.progress import console

OPENED = ("config.yaml", "manifest.json")  # all that a run holds beside its stages


def take_over(run: Path, stages: Sequence[Stage], settings: Settings, others: Iterable[Path]) -> list[str]:
    """Copy the stages that another run has finished from the same settings and inputs, up to the first that none has.

    Args:
        run: A run folder, opened.
        stages: Of its method.
        settings: Its own.
        others: Run folders of other rows; those that do not exist are skipped.

    Returns:
        The names of the stages that were copied.
    """
    copied = []
    others = [other for other in others if other != run]
    for number, stage in enumerate(stages, 1):
        folder = f"{number:02d}-{stage.name}"
        if (run / folder).exists():
            continue
        source = finished_elsewhere(stages, stage.name, settings, [other / folder for other in others])
        if source is None:
            break
        _copy(source, run)
        console.print(f"[green]have[/] {folder}, as {source.parent.parent.name} has it", highlight=False)
        copied.append(stage.name)
    return copied


def share_first(stages: Sequence[Stage], run: Path, settings: Settings, shared: Path) -> None:
    """Open a run and give it its first stage, which is made once in `shared` for all runs that begin with the same.

    Args:
        stages: Of the run's method.
        run: The run folder.
        settings: The run's.
        shared: A run folder of the first stage alone.

    Raises:
        UserError: A folder cannot be written, one of the two was made from other settings or inputs, or `shared` holds
            other files.
    """
    folder = f"01-{stages[0].name}"
    if not (shared / folder).exists():
        _forget_stopped(shared)
        run_stages(stages[:1], shared, settings)
    elif not (run / folder).exists() and not finished_elsewhere(stages, stages[0].name, settings, [shared / folder]):
        raise UserError(
            f"{shared} was made with other settings or from other inputs; choose another output folder, or delete it"
        )
    run_stages([], run, settings)
    if not (run / folder).exists():
        _copy(shared / folder, run)


def _forget_stopped(shared: Path) -> None:
    """Remove the settings that an interrupted call left, which may be another row's; refuse other files."""
    if not shared.is_dir():
        return
    present = {file.name for file in shared.iterdir() if not file.name.startswith(".")}
    if present and (present - set(OPENED) or "config.yaml" not in present):
        raise UserError(f"{shared} is not empty and is not what an earlier call left; choose another output folder")
    for name in OPENED:
        (shared / name).unlink(missing_ok=True)


def _copy(stage: Path, run: Path) -> None:
    """Copy the folder of a finished stage into another run."""
    temporary = run / f".{stage.name}.partial"
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(stage, temporary, copy_function=_link)
    finish_folder(temporary, run / stage.name)


def _link(source: str, target: str) -> None:
    """Make a hard link, or a copy where the file system has none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
