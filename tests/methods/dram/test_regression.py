"""The regression stage's pieces: batches that depend on the step alone, and the weighted losses."""

import math
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from weakmask.methods.dram.config import (
    CrfSettings,
    DramSettings,
    LossSettings,
    RefinementSettings,
    TrueMaskSettings,
)
from weakmask.methods.dram.regression import BatchMaker, Objective, Validation, intervals
from weakmask.region_learning.crops import CropSet
from weakmask.region_learning.settings import DataSettings, NetworkSettings, PrepareSettings, TrainingSettings

SIDE = 8


def settings(**losses: object) -> DramSettings:
    return DramSettings(
        data=DataSettings(cohort=Path("none")),
        prepare=PrepareSettings(crop_shape=(SIDE, SIDE, SIDE)),
        network=NetworkSettings(width=1),
        losses=LossSettings(**losses),  # pyright: ignore[reportArgumentType]
        refinement=RefinementSettings(weight=0.0),
        regression=TrainingSettings(batch=6),
    )


def crops(scores: list[int]) -> CropSet:
    generator = torch.Generator().manual_seed(3)
    bounds = {0: (0.0, 0.0), 1: (0.01, 0.05), 2: (0.05, 0.25), 5: (0.75, 1.0)}
    region = torch.zeros(len(scores), 1, SIDE, SIDE, SIDE, dtype=torch.bool)
    region[..., 1:7, 1:7, 1:7] = True
    image = torch.rand(region.shape, generator=generator) * region
    table = pd.DataFrame(
        {"score": scores, "low": [bounds[s][0] for s in scores], "high": [bounds[s][1] for s in scores]}
    )
    return CropSet(image.half(), region, table)


class Constant(nn.Module):
    """The same logit everywhere."""

    def __init__(self, logit: float) -> None:
        super().__init__()
        self.logit = nn.Parameter(torch.tensor(logit))

    def forward(self, image: Tensor) -> Tensor:
        return self.logit.expand_as(image)


def batch(score: tuple[float, float], weight: float = 1.0) -> dict[str, Tensor]:
    region = torch.ones(2, 1, SIDE, SIDE, SIDE)
    low, high = (torch.full((2,), bound) for bound in score)
    return {"image": region / 2, "region": region, "low": low, "high": high, "weight": torch.full((2,), weight)}


def test_a_batch_depends_on_the_step_alone() -> None:
    maker, again = BatchMaker(crops([0, 1, 2, 5] * 4), settings()), BatchMaker(crops([0, 1, 2, 5] * 4), settings())
    maker(0)
    for step in (7, 2):
        first, second = maker(step), again(step)
        assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(maker(1)["image"], maker(2)["image"])


def test_augmented_crops_stay_in_range_and_empty_outside_the_region() -> None:
    made = BatchMaker(crops([0, 1, 2, 5] * 4), settings())(3)
    assert made["image"].min() >= 0
    assert made["image"].max() <= 1
    assert not made["image"][made["region"] == 0].any()
    assert made["region"].flatten(1).sum(1).min() > 50


def test_rare_scores_are_drawn_as_often_and_weigh_more() -> None:
    maker = BatchMaker(crops([0] * 12 + [5] * 4), settings(frequency_clamp=(0.0, 1.0)))
    highs = torch.cat([maker(step)["high"] for step in range(20)])
    assert (highs == 1.0).float().mean() == pytest.approx(0.5, abs=0.02)
    assert maker.weights[0] == pytest.approx(16 / 12)
    assert maker.weights[-1] == pytest.approx(16 / 4)


def test_the_total_is_the_weighted_sum_of_the_losses_by_hand() -> None:
    network = Constant(0.0)  # p = 0.5 everywhere
    found = Objective(settings(equivariance=0.0))(network, batch((0.05, 0.25), weight=3.0), step=0)
    regression = 3.0 * ((0.5 - 0.15) ** 2 - 0.1**2)  # (1)
    entropy = 0.693147  # (3), log 2
    assert found["regression"].item() == pytest.approx(regression, rel=1e-5)
    assert found["entropy"].item() == pytest.approx(entropy, rel=1e-5)
    assert found["total"].item() == pytest.approx(2.0 * regression + entropy, rel=1e-5)
    found["total"].backward()
    assert network.logit.grad is not None
    assert network.logit.grad > 0  # too much is marked: the logit must fall


@pytest.mark.parametrize("inner", [False, True], ids=["whole crop", "inside the crop"])
def test_a_constant_map_is_equivariant(*, inner: bool) -> None:
    given = batch((0.25, 0.5))
    if inner:
        given["region"] = torch.nn.functional.pad(given["region"][..., 2:-1, 1:-2, 2:-2], (2, 2, 1, 2, 2, 1))
    for step in range(8):  # flips, quarter turns, sizes and angles of many kinds
        network = Constant(0.0)
        found = Objective(settings())(network, given, step)
        assert found["equivariance"].item() == pytest.approx(0.0, abs=1e-7)
        found["equivariance"].backward()
        assert network.logit.grad is not None
        assert network.logit.grad.abs() < 1e-6  # the rim of the region does not pull the map down


def test_the_raw_row_has_one_loss() -> None:
    raw = Objective(settings(equivariance=0.0, entropy=0.0))(Constant(0.0), batch((0.25, 0.5)), step=4)
    assert set(raw) == {"regression", "total"}
    assert raw["total"].item() == 0.0  # 0.5 lies in the interval


def test_roots_of_fractions_can_be_compared_instead() -> None:
    found = Objective(settings(equivariance=0.0, entropy=0.0, compare="root"))(Constant(0.0), batch((0.04, 0.16)), 0)
    assert found["regression"].item() == pytest.approx((0.5**0.5 - 0.3) ** 2 - 0.1**2, rel=1e-5)


def test_validation_weighs_scores_alike_and_scores_higher_when_better() -> None:
    held_out = crops([0, 0, 0, 5])
    validate = Validation(held_out, settings())
    nothing, everything = validate(Constant(-20.0), 1), validate(Constant(20.0), 1)
    # marking nothing misses only the severe region, marking all only the healthy: by region 1 to 3, by score alike
    assert nothing["interval_loss"] == pytest.approx((0.875**2 - 0.125**2) / 2, rel=1e-3)
    assert everything["interval_loss"] == pytest.approx(0.5, rel=1e-3)
    assert nothing["score"] == -nothing["interval_loss"]
    assert nothing["inside_interval"] == pytest.approx(0.75)


def test_validation_compares_what_the_training_compares() -> None:
    """Fraction 0.5 against score 1, [0.01, 0.05]: roots are further apart than the fractions themselves."""
    held_out = crops([1, 1])
    fractions, roots = (
        Validation(held_out, settings(compare=compare))(Constant(0.0), 1)["interval_loss"]
        for compare in ("fraction", "root")
    )
    assert fractions == pytest.approx((0.5 - 0.03) ** 2 - 0.02**2, rel=1e-4)
    middle, half = (0.05**0.5 + 0.01**0.5) / 2, (0.05**0.5 - 0.01**0.5) / 2
    assert roots == pytest.approx((0.5**0.5 - middle) ** 2 - half**2, rel=1e-4)


def test_the_upper_end_of_score_zero_can_be_widened() -> None:
    table = crops([0, 1]).table
    assert intervals(table, LossSettings())[1].tolist() == pytest.approx([0.0, 0.05])
    assert intervals(table, LossSettings(zero_upper=0.01))[1].tolist() == pytest.approx([0.01, 0.05])


def with_masks(share: float, batch: int = 6) -> tuple[BatchMaker, Tensor]:
    """A maker of batches of 16 crops, of which the first four have a true mask; and the masks."""
    found = crops([0, 1, 2, 5] * 4)
    masks = torch.zeros_like(found.region)
    masks[:4, ..., 2:5, 2:5, 2:5] = True
    config = settings().model_copy(
        update={
            "true_masks": TrueMaskSettings(use=True, share=share),
            "regression": TrainingSettings(batch=batch, augment=False),
        }
    )
    return BatchMaker(found, config, (masks, torch.arange(16) < 4)), masks


@pytest.mark.parametrize(("share", "least"), [(0.5, 3), (1.0, 6), (0.0, 0)])
def test_crops_with_a_true_mask_have_their_share_of_a_batch(share: float, least: int) -> None:
    maker, _ = with_masks(share)
    found = [maker(step) for step in range(30)]
    assert all(len(made["image"]) == 6 for made in found)
    assert min(int(made["known"].sum()) for made in found) >= least
    for made in found:
        assert torch.equal(made["truth"].flatten(1).any(1), made["known"])
        assert torch.equal(maker(0)["image"], found[0]["image"])


def test_true_masks_are_moved_with_their_crops() -> None:
    maker, _ = with_masks(1.0)
    maker.crops.image[:] = (maker.truth[0] if maker.truth else maker.crops.region).half()  # the image is its own mask
    maker.config = maker.config.model_copy(update={"regression": TrainingSettings(batch=6, contrast=0.0)})
    for step in range(10):
        made = maker(step)
        overlap = (made["image"] > 0.5) & (made["truth"] > 0)
        assert overlap.sum() > 0.7 * (made["truth"] > 0).sum()


def test_a_true_mask_takes_the_place_of_the_target() -> None:
    """Cross-entropy and soft Dice by hand; the crops without a mask have the refinement's loss alone."""
    config = settings(equivariance=0.0, entropy=0.0).model_copy(
        update={
            "true_masks": TrueMaskSettings(use=True, weight=3.0),
            "refinement": RefinementSettings(start=0.0, attention=False, crf=CrfSettings(iterations=0)),
        }
    )
    given = batch((0.25, 0.5))
    truth = torch.zeros(2, 1, SIDE, SIDE, SIDE)
    truth[0, ..., :4] = 1
    given |= {"truth": truth, "healthy": torch.zeros(2, dtype=torch.bool), "spacing": torch.ones(2, 3)}
    found = Objective(config)(Constant(1.0), given | {"known": torch.tensor([True, False])}, step=0)
    p = 1 / (1 + math.exp(-1.0))
    cross_entropy = -(math.log(p) + math.log(1 - p)) / 2
    overlap = 1 - 2 * p * 0.5 / (p * p + 0.5)  # squares, as in V-Net
    assert found["true_masks"].item() == pytest.approx((cross_entropy + overlap) / 2 / 2, rel=1e-3)  # of two crops
    plain = {name: values[1:] for name, values in given.items()}
    alone = Objective(config)(Constant(1.0), plain, step=0)
    assert found["refinement"].item() == pytest.approx(alone["refinement"].item() / 2, rel=1e-6)
    expected = 2 * found["regression"] + found["refinement"] + 3 * found["true_masks"]
    assert found["total"].item() == pytest.approx(expected.item(), rel=1e-6)
    everywhere = Objective(config)(Constant(1.0), given | {"known": torch.tensor([True, True])}, step=0)
    assert "refinement" not in everywhere
    known = given | {"known": torch.tensor([True, False])}
    parts = [Objective(config)(Constant(1.0), {n: v[[row]] for n, v in known.items()}, step=0) for row in (0, 1)]
    together = sum(part["total"].item() for part in parts) / 2  # as `accumulate: 2` adds them up
    assert found["total"].item() == pytest.approx(together, rel=1e-6)
