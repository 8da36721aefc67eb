"""Notes on images that are pictures (PNG, JPEG): their grey values, and left and right."""

import numpy as np

from weakmask.datasets.case import Case, Cohort, Fault
from weakmask.datasets.named_masks import read_region_mask
from weakmask.errors import UserError
from weakmask.memory import memory_for
from weakmask.progress import collected_notes
from weakmask.volume.pictures import is_picture


def picture_notes(cohort: Cohort) -> list[Fault]:
    """One note for all images that are pictures, and one if their left and right seem to be exchanged.

    Both are legal, and only noted.
    """
    pictures = [case for case in cohort.cases if is_picture(case.image)]
    scored = [case for case in pictures if case.scores]
    return [*_grey_values(scored, cohort), *_sides(pictures, cohort)]


def _grey_values(pictures: list[Case], cohort: Cohort) -> list[Fault]:
    if not pictures:
        return []
    first = pictures[0].image.relative_to(cohort.folder).as_posix()
    which = f"{first} and {len(pictures) - 1} more are pictures" if len(pictures) > 1 else f"{first} is a picture"
    text = (
        f"{which}, not in Hounsfield units; set `prepare.window` in the config to their grey values, [0, 255] for "
        "example, or `prepare.grey_values: picture` for slices of CT"
    )
    return [Fault("", first, text, fatal=False)]


def _sides(pictures: list[Case], cohort: Cohort) -> list[Fault]:
    """A note if the region called left lies on the left of more than half of the pictures.

    In the usual display the viewer faces the patient, whose left is on the right.
    """
    sides = {name.lower().split()[0]: label for label, name in cohort.region_names.items() if name.strip()}
    left, right = sides.get("left"), sides.get("right")
    if left is None or right is None:
        return []
    found = [(case, _left_is_on_the_left(case, cohort, (left, right))) for case in pictures]
    found = [(case, mirrored) for case, mirrored in found if mirrored is not None]
    odd = [case for case, mirrored in found if mirrored]
    if 2 * len(odd) <= len(found) or not odd:
        return []
    file = f"regions/{odd[0].regions.name}" if odd[0].regions else ""
    one, other = (cohort.region_names[label] for label in (left, right))
    text = (
        f"{file}: region `{one}` (label {left}) lies on the picture's left and `{other}` (label {right}) on its right, "
        f"in {len(odd)} of {len(found)} pictures; names mean the patient's sides, and the patient's left is usually on "
        f"the right; if they are exchanged here, write `labels: {{{other}: {left}, {one}: {right}}}` in regions.yaml"
    )
    return [Fault("", file, text, fatal=False)]


def _left_is_on_the_left(case: Case, cohort: Cohort, sides: tuple[int, int]) -> bool | None:
    """Whether the left region lies further left than the right one; None where the mask does not say."""
    if case.regions is None:
        return None
    try:
        with memory_for(case.regions), collected_notes():
            voxels = read_region_mask(case.regions, cohort.region_names).voxels
    except UserError:  # the check of the case says what is wrong with the file, and prints its notes
        return None
    columns = [np.nonzero(voxels == label)[2] for label in sides]
    if not all(found.size for found in columns):
        return None
    return bool(columns[0].mean() < columns[1].mean())
