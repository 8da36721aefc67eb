"""The training of one run of an experiment."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

from weakmask.config import Settings
from weakmask.experiments import floors
from weakmask.experiments.stage_reuse import reuse_stages
from weakmask.methods import METHODS
from weakmask.pipeline import Stage, run_stages


@dataclass(frozen=True)
class Training:
    """The training of one run; it can be pickled.

    Attributes:
        method: Its name in `METHODS`, or `floor`.
        settings: Of the run.
        run: The run folder.
        others: Runs whose finished stages it may reuse.
        last_stage: The stage to end with; None: all stages, and the method's report.
    """

    method: str
    settings: Settings
    run: Path
    others: tuple[Path, ...] = ()
    last_stage: str | None = None

    def start(self) -> None:
        """Make the first stage, or reuse that of another run."""
        self._run_stages(method_of(self.method)[0][:1])

    def finish(self) -> None:
        """Run the other stages and write the run's report."""
        stages, report = method_of(self.method)
        names = [stage.name for stage in stages]
        self._run_stages(stages[: names.index(self.last_stage or names[-1]) + 1])
        if self.last_stage is None:
            report(self.run, self.settings)

    def _run_stages(self, stages: Sequence[Stage]) -> None:
        run_stages([], self.run, self.settings)
        reuse_stages(self.run, stages, self.settings, self.others)
        run_stages(stages, self.run, self.settings)


def method_of(name: str) -> tuple[Sequence[Stage], Callable[[Path, Any], pd.DataFrame]]:
    """The stages of a method, and the function that writes the report of a run."""
    module = floors if name == "floor" else import_module(METHODS[name].module)
    return module.STAGES, module.conclude
