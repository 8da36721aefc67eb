"""`weakmask predict`: a trained model and scans -> masks, values and a report.

OUT/
  NAME/           a folder per scan, complete or absent: masks, preview.webp, scan.json; see `inference.result_files`
  NAME.png        the mask of a picture once more, where the model needs no regions
  scores.csv      a row per region, or per image
  statistics.csv  volumes, lesions, grey values and UIDs: a row per region and one for the scan
  report.html     the scans, the most severe first
  predict.json    which files were written

A scan whose folder was made from the same image, regions, model and settings is not computed again, so that the same
command goes on wherever it was stopped.

Of a model that finds instances, instead of the masks (of several stacks in NAME/):
  instances.tif   a number per instance, uint32, a page a section
  instances.csv   a row per instance
  probability.tif the probability of any instance, in 255ths
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from weakmask.atomic_write import atomic_file
from weakmask.commands.job_names import Naming
from weakmask.commands.output_folder import OutputFolder, open_output
from weakmask.commands.prediction_tables import REPORT, TABLES, Records, page_of, table_of, write_tables
from weakmask.commands.scan_jobs import Done, ScanJob, each_scan, find_jobs, outputs_of, stacks_in
from weakmask.errors import MachineError, UserError
from weakmask.inference.origin import Origin
from weakmask.inference.result_files import digest_of, layer_files, refuse_changed
from weakmask.inference.scan_record import RECORD, VIEWER, ScanRecord, read_record
from weakmask.inference.trained_model import Model, load
from weakmask.inference.viewer_file import add_viewer
from weakmask.prediction import finds_instances, one_sided
from weakmask.progress import note
from weakmask.regions.scan_regions import RegionSource
from weakmask.report.page import write_report
from weakmask.volume.pictures import is_picture
from weakmask.volume.scan_files import ScanFile

__all__ = ["Asked", "Predicted", "RegionSource", "predict"]

NAMED = "named"  # the mask of a picture, under the picture's name
State = Literal["done", "had", "left out"]
Objects = Literal["", "bits", "labelmap"]
Listener = Callable[[dict[str, Any]], None]


def _tell_nothing(_: Mapping[str, Any]) -> None:
    """The listener of a command that prints nothing for each scan."""


@dataclass(frozen=True)
class Asked:
    """Wishes beside masks, tables and a report.

    Attributes:
        naming: Source of the names of the scans, see `job_names.names_of`.
        objects: Also write DICOM objects of DICOM scans, with masks as bits or as a label map; empty: none.
        listener: Is called with a report on each scan, as plain values.
        viewer: Also write a page to scroll in.
    """

    naming: Naming = "path"
    objects: Objects = ""
    listener: Listener = _tell_nothing
    viewer: bool = False


@dataclass(frozen=True)
class Predicted:
    """Result of `predict`.

    Attributes:
        scores: The table that it wrote.
        failures: A line for each scan that was left out.
        notes: Sentences about the model and its masks that a user should read.
        masks: Where the masks are, with NAME for a scan's name.
    """

    scores: pd.DataFrame
    failures: tuple[str, ...]
    notes: tuple[str, ...]
    masks: tuple[str, ...]


@dataclass(frozen=True)
class _Work:
    """Inputs and state of the work on scans.

    Attributes:
        model: The model.
        regions: Where the regions come from.
        out: The folder of all results.
        records: The finished results.
        asked: Other wishes.
    """

    model: Model
    regions: RegionSource
    out: Path
    records: Records
    asked: Asked

    def of(self, job: ScanJob) -> ScanRecord:
        """The record of a scan, which is computed unless it is there."""
        folder = _folder(job)
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
        self.asked.listener(_line(job, record, "had" if had else "done"))
        return record

    def _computed(self, job: ScanJob, folder: Path, source: RegionSource, before: ScanRecord | None) -> ScanRecord:
        """Compute a scan; tables and report of other results go first."""
        names = [file.name for file in job.outputs.values() if file.parent == folder]
        _refuse_changed_copy(job, before)
        refuse_changed(folder, before, names, names)
        for table in TABLES:
            (self.out / table).unlink(missing_ok=True)
        result = self.model.segment(job.image, source, name=job.name, series=job.series)
        if NAMED in job.outputs:
            job.outputs[NAMED].unlink(missing_ok=True)
        return result.save_into(folder, names, shared=folder == self.out)

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


def predict(
    model: Path | Model,
    scans: Sequence[Path | ScanFile],
    out: Path,
    regions: RegionSource,
    device: str = "auto",
    asked: Asked | None = None,
) -> Predicted:
    """Segment scans; a faulty scan is named in one line and the others go on.

    Args:
        model: A model, its file, or the run folder that holds one.
        scans: Files, DICOM folders, or folders of scans; or scans that `chosen_scans` found.
        out: The folder to write.
        regions: Where the regions come from.
        device: auto, cpu, cuda or mps; for a model that is not loaded yet.
        asked: Other wishes; None: none.

    Raises:
        UserError: No such model, no scan, the region mask of one scan for several, an output that cannot be written or
            would replace a file of the user's, or every scan failed.
    """
    asked = asked or Asked()
    loaded = load(model, device)
    instances = finds_instances(loaded.segmenter)
    scans = stacks_in(scans) if instances else scans
    alone = instances and len(scans) == 1
    jobs, twice = find_jobs(scans, partial(_outputs, out, loaded, alone), asked.naming)
    regions.refuse_for_several([job.masks for job in jobs])
    folder = _opened(out, jobs, regions)
    work = _Work(loaded, regions, out, Records(), asked)
    try:
        done = each_scan(jobs, "scans", work.of, lambda job, line: asked.listener(_failure(job, line)))
    except (UserError, MachineError):
        folder.forget()
        raise
    return _finished(work, model, done, twice)


def _opened(out: Path, jobs: Sequence[ScanJob], regions: RegionSource) -> OutputFolder:
    """The folder of results, which is refused if they would replace files of the user's."""
    inputs = [path for job in jobs for path in (job.image, *regions.masks_of(*job.masks))]
    return open_output(out, "predict", [*outputs_of(jobs), *(out / table for table in TABLES)], inputs)


def _finished(work: _Work, model: Path | Model, done: Done[ScanRecord], twice: list[str]) -> Predicted:
    """Write the tables and the report of everything that is there."""
    out, failures = work.out, (*twice, *done.failures)
    earlier = work.records.add_others(out)
    if earlier:
        note(f"{out}: the tables and the report also show {earlier} earlier results of this model", again=True)
    write_tables(out, work.records)
    table = table_of(work.records)
    if table.empty:
        raise UserError(f"none of the pictures has a region, so their masks are empty; they are in {out}")
    fractions = table["fraction"].dropna().tolist() if "fraction" in table else []
    notes = (*work.model.about.notes, *filter(None, [one_sided(fractions, len(work.records))]))
    shown = str(work.model.file if isinstance(model, Model) else model)
    write_report(out / REPORT, page_of(work.model.segmenter, shown, work.records, failures, notes))
    masks = sorted({_shown_place(out, job) for job, _ in done.results})
    return Predicted(table, failures, notes, tuple(masks))


def _outputs(out: Path, model: Model, alone: bool, name: str, image: Path) -> dict[str, Path]:  # noqa: FBT001 (partial)
    """The files that a scan may leave.

    A single stack has them beside the report, and tools that compare masks of pictures expect them under the picture's
    name.
    """
    picture = is_picture(image)
    kind = "instances" if finds_instances(model.segmenter) else "classes"
    folder = out if alone else out / name
    files = {layer: folder / file for layer, file in layer_files(kind, picture=picture).items()}
    files["record"] = folder / RECORD
    return {**files, NAMED: out / f"{name}.png"} if picture and not model.needs_regions else files


def _folder(job: ScanJob) -> Path:
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


def _shown_place(out: Path, job: ScanJob) -> str:
    """Where a scan's mask is, with NAME for its name."""
    mask = job.outputs["mask"]
    return f"{out}/{mask.name}" if mask.parent == out else f"{out}/NAME/{mask.name}"


def _line(job: ScanJob, record: ScanRecord, state: State) -> dict[str, Any]:
    """Report on a scan, as plain values."""
    return {
        "scan": job.name,
        "state": state,
        "image": str(job.image),
        "folder": str(_folder(job)),
        "seconds": record.seconds,
        "severity": record.severity,
        **record.ids,
        "values": [{name: value for name, value in row.items() if name != "scan"} for row in record.rows],
        "warnings": list(record.warnings),
    }


def _failure(job: ScanJob, line: str) -> dict[str, Any]:
    return {"scan": job.name, "state": "left out", "image": str(job.image), "error": line}
