"""Cohorts of small pictures with rectangles in the colours of their classes, as PNG or as single slices."""

from pathlib import Path

import numpy as np
from PIL import Image

from weakmask.volume.files import write_volume
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Volume

COLOURS = {"sky": (70, 120, 230), "grass": (80, 220, 50)}
PRESENT = ([0], [1], [0, 1], [])  # classes of a picture, in turn
SHAPE = (40, 44)


def write_picture_cohort(folder: Path, pictures: int, seed: int, *, slices: bool = False) -> None:
    """Write images/, truth/, labels.csv and truth.yaml; every fourth picture has no class.

    Args:
        folder: The cohort.
        pictures: How many.
        seed: Of the rectangles and the noise; part of the names.
        slices: Grey single slices with a place in the patient (.nii.gz) instead of colour pictures.
    """
    chance = np.random.default_rng(seed)
    lines = [f"image,{','.join(COLOURS)}"]
    for room in ("images", "truth"):
        (folder / room).mkdir(parents=True)
    for number in range(pictures):
        present, name = PRESENT[number % len(PRESENT)], f"picture_{seed}_{number:02d}"
        pixels, truth = np.full((*SHAPE, 3), 12.0), np.zeros(SHAPE, np.uint8)
        for label in present:
            rows, columns = slice(4, int(chance.integers(20, 36))), slice(2 + 21 * label, 20 + 21 * label)
            pixels[rows, columns], truth[rows, columns] = list(COLOURS.values())[label], label + 1
        pixels = np.clip(pixels + chance.normal(0, 6, pixels.shape), 0, 255).astype(np.uint8)
        if slices:
            place = Geometry((1, *SHAPE), (5.0, 0.8, 0.8), (-17.0, 30.0, 120.0))
            write_volume(
                Volume(pixels.mean(axis=2)[None].astype(np.int16), place), folder / "images" / f"{name}.nii.gz"
            )
            write_volume(Volume(truth[None], place, "label"), folder / "truth" / f"{name}.nii.gz")
        else:
            Image.fromarray(pixels).save(folder / "images" / f"{name}.png")
            Image.fromarray(truth).save(folder / "truth" / f"{name}.png")
        lines.append(",".join([name, *(str(int(label in present)) for label in range(len(COLOURS)))]))
    (folder / "labels.csv").write_text("\n".join([*lines, ""]), encoding="utf-8")
    (folder / "truth.yaml").write_text("kind: classes\n", encoding="utf-8")
