"""The classifier's batches, loss and validation; and that its maps find what it tells regions by."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional as F

from weakmask.methods.cam import CamSettings
from weakmask.methods.cam.classification import BatchMaker, Validation, losses_of
from weakmask.methods.cam.config import MapSettings
from weakmask.methods.cam.maps import crop_activation, otsu_mask, proposal
from weakmask.networks.classifiers import EncoderClassifier
from weakmask.region_learning.crops import CropSet
from weakmask.region_learning.settings import DataSettings, TrainingSettings
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Volume

SIDE = 8


def settings(**training: object) -> CamSettings:
    given = TrainingSettings(batch=6, **training)  # pyright: ignore[reportArgumentType]
    return CamSettings(data=DataSettings(cohort=Path("none")), classification=given)


def crops(scores: list[int]) -> CropSet:
    region = torch.zeros(len(scores), 1, SIDE, SIDE, SIDE, dtype=torch.bool)
    region[..., 1:7, 1:7, 1:7] = True
    # brightness tells crops apart, so that a batch shows which ones it took
    image = torch.linspace(0.2, 0.9, len(scores)).reshape(-1, 1, 1, 1, 1) * region
    return CropSet(image.half(), region, pd.DataFrame({"score": scores, "high": [score / 5 for score in scores]}))


class Mean(nn.Module):
    """One logit: 10 times the mean of the image above 0.2."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(10.0))

    def forward(self, image: Tensor) -> Tensor:
        return self.slope * (image.flatten(1).mean(dim=1, keepdim=True) - 0.2)


def test_a_batch_depends_on_the_step_alone() -> None:
    maker, again = (BatchMaker(crops([0, 1, 2, 5] * 4), settings()) for _ in range(2))
    maker(0)
    for step in (7, 2):
        first, second = maker(step), again(step)
        assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(maker(1)["image"], maker(2)["image"])


def test_both_classes_are_drawn_alike_whatever_the_scores() -> None:
    held = crops([0] * 2 + [1, 2, 3, 4, 5] * 4)
    drawn = torch.cat([BatchMaker(held, settings())(step)["positive"] for step in range(20)])
    assert drawn.mean() == pytest.approx(0.5, abs=0.02)
    uniform = torch.cat([BatchMaker(held, settings(sampling="uniform"))(step)["positive"] for step in range(20)])
    assert uniform.mean() == pytest.approx(20 / 22, abs=0.06)


def test_the_label_is_that_of_the_crop_drawn() -> None:
    maker = BatchMaker(crops([0, 3, 0, 1]), settings(augment=False))
    batch = maker(0)
    brightness = batch["image"].flatten(1).amax(dim=1)
    places = torch.tensor([int((maker.crops.image.flatten(1).amax(1) - value).abs().argmin()) for value in brightness])
    assert torch.equal(batch["positive"], maker.positive[places])


def test_the_loss_is_binary_cross_entropy_by_hand() -> None:
    network = Mean()
    image = torch.stack([torch.full((1, 4, 4), 0.3), torch.full((1, 4, 4), 0.2)])
    found = losses_of(network, {"image": image, "positive": torch.tensor([1.0, 0.0])}, 0)["total"]
    assert found.item() == pytest.approx((np.log1p(np.exp(-1.0)) + np.log(2.0)) / 2, rel=1e-5)
    found.backward()
    assert network.slope.grad is not None
    assert network.slope.grad != 0


def test_validation_weighs_classes_alike_and_knows_one_class() -> None:
    held = crops([0, 0, 0, 5])
    found = Validation(held, batch=3)(Mean(), 1)
    logits = 10 * (held.image.float().flatten(1).mean(dim=1) - 0.2)
    losses = [F.softplus(logits[:3]).mean(), F.softplus(-logits[3:]).mean()]
    assert found["cross_entropy"] == pytest.approx(float(sum(losses)) / 2, rel=1e-4)
    assert found["score"] == -found["cross_entropy"]
    assert found["area_under_roc"] == 1.0  # the severe one is the brightest
    assert "area_under_roc" not in Validation(crops([2, 3]), batch=2)(Mean(), 1)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_map_is_zero_outside_and_of_any_size(dimensions: int) -> None:
    torch.manual_seed(0)
    network = EncoderClassifier(dimensions=dimensions, width=2).eval()
    image = torch.rand(2, 1, *(20, 17, 9)[:dimensions])
    region = (image > 0.5).float()
    with torch.no_grad():
        found = crop_activation(network, image, region)
    assert found.shape == image.shape
    assert not found[region == 0].any()
    assert found[region == 1].abs().min() > 0


def test_a_trained_classifier_marks_what_it_tells_by() -> None:
    """Half of the pictures have a brighter disc somewhere; nobody says where."""
    torch.manual_seed(0)
    source = torch.Generator().manual_seed(1)
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    network = EncoderClassifier(dimensions=2, width=4)
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)

    def pictures(count: int) -> tuple[Tensor, Tensor, Tensor]:
        centre = 6 + 20 * torch.rand(count, 2, 1, 1, generator=source)
        positive = (torch.arange(count) % 2).float()
        disc = ((rows - centre[:, 0]) ** 2 + (columns - centre[:, 1]) ** 2 < 25) & (positive[:, None, None] > 0)
        image = 0.3 + 0.1 * torch.randn(disc.shape, generator=source) + 0.3 * disc
        return image[:, None], positive, disc

    for step in range(80):
        image, positive, _ = pictures(8)
        optimiser.zero_grad()
        losses_of(network, {"image": image, "positive": positive}, step)["total"].backward()
        optimiser.step()
    network.eval()
    image, positive, disc = pictures(16)
    with torch.no_grad():
        assert ((network(image)[:, 0] > 0) == (positive > 0)).all()
        found = crop_activation(network, image, torch.ones_like(image))
    areas = [roc_auc_score(disc[i].flatten(), found[i, 0].flatten()) for i in range(1, 16, 2)]
    assert np.mean(areas) > 0.9


def test_otsu_cuts_what_is_inside_and_nothing_of_a_flat_map() -> None:
    activation = np.full((1, 4, 4), 0.1, dtype=np.float32)
    activation[0, 0], activation[0, 3] = 0.9, 5.0
    inside = np.ones(activation.shape, dtype=bool)
    inside[0, 3] = False
    mask = otsu_mask(activation, inside)
    assert mask[0, 0].all()
    assert mask.sum() == 4
    assert not otsu_mask(np.full_like(activation, 0.5), inside).any()


def test_the_proposal_is_dense_tissue_inside_the_regions_without_its_vessels() -> None:
    geometry = Geometry((32, 32, 32), (1.0, 1.0, 1.0))
    z, y, x = (axis - 15.5 for axis in np.indices(geometry.shape))
    ball = (z**2 + (y + 6) ** 2 + x**2 < 49) & (y < 2)
    vessel = (np.hypot(z, y - 9) < 1.6) & (np.abs(x) < 14)
    image = np.full(geometry.shape, -850, np.int16)
    image[ball | vessel] = -50
    image[:, :, 31] = 50  # the chest wall
    inside = np.zeros(geometry.shape, dtype=bool)
    inside[1:31, 1:31, 1:30] = True
    scan = Volume(image, geometry)
    whole = proposal(scan, inside, MapSettings(exclude_vessels=False))
    np.testing.assert_array_equal(whole, (ball | vessel) & inside)
    found = proposal(scan, inside, MapSettings())
    assert not (found & ~whole).any()
    assert found[vessel].mean() < 0.2
    assert found[ball].mean() > 0.4  # the filter takes the rim of such a hard ball for vessel
