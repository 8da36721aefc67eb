"""The anchored target: made of image and score alone, the same for every seed, and left for the map on time."""

import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from weakmask.methods.dram.config import (
    AnchorSettings,
    ContextSettings,
    CrfSettings,
    DramSettings,
    RefinementSettings,
    VesselSettings,
)
from weakmask.methods.dram.model import network_of
from weakmask.methods.dram.refinement import anchored_target, crf_of, refinement_target
from weakmask.methods.dram.regression import BatchMaker, Objective
from weakmask.methods.dram.report import row_of
from weakmask.networks import build_network
from weakmask.region_learning.crops import CropSet
from weakmask.region_learning.prepare import SPACING_COLUMNS
from weakmask.region_learning.settings import DataSettings, NetworkSettings, PrepareSettings, TrainingSettings
from weakmask.region_learning.threshold_baselines import opened_threshold
from weakmask.scoring.severity import CT_SEVERITY

HEIGHT, WIDTH = 32, 40
LESION = (slice(8, 18), slice(10, 22))  # 120 of 1,120 pixels of the region


def slices() -> CropSet:
    """A broad opacity and a thin vessel in a dark lung, scored 2; and the same lung scored 0."""
    region = torch.zeros(2, 1, HEIGHT, WIDTH, dtype=torch.bool)
    region[..., 2:-2, :] = True
    image = torch.full(region.shape, 0.15)
    image[..., 24:26, 4:36] = 0.9
    image[0, 0][LESION] = 0.4
    table = pd.DataFrame({"score": [2, 0], "low": [0.05, 0.0], "high": [0.25, 0.0]})
    for column in SPACING_COLUMNS:
        table[column] = 1.0
    return CropSet((image * region).half(), region, table)


def settings(**refinement: object) -> DramSettings:
    return DramSettings(
        device="cpu",
        data=DataSettings(cohort=Path("none")),
        prepare=PrepareSettings(crop_shape=(1, HEIGHT, WIDTH)),
        network=NetworkSettings(width=2),
        vessels=VesselSettings(suppress=False),
        refinement=RefinementSettings(**({"attention": False, "keep_to_scores": True} | refinement)),  # pyright: ignore[reportArgumentType]
        regression=TrainingSettings(batch=2, steps=10, augment=False),
    )


def test_the_opacity_is_found_and_the_vessel_is_not() -> None:
    found = slices()
    threshold = opened_threshold(found, 5, CT_SEVERITY)
    assert 0.15 < threshold <= 0.4
    bounds = torch.tensor([0.05, 0.0]), torch.tensor([0.25, 0.0])
    region, healthy = found.region.float(), torch.tensor([False, True])
    target = anchored_target(found.image.float(), region, healthy, bounds, 5, threshold)
    expected = torch.zeros(HEIGHT, WIDTH, dtype=torch.long)
    expected[LESION] = 1
    assert torch.equal(target[0, 0], expected)
    assert not target[1].any()


def test_a_target_of_the_map_keeps_to_the_score() -> None:
    found = slices()
    activation = torch.rand(found.region.shape, generator=torch.Generator().manual_seed(0)) * found.region
    target = refinement_target(
        activation,
        found.image.float(),
        found.region.float(),
        torch.tensor([False, True]),
        torch.ones(2, 2),
        crf_of(CrfSettings(iterations=0)),
        (torch.tensor([0.05, 0.0]), torch.tensor([0.25, 0.0])),
    )
    share = target[0].sum() / found.region[0].sum()
    assert 0.24 < share <= 0.25
    assert activation[0][target[0] > 0].min() >= activation[0][(target[0] == 0) & found.region[0]].max()
    assert not target[1].any()


@pytest.mark.parametrize(("step", "anchored"), [(0, True), (5, True), (6, False)])
def test_the_anchor_is_left_for_the_map(step: int, anchored: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    config = settings(anchor=AnchorSettings(until=0.6, opening_voxels=5), start=0.9 if anchored else 0.0, dice=1.0)
    asked = []
    module = sys.modules["weakmask.methods.dram.regression"]
    for name in ("anchored_target", "refinement_target"):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, name=name, real=real: (asked.append(name), real(*a))[1])
    torch.manual_seed(0)
    network = build_network(*network_of(config))
    losses = Objective(config, 0.3)(network, BatchMaker(slices(), config)(0), step)
    losses["total"].backward()
    assert asked == ["anchored_target" if anchored else "refinement_target"]
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in network.parameters())


def test_dice_comes_on_top() -> None:
    anchor = AnchorSettings(until=1.0, opening_voxels=5)
    torch.manual_seed(0)
    network = build_network(*network_of(settings())).eval()
    without, beside = (
        Objective(config, 0.3)(network, BatchMaker(slices(), config)(0), 0)["refinement"].detach()
        for config in (settings(anchor=anchor), settings(anchor=anchor, dice=0.5))
    )
    assert 0.0 < float(beside - without) <= 0.5


def test_patients_are_drawn_alike_however_many_slices_they_have() -> None:
    found = slices()
    many = CropSet(
        found.image[[0] * 8 + [1]], found.region[[0] * 8 + [1]], found.table.iloc[[0] * 8 + [1]].reset_index(drop=True)
    )
    many.table["patient"] = ["one"] * 8 + ["other"]
    config = settings().model_copy(update={"regression": TrainingSettings(batch=6, sampling="patients", augment=False)})
    healthy = [bool(one) for step in range(10) for one in BatchMaker(many, config)(step)["healthy"]]
    assert sum(healthy) == len(healthy) // 2


@pytest.mark.parametrize(
    ("refinement", "vessels", "name"),
    [
        ({"weight": 0.0}, False, "dRAM + regularizer"),
        ({}, False, "dRAM + refine"),
        ({"attention": True}, False, "dRAM + attention"),
        ({"attention": True}, True, "dRAM + vessel suppression"),
        ({"anchor": AnchorSettings(until=0.5)}, False, "dRAM anchored"),
    ],
)
def test_a_row_is_named_after_what_is_switched_on(refinement: dict, vessels: bool, name: str) -> None:
    switched = {"vessels": VesselSettings(suppress=vessels), "context": ContextSettings(train=False)}
    config = settings(**refinement).model_copy(update=switched)
    assert row_of(config) == name
    complete = "dRAM complete" if config.refinement.weight else "dRAM + context"
    assert row_of(config.model_copy(update={"context": ContextSettings()})) == complete
