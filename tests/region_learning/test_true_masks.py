"""True masks of some scans of a cohort, on the grids of their crops."""

from pathlib import Path

import numpy as np
import pytest
import torch
from ball_cohort import run_stage, write_ball_cohort
from bright_ball import scene

from weakmask.errors import UserError
from weakmask.methods.dram.config import DramSettings, TrueMaskSettings
from weakmask.pipeline import Work
from weakmask.region_learning.crops import CropSet, load_crops
from weakmask.region_learning.prepare import prepare
from weakmask.region_learning.settings import DataSettings, PrepareSettings
from weakmask.region_learning.true_masks import true_masks
from weakmask.volume.files import read_volume
from weakmask.volume.resample import resample_onto
from weakmask.volume.volume import Volume

SCORES = {"one": {"LUL": 2, "LLL": 0}, "other": {"LUL": 2, "LLL": 0}}


def prepared(tmp_path: Path, with_mask: set[str]) -> tuple[Work, CropSet]:
    """A stage after `prepare`, of a cohort in which some scans keep their mask; and the crops."""
    cohort = tmp_path / "cohort"
    write_ball_cohort(cohort, SCORES)
    for file in (cohort / "lesions").iterdir():
        if file.name.partition(".")[0] not in with_mask:
            file.unlink()
    config = DramSettings(
        device="cpu",
        data=DataSettings(cohort=cohort, test=cohort, seen=True, validation=0.0),
        prepare=PrepareSettings(spacing_mm=None, crop_shape=(16, 18, 20)),
        true_masks=TrueMaskSettings(use=True),
    )
    work = run_stage(prepare, tmp_path / "run", "01-prepare", config)
    crops = load_crops(work.out, "training", config.prepare)
    return Work(work.run, work.run / "03-regression", config), crops


def test_crops_of_scans_with_a_mask_have_its_lesions(tmp_path: Path) -> None:
    work, crops = prepared(tmp_path, {"other"})
    masks, known = true_masks(crops, work)
    assert masks.shape == crops.image.shape
    assert known.tolist() == [scan == "other" for scan in crops.table["scan"]]
    image, _, truth = scene()
    for row, file in enumerate(crops.table["file"]):
        crop = read_volume(work.run / "01-prepare" / file)
        expected = resample_onto(Volume(truth.astype(np.uint8), image.geometry, "label"), crop.geometry).voxels > 0
        np.testing.assert_array_equal(masks[row, 0].numpy(), expected if known[row] else np.zeros_like(expected))
    assert (masks & crops.region).any()
    assert any("1 of 2 training scans have a true mask" in note for note in work.notes)


def test_without_any_mask_one_line_says_what_to_do(tmp_path: Path) -> None:
    work, crops = prepared(tmp_path, set())
    with pytest.raises(UserError, match=r"no training scan has a usable true mask in truth/; set true_masks.use to"):
        true_masks(crops, work)


def test_masks_are_in_the_order_of_the_crops(tmp_path: Path) -> None:
    work, crops = prepared(tmp_path, {"one", "other"})
    masks, known = true_masks(crops, work)
    assert known.all()
    turned = crops.only([2, 0])
    again, _ = true_masks(turned, work)
    assert torch.equal(again, masks[[2, 0]])
