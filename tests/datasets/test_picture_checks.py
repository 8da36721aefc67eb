"""Left and right in pictures, and regions that cannot be made."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from weakmask.datasets.cohort import check_cohort
from weakmask.errors import UserError


def xrays(folder: Path, left_first: list[bool], names: str = "left,right") -> Path:
    """X-rays of two lungs; where `left_first`, label 1 lies on the picture's left."""
    for kind in ("images", "regions"):
        (folder / kind).mkdir(parents=True)
    for number, first in enumerate(left_first):
        image = np.random.default_rng(number).integers(0, 255, (20, 40), np.uint8)
        lungs = np.zeros((20, 40), np.uint8)
        lungs[2:18, 2:18], lungs[2:18, 22:38] = (1, 2) if first else (2, 1)
        Image.fromarray(image).save(folder / "images" / f"x{number}.png")
        Image.fromarray(lungs).save(folder / "regions" / f"x{number}.png")
    rows = [f"x{number},1,2" for number in range(len(left_first))]
    (folder / "scores.csv").write_text("\n".join([f"scan,{names}", *rows]))
    return folder


def side_notes(folder: Path) -> list[str]:
    return [fault.message for fault in check_cohort(folder).faults if "picture's left" in fault.message]


def test_left_on_the_pictures_left_is_noted_once(tmp_path: Path) -> None:
    (note,) = side_notes(xrays(tmp_path / "cohort", [True, False, True]))
    assert note == (
        "regions/x0.png: region `left` (label 1) lies on the picture's left and `right` (label 2) on its right, "
        "in 2 of 3 pictures; names mean the patient's sides, and the patient's left is usually on the right; "
        "if they are exchanged here, write `labels: {right: 1, left: 2}` in regions.yaml"
    )


def test_the_usual_display_is_fine(tmp_path: Path) -> None:
    assert side_notes(xrays(tmp_path / "cohort", [False, False, True])) == []
    assert side_notes(xrays(tmp_path / "half", [False, True])) == []


def test_names_of_masks_and_not_their_order_say_which_is_left(tmp_path: Path) -> None:
    folder = xrays(tmp_path / "cohort", [False, False])
    (folder / "regions.yaml").write_text("labels: {right: 1, left: 2}\n")
    for number in range(2):
        file = folder / "regions" / f"x{number}.png"
        lungs = np.asarray(Image.open(file))
        file.unlink()
        (folder / "regions" / f"x{number}").mkdir()
        for label, name in ((1, "left"), (2, "right")):
            Image.fromarray((lungs == label).astype(np.uint8)).save(folder / "regions" / f"x{number}" / f"{name}.png")
    assert side_notes(folder) == []


def test_the_advice_ends_the_note(tmp_path: Path) -> None:
    folder = xrays(tmp_path / "cohort", [True, True])
    (folder / "regions.yaml").write_text("labels: {right: 1, left: 2}\n")
    assert side_notes(folder) == []


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (
            "hilum",
            "region `hilum` cannot be made automatically: only lobes, or the lungs .* can; put masks",
        ),
        ("lungs", r"regions of the picture images/x0\.png cannot be made automatically"),
        ("left,right", r"regions of the picture images/x0\.png cannot be made automatically"),
    ],
)
def test_scored_regions_that_cannot_be_made_are_refused(tmp_path: Path, names: str, words: str) -> None:
    folder = xrays(tmp_path / "cohort", [False, False])
    for path in (folder / "regions").iterdir():
        path.unlink()
    (folder / "regions.yaml").write_text(
        f"labels: {{{', '.join(f'{n}: {k + 1}' for k, n in enumerate(names.split(',')))}}}"
    )
    (folder / "scores.csv").write_text(f"scan,{names}\nx0{',1' * len(names.split(','))}\n")
    with pytest.raises(UserError, match=words) as caught:
        check_cohort(folder)
    assert "\n" not in str(caught.value)
