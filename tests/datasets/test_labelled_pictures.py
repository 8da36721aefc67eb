"""Pets and BUSI: pictures with a table of classes and masks; near copies count as one patient."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from weakmask.datasets.cohort import check_cohort
from weakmask.datasets.cohort_writing import write_cohort
from weakmask.datasets.labelled_pictures import read_busi, read_labelled_pictures, read_pets
from weakmask.datasets.near_copies import groups_of_copies
from weakmask.errors import UserError


def save(pixels: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def busi(tmp_path: Path) -> Path:
    """A lesion of each class, one of them twice with other brightness, and a picture without any."""
    folder, rows = tmp_path / "busi", ["image,lesion,benign,malignant,split"]
    for seed, (name, label) in enumerate((("a", 1), ("copy", 1), ("b", 2), ("normal", 0))):
        grey = np.random.default_rng(0 if name == "copy" else seed).integers(0, 120, (64, 64)).astype(np.uint8)
        save(grey + np.uint8(60 if name == "copy" else 0), folder / "images" / f"{name}.png")
        mask = np.zeros((64, 64), np.uint8)
        mask[10:20, 10:30] = label
        save(mask, folder / "masks" / f"{name}.png")
        rows.append(f"{name},{int(label > 0)},{int(label == 1)},{int(label == 2)},development")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def test_classes_stand_in_the_order_of_the_masks_numbers(busi: Path, tmp_path: Path) -> None:
    found = read_busi(busi)
    assert found.classes == ("benign", "malignant")
    assert [case.presence[None] for case in found.cases[1:]] == [
        {"benign": True, "malignant": False},
        {"benign": False, "malignant": True},
        {"benign": False, "malignant": False},
    ]
    write_cohort(found, tmp_path / "cohort", truth=True)
    written = check_cohort(tmp_path / "cohort", hounsfield=False)
    assert [fault.message for fault in written.faults if "truth" in fault.message] == []
    assert [case.truth_kind for case in written.cases] == ["classes"] * 4
    assert written.classes == found.classes


def test_near_copies_are_one_patient(busi: Path) -> None:
    assert [case.patient for case in read_busi(busi).cases] == ["a", "a", "b", "normal"]


def test_a_chain_of_copies_is_one_group(tmp_path: Path) -> None:
    y = np.linspace(0, 2 * np.pi, 64)[:, None] + np.zeros((1, 64))
    phases = {
        "first": 0.0,
        "second": 0.35,
        "third": 0.7,
        "other": 3.0,
    }  # neighbours correlate with 0.94, ends with 0.76
    for name, phase in phases.items():
        save((127 + 100 * np.sin(y + phase)).astype(np.uint8), tmp_path / f"{name}.png")
    save(np.full((64, 64), 9, np.uint8), tmp_path / "plain.png")
    paths = [tmp_path / f"{name}.png" for name in ("first", "other", "second", "plain", "third")]
    assert groups_of_copies(paths, least=0.9) == [0, 1, 0, 3, 0]
    assert groups_of_copies([]) == []
    (tmp_path / "broken.png").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"broken\.png: cannot be read"):
        groups_of_copies([tmp_path / "broken.png"])


def test_a_missing_class_or_file_is_refused(busi: Path) -> None:
    with pytest.raises(UserError, match="has no column cat, dog of 0 and 1"):
        read_pets(busi)
    (busi / "masks" / "b.png").unlink()
    assert [case.truth is None for case in read_busi(busi).cases] == [False, False, True, False]
    (busi / "images" / "a.png").unlink()
    with pytest.raises(UserError, match=r"images/a: no such file"):
        read_labelled_pictures(busi, ("lesion",))


@pytest.mark.real_data
def test_the_real_pictures_have_their_classes(real_data: Callable[[str], Path]) -> None:
    pets, busi = read_pets(real_data("wsmis/pets")), read_busi(real_data("wsmis/busi"))
    assert (len(pets.cases), len(busi.cases)) == (227, 453)
    assert all(sum(case.presence[None].values()) == 1 for case in pets.cases)
    assert sum(not any(case.presence[None].values()) for case in busi.cases) > 50  # normal pictures
    assert len({case.group for case in busi.cases}) == 412
