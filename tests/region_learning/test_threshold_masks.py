"""Masks without a network: all kinds on a scan whose lesion is known."""

from typing import Any, get_args

import numpy as np
import pytest
import torch
from ball_cohort import run_stage, write_ball_cohort
from bright_ball import dice, scene

from weakmask.methods.dram import DramSettings
from weakmask.pipeline import Work
from weakmask.region_learning.prepare import prepare
from weakmask.region_learning.settings import DataSettings, PrepareSettings
from weakmask.region_learning.threshold_masks import OpenedPicture, ThresholdMask, mask_function
from weakmask.scoring.severity import CT_SEVERITY


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Work[Any]:
    """A stage after `prepare`, on scans with the right scores."""
    folder = tmp_path_factory.mktemp("balls")
    _, regions, truth = scene()
    score = CT_SEVERITY.score_of(float(truth[regions.voxels == 1].mean()))
    write_ball_cohort(folder / "cohort", {f"scan-{number}": {"LUL": score, "LLL": 0} for number in range(3)})
    config = DramSettings(
        device="cpu",
        data=DataSettings(cohort=folder / "cohort", validation=0.34),
        prepare=PrepareSettings(spacing_mm=None, crop_shape=(32, 32, 32)),
    )
    run_stage(prepare, folder / "run", "01-prepare", config)
    return Work(folder / "run", folder / "run" / "02-maps", config)


def test_each_kind_makes_its_mask(work: Work[Any]) -> None:
    image, regions, truth = scene()
    masks = {
        kind: mask_function(work, kind, 3, CT_SEVERITY)(image, regions, [1, 2]) for kind in get_args(ThresholdMask)
    }
    assert not masks["nothing"].any()
    for kind in ("Otsu in the region", "fixed threshold", "fixed threshold, balanced", "opened picture"):
        assert dice(masks[kind], truth) > 0.7, kind
        assert not masks[kind][regions.voxels == 0].any()
    assert [note.split(" chosen")[0] for note in work.notes] == [
        "fixed threshold",
        "threshold of the opened picture",
        "cut of the opened picture",
    ]


def test_only_the_regions_that_are_asked_for_are_marked(work: Work[Any]) -> None:
    image, regions, _ = scene()
    for kind in get_args(ThresholdMask):
        assert not mask_function(work, kind, 3, CT_SEVERITY)(image, regions, [2])[regions.voxels == 1].any(), kind


def test_the_opened_picture_is_cut_at_its_threshold() -> None:
    picture = torch.full((1, 1, 9, 9), 0.4)
    picture[..., 3:6, 3:6], picture[..., 1, 1] = 0.8, 0.9  # a square, and a point that the opening removes
    logits = OpenedPicture(3, 0.6)(picture)[0, 0].detach().numpy()
    expected = np.zeros((9, 9), bool)
    expected[3:6, 3:6] = True
    assert np.array_equal(logits > 0, expected)
