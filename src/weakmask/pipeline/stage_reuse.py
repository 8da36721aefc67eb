"""Stages that several rows have in common are computed once: a finished stage is copied from another run.

A stage may be copied where its key is equal: it was made from the same settings, inputs and earlier stages. The copy is
made of hard links, so that it takes no space; a stage that is complete is never written again.
"""

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from weakmask.atomic_write import finish_folder, writing_into
from weakmask.config import Settings
from weakmask.errors import MachineError
from weakmask.pipeline import Stage, finished_elsewhere
from weakmask.terminal import say


def reuse_stages(run: Path, stages: Sequence[Stage], settings: Settings, others: Iterable[Path]) -> list[str]:
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
        say("have", f"{folder}, from {source.parent}")
        copied.append(stage.name)
    return copied


def _copy(stage: Path, run: Path) -> None:
    """Copy the folder of a finished stage into another run."""
    temporary = run / f".{stage.name}.partial"
    shutil.rmtree(temporary, ignore_errors=True)
    with writing_into(run):
        try:
            shutil.copytree(stage, temporary, copy_function=_link)
        except shutil.Error as error:  # of many files at once
            raise MachineError(f"cannot copy {stage} to {run}: {error.args[0][0][2]}; mend it and repeat") from error
        finish_folder(temporary, run / stage.name)


def _link(source: str, target: str) -> None:
    """Make a hard link, or a copy where the file system has none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
