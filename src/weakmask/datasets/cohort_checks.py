"""What only the voxels can tell: is this CT, do the masks lie on it, and are the regions where their names say."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from weakmask.anatomy.lobe_faults import lobe_faults
from weakmask.anatomy.lobe_numberings import NUMBERINGS
from weakmask.datasets.case import Case, Cohort, Fault
from weakmask.errors import UserError
from weakmask.volume.files import read_volume, refuse_nonfinite
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Kind, Volume

PICTURES = (".png", ".jpg", ".jpeg")
LOBES = tuple(NUMBERINGS["weakmask"])
LESION_LABELS = {1, 2, 3}

AIR_AND_LUNG_HU = (-1100, -500)
LEAST_AIR_AND_LUNG = 0.005  # share of a chest CT; even a lung box around a consolidated lung has ten times as much
LEAST_REGION_VOXELS = 27  # 3 x 3 x 3: less is a crumb of a mask, not a region
MOST_ANISOTROPY = 5.0  # 5 mm slices of 0.7 mm pixels have 7; 3 mm slices 4


@dataclass
class _Findings:
    """The faults of one case, with file names relative to the cohort."""

    scan: str
    folder: Path
    faults: list[Fault] = field(default_factory=list)

    def add(self, path: Path, text: str, *, fatal: bool) -> None:
        """Note a fault of one file."""
        file = path.relative_to(self.folder).as_posix()
        self.faults.append(Fault(self.scan, file, f"{file}: {text}", fatal))

    def read(self, path: Path, kind: Kind, *, fatal: bool) -> Volume | None:
        """The volume, or None and a fault."""
        try:
            volume = read_volume(path, kind)
            refuse_nonfinite(volume, path)
        except UserError as error:
            self.add(path, str(error).removeprefix(f"{path}: ").replace(f"{self.folder}/", ""), fatal=fatal)
            return None
        return volume


def check_case(case: Case, cohort: Cohort, *, hounsfield: bool) -> tuple[Case | None, list[Fault]]:
    """Read every voxel of one case.

    Args:
        case: The case.
        cohort: Its cohort, for the folder and the names of the regions.
        hounsfield: Whether volumes must be in Hounsfield units; of a single slice it is only noted.

    Returns:
        The case, without the regions and the truth that cannot be used, or None if it must be left out; and the
        faults that say so.
    """
    findings = _Findings(case.name, cohort.folder)
    image = findings.read(case.image, "image", fatal=True)
    if image is None:
        return None, findings.faults
    _check_image(image, case.image, findings, hounsfield=hounsfield)
    if case.regions is not None:
        regions = findings.read(case.regions, "label", fatal=True)
        scores: Mapping[int, int] = {}
        if regions is not None and _same_grid(regions, image.geometry, case.regions, findings, fatal=True):
            scores = _check_regions(regions, case, cohort.region_names, findings)
        case = replace(case, scores=scores)
    if case.lesions is not None:
        lesions = findings.read(case.lesions, "label", fatal=False)
        if lesions is None or not _check_lesions(lesions, image.geometry, case.lesions, findings):
            case = replace(case, lesions=None)
    bad = any(fault.fatal for fault in findings.faults)
    return (None if bad else case), findings.faults


def picture_faults(cases: Iterable[Case], folder: Path) -> list[Fault]:
    """One note for all images that are 8-bit pictures: legal, but their grey values are not Hounsfield units."""
    pictures = [case for case in cases if case.image.suffix.lower() in PICTURES]
    if not pictures:
        return []
    first = pictures[0].image.relative_to(folder).as_posix()
    which = f"{first} and {len(pictures) - 1} more are pictures" if len(pictures) > 1 else f"{first} is a picture"
    text = f"{which}, not in Hounsfield units; choose a window for grey values in the config"
    return [Fault("", first, text, fatal=False)]


def label_sizes(labels: np.ndarray) -> dict[int, int]:
    """Voxels of every label but 0.

    Args:
        labels: Integers of any shape.
    """
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest > 65535:  # no table of counts for these
        values, counts = np.unique(labels, return_counts=True)
        sizes = dict(zip(values.tolist(), counts.tolist(), strict=True))
    else:
        total = np.zeros(highest + 1, dtype=np.int64)
        for plane in labels:
            total += np.bincount(plane.ravel(), minlength=highest + 1)
        sizes = {label: int(count) for label, count in enumerate(total) if count}
    sizes.pop(0, None)
    return sizes


def _check_image(image: Volume, path: Path, findings: _Findings, *, hounsfield: bool) -> None:
    voxels, flat = image.voxels, len(image.voxels) == 1
    lowest, highest = float(voxels.min()), float(voxels.max())
    if lowest == highest:
        findings.add(path, f"every voxel is {lowest:g}; the image is empty; export it again", fatal=True)
        return
    low, high = AIR_AND_LUNG_HU
    air = np.count_nonzero((voxels >= low) & (voxels <= high)) / voxels.size
    if hounsfield and path.suffix.lower() not in PICTURES and air < LEAST_AIR_AND_LUNG:
        text = (
            f"not in Hounsfield units (HU): values {lowest:g} to {highest:g}, {100 * air:.1f} % of them air or lung "
            f"({low} to {high}); export the CT with its rescale slope and intercept applied"
        )
        findings.add(path, text, fatal=not flat)
    spacing = image.geometry.spacing_mm
    ratio = max(spacing) / min(spacing)
    if not flat and ratio > MOST_ANISOTROPY:
        text = f"voxels of {_by(spacing)} mm (z, y, x) are {ratio:.1f} times as long as wide; expect coarse masks"
        findings.add(path, text, fatal=False)


def _check_regions(regions: Volume, case: Case, names: Mapping[int, str], findings: _Findings) -> Mapping[int, int]:
    """The scores whose region is really there."""
    path = case.regions or Path()
    sizes = label_sizes(regions.voxels)
    if not sizes:
        findings.add(path, "no region at all, every voxel is 0; make the mask again", fatal=True)
        return {}
    usable = {label: score for label, score in case.scores.items() if sizes.get(label, 0) >= LEAST_REGION_VOXELS}
    if not usable:
        hint = _whose(sizes, names, case.scores)
        text = f"has the labels {_some(sizes)}, none of the scored {_some(case.scores)}; {hint}"
        findings.add(path, text, fatal=True)
        return {}
    for label in case.scores:
        if label not in usable:
            has = f"only {sizes[label]} voxels" if label in sizes else "no voxel"
            text = f"region {names.get(label, label)} (label {label}) has {has}; its score is not used"
            findings.add(path, text, fatal=False)
    house = {label: NUMBERINGS["weakmask"][name] for label, name in names.items() if name in LOBES}
    whole = [label for label in house if sizes.get(label, 0) >= LEAST_REGION_VOXELS]
    if len(whole) == len(LOBES):
        misplaced = lobe_faults(_renumbered(regions, house))
        if misplaced:  # a score on the wrong lobe teaches the wrong thing
            findings.add(path, "; ".join(misplaced), fatal=True)
    return usable


def _check_lesions(lesions: Volume, grid: Geometry, path: Path, findings: _Findings) -> bool:
    """Whether the truth can be used; a picture may write 255 for 1."""
    if not _same_grid(lesions, grid, path, findings, fatal=False):
        return False
    labels = set(label_sizes(lesions.voxels))
    if labels <= LESION_LABELS or labels == {255}:
        return True
    text = f"has the labels {_some(labels)}; expected 0 to 3 or just 0 and 1; the truth is not used"
    findings.add(path, text, fatal=False)
    return False


def _same_grid(mask: Volume, grid: Geometry, path: Path, findings: _Findings, *, fatal: bool) -> bool:
    mine = mask.geometry
    if mine.same_grid(grid):
        return True
    if mine.shape != grid.shape or not np.allclose(mine.spacing_mm, grid.spacing_mm, rtol=1e-2):
        came = f"grid {_by(mine.shape)} at {_by(mine.spacing_mm)} mm, the image's"
        expected = f"{_by(grid.shape)} at {_by(grid.spacing_mm)} mm"
    else:
        came = f"grid begins at {_by(mine.origin_mm)} mm (z, y, x) or is turned, the image's begins at"
        expected = f"{_by(grid.origin_mm)} mm"
    findings.add(path, f"{came} {expected}; resample the mask onto the image", fatal=fatal)
    return False


def _renumbered(regions: Volume, house: Mapping[int, int]) -> Volume:
    voxels = np.zeros(regions.voxels.shape, dtype=np.uint8)
    for label, number in house.items():
        voxels[regions.voxels == label] = number
    return regions.with_voxels(voxels)


def _whose(sizes: Mapping[int, int], names: Mapping[int, str], scored: Iterable[int]) -> str:
    """Whose lobe numbers these labels are, as a hint."""
    present = set(sizes)
    if max(present) > 255 and {label & 0xFF for label in present} >= set(scored):  # Chest Imaging Platform
        return "their low bytes are: save label modulo 256, the region without the kind of tissue"
    for name, numbering in NUMBERINGS.items():
        lobes = {label for lobe, label in numbering.items() if lobe in LOBES}
        if lobes and lobes <= present and not lobes <= set(names):
            return f"they are those of {name}: write `numbering: {name}` in regions.yaml"
    return "say in regions.yaml what the labels mean"


def _some(labels: Iterable[int]) -> str:
    ordered = sorted(labels)
    return ", ".join(map(str, ordered[:8])) + (", ..." if len(ordered) > 8 else "")


def _by(numbers: Iterable[float | int]) -> str:
    return " x ".join(f"{number:.4g}" for number in numbers)
