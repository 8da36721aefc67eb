"""Scans in, masks, scores and a report out: what `weakmask predict` does, one scan after the other."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from rich.markup import escape

from weakmask.atomic_write import atomic_file
from weakmask.commands.scan_jobs import (
    all_scans,
    distinct_scans,
    failure_line,
    open_output,
    refuse_replacing,
    tell_left_out,
)
from weakmask.errors import UserError
from weakmask.methods.dram.model import Precision, lacks_context
from weakmask.methods.predictors import Trained, load_trained
from weakmask.progress import console, track
from weakmask.region_learning.prediction import Prediction, score_rows
from weakmask.region_learning.region_model import MODEL
from weakmask.region_learning.run_report import shown_scores
from weakmask.region_learning.usable_cases import in_hounsfield
from weakmask.regions.scan_regions import PICTURES, RegionSource, regions_of, unknown_regions
from weakmask.report.page import ScanView, write_report
from weakmask.scoring.subtype_reference import read_reference
from weakmask.scoring.subtypes import SUBTYPES, label_subtypes, subtype_volumes
from weakmask.training.checkpoints import load_weights
from weakmask.training.devices import device_of
from weakmask.volume.files import read_volume, refuse_nonfinite, scan_name, write_volume
from weakmask.volume.volume import Volume

__all__ = ["Limits", "RegionSource", "model_file", "predict"]


class EmptyRegionError(UserError):
    """A picture whose region mask is empty: a slice above or below the lungs. Its mask is empty too."""


@dataclass(frozen=True)
class Limits:
    """Memory and precision of a context network, which segments whole scans.

    Attributes:
        memory_gb: Memory for its feature maps; less memory makes more tiles.
        precision: Type of these maps; half precision takes half the memory.
    """

    memory_gb: float = 4.0
    precision: Precision = "auto"


def predict(
    model_path: Path,
    scans: list[Path],
    out: Path,
    regions: RegionSource,
    device: str = "auto",
    limits: Limits = Limits(),
    subtypes: Path | None = None,
) -> list[str]:
    """Segment scans; a faulty scan gets one line and the others continue.

    One scan leaves mask.nii.gz, activation.nii.gz and regions.nii.gz in OUT; several leave a folder OUT/NAME/ each;
    a picture leaves OUT/NAME.png, an empty one where its region mask is empty. OUT/scores.csv and OUT/report.html speak
    of all.

    Args:
        model_path: A model file, or the run folder that holds one.
        scans: Files, DICOM folders, or folders of scans.
        out: The folder to write.
        regions: Where the regions come from.
        device: auto, cpu, cuda or mps.
        limits: Of memory and precision, for a context network.
        subtypes: Reference table of `weakmask subtypes-table`: a scan of HU then also gets subtypes.nii.gz, and its
            score rows the volume of each subtype. None: no subtypes.

    Returns:
        A line for every scan that failed or has the name of an earlier one.

    Raises:
        UserError: No model there, no scan there, an output that cannot be written or would replace an input, or every
            scan failed.
    """
    trained = load_trained(model_file(model_path), device_of(device), limits.memory_gb, limits.precision)
    reference = None if subtypes is None else read_reference(subtypes)
    found, twice = _to_segment(scans, out, regions)
    alone = len(found) + len(twice) == 1
    created = open_output(out)
    rows: list[dict[str, object]] = []
    views: list[tuple[int, Callable[[], ScanView]]] = []
    failures, empty = list[str](), list[str]()
    for path in track(found, "scans", len(found)):
        try:
            new_rows, view = _segment(trained, path, out, regions, reference, alone=alone)
            rows += new_rows
            views.append((sum(int(str(row["score_predicted"])) for row in new_rows), view))
        except EmptyRegionError as error:
            console.print(f"[yellow]note[/] {escape(str(error))}", highlight=False, soft_wrap=True)
            empty.append(str(error))
        except UserError as error:
            failures.append(failure_line(path, error))
            if len(found) > 1:
                tell_left_out(failures[-1])
    if not rows:
        if created and not empty:
            out.rmdir()
        raise UserError(_nothing_segmented(len(found), failures, empty))
    _write_scores(out / "scores.csv", rows)
    write_report(out / "report.html", trained.page(model_path, rows, _severest(views), [*twice, *failures, *empty]))
    return [*twice, *failures]


def _to_segment(scans: list[Path], out: Path, source: RegionSource) -> tuple[list[Path], list[str]]:
    """The scans, and a line for each that has the name of an earlier one; nothing that is there may get lost."""
    found = all_scans(scans)
    masks = [mask for path in found for mask in source.masks_of(path)]
    refuse_replacing([*found, *masks], [file for path in found for file in _results(path, out, alone=len(found) == 1)])
    table = out / "scores.csv"
    if table.is_file() and b"score_predicted" not in table.read_bytes().partition(b"\n")[0]:
        raise UserError(
            f"{table}: not the table of a prediction, which would replace it; choose another folder for --out"
        )
    return distinct_scans(found)


def _results(path: Path, out: Path, *, alone: bool) -> list[Path]:
    """The files that a scan may leave."""
    if path.suffix.lower() in PICTURES:
        return [out / f"{scan_name(path)}.png"]
    folder = out if alone else out / scan_name(path)
    return [folder / f"{what}.nii.gz" for what in ("mask", "activation", "regions", "subtypes")]


def _write_scores(path: Path, rows: list[dict[str, object]]) -> None:
    scores = pd.DataFrame(rows).drop(columns="score_given")
    with atomic_file(path) as temporary:
        scores.to_csv(temporary, index=False)


def _severest(views: list[tuple[int, Callable[[], ScanView]]]) -> list[Callable[[], ScanView]]:
    return [view for _, view in sorted(views, key=lambda pair: -pair[0])]


def _nothing_segmented(scans: int, failures: list[str], empty: list[str]) -> str:
    if empty:
        return f"none of the pictures has a region, so their masks are empty; the first: {empty[0]}"
    return failures[0] if scans == 1 else f"all {scans} scans failed; the first: {failures[0]}"


def model_file(path: Path) -> Path:
    """The model file of a run folder, or the path itself.

    Args:
        path: A run folder, or a model file, which is taken as it is.

    Raises:
        UserError: Nothing there, or a run that is not finished.
    """
    if not path.exists():
        raise UserError(f"{path}: no such model; expected a run folder or a .safetensors file")
    if path.is_file():
        return path
    inside = sorted(path.glob(f"*-model/{MODEL}"))  # the stage's number is the method's own
    if not inside:
        raise UserError(f"{path}: holds no NN-model/{MODEL}; expected a run whose training is complete")
    _, header = load_weights(inside[-1])
    if lacks_context(header):
        raise UserError(f"{path}: training is not complete, no context network yet; run weakmask train again")
    return inside[-1]


def _segment(
    trained: Trained, path: Path, out: Path, source: RegionSource, reference: pd.DataFrame | None, *, alone: bool
) -> tuple[list[dict[str, object]], Callable[[], ScanView]]:
    """Segment one scan and write its files; gives its score rows and the way to show it in the report."""
    name = scan_name(path)
    try:
        image, found, rows = _segmented(trained, path, source)
    except EmptyRegionError:
        blank = read_volume(path)
        write_volume(blank.with_voxels(np.zeros(blank.geometry.shape, np.uint8), "label"), out / f"{name}.png")
        raise
    names = {label: str(row["region"]) for label, row in zip(sorted(found.fractions), rows, strict=True)}
    told = unknown_regions(trained.regional.region_names, names)
    if told and source.path is not None:  # regions that are made report this themselves
        console.print(f"[yellow]note[/] {escape(f'{path}: {told}')}", highlight=False, soft_wrap=True)
    if path.suffix.lower() in PICTURES:
        write_volume(found.mask, out / f"{name}.png")
    else:
        folder = out if alone else out / name
        write_volume(found.mask, folder / "mask.nii.gz")
        write_volume(found.activation, folder / "activation.nii.gz")
        write_volume(found.regions, folder / "regions.nii.gz")
        if reference is not None:
            named = label_subtypes(image, found.mask, reference)
            write_volume(named, folder / "subtypes.nii.gz")
            volumes = subtype_volumes(named, found.regions)
            rows = [{**row, **volumes[label]} for row, label in zip(rows, sorted(found.fractions), strict=True)]
    if alone:
        return rows, lambda: _view(trained, name, image, found, rows)
    # of many scans only one is in memory at a time: those that the report shows are segmented once more
    return rows, lambda: _view(trained, name, *_segmented(trained, path, source))


def _segmented(
    trained: Trained, path: Path, source: RegionSource
) -> tuple[Volume, Prediction, list[dict[str, object]]]:
    image = read_volume(path)
    refuse_nonfinite(image, path)
    regions, names = regions_of(path, image, source, trained.regional.region_names, _device_of(trained))
    present = {names.get(int(label), str(label)) for label in np.unique(regions.voxels) if label > 0}
    if not present:
        told = f"{path}: its region mask is empty"
        if path.suffix.lower() not in PICTURES:
            raise UserError(f"{told}; expected at least one labelled region")
        raise EmptyRegionError(f"{told}, and so is the mask")
    image = in_hounsfield(image, regions, trained.regional.prepare)
    known = present <= set(trained.regional.region_names.values())
    found = trained.segment(image, regions, trained_regions=known)
    return image, found, score_rows(scan_name(path), found, names)


def _device_of(trained: Trained) -> str:
    return next(trained.regional.network.parameters()).device.type


def _view(trained: Trained, name: str, image: Volume, found: Prediction, rows: list[dict[str, object]]) -> ScanView:
    total = sum(found.scores.values())
    return ScanView(
        name=name,
        image=image,
        window_hu=trained.regional.prepare.window,
        mask=found.mask,
        activation=found.activation,
        regions=found.regions,
        headline=f"severity {total}{_told_apart(rows)}",
        rank=-total,
        scores=shown_scores(rows),
    )


def _told_apart(rows: list[dict[str, object]]) -> str:
    """The volumes of the subtypes over all regions, if subtypes were computed."""
    volumes = {name: sum(float(str(row.get(f"{name}_ml", 0))) for row in rows) for name in SUBTYPES}
    known = any(f"{name}_ml" in row for name in SUBTYPES for row in rows)
    return "; " + ", ".join(f"{name} {ml:.1f} ml" for name, ml in volumes.items()) if known else ""
