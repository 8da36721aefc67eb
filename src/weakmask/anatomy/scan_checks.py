"""The check of a scan with its region mask that every command makes before it uses them.

Labels without a name are no regions and become 0. A scan that is surely wrong is left out: its grey values are not
Hounsfield units, or its regions lie on the wrong side, upside down, outside the lungs, or have another numbering.
Doubts are only noted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from weakmask.anatomy.hounsfield_check import REMEDY, consolidated_note, hounsfield_fault, value_range
from weakmask.anatomy.lobe_numberings import NUMBERINGS, REGION_IN_LOW_BYTE, described
from weakmask.anatomy.lung_overlap import overlap_with_lungs
from weakmask.anatomy.region_parts import region_part
from weakmask.anatomy.region_places import explanation, misplaced, misproportioned, places_of, sampled
from weakmask.volume.regions import label_sizes
from weakmask.volume.volume import Volume

LEAST_REGION_VOXELS = 27  # 3 x 3 x 3: less is a crumb of a mask, not a region
LOBES = NUMBERINGS["weakmask"]


@dataclass(frozen=True)
class Finding:
    """One fault or note of a scan.

    Attributes:
        about: The file that it concerns.
        text: The line without the name of the file.
        fatal: Whether the scan must not be used.
    """

    about: Literal["image", "regions"]
    text: str
    fatal: bool


@dataclass(frozen=True)
class CheckedScan:
    """Result of `check_scan`.

    Attributes:
        regions: The regions that have a name, on the scan's grid; None: none were given.
        findings: Faults and notes.
    """

    regions: Volume | None
    findings: tuple[Finding, ...] = ()

    def fault(self, about: Literal["image", "regions"]) -> str:
        """All faults of one file in one line; empty if there are none."""
        return "; ".join(finding.text for finding in self.findings if finding.fatal and finding.about == about)


def check_scan(
    image: Volume, regions: Volume | None, names: Mapping[int, str], *, hounsfield: bool, placed: bool = True
) -> CheckedScan:
    """Check a scan and its regions.

    Args:
        image: The scan.
        regions: Its region labels on the same grid; None: it has none.
        names: Label -> name of the regions; a label without one is dropped, with a note. Where no label has a name,
            each stands for itself.
        hounsfield: Whether the grey values must be Hounsfield units. Of a single slice it is only noted, because a
            slice may show anything.
        placed: Whether the axes of the grid are the patient's; they are not in a picture.
    """
    flat = len(image.voxels) == 1
    findings: list[Finding] = []
    named, dropped = (None, "") if regions is None else named_regions(regions, names)
    sizes = {} if named is None else label_sizes(named.voxels)
    names = names or {label: str(label) for label in sizes}
    if dropped and sizes:
        findings.append(Finding("regions", dropped, fatal=False))
    lungs = None if named is None else _lungs_of(named, names, sizes)
    not_hounsfield = hounsfield_fault(image, None if flat else lungs) if hounsfield else ""
    if not_hounsfield:
        text = f"not in Hounsfield units (HU): values {value_range(image, lungs)}, {not_hounsfield}; {REMEDY}"
        findings.append(Finding("image", text, fatal=not flat))
    if named is not None and regions is not None and placed:
        present = {label: names[label] for label, size in sizes.items() if size >= LEAST_REGION_VOXELS}
        findings += [Finding("regions", text, fatal and not flat) for text, fatal in _places(regions, named, present)]
        if hounsfield and not flat and not any(finding.fatal for finding in findings):
            findings += _in_lungs(image, named, present, lungs)
    return CheckedScan(named, tuple(findings))


def named_regions(regions: Volume, names: Mapping[int, str]) -> tuple[Volume, str]:
    """The regions that have a name, and a note on those that have none; the rest of the mask is 0.

    Of labels of Chest Imaging Platform only the low byte is the region. Without any names, all labels are kept.
    """
    if not names:
        return regions, ""
    voxels = regions.voxels
    if any({label: name for name, label in NUMBERINGS[tool].items()} == dict(names) for tool in REGION_IN_LOW_BYTE):
        voxels = voxels & 0xFF
    sizes = label_sizes(voxels)
    nameless = sorted(set(sizes) - set(names))
    if nameless:
        voxels = np.where(np.isin(voxels, list(names)), voxels, voxels.dtype.type(0))
    if not nameless:
        return (regions if voxels is regions.voxels else regions.with_voxels(voxels)), ""
    share = sum(sizes[label] for label in nameless) / sum(sizes.values())
    shown = ", ".join(map(str, nameless[:8])) + (", ..." if len(nameless) > 8 else "")
    which = f"label {shown} has no name and is" if len(nameless) == 1 else f"labels {shown} have no name and are"
    known = described({names[label]: label for label in sorted(names)})
    return regions.with_voxels(voxels), f"{which} not used ({share:.2%} of the mask); the regions are {known}"


def _lungs_of(regions: Volume, names: Mapping[int, str], sizes: Mapping[int, int]) -> Volume | None:
    """The regions that are lungs or parts of them; None if there are none."""
    lungs = [label for label in sizes if region_part(names[label]).is_lung]
    if not lungs:
        return None
    return regions if len(lungs) == len(sizes) else regions.with_voxels(np.isin(regions.voxels, lungs))


def _places(regions: Volume, named: Volume, present: Mapping[int, str]) -> list[tuple[str, bool]]:
    """Faults of the regions relative to each other, with whether they are fatal."""
    names = {name.upper() if name.upper() in LOBES else name: label for label, name in present.items()}
    places = places_of(sampled(named), names)
    faults = misplaced(places)
    if not faults:
        whole = names.keys() >= LOBES.keys()
        return [(text, False) for text in (misproportioned(places) if whole else [])]
    hint = explanation(sampled(regions), names)
    return [("; ".join([*faults, hint] if hint else faults), True)]


def _in_lungs(image: Volume, named: Volume, present: Mapping[int, str], lungs: Volume | None) -> list[Finding]:
    """Faults and notes of the regions compared with the lungs that a CT shows."""
    overlap = overlap_with_lungs(image, named, present)
    faults, notes = list(overlap.faults), list(overlap.notes)
    if faults:
        hint = explanation(sampled(named), {name: label for label, name in present.items()})
        return [Finding("regions", "; ".join([*faults, hint] if hint else faults), fatal=True)]
    doubt = "" if lungs is None else consolidated_note(image, lungs)
    return [Finding("regions", note, fatal=False) for note in ([doubt] if doubt else notes)]
