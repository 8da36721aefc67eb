"""A scan and its regions as commands use them: checked, without labels that have no name; faults refuse the scan."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from weakmask.anatomy.lobe_numberings import NUMBERINGS, described
from weakmask.anatomy.scan_checks import Finding, check_scan
from weakmask.errors import UserError
from weakmask.progress import note
from weakmask.volume.pictures import is_picture
from weakmask.volume.regions import label_sizes
from weakmask.volume.volume import Volume


def refuse_faulty_image(image: Volume, file: Path, *, hounsfield: bool) -> None:
    """Refuse a scan whose grey values are not Hounsfield units; of a single slice it is only noted.

    Args:
        image: The scan.
        file: Its file, for messages.
        hounsfield: Whether they must be.

    Raises:
        UserError: They are not.
    """
    _report(check_scan(image, None, {}, hounsfield=hounsfield).findings, {"image": file})


def checked_regions(
    image: Volume,
    regions: Volume,
    names: Mapping[int, str],
    files: tuple[Path, Path],
    *,
    hounsfield: bool,
    grey_values_used: bool = True,
) -> Volume:
    """The regions of a scan that have a name; notes are printed.

    Args:
        image: The scan.
        regions: Region labels on the same grid.
        names: Label -> name.
        files: Of the image and of the mask, for messages.
        hounsfield: Whether the grey values must be Hounsfield units.
        grey_values_used: Whether faults of the grey values refuse the scan; otherwise they are only noted.

    Raises:
        UserError: A fault of `check_scan`, or no label has a name.
    """
    present = label_sizes(regions.voxels)
    if not present:  # the caller knows whether that is a fault
        return regions
    checked = check_scan(image, regions, names, hounsfield=hounsfield, placed=not is_picture(files[0]))
    if checked.regions is None or not checked.regions.voxels.any():
        raise UserError(f"{files[1]}: {nameless_fault(present, names)}")
    of_image = [replace(found, fatal=False) for found in checked.findings if found.about == "image"]
    others = [found for found in checked.findings if found.about != "image"]
    findings = checked.findings if grey_values_used else [*of_image, *others]
    _report(findings, {"image": files[0], "regions": files[1]})
    return checked.regions


def _report(findings: Iterable[Finding], files: Mapping[str, Path]) -> None:
    """Print the notes; refuse the scan for the rest."""
    lines = [(f"{files[finding.about]}: {finding.text}", finding.fatal) for finding in findings]
    faults = [line for line, fatal in lines if fatal]
    if faults:
        raise UserError("; ".join(faults))
    for line, _ in lines:
        note(line, again=True)


def nameless_fault(present: Mapping[int, int], names: Mapping[int, str]) -> str:
    """The fault of a mask whose labels have no name, with the numberings that have them.

    Args:
        present: The labels of the mask; the values do not matter.
        names: Label -> name of the regions that are known.
    """
    shown = ", ".join(map(str, sorted(present)[:8])) + (", ..." if len(present) > 8 else "")
    known = described({name: label for label, name in names.items()})
    return f"has the labels {shown}, none of {known}{_hint(set(present), set(names.values()))}"


def _hint(labels: set[int], trained: set[str]) -> str:
    """Numberings with these labels: those with regions of the model, else those with exactly these labels."""
    having = {name: numbering for name, numbering in NUMBERINGS.items() if labels <= set(numbering.values())}
    fitting = [name for name, numbering in having.items() if trained <= numbering.keys()]
    fitting = fitting or [name for name, numbering in having.items() if labels == set(numbering.values())]
    if not fitting:  # lobes among other organs
        fitting = [
            name
            for name, numbering in NUMBERINGS.items()
            if trained <= numbering.keys() and set(numbering.values()) <= labels
        ]
    if not fitting:
        return ""
    choice = f"give --numbering {fitting[0]}" if len(fitting) == 1 else "say with --numbering whose they are"
    return f"; the labels are those of {' or '.join(fitting)}: {choice}"
