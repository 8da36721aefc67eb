"""A cohort of images and classes that was written is read back, without masks where none may be seen."""

from pathlib import Path

import numpy as np
from PIL import Image

from weakmask.datasets.case import Case
from weakmask.datasets.cohort import check_cohort
from weakmask.datasets.label_cohort import write_label_cohort


def test_classes_patients_and_masks_come_back(tmp_path: Path) -> None:
    labels = np.zeros((20, 30), np.uint8)
    labels[3:9, 4:12] = 2
    cases = []
    for name, present in {"one": {"cat": False, "dog": True}, "two": {"dog": False}}.items():
        image, mask = tmp_path / "set" / f"{name}.jpg", tmp_path / "set" / "masks" / f"{name}.png"
        mask.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(labels * 100).save(image)
        Image.fromarray(labels).save(mask)
        cases.append(Case(name, image, None, mask, {}, "family", {None: {"pet": True, **present}}, "classes"))
    for folder, truth in {"training": False, "test": True}.items():
        write_label_cohort(cases, tmp_path / folder, ("cat", "dog"), truth=truth)
    training, test = check_cohort(tmp_path / "training"), check_cohort(tmp_path / "test")
    assert training.classes == test.classes == ("cat", "dog")
    assert [dict(case.presence[None]) for case in training.cases] == [{"cat": False, "dog": True}, {"dog": False}]
    assert {case.group for case in training.cases} == {"family"}
    assert all(case.truth is None for case in training.cases)
    assert not (tmp_path / "training" / "truth").exists()
    assert [case.truth_kind for case in test.cases] == ["classes", "classes"]
    assert all(case.truth is not None for case in test.cases)
    before = (tmp_path / "test" / "labels.csv").stat().st_mtime_ns
    write_label_cohort(cases[:1], tmp_path / "test", ("cat",), truth=True)
    assert (tmp_path / "test" / "labels.csv").stat().st_mtime_ns == before
