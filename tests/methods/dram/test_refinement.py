"""The refinement branch: its target, what it takes vessels from, and that it trains."""

import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from ball_cohort import run_stage, write_ball_cohort

from weakmask.methods.dram.config import CrfSettings, DramSettings, RefinementSettings, VesselSettings
from weakmask.methods.dram.model import network_of
from weakmask.methods.dram.refinement import crf_of, refinement_target
from weakmask.methods.dram.regression import BatchMaker, Objective
from weakmask.methods.dram.vessels import lesion_free, vessels
from weakmask.networks import build_network
from weakmask.phantoms.chest_ct import write_phantom_cohort
from weakmask.pipeline import Work
from weakmask.region_learning.crops import OUTSIDE, CropSet, load_crops
from weakmask.region_learning.prepare import SPACING_COLUMNS, prepare
from weakmask.region_learning.settings import DataSettings, NetworkSettings, PrepareSettings, TrainingSettings
from weakmask.volume.files import read_volume

SIDE = 16


def settings(**refinement: object) -> DramSettings:
    return DramSettings(
        device="cpu",
        data=DataSettings(cohort=Path("none")),
        prepare=PrepareSettings(crop_shape=(SIDE, SIDE, SIDE)),
        network=NetworkSettings(width=2),
        vessels=VesselSettings(steps=3),
        refinement=RefinementSettings(**({"start": 0.0} | refinement)),  # pyright: ignore[reportArgumentType]
        regression=TrainingSettings(batch=2, steps=10),
    )


def crops() -> CropSet:
    """A bright ball in a grey region, scored 2, and the same scored 0."""
    axes = torch.meshgrid(*[torch.arange(SIDE)] * 3, indexing="ij")
    ball = (torch.stack(axes) - 7.5).square().sum(0) < 16
    region = torch.zeros(2, 1, SIDE, SIDE, SIDE, dtype=torch.bool)
    region[..., 1:-1, 1:-1, 1:-1] = True
    image = (0.3 + 0.4 * ball) * region
    table = pd.DataFrame({"score": [2, 0], "low": [0.05, 0.0], "high": [0.25, 0.0]})
    for column in SPACING_COLUMNS:
        table[column] = 2.0
    tube = torch.zeros_like(region)
    tube[..., 7:9, 7:9, :] = True
    return CropSet(image.half(), region, table, tube & region)


def test_the_target_follows_the_image_and_healthy_regions_have_none() -> None:
    found = crops()
    image, region = found.image.float(), found.region.float()
    blurred = torch.nn.functional.avg_pool3d(image, 5, 1, 2) * region  # a map of low resolution, off at the border
    target = refinement_target(
        blurred.clamp(0, 1) * 1.4,
        image,
        region,
        torch.tensor([False, True]),
        torch.full((2, 3), 2.0),
        crf_of(CrfSettings()),
    )
    ball = image[0] > 0.5
    assert ((target[0] > 0) == ball).float().mean() > 0.99
    assert not target[1].any()


def test_vessels_are_no_part_of_the_target() -> None:
    config = settings(attention=False)
    network = build_network(*network_of(config))
    found = crops()
    seen = {}

    def remember(activation: torch.Tensor, *_: object) -> torch.Tensor:
        seen["activation"] = activation
        return torch.zeros(activation.shape, dtype=torch.long)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["weakmask.methods.dram.regression"], "refinement_target", remember)
        batch = BatchMaker(found, config.model_copy(update={"regression": TrainingSettings(batch=2, augment=False)}))(0)
        Objective(config)(network, batch, 5)
    assert batch["vessels"].any()
    assert not seen["activation"][batch["vessels"] > 0].any()
    assert seen["activation"][(batch["vessels"] == 0) & (batch["region"] > 0)].all()


def test_a_crop_that_is_made_smaller_has_larger_voxels_for_the_crf() -> None:
    """The region's volume in mm stays; in voxels it shrinks to 0.85^3 = 0.61."""
    small = crops()
    image, region = (values.float().repeat_interleave(3, 2) for values in (small.image, small.region))
    image, region = (values.repeat_interleave(3, 3).repeat_interleave(3, 4) for values in (image, region))
    found = CropSet(image.half(), region > 0, small.table)
    volume = float(found.region[0].sum()) * 2.0**3
    ratios = []
    for step in range(6):
        batch = BatchMaker(found, settings())(step)
        ratios += (batch["region"].flatten(1).sum(1) * batch["spacing"].prod(1) / volume).tolist()
        assert (batch["spacing"] >= 2.0).all()
    assert max(abs(ratio - 1) for ratio in ratios) < 0.09  # a voxel of 36 along each axis


@pytest.mark.parametrize("attention", [True, False])
def test_every_branch_learns_from_its_losses(attention: bool) -> None:
    torch.manual_seed(0)
    config = settings(attention=attention, start=0.5)
    network = build_network(*network_of(config))
    batch = BatchMaker(crops(), config)(0)
    objective = Objective(config)
    assert "refinement" not in objective(network, batch, 4)
    losses = objective(network, batch, 5)
    assert set(losses) == {"regression", "equivariance", "entropy", "refinement", "total"}
    expected = 2 * losses["regression"] + losses["equivariance"] + losses["entropy"] + losses["refinement"]
    torch.testing.assert_close(losses["total"], expected)
    losses["refinement"].backward()
    without = [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert not without


def test_the_attention_branch_overfits_one_crop() -> None:
    """The refined map finds the ball from the score alone, with every loss on."""
    torch.manual_seed(0)
    config = settings()
    network = build_network(*network_of(config))
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    batch = BatchMaker(crops(), config.model_copy(update={"regression": TrainingSettings(batch=2, augment=False)}))(0)
    objective = Objective(config)
    first = last = 0.0
    for step in range(25):
        optimiser.zero_grad()
        total = objective(network, batch, step)["total"]
        total.backward()
        optimiser.step()
        first, last = (total.item() if step == 0 else first), total.item()
    assert last < 0.7 * first


def test_lesion_free_are_scans_whose_every_region_is_scored_healthy(tmp_path: Path) -> None:
    cohort = tmp_path / "cohort"
    scores = {"healthy": {"LUL": 1, "LLL": 1}, "ill": {"LUL": 2, "LLL": 1}, "unscored": {"LLL": 1}}
    write_ball_cohort(cohort, scores)
    (cohort / "scores.yaml").write_text("name: from one\npercent: {1: [0, 0], 2: [0, 25], 3: [25, 100]}\n")
    data = DataSettings(cohort=cohort, test=cohort, seen=True, validation=0.0)
    work = run_stage(prepare, tmp_path, "01-prepare", settings().model_copy(update={"data": data}))
    index = pd.read_csv(work.out / "index.csv")
    found = dict(zip(index["scan"], lesion_free(index), strict=True))
    assert found == {"healthy": True, "ill": False, "unscored": False}
    healthy = BatchMaker(load_crops(work.out, "training", work.config.prepare), work.config).healthy
    assert healthy.tolist() == (index["score"] == 1).tolist()


@pytest.mark.parametrize("healthy", [True, False])
def test_the_vessel_stage_leaves_a_mask_per_crop(tmp_path: Path, healthy: bool, phantom_cohort: Path) -> None:
    config = settings().model_copy(
        update={"data": DataSettings(cohort=phantom_cohort, test=phantom_cohort, seen=True, validation=0.0)}
    )
    scores = pd.read_csv(phantom_cohort / "scores.csv")
    scores["score"] = 0 if healthy else scores["score"].clip(lower=1)
    scores.to_csv(phantom_cohort / "scores.csv", index=False)
    run_stage(prepare, tmp_path, "01-prepare", config)
    work = run_stage(vessels, tmp_path, "02-vessels", config)
    index = pd.read_csv(tmp_path / "01-prepare" / "index.csv")
    marked = 0
    for file in index["file"]:
        crop = read_volume(tmp_path / "01-prepare" / file)
        mask = read_volume(tmp_path / "02-vessels" / "masks" / Path(file).name, "label")
        assert mask.geometry.same_grid(crop.geometry)
        assert not mask.voxels[crop.voxels == OUTSIDE].any()
        marked += int(mask.voxels.sum())
    assert healthy or marked
    assert (tmp_path / "02-vessels" / "network" / "last.safetensors").exists() == healthy
    assert any("no scan is free of lesions" in note for note in work.notes) != healthy


def test_nothing_is_made_where_nobody_asks_for_vessels(tmp_path: Path) -> None:
    for config in (settings(weight=0.0), settings().model_copy(update={"vessels": VesselSettings(suppress=False)})):
        vessels(Work(tmp_path, tmp_path, config))
        assert not list(tmp_path.iterdir())


@pytest.fixture
def phantom_cohort(tmp_path: Path) -> Path:
    folder = tmp_path / "cohort"
    write_phantom_cohort(folder, 2, 3, (40, 45, 48), (8.0, 8.0, 8.0))
    return folder
