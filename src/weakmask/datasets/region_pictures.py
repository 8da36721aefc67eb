"""Regions of pictures as pictures of their own, for a method that learns the classes of whole images.

`NAME-REGION.png` shows the box of one region; pixels outside the region have the region's median grey value. Its class
is present where the region's score does not rule it out. The truth ignores the pixels outside the region.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import UInt8
from PIL import Image

from weakmask.atomic_write import atomic_folder
from weakmask.csv_table import write_csv
from weakmask.datasets.case import Case, Cohort
from weakmask.datasets.mask_checks import on_grid
from weakmask.datasets.usable_truth import usable_truth
from weakmask.errors import UserError
from weakmask.evaluation.class_masks import IGNORED
from weakmask.volume.files import read_volume
from weakmask.volume.regions import region_boxes

MARGIN_PX = 4.0


def write_region_pictures(cohort: Cohort, folder: Path, class_name: str, *, truth: bool) -> None:
    """Write the scored regions of 8-bit pictures as a cohort of pictures, complete or absent.

    Args:
        cohort: Pictures with regions and scores.
        folder: The folder to make; an existing one is not changed.
        class_name: The class that a score speaks of.
        truth: Whether truth/ goes along, 1 for the class.

    Raises:
        UserError: A file cannot be read, or an image is not an 8-bit picture.
        MachineError: The folder cannot be written.
    """
    if folder.exists():
        return
    rows = []
    with atomic_folder(folder) as temporary:
        (temporary / "images").mkdir()
        (temporary / "truth").mkdir()
        for case in cohort.cases:
            for label, (grey, true) in _regions_of(case).items():
                name = f"{case.name}-{cohort.region_names[label]}"
                Image.fromarray(grey).save(temporary / "images" / f"{name}.png")
                if truth and true is not None:
                    Image.fromarray(true).save(temporary / "truth" / f"{name}.png")
                present = int(not cohort.score_map.healthy(case.scores[label]))
                rows.append({"image": name, "patient": case.group, class_name: present})
        write_csv(pd.DataFrame(rows), temporary / "labels.csv")
        (temporary / "truth.yaml").write_text("kind: classes\n", encoding="utf-8")


def _regions_of(case: Case) -> dict[int, tuple[UInt8[np.ndarray, "y x"], UInt8[np.ndarray, "y x"] | None]]:
    """Region label -> the picture of the region and its truth; a region without pixels has none."""
    image = case.read_image()
    if case.regions is None or image.voxels.dtype != np.uint8 or len(image.voxels) > 1:
        raise UserError(f"{case.image}: expected an 8-bit picture with region masks")
    regions = on_grid(read_volume(case.regions, "label"), image.geometry, case.regions)
    truth = usable_truth(case, image.geometry)
    found = {}
    for label, box in region_boxes(regions, MARGIN_PX).items():
        if label in case.scores:
            inside = regions.voxels[box.slices][0] == label
            grey = image.voxels[box.slices][0]
            grey = np.where(inside, grey, np.uint8(np.median(grey[inside])))
            true = None if truth is None else truth.voxels[box.slices][0] > 0
            found[label] = grey, None if true is None else np.where(inside, true, IGNORED).astype(np.uint8)
    return found
