"""Checks of one case that read its voxels: grids, labels, and what `check_scan` says of the scan and its regions."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from weakmask.anatomy.lobe_numberings import BOTH_LUNGS, NUMBERINGS
from weakmask.anatomy.scan_checks import LEAST_REGION_VOXELS, check_scan
from weakmask.datasets.case import Case, Cohort, Fault
from weakmask.datasets.mask_checks import by, on_grid, some
from weakmask.datasets.named_masks import read_region_mask
from weakmask.datasets.usable_truth import usable_truth
from weakmask.errors import UserError
from weakmask.progress import collected_notes
from weakmask.volume.files import refuse_nonfinite
from weakmask.volume.geometry import Geometry
from weakmask.volume.pictures import is_picture
from weakmask.volume.regions import label_sizes
from weakmask.volume.volume import Volume

LOBES = tuple(NUMBERINGS["weakmask"])

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

    def read(self, path: Path, read: Callable[[], Volume]) -> Volume | None:
        """The volume, or None and a fatal fault."""
        with collected_notes() as notes:
            try:
                volume = read()
                refuse_nonfinite(volume, path)
            except UserError as error:
                self.add(path, self.without_folder(error, path), fatal=True)
                return None
        for note in notes:
            self.add(path, note.removeprefix(f"{path}: ").replace(f"{self.folder}/", ""), fatal=False)
        return volume

    def read_mask(self, path: Path, image: Geometry, names: Mapping[int, str]) -> Volume | None:
        """The region mask on the image's grid, or None and a fatal fault; `names` are the regions' by label."""
        mask = self.read(path, partial(read_region_mask, path, names))
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
    image = findings.read(case.image, case.read_image)
    if image is None:
        return None, findings.faults
    names = cohort.region_names
    regions = None if case.regions is None else findings.read_mask(case.regions, image.geometry, names)
    named = _check_voxels(image, regions, case, names, findings, hounsfield=hounsfield)
    if regions is not None and named is not None:
        case = _with_regions(case, _usable_regions(regions, named, case, names, findings))
    try:
        usable_truth(case, image.geometry)
    except UserError as error:
        findings.add(case.truth or case.image, findings.without_folder(error, case.truth), fatal=False)
        case = replace(case, truth=None)
    bad = any(fault.fatal for fault in findings.faults)
    return (None if bad else case), findings.faults


def refuse_unmakeable_regions(cohort: Cohort) -> None:
    """Refuse scored regions that have no masks and cannot be made: only lobes, and the lungs of a CT, can.

    Raises:
        UserError: Such a region; the line says what to do.
    """
    bare = [case for case in cohort.cases if case.scores and case.regions is None]
    if not bare:
        return
    scored = [cohort.region_names.get(label, str(label)) for label in sorted({k for c in bare for k in c.scores})]
    makeable = {*LOBES, *map(str.upper, (*NUMBERINGS["lungs"], *BOTH_LUNGS))}
    other = [name for name in scored if name.upper() not in makeable]
    pictures = [case for case in bare if is_picture(case.image)]
    if other:
        raise UserError(
            f"{cohort.folder}: region `{other[0]}` cannot be made automatically: only lobes, or the lungs (`left` "
            "and `right`, or `lungs`), can; put masks into regions/"
        )
    if pictures:
        file = pictures[0].image.relative_to(cohort.folder).as_posix()
        raise UserError(
            f"{cohort.folder}: the regions of the picture {file} cannot be made automatically, because its grey values "
            "are not Hounsfield units; put masks into regions/"
        )


def _check_voxels(
    image: Volume,
    regions: Volume | None,
    case: Case,
    names: Mapping[int, str],
    findings: _Findings,
    *,
    hounsfield: bool,
) -> Volume | None:
    """The regions that have a name; the faults of the image and of the regions are noted."""
    lowest, highest = float(image.voxels.min()), float(image.voxels.max())
    if lowest == highest:
        text = f"every voxel is {lowest:g}; the image is empty; export it again"
        findings.add(case.image, text, fatal=True)
        return regions
    picture = is_picture(case.image)
    checked = check_scan(image, regions, names, hounsfield=hounsfield and not picture, placed=not picture)
    for found in checked.findings:
        path = case.image if found.about == "image" or case.regions is None else case.regions
        findings.add(path, found.text, fatal=found.fatal)
    spacing = image.geometry.spacing_mm
    ratio = max(spacing) / min(spacing)
    if len(image.voxels) > 1 and ratio > MOST_ANISOTROPY:
        text = f"voxels of {by(spacing)} mm (z, y, x) are {ratio:.1f} times as long as wide; expect coarse masks"
        findings.add(case.image, text, fatal=False)
    return checked.regions


def _with_regions(case: Case, usable: Collection[int]) -> Case:
    """The case with the labels of its usable regions, and of the whole image."""
    scores = {label: score for label, score in case.scores.items() if label in usable}
    presence = {label: classes for label, classes in case.presence.items() if label is None or label in usable}
    return replace(case, scores=scores, presence=presence)


def _usable_regions(
    regions: Volume, named: Volume, case: Case, names: Mapping[int, str], findings: _Findings
) -> Collection[int]:
    """The labelled regions that have voxels.

    Args:
        regions: The mask.
        named: The mask without labels that have no name.
        case: Its case.
        names: Label -> name.
        findings: Faults are added to it.
    """
    path, sizes = case.regions or Path(), label_sizes(named.voxels)
    present = sizes or label_sizes(regions.voxels)
    if not present:
        findings.add(path, "no region at all, every voxel is 0; make the mask again", fatal=True)
        return ()
    labelled = sorted({*case.scores, *(label for label in case.presence if label is not None)})
    usable = [label for label in labelled if sizes.get(label, 0) >= LEAST_REGION_VOXELS]
    if labelled and not usable:
        hint = _whose(present, names, labelled)
        text = f"has the labels {some(present)}, none of the scored {some(labelled)}; {hint}"
        findings.add(path, text, fatal=True)
        return ()
    for label in labelled:
        if label not in usable:
            has = f"only {sizes[label]} voxels" if label in sizes else "no voxel"
            text = f"region {names.get(label, label)} (label {label}) has {has}; its score is not used"
            findings.add(path, text, fatal=False)
    return usable


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
