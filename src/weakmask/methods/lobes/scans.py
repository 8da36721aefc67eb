"""The scans that lobe networks learn from and are evaluated on: a folder's, or phantoms made on the way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from weakmask.anatomy.lobe_numberings import NUMBERINGS, renumber
from weakmask.anatomy.scan_checks import check_scan
from weakmask.datasets.case import Case
from weakmask.datasets.cohort_labels import ImageLabels, read_labels
from weakmask.datasets.mask_checks import on_grid
from weakmask.datasets.named_masks import read_region_mask
from weakmask.datasets.splits import Split, hold_out
from weakmask.errors import UserError
from weakmask.methods.lobes.config import DataSettings, LobeSettings
from weakmask.phantoms.chest_ct import make_phantom
from weakmask.volume.files import read_volume, refuse_nonfinite, scan_name
from weakmask.volume.geometry import Float3, Index3
from weakmask.volume.scan_files import ScanFile, entries_by_name, has_series
from weakmask.volume.volume import Volume

PHANTOM_MM = (300.0, 260.0, 300.0)  # holds both lungs


@dataclass(frozen=True)
class LobeScan:
    """One scan with known lobes.

    Attributes:
        name: Of the scan.
        files: Its files; none for a phantom.
        load: Gives the image and its lobes in the house's numbering, on one grid.
        patient: The patient of the scan; empty: the scan has its own patient.
        series: The DICOM series of the image, where its folder holds several; None: the only one.
    """

    name: str
    files: tuple[Path, ...]
    load: Callable[[], tuple[Volume, Volume]]
    patient: str = ""
    series: str | None = None

    @property
    def scan_file(self) -> ScanFile:
        """Its image, and the series in it; of a scan with files."""
        return ScanFile(self.files[0], self.series)


def learning_scans(config: LobeSettings) -> list[LobeScan]:
    """The scans to learn from.

    Raises:
        UserError: The folder holds none.
    """
    data = config.data
    return phantoms(data) if data.cohort is None else folder_scans(data.cohort, data.numbering)


def phantoms(data: DataSettings) -> list[LobeScan]:
    """Phantoms, the first of them healthy; scan k of a seed is the same however many there are."""
    edge = data.phantom_spacing_mm
    spacing_mm: Float3 = (edge, edge, edge)
    z, y, x = (round(mm / edge) for mm in PHANTOM_MM)
    healthy = round(data.healthy * data.phantoms)
    scans = []
    for k in range(data.phantoms):
        own_seed = int(np.random.SeedSequence([data.phantom_seed, k]).generate_state(1)[0])
        load = partial(phantom_scan, own_seed, (z, y, x), spacing_mm, ill=k >= healthy)
        scans.append(LobeScan(f"phantom_{k:04d}", (), load))
    return scans


def phantom_scan(seed: int, shape: Index3, spacing_mm: Float3, *, ill: bool = True) -> tuple[Volume, Volume]:
    """Image and lobes of a phantom."""
    phantom = make_phantom(seed, shape, spacing_mm, None if ill else {})
    return phantom.image, phantom.lobes


def folder_scans(folder: Path, numbering: str) -> list[LobeScan]:
    """The scans of images/ that have a mask in regions/.

    Scores are not needed, but a table may name the patients, and the series of DICOM folders.

    Raises:
        UserError: No such folders, no scan with a mask, or a label table that cannot be understood.
    """
    for part in ("images", "regions"):
        if not (folder / part).is_dir():
            raise UserError(f"{folder}: no folder {part}/ in it; lobe networks learn from images/ and regions/")
    images = entries_by_name(folder / "images")
    masks = entries_by_name(folder / "regions", images)
    pairs = [(path, masks[name][0]) for name, paths in images.items() for path in paths if name in masks]
    if not pairs:
        raise UserError(
            f"{folder}: no scan of images/ has a mask of its name in regions/; expected NAME.nii.gz in both"
        )
    labels = read_labels(folder, [scan_name(image) for image, _ in pairs])
    scans = []
    for image, mask in pairs:
        name = scan_name(image)
        of_image = labels.images.get(name, ImageLabels())
        series = of_image.series if of_image.series and has_series(image) else None
        load = partial(_read, ScanFile(image, series), mask, numbering)
        scans.append(LobeScan(name, (image, mask), load, of_image.patient, series))
    return scans


def split_scans(scans: Sequence[LobeScan], config: LobeSettings) -> Split:
    """Training and validation, by patient."""
    nothing = Path()
    cases = [Case(scan.name, nothing, None, None, {}, scan.patient) for scan in scans]
    return hold_out(cases, config.data.split_seed, validation=config.data.validation, test=0.0)


def checked(scan: LobeScan, *, hounsfield: bool) -> tuple[Volume, Volume]:
    """Image and lobes of a scan, refused where they are not in Hounsfield units or on the wrong side.

    Args:
        scan: The scan; phantoms are not checked.
        hounsfield: Whether its grey values must be Hounsfield units.

    Raises:
        UserError: As `check_scan` says, or a file is faulty.
    """
    image, lobes = scan.load()
    if scan.files:
        names = {label: name for name, label in NUMBERINGS["weakmask"].items()}
        found = check_scan(image, lobes, names, hounsfield=hounsfield)
        for file, about in zip(scan.files, ("image", "regions"), strict=True):
            if fault := found.fault(about):
                raise UserError(f"{file}: {fault}")
    return image, lobes


def _read(scan: ScanFile, mask_file: Path, numbering: str) -> tuple[Volume, Volume]:
    image = read_volume(scan.path, series=scan.series)
    refuse_nonfinite(image, scan.path)
    names = {label: name for name, label in NUMBERINGS.get(numbering, {}).items()}
    mask = renumber(read_region_mask(mask_file, names), numbering)
    return image, on_grid(mask, image.geometry, mask_file)
