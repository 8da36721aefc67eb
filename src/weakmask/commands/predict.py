"""`weakmask predict`: a trained model and scans -> masks, values and a report.

OUT/
  NAME/mask.nii.gz  activation.nii.gz  regions.nii.gz  subtypes.nii.gz    of a picture .png
  NAME.png        the mask of a picture once more, where the model needs no regions
  scores.csv      a row per region, or per image
  report.html     the scans, the most severe first
  predict.json    which files were written

Of a model that finds instances, instead of the masks:
  instances.tif   a number per instance, uint32, a page a section; of several stacks NAME/instances.tif
  instances.csv   a row per instance
  probability.tif the probability of any instance, in 255ths
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd

from weakmask.atomic_write import atomic_file
from weakmask.commands.output_folder import open_output
from weakmask.commands.scan_jobs import Done, ScanJob, each_scan, find_jobs, outputs_of, stacks_in
from weakmask.csv_table import write_csv
from weakmask.errors import MachineError, UserError
from weakmask.methods import load_segmenter
from weakmask.pipeline import provenance
from weakmask.prediction import Limits, Prediction, Quantity, Segmenter, finds_instances, one_sided, value_rows
from weakmask.regions.scan_regions import RegionSource
from weakmask.regions.segment_scan import is_empty, read_scan, segment_scan
from weakmask.report.page import Page, ScanView, write_report
from weakmask.scoring.subtype_reference import read_reference
from weakmask.scoring.subtypes import SUBTYPES, label_subtypes, subtype_volumes
from weakmask.training.devices import device_of
from weakmask.volume.files import read_volume, write_volume
from weakmask.volume.pictures import is_picture
from weakmask.volume.scan_files import ScanFile
from weakmask.volume.volume import Volume

__all__ = ["Limits", "Predicted", "RegionSource", "predict"]

LAYERS = ("mask", "activation", "regions", "subtypes")
NAMED = "named"  # the mask of a picture, under the picture's name
TABLE = "instances"  # a row per instance
MOST_SCANS = 12  # shown in a report; the most severe


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
class Segmented:
    """Result of one scan, without its voxels: these are in its files.

    Attributes:
        rows: Of scores.csv.
        severity: The sum of its scores; None if the method gives none.
        region_names: Label -> name, of the regions that were used.
        empty: Whether a picture has an empty region mask, and so an empty mask.
    """

    rows: list[dict[str, object]]
    severity: int | None
    region_names: Mapping[int, str]
    empty: bool = False


def predict(
    model: Path,
    scans: Sequence[Path | ScanFile],
    out: Path,
    regions: RegionSource,
    device: str = "auto",
    limits: Limits | None = None,
    subtypes: Path | None = None,
) -> Predicted:
    """Segment scans; a faulty scan is named in one line and the others go on.

    Args:
        model: A model file, or the run folder that holds one.
        scans: Files, DICOM folders, or folders of scans; or scans that `chosen_scans` found.
        out: The folder to write.
        regions: Where the regions come from.
        device: auto, cpu, cuda or mps.
        limits: Memory and precision of networks that segment whole scans.
        subtypes: Reference table of `weakmask subtypes-table`: a scan of HU then also gets subtypes.nii.gz, and its
            rows the volume of each subtype. None: lesions are not classified.

    Raises:
        UserError: No such model, no scan, the region mask of one scan for several, an output that cannot be written or
            would replace a file of the user's, or every scan failed.
    """
    segmenter = load_segmenter(model, device_of(device), limits)
    reference = None if subtypes is None else read_reference(subtypes)
    if finds_instances(segmenter):
        scans = stacks_in(scans)
        outputs = partial(_instance_outputs, out, len(scans) == 1)
    else:
        outputs = partial(_outputs, out, not segmenter.needs_regions)
    jobs, twice = find_jobs(scans, outputs)
    regions.refuse_for_several([job.image for job in jobs])
    tables = (out / "scores.csv", out / "report.html")
    files = [*outputs_of(jobs), *tables]
    inputs = [path for job in jobs for path in (job.image, *regions.masks_of(job.image))]
    folder = open_output(out, "predict", files, inputs)
    try:
        done = each_scan(jobs, "scans", partial(_segment, segmenter, regions, reference, device, tables))
    except (UserError, MachineError):
        folder.forget()
        raise
    rows = [row for _, one in done.results for row in one.rows]
    if not rows:
        raise UserError(f"none of the pictures has a region, so their masks are empty; they are in {out}")
    table = pd.DataFrame(rows)
    with atomic_file(out / "scores.csv") as temporary:
        write_csv(table, temporary)
    fractions = table["fraction"].dropna().tolist() if "fraction" in table else []
    notes = (*segmenter.about.notes, *filter(None, [one_sided(fractions, len(done.results))]))
    page = _page(segmenter, model, done, twice)
    write_report(out / "report.html", replace(page, notes=(*notes, *page.notes)))
    masks = sorted({_shown_place(out, job) for job, _ in done.results})
    return Predicted(table, (*twice, *done.failures), notes, tuple(masks))


def _outputs(out: Path, of_whole_images: bool, name: str, image: Path) -> dict[str, Path]:  # noqa: FBT001 (partial)
    """The files that a scan may leave; tools that compare masks of pictures expect them under the picture's name."""
    suffix = ".png" if is_picture(image) else ".nii.gz"
    files = {layer: out / name / f"{layer}{suffix}" for layer in LAYERS}
    return {**files, NAMED: out / f"{name}.png"} if of_whole_images and suffix == ".png" else files


def _instance_outputs(out: Path, alone: bool, name: str, image: Path) -> dict[str, Path]:  # noqa: ARG001, FBT001 (partial)
    """The files that a stack may leave; a single stack has them beside the report."""
    folder = out if alone else out / name
    return {
        "mask": folder / "instances.tif",
        "activation": folder / "probability.tif",
        TABLE: folder / "instances.csv",
    }


def _shown_place(out: Path, job: ScanJob) -> str:
    """Where a scan's mask is, with NAME for its name."""
    mask = job.outputs["mask"]
    return f"{out}/{mask.name}" if mask.parent == out else f"{out}/NAME/{mask.name}"


def _segment(
    segmenter: Segmenter,
    source: RegionSource,
    reference: pd.DataFrame | None,
    device: str,
    tables: tuple[Path, ...],
    job: ScanJob,
) -> Segmented:
    """Segment one scan and write its files; tables of an earlier prediction are removed, they tell of other masks."""
    scan, found = segment_scan(segmenter, read_scan(job.image, job.name, job.series), job.image, source, device)
    for table in tables:
        table.unlink(missing_ok=True)
    _write_layers(job, found)
    rows = value_rows(job.name, found.values)
    if reference is not None and found.regions is not None and job.outputs["mask"].suffix != ".png":
        labelled = label_subtypes(scan.image, found.mask, reference)
        write_volume(labelled, job.outputs["subtypes"])
        volumes = subtype_volumes(labelled, found.regions)
        rows = [{**row, **volumes[label]} for row, label in zip(rows, sorted(volumes), strict=True)]
    return Segmented(rows, found.severity, scan.region_names, is_empty(scan))


def _write_layers(job: ScanJob, found: Prediction) -> None:
    """Write the layers of a scan; those that an earlier prediction left are removed, whether they come again or not."""
    for file in job.outputs.values():
        file.unlink(missing_ok=True)
    layers = {"mask": found.mask, "activation": found.maps.get("activation"), "regions": found.regions}
    for name, layer in layers.items():
        if layer is None or name not in job.outputs:
            continue
        in_bytes = name == "activation" and job.outputs[name].suffix == ".png"
        voxels = np.rint(layer.voxels * 255).astype(np.uint8) if in_bytes else layer.voxels
        write_volume(layer.with_voxels(voxels), job.outputs[name])
    if found.instances is not None and TABLE in job.outputs:
        with atomic_file(job.outputs[TABLE]) as temporary:
            write_csv(found.instances, temporary, "%.6g")
    if NAMED in job.outputs:
        write_volume(found.mask, job.outputs[NAMED])


def _page(segmenter: Segmenter, model: Path, done: Done[Segmented], twice: list[str]) -> Page:
    """The report: there is no truth, so it shows masks, maps and scores."""
    about, shown = segmenter.about, [(job, one) for job, one in done.results if not one.empty]
    severities = [one.severity for _, one in shown if one.severity is not None]
    span = " to ".join(str(end) for end in sorted({min(severities, default=0), max(severities, default=0)}))
    severity = f"; severity {span}, summed over the regions" if severities else ""
    empty = [f"{job.image}: its region mask is empty" for job, one in done.results if one.empty]
    left_out = [*twice, *done.failures, *empty]
    ordered = sorted(shown, key=lambda pair: -(pair[1].severity or 0))
    return Page(
        title=f"{about.title}: prediction",
        summary=f"{len(shown)} scan{'s' if len(shown) > 1 else ''} segmented with {model}{severity}.",
        tiles=(("scans", str(len(shown))), ("left out", str(len(left_out))), *about.tiles),
        views=[partial(_view, segmenter, job, one) for job, one in ordered[:MOST_SCANS]],
        config=about.config,
        methods_text=about.methods_text,
        provenance={**provenance(), "model": str(model), "trained_with": about.provenance},
        notes=tuple(f"left out: {line}" for line in left_out),
    )


def _view(segmenter: Segmenter, job: ScanJob, one: Segmented) -> ScanView:
    """One scan for the report, read back from its files."""
    scan = read_scan(job.image, job.name, job.series)
    image = scan.image

    def layer(name: str, read: Callable[[Path], Volume]) -> Volume | None:
        """A written file on the image's grid; None if it was not written."""
        file = job.outputs.get(name)
        return image.with_voxels(read(file).voxels) if file is not None and file.exists() else None

    regions = layer("regions", partial(read_volume, kind="label"))
    activation = layer("activation", read_volume)
    if activation is not None and activation.voxels.dtype == np.uint8:
        activation = activation.with_voxels(activation.voxels / np.float32(255))
    shown, window = segmenter.shown(replace(scan, regions=regions, region_names=one.region_names))
    columns = {"region": "region", "fraction": "fraction", "score_predicted": "predicted"}
    of_regions = [{new: row.get(old) for old, new in columns.items()} for row in one.rows if row["region"]]
    return ScanView(
        name=job.name,
        image=shown,
        window_hu=window,
        mask=layer("mask", partial(read_volume, kind="label")),
        activation=activation,
        regions=regions,
        headline=_headline(one),
        rank=-float(one.severity or 0),
        scores=pd.DataFrame(of_regions).dropna(axis="columns", how="all") if of_regions else None,
        region_names=one.region_names,
    )


def _headline(one: Segmented) -> str:
    """The severity, the volume of each subtype, and the values of the whole image."""
    severity = "" if one.severity is None else f"severity {one.severity}"
    of_image = [
        f"{row.get('class') or quantity} {row[quantity]:.3g}"
        for row in one.rows
        for quantity in get_args(Quantity)
        if not row["region"] and quantity in row
    ]
    return severity + _subtype_text(one.rows) + ", ".join(of_image)


def _subtype_text(rows: list[dict[str, object]]) -> str:
    """The volume of each subtype over all regions; empty if lesions were not classified."""
    volumes = {name: sum(float(str(row.get(f"{name}_ml", 0))) for row in rows) for name in SUBTYPES}
    known = any(f"{name}_ml" in row for name in SUBTYPES for row in rows)
    return "; " + ", ".join(f"{name} {ml:.1f} ml" for name, ml in volumes.items()) if known else ""
