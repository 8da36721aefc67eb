"""What cannot be a stack of electron microscopy with instances is left out in one line."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from weakmask.datasets.case import Case
from weakmask.errors import UserError
from weakmask.methods import METHODS, train
from weakmask.methods.mitochondria import MitochondriaSettings
from weakmask.methods.mitochondria.prepare import true_instances
from weakmask.methods.mitochondria.working_stack import spacing_nm_of
from weakmask.volume.volume import Volume


def settings(cohort: Path, spacing_nm: tuple[float, ...] | None) -> MitochondriaSettings:
    return MitochondriaSettings.model_validate(
        {"data": {"cohort": cohort, "spacing_nm": spacing_nm, "validation": 0.2}}
    )


def test_a_truth_of_classes_is_no_truth_of_instances():
    """Its classes became one mask without a word."""
    case = Case("a", Path("a.png"), None, Path("truth/a.png"), {}, truth_kind="classes")
    with pytest.raises(
        UserError, match=r"truth/a.png: a mask of classes; expected `kind: instances` or `kind: binary`"
    ):
        true_instances(case, Volume.from_array(np.zeros((1, 4, 4)), (1, 1, 1)).geometry)


def test_a_ct_is_no_stack_of_electron_microscopy():
    ct = Volume.from_array(np.zeros((4, 8, 8), np.uint8), (1.25, 0.7, 0.7))
    with pytest.raises(UserError, match=r"ct: voxels of 1.25e\+06 x 700000 x 700000 nm; expected .* at most 10,000 nm"):
        spacing_nm_of(ct, settings(Path(), None), "ct")
    assert spacing_nm_of(ct, settings(Path(), (30.0, 8.0, 8.0)), "ct") == (30.0, 8.0, 8.0)


def test_single_pictures_leave_nothing_to_train_on(tmp_path: Path):
    """The training failed inside its random draws."""
    for folder in ("images", "truth"):
        (tmp_path / "c" / folder).mkdir(parents=True)
        Image.fromarray(np.full((32, 32), 255, np.uint8)).save(tmp_path / "c" / folder / "a.png")
    with pytest.raises(UserError, match="no stack has a usable truth to learn from"):
        train(METHODS["mitochondria"], settings(tmp_path / "c", (30.0, 8.0, 8.0)), tmp_path / "run")
