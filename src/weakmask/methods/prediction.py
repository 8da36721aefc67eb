"""Scans in, masks, scores and a report out: what `weakmask predict` does, one scan after the other."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from rich.markup import escape

from weakmask.atomic_write import atomic_file
from weakmask.errors import UserError
from weakmask.methods.by_region.cases import in_hounsfield, read_regions
from weakmask.methods.by_region.model import MODEL
from weakmask.methods.by_region.prediction import Prediction, score_rows
from weakmask.methods.by_region.telling import shown_scores
from weakmask.methods.dram.model import Precision, lacks_context
from weakmask.methods.lobes.regions import make_regions
from weakmask.methods.predictors import Trained, load_trained
from weakmask.methods.scan_files import all_scans, open_output
from weakmask.progress import console, track
from weakmask.report.page import ScanView, write_report
from weakmask.scoring.subtype_reference import read_reference
from weakmask.scoring.subtypes import SUBTYPES, label_subtypes, subtype_volumes
from weakmask.training.checkpoints import load_weights
from weakmask.training.devices import device_of
from weakmask.volume.files import IMAGE_SUFFIXES, read_volume, refuse_nonfinite, scan_name, write_volume
from weakmask.volume.regions import NUMBERINGS
from weakmask.volume.volume import Volume

PICTURES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class RegionSource:
    """Where the regions of a prediction come from.

    Attributes:
        path: A mask for the one scan, or a folder of masks with the scans' names; None: lobes by a network where the
            model was trained on lobes, else the lungs by threshold.
        numbering: The tool whose lobe numbers the masks carry; None: those the model was trained on.
        lobe_model: The lobe network; None: the one that comes with the package.
    """

    path: Path | None = None
    numbering: str | None = None
    lobe_model: Path | None = None

    def __post_init__(self) -> None:
        """Say what is wrong for every scan, before one is read.

        Raises:
            UserError: The path is not there, or the numbering is unknown.
        """
        if self.path is not None and not self.path.exists():
            raise UserError(f"{self.path}: no such region mask; expected a mask for the one scan, or a folder of masks")
        if self.numbering is not None:
            _names(self.numbering)


class EmptyRegionError(UserError):
    """A picture whose region mask is empty: a slice above or below the lungs. Its mask is empty too."""


@dataclass(frozen=True)
class Limits:
    """What a context network, which segments whole scans, may take.

    Attributes:
        memory_gb: For its feature maps: less makes more tiles.
        precision: Of those maps; halves take half the memory.
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
    """Segment scans; one faulty scan is told in one line and the others go on.

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
            score rows the volume of each subtype. None: lesions are not told apart.

    Returns:
        A line for every scan that failed.

    Raises:
        UserError: No model there, no scan there, an output that cannot be written, or every scan failed.
    """
    trained = load_trained(model_file(model_path), device_of(device), limits.memory_gb, limits.precision)
    reference = None if subtypes is None else read_reference(subtypes)
    found = all_scans(scans)
    created = open_output(out)
    rows: list[dict[str, object]] = []
    views: list[tuple[int, Callable[[], ScanView]]] = []
    failures, empty = list[str](), list[str]()
    for path in track(found, "scans", len(found)):
        try:
            new_rows, view = _segment(trained, path, out, regions, reference, alone=len(found) == 1)
            rows += new_rows
            views.append((sum(int(str(row["score_predicted"])) for row in new_rows), view))
        except EmptyRegionError as error:
            console.print(f"[yellow]note[/] {escape(str(error))}", highlight=False, soft_wrap=True)
            empty.append(str(error))
        except UserError as error:
            line = str(error) if str(path) in str(error) else f"{path}: {error}"
            failures.append(line)
            if len(found) > 1:
                console.print(f"[red]left out[/] {escape(line)}", highlight=False, soft_wrap=True)
    if not rows:
        if created and not empty:
            out.rmdir()
        raise UserError(_nothing_segmented(len(found), failures, empty))
    scores = pd.DataFrame(rows).drop(columns="score_given")
    with atomic_file(out / "scores.csv") as temporary:
        scores.to_csv(temporary, index=False)
    write_report(out / "report.html", trained.page(model_path, rows, _severest(views), [*failures, *empty]))
    return failures


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
    regions, names = _regions(trained, image, path, source)
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


def _regions(trained: Trained, image: Volume, path: Path, source: RegionSource) -> tuple[Volume, dict[int, str]]:
    """A scan's regions and the names of their labels."""
    if source.path is None:
        if path.suffix.lower() in PICTURES:
            raise UserError(f"{path}: a picture has no Hounsfield units to find the lungs by; give --regions FOLDER")
        device = next(trained.regional.network.parameters()).device.type
        made = make_regions(image, trained.regional.region_names.values(), source.lobe_model, device)
        if made.numbering.keys() != set(trained.regional.region_names.values()):
            console.print(f"[yellow]note[/] {escape(f'{path}: {made.told}')}", highlight=False, soft_wrap=True)
        return made.labels, {label: name for name, label in made.numbering.items()}
    file = source.path if source.path.is_file() else _mask_of(scan_name(path), source.path)
    names = trained.regional.region_names if source.numbering is None else _names(source.numbering)
    return read_regions(file, image), names


def _names(numbering: str) -> dict[int, str]:
    if numbering not in NUMBERINGS:
        raise UserError(f"unknown numbering {numbering!r}; expected one of {', '.join(sorted(NUMBERINGS))}")
    return {label: name for name, label in NUMBERINGS[numbering].items()}


def _mask_of(name: str, folder: Path) -> Path:
    """The mask of a scan in a folder of masks."""
    for suffix in IMAGE_SUFFIXES:
        if (folder / f"{name}{suffix}").exists():
            return folder / f"{name}{suffix}"
    raise UserError(f"{folder}: no region mask {name}.nii.gz (or .png, .mha, .nrrd) for the scan {name}")


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
    """The volumes of the subtypes over all regions, where lesions were told apart."""
    volumes = {name: sum(float(str(row.get(f"{name}_ml", 0))) for row in rows) for name in SUBTYPES}
    known = any(f"{name}_ml" in row for name in SUBTYPES for row in rows)
    return "; " + ", ".join(f"{name} {ml:.1f} ml" for name, ml in volumes.items()) if known else ""
