"""Where the regions of a prediction come from: a mask, a folder of masks, or none, and then they are made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from weakmask.anatomy.lobe_numberings import HOUSE, NUMBERINGS
from weakmask.anatomy.region_synonyms import label_among
from weakmask.datasets.mask_checks import on_grid
from weakmask.datasets.named_masks import read_region_mask
from weakmask.errors import UserError
from weakmask.progress import note
from weakmask.regions.checked_regions import checked_regions, refuse_faulty_image
from weakmask.regions.make_regions import make_regions
from weakmask.volume.files import masks_named, read_volume, scan_name
from weakmask.volume.pictures import is_picture
from weakmask.volume.regions import label_sizes
from weakmask.volume.volume import Volume

ALL_REGIONS = dict(enumerate(name for house in HOUSE for name in NUMBERINGS[house]))  # that structures may be called


@dataclass(frozen=True)
class RegionSource:
    """Where the regions of a prediction come from.

    Attributes:
        masks: A mask or its file for the one scan, or a folder of masks with the scans' names; None: lobes by a network
            where the model was trained on lobes, else the lungs by threshold.
        numbering: The tool whose lobe numbers the masks carry, or label -> name; None: the labels of the model's
            training.
        lobe_model: The lobe network; None: the one that comes with the package.
        of_one_scan: Whether the masks are those of the one scan, whatever they are called.
    """

    masks: Path | Volume | None = None
    numbering: str | Mapping[int, str] | None = None
    lobe_model: Path | None = None
    of_one_scan: bool = False

    def __post_init__(self) -> None:
        """Refuse a path or numbering that is wrong for every scan, before any is read.

        Raises:
            UserError: The path is not there, or the numbering is unknown.
        """
        if isinstance(self.masks, Path) and not self.masks.exists():
            raise UserError(
                f"{self.masks}: no such region mask; expected a mask for the one scan, or a folder of masks"
            )
        if self.numbering is not None:
            _names(self.numbering)

    def masks_of(self, *names: str) -> list[Path]:
        """The existing mask files of a scan with some names; the first one is read."""
        if not isinstance(self.masks, Path):
            return []
        if self.of_one_scan:
            return [self.masks]
        found = [] if self.masks.is_file() else [path for name in names for path in masks_named(self.masks, name)]
        return found or ([self.masks] if self._is_of_one_scan() else [])

    def mask_of(self, *names: str) -> Path:
        """The mask file of a scan with some names.

        Raises:
            UserError: There is none.
        """
        files = self.masks_of(*names)
        if not files:
            raise UserError(
                f"{self.masks}: no region mask {names[0]}.nii.gz (or .png, .mha, .nrrd) for the scan {names[0]}"
            )
        return files[0]

    def for_scan(self, *names: str) -> "RegionSource":
        """The source of the regions of one scan, whose mask may have any of some names.

        Raises:
            UserError: There are masks, and none has such a name.
        """
        given = isinstance(self.masks, Path)
        return replace(self, masks=self.mask_of(*names), of_one_scan=True) if given else self

    def refuse_for_several(self, scans: Sequence[Sequence[str]]) -> None:
        """Refuse the one mask where it would serve for several scans.

        Args:
            scans: The names of each scan.

        Raises:
            UserError: A mask file, or a folder with a mask for each structure, and two scans that have no other.
        """
        served = [names[0] for names in scans if self.masks_of(*names) == [self.masks]]
        if len(served) > 1:
            raise UserError(
                f"{self.masks}: the region mask of one scan, given for {len(served)} ({served[0]}, {served[1]}, ...); "
                f"expected a folder with a mask for each scan, such as {served[0]}.nii.gz; or segment them one by one"
            )

    def _is_of_one_scan(self) -> bool:
        """Whether the masks are a file, or the folder of TotalSegmentator: a mask for each structure of one scan."""
        if not isinstance(self.masks, Path) or self.masks.is_file():
            return isinstance(self.masks, Path)
        structures = (label_among(scan_name(path), ALL_REGIONS) for path in self.masks.iterdir())
        return sum(label is not None for label in structures) > 1


def regions_of(
    scan: Path,
    image: Volume,
    source: RegionSource,
    known: Mapping[int, str],
    device: str = "auto",
    *,
    hounsfield: bool = True,
) -> tuple[Volume, dict[int, str]]:
    """A scan's regions, checked, and the names of their labels; regions that the model does not know are noted.

    Args:
        scan: Its file or folder; for an image without a file, its name.
        image: Its voxels.
        source: Where the regions come from.
        known: Label -> name of the regions that the model was trained on.
        device: Where a lobe network computes.
        hounsfield: Whether the scan must be in Hounsfield units; regions are made for such scans alone.

    Raises:
        UserError: No mask of the scan's name, one that is faulty or lies on another grid, regions cannot be made, or a
            fault of `check_scan`.
    """
    if source.masks is None:
        if is_picture(scan):
            raise UserError(
                f"{scan}: a picture has no Hounsfield units to find the lungs by; give its region mask (--regions)"
            )
        refuse_faulty_image(image, scan, hounsfield=True)
        made = make_regions(image, known.values(), source.lobe_model, device)
        if made.numbering.keys() != set(known.values()):
            note(f"{scan}: {made.note}", again=True)
        names = {label: name for name, label in made.numbering.items()}
        return checked_regions(image, made.labels, names, (scan, scan), hounsfield=hounsfield), names
    regions, file = _given_regions(scan, image, source.masks, source, known)
    names = dict(known) if source.numbering is None else _names(source.numbering)
    regions = checked_regions(image, regions, names, (scan, file), hounsfield=hounsfield)
    unknown = unknown_regions(known, {label: names.get(label, str(label)) for label in label_sizes(regions.voxels)})
    if unknown:
        note(f"{scan}: {unknown}", again=True)
    return regions, names


def _given_regions(
    scan: Path, image: Volume, masks: Path | Volume, source: RegionSource, known: Mapping[int, str]
) -> tuple[Volume, Path]:
    """The region mask of a scan, and its file."""
    if isinstance(masks, Volume):
        return on_grid(masks, image.geometry, f"{scan}: the region mask"), scan
    file = source.mask_of(scan_name(scan))
    names = known if source.numbering is None else _names(source.numbering)
    return read_regions(file, image, names), file


def read_regions(path: Path, image: Volume, names: Mapping[int, str] | None = None) -> Volume:
    """A region mask on the image's own grid, see `on_grid`.

    Args:
        path: A label map, a segmentation that names its structures, or a folder with a mask for each structure.
        image: Its image.
        names: Label -> name of the regions, see `read_region_mask`; None: any mask, whose numbers count.

    Raises:
        UserError: The file is faulty or has other voxels than the image.
    """
    mask = read_volume(path, "label") if names is None else read_region_mask(path, names)
    return on_grid(mask, image.geometry, path)


def unknown_regions(known: Mapping[int, str], found: Mapping[int, str]) -> str:
    """Note on regions of a mask that the model has not been trained on; empty if there are none.

    Args:
        known: Label -> name in the training.
        found: Label -> name in a mask.
    """
    unknown = [f"{name} {label}" for label, name in found.items() if name not in known.values()]
    if not unknown:
        return ""
    expected = ", ".join(f"{name} {label}" for label, name in known.items())
    return (
        f"its mask has regions that the model was not trained on: {', '.join(unknown)}; expected {expected}; their "
        "crops are made at the size of the training voxels"
    )


def _names(numbering: str | Mapping[int, str]) -> dict[int, str]:
    if not isinstance(numbering, str):
        return {int(label): name for label, name in numbering.items()}
    if numbering not in NUMBERINGS:
        raise UserError(f"unknown numbering {numbering!r}; expected one of {', '.join(sorted(NUMBERINGS))}")
    return {label: name for name, label in NUMBERINGS[numbering].items()}
