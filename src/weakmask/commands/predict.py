"""`weakmask predict`: a trained model and scans -> masks, values and a report.

OUT/
  NAME/           a folder per scan, complete or absent: masks, preview.webp, scan.json; see `inference.result_files`
  NAME.png        the mask of a picture once more, where the model needs no regions
  scores.csv      a row per region, or per image
  statistics.csv  volumes, lesions, grey values and UIDs: a row per region and one for the scan
  report.html     the scans, the most severe first
  downloads/      the images of scans from a DICOMweb server, a folder a series
  predict.json    which files were written

A scan whose folder was made from the same image, regions, model and settings is not computed again, so that the same
command goes on wherever it was stopped.

Of a model that finds instances, instead of the masks (of several stacks in NAME/):
  instances.tif   a number per instance, uint32, a page a section
  instances.csv   a row per instance
  probability.tif the probability of any instance, in 255ths
Of a stack of Zarr or HDF5 they are .zarr (OME-Zarr) or .h5. A stack may be larger than the memory: it is read, labelled
and written block by block, see `inference.stack_result`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from weakmask.commands.cluster_scans import each_scan_on
from weakmask.commands.output_folder import OutputFolder, open_output
from weakmask.commands.prediction_tables import REPORT, TABLES, Records, page_of, table_of, write_tables
from weakmask.commands.scan_jobs import Done, ScanJob, each_scan, find_jobs, outputs_of, stacks_in
from weakmask.commands.scan_work import Asked, Work, failure_of, folder_of, outputs_for
from weakmask.commands.scan_work_elsewhere import elsewhere, take_over
from weakmask.errors import MachineError, UserError
from weakmask.inference.scan_record import ScanRecord
from weakmask.inference.trained_model import Model, load
from weakmask.prediction import finds_instances, one_sided
from weakmask.progress import note
from weakmask.ray_cluster import Cluster
from weakmask.regions.scan_regions import RegionSource
from weakmask.report.page import write_report
from weakmask.volume.scan_files import ScanFile

__all__ = ["Asked", "Predicted", "RegionSource", "predict"]


@dataclass(frozen=True)
class Predicted:
    """Result of `predict`.

    Attributes:
        scores: The table that it wrote.
        failures: A line for each scan that was left out.
        unsent: A line for each result that could not be sent to a PACS.
        notes: Sentences about the model and its masks that a user should read.
        masks: Where the masks are, with NAME for a scan's name.
    """

    scores: pd.DataFrame
    failures: tuple[str, ...]
    unsent: tuple[str, ...]
    notes: tuple[str, ...]
    masks: tuple[str, ...]


def predict(
    model: Path | Model,
    scans: Sequence[Path | ScanFile],
    out: Path,
    regions: RegionSource,
    device: str = "auto",
    asked: Asked | None = None,
    cluster: Cluster | None = None,
) -> Predicted:
    """Segment scans; a faulty scan is named in one line and the others go on.

    Args:
        model: A model, its file, or the run folder that holds one.
        scans: Files, DICOM folders, or folders of scans; or scans that `chosen_scans` found.
        out: The folder to write.
        regions: Where the regions come from.
        device: auto, cpu, cuda or mps; for a model that is not loaded yet.
        asked: Other wishes; None: none.
        cluster: The Ray cluster whose workers segment the scans; None: this process does.

    Raises:
        UserError: No such model, no scan, the region mask of one scan for several, an output that cannot be written or
            would replace a file of the user's, every scan failed, or no such cluster.
    """
    asked = asked or Asked()
    loaded = load(model, device)
    instances = finds_instances(loaded.segmenter)
    scans = stacks_in(scans) if instances else scans
    alone = instances and len(scans) == 1
    jobs, twice = find_jobs(scans, partial(outputs_for, out, loaded, alone), asked.naming)
    regions.refuse_for_several([job.masks for job in jobs])
    folder = _opened(out, jobs, regions)
    work = Work(loaded, regions, out, Records(), asked)
    try:
        done = _each(work, jobs, cluster)
    except (UserError, MachineError):
        folder.forget()
        raise
    return _finished(work, model, done, twice)


def _each(work: Work, jobs: Sequence[ScanJob], cluster: Cluster | None) -> Done[ScanRecord]:
    """Segment the scans, here or on a cluster."""

    def failed(job: ScanJob, line: str) -> None:
        """Report a scan that was left out."""
        work.asked.listener(failure_of(job, line))

    if cluster is None:
        return each_scan(jobs, "scans", work.of, failed)
    done = each_scan_on(cluster, jobs, "scans", elsewhere(work), partial(take_over, work), failed)
    for job, found in done.results:
        work.records.add(folder_of(job), found.record)
    return Done(tuple((job, found.record) for job, found in done.results), done.failures)


def _opened(out: Path, jobs: Sequence[ScanJob], regions: RegionSource) -> OutputFolder:
    """The folder of results, which is refused if they would replace files of the user's."""
    inputs = [path for job in jobs for path in (job.image, *regions.masks_of(*job.masks))]
    return open_output(out, "predict", [*outputs_of(jobs), *(out / table for table in TABLES)], inputs)


def _finished(work: Work, model: Path | Model, done: Done[ScanRecord], twice: list[str]) -> Predicted:
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
    return Predicted(table, failures, tuple(work.unsent), notes, tuple(masks))


def _shown_place(out: Path, job: ScanJob) -> str:
    """Where a scan's mask is, with NAME for its name."""
    mask = job.outputs["mask"]
    return f"{out}/{mask.name}" if mask.parent == out else f"{out}/NAME/{mask.name}"
