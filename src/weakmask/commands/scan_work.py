"""The work of `weakmask predict` on one scan: its result, complete or absent, and the wishes beside it.

Every command that segments scans uses it, so that all leave the same folders.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from weakmask.atomic_write import atomic_file
from weakmask.commands.job_names import Naming
from weakmask.commands.prediction_tables import TABLES, Records
from weakmask.commands.result_sending import Target
from weakmask.commands.scan_jobs import ScanJob
from weakmask.errors import UserError
from weakmask.inference.origin import Origin
from weakmask.inference.result_files import digest_of, layer_files, refuse_changed
from weakmask.inference.scan_record import RECORD, VIEWER, ScanRecord, read_record
from weakmask.inference.stack_result import save_stack_result
from weakmask.inference.trained_model import Model
from weakmask.inference.viewer_file import add_viewer
from weakmask.prediction import StackSegmenter, finds_instances
from weakmask.progress import note
from weakmask.regions.scan_regions import RegionSource
from weakmask.terminal import say
from weakmask.volume.pictures import is_picture
from weakmask.volume.stack_files import is_stack

NAMED = "named"  # the mask of a picture, under the picture's name
State = Literal["done", "had", "left out"]
Objects = Literal["", "bits", "labelmap"]
Listener = Callable[[dict[str, Any]], None]


def tell_nothing(_: Mapping[str, Any]) -> None:
    """The listener of a command that prints nothing for each scan."""


@dataclass(frozen=True)
class Asked:
    """Wishes beside masks, tables and a report.

    Attributes:
        naming: Source of the names of the scans, see `job_names.names_of`.
        objects: Also write DICOM objects of DICOM scans, with masks as bits or as a label map; empty: none.
        listener: Is called with a report on each scan, as plain values.
        viewer: Also write a page to scroll in.
        target: Also send the DICOM objects to a PACS; None: to none.
    """

    naming: Naming = "path"
    objects: Objects = ""
    listener: Listener = tell_nothing
    viewer: bool = False
    target: Target | None = None


@dataclass(frozen=True)
class Work:
    """Inputs and state of the work on scans.

    Attributes:
        model: The model.
        regions: Where the regions come from.
        out: The folder of all results.
        records: The finished results.
        asked: Other wishes.
        unsent: A line for each result that could not be sent.
    """

    model: Model
    regions: RegionSource
    out: Path
    records: Records
    asked: Asked
    unsent: list[str] = field(default_factory=list)

    def of(self, job: ScanJob) -> ScanRecord:
        """The record of a scan, which is computed unless it is there."""
        folder = folder_of(job)
        source = self.regions.for_scan(*job.masks)
        before = read_record(folder)
        known = None if before is None else before.origin
        origin = self.model.origin(job.image, source, job.series, known, self.out)
        had = before is not None and _is_whole(before, folder, origin)
        record = self._computed(job, folder, source, before) if before is None or not had else before
        _copy_named(job)
        record = self._with_objects(job, folder, record) if self.asked.objects else record
        if self.asked.viewer and not (folder / VIEWER).exists() and not record.is_empty:
            record = add_viewer(folder, record)
        self.records.add(folder, record)
        sent = {} if self.asked.target is None else {"sent": self._is_sent(self.asked.target, folder, record)}
        self.asked.listener({**_line(job, record, "had" if had else "done"), **sent})
        return record

    def _is_sent(self, target: Target, folder: Path, record: ScanRecord) -> bool:
        """Send the DICOM objects; a line says that it failed, and the same command tries again."""
        try:
            target.send_result(folder, record)
        except UserError as error:
            self.unsent.append(f"{folder}: not sent: {error}")
            say("not sent", self.unsent[-1])
            return False
        return True

    def _computed(self, job: ScanJob, folder: Path, source: RegionSource, before: ScanRecord | None) -> ScanRecord:
        """Compute a scan; tables and report of other results go first."""
        names = [file.name for file in job.outputs.values() if file.parent == folder]
        _refuse_changed_copy(job, before)
        refuse_changed(folder, before, names, names)
        for table in TABLES:
            (self.out / table).unlink(missing_ok=True)
        shared = folder == self.out
        if isinstance(self.model.segmenter, StackSegmenter) and is_stack(job.image):
            return save_stack_result(self.model, job.image, job.name, folder, names, shared=shared)
        result = self.model.segment(job.image, source, name=job.name, series=job.series)
        if NAMED in job.outputs:
            job.outputs[NAMED].unlink(missing_ok=True)
        return result.save_into(folder, names, shared=shared)

    def _with_objects(self, job: ScanJob, folder: Path, record: ScanRecord) -> ScanRecord:
        """The record after its DICOM objects are written, if the scan is DICOM and they are not there."""
        from weakmask.inference.dicom_export import add_dicom, has_dicom  # noqa: PLC0415 (highdicom takes time to import)
        from weakmask.pacs.source_series import read_source  # noqa: PLC0415 (likewise)

        labelmap = self.asked.objects == "labelmap"
        if not record.ids or has_dicom(folder, record, labelmap=labelmap):
            return record
        try:
            source = read_source(job.image, job.series)
            return add_dicom(folder, record, source, self.model.about.title, labelmap=labelmap)
        except UserError as error:
            note(f"{job.image}: no DICOM objects: {error}", again=True)
            return record


def outputs_for(out: Path, model: Model, alone: bool, name: str, image: Path) -> dict[str, Path]:  # noqa: FBT001 (partial)
    """The files that a scan may leave.

    A single stack has them beside the report, and tools that compare masks of pictures expect them under the picture's
    name.
    """
    kind = "instances" if finds_instances(model.segmenter) else "classes"
    folder = out if alone else out / name
    files = {layer: folder / file for layer, file in layer_files(kind, image).items()}
    files["record"] = folder / RECORD
    return {**files, NAMED: out / f"{name}.png"} if is_picture(image) and not model.needs_regions else files


def folder_of(job: ScanJob) -> Path:
    """The folder of the results of a scan."""
    return job.outputs["record"].parent


def _is_whole(record: ScanRecord, folder: Path, origin: Origin) -> bool:
    """Whether a result is that of an origin, and its files are there."""
    return origin.same_as(record.origin) and all((folder / name).exists() for name in record.computed_files)


def _copy_named(job: ScanJob) -> None:
    """Write the mask of a picture once more under the picture's name."""
    if NAMED in job.outputs and not job.outputs[NAMED].exists():
        with atomic_file(job.outputs[NAMED]) as temporary:
            shutil.copyfile(job.outputs["mask"], temporary)


def _refuse_changed_copy(job: ScanJob, before: ScanRecord | None) -> None:
    """Refuse to replace a copy that a user changed."""
    copy = job.outputs.get(NAMED)
    written = None if before is None else before.files.get(job.outputs["mask"].name)
    if copy is not None and written is not None and copy.exists() and digest_of(copy) != written:
        raise UserError(f"{copy}: was changed after it was written; move it, or choose another folder for --out")


def _line(job: ScanJob, record: ScanRecord, state: State) -> dict[str, Any]:
    """Report on a scan, as plain values."""
    return {
        "scan": job.name,
        "state": state,
        "image": str(job.image),
        "folder": str(folder_of(job)),
        "seconds": record.seconds,
        "severity": record.severity,
        **record.ids,
        "values": [{name: value for name, value in row.items() if name != "scan"} for row in record.rows],
        "warnings": list(record.warnings),
    }


def failure_of(job: ScanJob, line: str) -> dict[str, Any]:
    """Report on a scan that was left out, as plain values."""
    return {"scan": job.name, "state": "left out", "image": str(job.image), "error": line}
