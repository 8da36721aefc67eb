"""True masks on the crops' grids, batches in which they move along, and the two losses by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from weakmask.config import to_yaml
from weakmask.methods.supervised import SupervisedSettings
from weakmask.methods.supervised.config import LossSettings
from weakmask.methods.supervised.prepare import load_truth, prepare
from weakmask.methods.supervised.segmentation import BatchMaker, Objective, Validation
from weakmask.phantoms.chest_ct import write_phantom_cohort
from weakmask.pipeline import Work
from weakmask.region_learning.crops import OUTSIDE, CropSet, load_crops
from weakmask.region_learning.settings import DataSettings, PrepareSettings, TrainingSettings
from weakmask.volume.files import read_volume

SIDE = 8


def settings(cohort: Path = Path("none"), **losses: object) -> SupervisedSettings:
    return SupervisedSettings(
        data=DataSettings(cohort=cohort, validation=0.25),
        prepare=PrepareSettings(spacing_mm=None, crop_shape=(24, 24, 24)),
        losses=LossSettings(**losses),  # pyright: ignore[reportArgumentType]
        segmentation=TrainingSettings(batch=4),
    )


def crops(scores: list[int]) -> tuple[CropSet, Tensor]:
    """Crops whose lesions are exactly where the image is bright."""
    generator = torch.Generator().manual_seed(5)
    region = torch.zeros(len(scores), 1, SIDE, SIDE, SIDE, dtype=torch.bool)
    region[..., 1:7, 1:7, 1:7] = True
    truth = (torch.rand(region.shape, generator=generator) > 0.7) & region
    image = (0.2 + 0.6 * truth) * region
    return CropSet(image.half(), region, pd.DataFrame({"score": scores})), truth


class Threshold(nn.Module):
    """A steep logit at half grey."""

    def __init__(self, steepness: float = 40.0) -> None:
        super().__init__()
        self.steepness = nn.Parameter(torch.tensor(steepness))

    def forward(self, image: Tensor) -> Tensor:
        return self.steepness * (image - 0.5)


def test_lesions_move_with_their_crops() -> None:
    maker = BatchMaker(*crops([0, 1, 2, 5] * 2), settings())
    batch = maker(3)
    assert not (batch["truth"] * (1 - batch["region"])).any()
    bright = (batch["image"] > 0.5).float()
    agree = (bright == batch["truth"]).float().mean()
    assert agree > 0.9  # resizing is linear for the image and nearest for the mask
    assert batch["truth"].sum() > 50
    again = BatchMaker(*crops([0, 1, 2, 5] * 2), settings())(3)
    assert all(torch.equal(batch[name], again[name]) for name in batch)


def test_the_total_is_the_weighted_sum_of_the_losses_by_hand() -> None:
    class Constant(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.logit = nn.Parameter(torch.tensor(0.0))

        def forward(self, image: Tensor) -> Tensor:
            return self.logit.expand_as(image)

    region = torch.ones(2, 1, 4, 4)
    truth = torch.zeros_like(region)
    truth[0, :, :1] = 1  # a quarter of the first crop, nothing of the second
    network = Constant()
    batch = {"image": region, "region": region, "truth": truth}
    found = Objective(settings(cross_entropy=2.0, dice=3.0))(network, batch, 0)
    overlap = 1 - 2 * (0.5 * 4) / (16 * 0.25 + 4)  # of the first crop; the second has none to find and counts 0
    assert found["cross_entropy"].item() == pytest.approx(np.log(2.0), rel=1e-5)
    assert found["dice"].item() == pytest.approx(overlap / 2, rel=1e-5)
    assert found["total"].item() == pytest.approx(2 * np.log(2.0) + 3 * overlap / 2, rel=1e-5)
    found["total"].backward()
    assert network.logit.grad is not None
    assert network.logit.grad != 0


def test_only_the_region_counts() -> None:
    held, truth = crops([1, 2])
    image, region = held.image.float(), held.region.float()
    batch = {"image": image, "region": region, "truth": truth.float()}
    wrong_outside = {**batch, "image": torch.where(held.region, image, torch.ones_like(image))}
    network, objective = Threshold(), Objective(settings())
    assert objective(network, batch, 0)["total"].item() == objective(network, wrong_outside, 0)["total"].item()
    assert objective(network, batch, 0)["total"].item() < 0.01


def test_validation_is_the_pooled_dice() -> None:
    held, truth = crops([0, 1, 2, 4, 5])
    assert Validation(held, truth, 2)(Threshold(), 1)["score"] == pytest.approx(1.0)
    undecided = Validation(held, truth, 2)(Threshold(0.0), 1)  # a probability of one half is no mark
    assert undecided["score"] == 0.0
    assert Validation(held, truth & ~held.region, 2)(Threshold(0.0), 1)["score"] == 0.0  # nothing true, nothing marked
    darkest = Threshold()
    darkest.forward = lambda image: 40.0 * (image - 0.1)  # everything inside the regions
    marked, true = int(held.region.sum()), int(truth.sum())
    assert Validation(held, truth, 2)(darkest, 1)["dice_at_half"] == pytest.approx(2 * true / (marked + true))


def test_true_masks_lie_on_the_crops_grids(tmp_path: Path) -> None:
    write_phantom_cohort(tmp_path / "cohort", 4, 3, (40, 44, 48), (8.0, 8.0, 8.0), workers=1)
    scans = sorted(path.name.removesuffix(".nii.gz") for path in (tmp_path / "cohort" / "images").iterdir())
    (tmp_path / "cohort" / "truth" / f"{scans[0]}.nii.gz").unlink()
    config = settings(tmp_path / "cohort")
    work = Work(tmp_path, tmp_path / "01-prepare", config)
    work.out.mkdir()
    prepare(work)
    index = pd.read_csv(work.out / "index.csv", dtype={"scan": str})
    assert sorted(index["scan"].unique()) == scans[1:]
    assert any(note == f"left out {scans[0]}: no usable truth to learn from" for note in work.notes)
    held = load_crops(work.out, "training", config.prepare)
    truth = load_truth(work.out, held)
    for row, file in enumerate(held.table["file"]):
        crop = read_volume(work.out / file)
        mask = read_volume(work.out / "lesions" / Path(file).name, "label")
        assert mask.geometry == crop.geometry
        np.testing.assert_array_equal(truth[row, 0].numpy(), mask.voxels > 0)
        inside = crop.voxels != OUTSIDE
        low, high = held.table["low"][row], held.table["high"][row]
        assert low - 0.05 <= (mask.voxels[inside] > 0).mean() <= high + 0.05  # the scores are those of the lesions
    assert truth.any()
    assert "method: supervised" in to_yaml(config)
