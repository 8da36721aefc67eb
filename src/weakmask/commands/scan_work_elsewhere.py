"""The work of `weakmask predict` on one scan in another process, and its report."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from weakmask.commands.prediction_tables import Records
from weakmask.commands.scan_jobs import ScanJob
from weakmask.commands.scan_work import Asked, Work, tell_nothing
from weakmask.errors import UserError
from weakmask.inference.scan_record import ScanRecord
from weakmask.inference.trained_model import Model, load
from weakmask.regions.scan_regions import RegionSource
from weakmask.terminal import say


@dataclass(frozen=True)
class Found:
    """The report of another process on a scan; its masks lie in its folder.

    Attributes:
        record: Of the result.
        line: The report on the scan, as plain values.
        unsent: A line for each result that could not be sent.
    """

    record: ScanRecord
    line: dict[str, Any]
    unsent: tuple[str, ...]


def elsewhere(work: Work) -> Callable[[], Callable[[ScanJob], Found]]:
    """A function with which another process begins the same work; it loads the model from its file.

    Raises:
        UserError: The model has no file.
    """
    model = work.model
    if model.file is None:
        raise UserError("this model is in no file, from which the workers of a cluster could load it; save it first")
    arguments = (model.file, model.device, model.memory_gb, model.precision, model.subtypes)
    return partial(
        _begin, partial(load, *arguments), work.regions, work.out, replace(work.asked, listener=tell_nothing)
    )


def take_over(work: Work, job: ScanJob, found: Found) -> None:  # noqa: ARG001 - as the cluster calls it
    """Report what another process found."""
    for line in found.unsent:
        work.unsent.append(line)
        say("not sent", line)
    work.asked.listener(found.line)


def _begin(loaded: Callable[[], Model], regions: RegionSource, out: Path, asked: Asked) -> Callable[[ScanJob], Found]:
    """Load the model; returns the work on one scan."""
    return partial(_found, loaded(), regions, out, asked)


def _found(model: Model, regions: RegionSource, out: Path, asked: Asked, job: ScanJob) -> Found:
    """Work on a scan."""
    lines: list[dict[str, Any]] = []
    work = Work(model, regions, out, Records(), replace(asked, listener=lines.append))
    record = work.of(job)
    return Found(record, lines[0], tuple(work.unsent))
