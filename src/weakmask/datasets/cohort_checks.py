"""Checks of one case that read its voxels: Hounsfield units, grids, labels, and lobes in their places."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from weakmask.anatomy.lobe_faults import lobe_faults
from weakmask.anatomy.lobe_numberings import NUMBERINGS
from weakmask.datasets.case import Case, Cohort, Fault
from weakmask.datasets.mask_checks import by, label_sizes, on_grid, some
from weakmask.datasets.named_masks import read_region_mask
from weakmask.datasets.usable_truth import usable_truth
from weakmask.errors import UserError
from weakmask.progress import collected_notes
from weakmask.volume.files import read_volume, refuse_nonfinite
from weakmask.volume.geometry import Geometry
from weakmask.volume.pictures import is_picture
from weakmask.volume.volume import Kind, Volume

LOBES = tuple(NUMBERINGS["weakmask"])

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

    def read(self, path: Path, kind: Kind, *, fatal: bool, names: Mapping[int, str] | None = None) -> Volume | None:
        """The volume, or None and a fault."""
        with collected_notes() as notes:
            try:
                volume = read_volume(path, kind) if names is None else read_region_mask(path, names)
                refuse_nonfinite(volume, path)
            except UserError as error:
                self.add(path, self.without_folder(error, path), fatal=fatal)
                return None
        for note in notes:
            self.add(path, note.removeprefix(f"{path}: ").replace(f"{self.folder}/", ""), fatal=False)
        return volume

    def read_mask(self, path: Path, image: Geometry, names: Mapping[int, str]) -> Volume | None:
        """The region mask on the image's grid, or None and a fatal fault; `names` are the regions' by label."""
        mask = self.read(path, "label", fatal=True, names=names)
        try:
            return None if mask is None else on_grid(mask, image, path)
        except UserError as error:
            self.add(path, self.without_folder(error, path), fatal=True)
            return None

    def without_folder(self, error: UserError, path: Path | None) -> str:
        """The message of an error about a file, which `add` puts the file's short name before."""
        return str(error).removeprefix(f"{path}: ").replace(f"{self.folder}/", "")


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
        regions = findings.read_mask(case.regions, image.geometry, cohort.region_names)
        if regions is not None:
            case = _with_regions(case, _check_regions(regions, case, cohort.region_names, findings))
    try:
        usable_truth(case, image.geometry)
    except UserError as error:
        findings.add(case.truth or case.image, findings.without_folder(error, case.truth), fatal=False)
        case = replace(case, truth=None)
    bad = any(fault.fatal for fault in findings.faults)
    return (None if bad else case), findings.faults


def refuse_unmakeable_regions(cohort: Cohort) -> None:
    """Refuse scored regions that have no masks and cannot be made: only lobes, and the two lungs of a CT, can.

    Raises:
        UserError: Such a region; the line says what to do.
    """
    bare = [case for case in cohort.cases if case.scores and case.regions is None]
    if not bare:
        return
    scored = [cohort.region_names.get(label, str(label)) for label in sorted({k for c in bare for k in c.scores})]
    makeable = {*LOBES, *map(str.upper, NUMBERINGS["lungs"])}
    other = [name for name in scored if name.upper() not in makeable]
    pictures = [case for case in bare if is_picture(case.image)]
    if other:
        raise UserError(
            f"{cohort.folder}: region `{other[0]}` cannot be made automatically: only lobes, or the left and right "
            "lung, can; put masks into regions/"
        )
    if pictures:
        file = pictures[0].image.relative_to(cohort.folder).as_posix()
        raise UserError(
            f"{cohort.folder}: the regions of the picture {file} cannot be made automatically, because its grey values "
            "are not Hounsfield units; put masks into regions/"
        )


def _check_image(image: Volume, path: Path, findings: _Findings, *, hounsfield: bool) -> None:
    voxels, flat = image.voxels, len(image.voxels) == 1
    lowest, highest = float(voxels.min()), float(voxels.max())
    if lowest == highest:
        findings.add(path, f"every voxel is {lowest:g}; the image is empty; export it again", fatal=True)
        return
    low, high = AIR_AND_LUNG_HU
    air = np.count_nonzero((voxels >= low) & (voxels <= high)) / voxels.size
    if hounsfield and not is_picture(path) and air < LEAST_AIR_AND_LUNG:
        text = (
            f"not in Hounsfield units (HU): values {lowest:g} to {highest:g}, {100 * air:.1f} % of them air or lung "
            f"({low} to {high}); export the CT with its rescale slope and intercept applied"
        )
        findings.add(path, text, fatal=not flat)
    spacing = image.geometry.spacing_mm
    ratio = max(spacing) / min(spacing)
    if not flat and ratio > MOST_ANISOTROPY:
        text = f"voxels of {by(spacing)} mm (z, y, x) are {ratio:.1f} times as long as wide; expect coarse masks"
        findings.add(path, text, fatal=False)


def _with_regions(case: Case, usable: Collection[int]) -> Case:
    """The case with the labels of its usable regions, and of the whole image."""
    scores = {label: score for label, score in case.scores.items() if label in usable}
    presence = {label: classes for label, classes in case.presence.items() if label is None or label in usable}
    return replace(case, scores=scores, presence=presence)


def _check_regions(regions: Volume, case: Case, names: Mapping[int, str], findings: _Findings) -> Collection[int]:
    """The labelled regions that have voxels."""
    path = case.regions or Path()
    sizes = label_sizes(regions.voxels)
    if not sizes:
        findings.add(path, "no region at all, every voxel is 0; make the mask again", fatal=True)
        return ()
    labelled = sorted({*case.scores, *(label for label in case.presence if label is not None)})
    usable = [label for label in labelled if sizes.get(label, 0) >= LEAST_REGION_VOXELS]
    if labelled and not usable:
        hint = _whose(sizes, names, labelled)
        text = f"has the labels {some(sizes)}, none of the scored {some(labelled)}; {hint}"
        findings.add(path, text, fatal=True)
        return ()
    for label in labelled:
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


def _renumbered(regions: Volume, house: Mapping[int, int]) -> Volume:
    voxels = np.zeros(regions.voxels.shape, dtype=np.uint8)
    for label, number in house.items():
        voxels[regions.voxels == label] = number
    return regions.with_voxels(voxels)


def _whose(sizes: Mapping[int, int], names: Mapping[int, str], scored: Iterable[int]) -> str:
    """A hint at the numbering of these labels."""
    present = set(sizes)
    if max(present) > 255 and {label & 0xFF for label in present} >= set(scored):  # Chest Imaging Platform
        return "their low bytes are: save label modulo 256, the region without the kind of tissue"
    for name, numbering in NUMBERINGS.items():
        lobes = {label for lobe, label in numbering.items() if lobe in LOBES}
        if lobes and lobes <= present and not lobes <= set(names):
            return f"they are those of {name}: write `numbering: {name}` in regions.yaml"
    return "say in regions.yaml what the labels mean"
