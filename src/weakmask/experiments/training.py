"""The training of one run of an experiment."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from weakmask.config import Settings
from weakmask.experiments.floors import FLOOR_METHODS
from weakmask.experiments.mitochondria_floor import FLOOR as MITOCHONDRIA_FLOOR
from weakmask.methods import METHODS, write_run_report
from weakmask.methods.method import Method
from weakmask.methods.wsmis.baselines import BASELINES
from weakmask.pipeline import Stage, run_stages
from weakmask.pipeline.stage_reuse import reuse_stages


@dataclass(frozen=True)
class Training:
    """The training of one run; it can be pickled.

    Attributes:
        method: Its name in `METHODS`, `FLOOR_METHODS` or `BASELINES`.
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
        self._run_stages(method_of(self.method).stages[:1])

    def finish(self) -> None:
        """Run the other stages and write the run's report."""
        method = method_of(self.method)
        stages = method.stages
        names = [stage.name for stage in stages]
        self._run_stages(stages[: names.index(self.last_stage or names[-1]) + 1])
        if self.last_stage is None:
            write_run_report(method, self.settings, self.run)

    def _run_stages(self, stages: Sequence[Stage]) -> None:
        run_stages([], self.run, self.settings)
        reuse_stages(self.run, stages, self.settings, self.others)
        run_stages(stages, self.run, self.settings)


def method_of(name: str) -> Method:
    """The record of a method, or of rows that are methods only here."""
    own = {"mitochondria-grey": MITOCHONDRIA_FLOOR}
    return next(methods[name] for methods in (FLOOR_METHODS, own, BASELINES, METHODS) if name in methods)
