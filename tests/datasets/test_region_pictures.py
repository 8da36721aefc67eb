"""Regions of pictures as a cohort of pictures: what is shown, what is present, what counts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from weakmask.datasets.case import Case, Cohort
from weakmask.datasets.cohort import check_cohort
from weakmask.datasets.region_pictures import write_region_pictures
from weakmask.errors import UserError
from weakmask.scoring.severity import CT_SEVERITY
from weakmask.volume.files import read_volume

GREY = np.random.default_rng(0).integers(0, 256, (40, 60), dtype=np.uint8)


def save(pixels: np.ndarray, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    """One picture: the right region is healthy, the left one half affected, a third one has no score."""
    regions = np.zeros(GREY.shape, np.uint8)
    regions[10:30, 8:20], regions[10:30, 30:50], regions[36:, :] = 1, 2, 3
    truth = np.zeros(GREY.shape, np.uint8)
    truth[10:20, 25:50] = 3
    data = tmp_path / "data"
    places = {"image": GREY, "regions": regions, "truth": truth}
    image, areas, true = (save(pixels, data / f"{name}.png") for name, pixels in places.items())
    case = Case("x", image, areas, true, {1: 0, 2: 4}, "p")
    return Cohort(data, CT_SEVERITY, {1: "right", 2: "left", 3: "other"}, (case,), ())


def test_each_scored_region_is_a_picture_with_its_class(cohort: Cohort, tmp_path: Path) -> None:
    write_region_pictures(cohort, tmp_path / "out", "opacity", truth=True)
    written = check_cohort(tmp_path / "out")
    found = {case.name: (case.presence[None], case.patient) for case in written.cases}
    assert found == {"x-right": ({"opacity": False}, "p"), "x-left": ({"opacity": True}, "p")}
    right, left = (next(case for case in written.cases if case.name == name) for name in ("x-right", "x-left"))
    shown = read_volume(left.image).voxels[0]
    assert shown.shape == (28, 28)  # the box and four pixels on each side
    assert np.array_equal(shown[4:24, 4:24], GREY[10:30, 30:50])
    assert len(np.unique(shown[:4])) == 1
    for case, expected in ((right, {0, 255}), (left, {0, 1, 255})):
        assert case.truth is not None
        assert set(np.unique(read_volume(case.truth, "label").voxels).tolist()) == expected
    assert left.truth is not None
    truth = read_volume(left.truth, "label").voxels[0]
    assert np.count_nonzero(truth == 1) == 10 * 20  # the part outside the region does not count
    assert np.count_nonzero(truth == 255) == 28 * 28 - 20 * 20


def test_pictures_to_train_on_have_no_truth(cohort: Cohort, tmp_path: Path) -> None:
    write_region_pictures(cohort, tmp_path / "out", "opacity", truth=False)
    assert not any((tmp_path / "out" / "truth").iterdir())
    assert check_cohort(tmp_path / "out").cases[0].truth is None


def test_an_image_of_more_bits_is_refused(cohort: Cohort, tmp_path: Path) -> None:
    deep = save(GREY.astype(np.uint16) * 200, tmp_path / "deep.png")
    other = replace(cohort, cases=(replace(cohort.cases[0], image=deep),))
    with pytest.raises(UserError, match=r"deep\.png: expected an 8-bit picture with region masks"):
        write_region_pictures(other, tmp_path / "out", "opacity", truth=True)
    assert not (tmp_path / "out").exists()
