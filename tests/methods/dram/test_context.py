"""The context network's grid, its pseudo-labels, the windows it learns from, and its answer on the scan's own grid."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from context_scan import LESION_HU, scan, settings
from pydantic import ValidationError
from torch import nn

from weakmask.activation.whole_scan import class_probabilities
from weakmask.errors import UserError
from weakmask.methods.dram.config import ContextSettings, RefinementSettings
from weakmask.methods.dram.context import segment_in_context
from weakmask.methods.dram.context_grid import BACKGROUND, LESION, MARGIN, NOT_LEARNT, VESSEL, context_grid
from weakmask.methods.dram.context_training import ContextObjective, Windows, context_arguments, start_from
from weakmask.methods.dram.model import DramModel, save_model
from weakmask.methods.dram.pseudo_labels import labelled
from weakmask.networks import UNet
from weakmask.pipeline import Work
from weakmask.prediction import Limits
from weakmask.region_learning.region_model import RegionModel
from weakmask.scoring.severity import CT_SEVERITY
from weakmask.volume.files import write_volume
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Volume

THRESHOLD = 0.4


@pytest.mark.parametrize("spacing_mm", [None, 1.5, 3.0])
def test_the_grid_holds_all_regions_and_what_windows_read(spacing_mm: float | None) -> None:
    found = scan()
    grid = context_grid(found.image, found.regions, ContextSettings(spacing_mm=spacing_mm))
    step = spacing_mm or 2.0
    assert grid.whole.spacing_mm == (step, step, step)
    # in mm from the scan's outer corner: the box of regions, and 44 voxels more where the scan has them
    corner = (np.array(grid.whole.origin_mm) - step / 2) - (np.array(found.image.geometry.origin_mm) - 1.0)
    start = corner[::-1] + np.array(grid.answered.start) * step
    stop = start + np.array(grid.answered.shape) * step
    assert (start <= 10).all()
    assert (start > 10 - step).all()
    assert (stop >= [50, 70, 90]).all()
    assert (stop < np.array([50, 70, 90]) + step).all()
    before = np.array(grid.answered.start)
    assert ((before == MARGIN["valid"]) | (np.abs(corner[::-1]) < 1e-6)).all()


def test_a_slice_keeps_its_thickness() -> None:
    found = scan(flat=True)
    grid = context_grid(found.image, found.regions, ContextSettings(spacing_mm=1.0))
    assert grid.whole.shape[0] == 1
    assert grid.whole.spacing_mm == (2.0, 1.0, 1.0)


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("crf", [False, True])
@pytest.mark.parametrize("score", [1, 2, 3])
def test_labels_keep_to_the_score_and_leave_vessels_out(score: int, *, crf: bool, flat: bool) -> None:
    found = scan(score, flat=flat)
    config = settings(flat=flat, crf=crf, keep_to_scores=True)
    image, labels = labelled(found, config, THRESHOLD, CT_SEVERITY)
    assert image.voxels.dtype == np.int16
    region, vessels = found.regions.voxels > 0, found.vessels
    assert vessels is not None
    low, high = CT_SEVERITY.interval(score)
    fraction = (labels.voxels == LESION).sum() / region.sum()
    assert low - 1e-6 <= fraction <= high
    assert np.array_equal(labels.voxels == VESSEL, vessels.voxels > 0)
    assert not labels.voxels[~region].any()


def test_without_scores_and_crf_the_map_is_cut_at_the_models_threshold() -> None:
    found = scan(5)
    _, labels = labelled(found, settings(crf=False, keep_to_scores=False), THRESHOLD, CT_SEVERITY)
    assert found.vessels is not None
    expected = (found.activation.voxels >= THRESHOLD) & (found.vessels.voxels == 0)
    assert np.array_equal(labels.voxels == LESION, expected)


def test_the_crf_puts_the_border_where_the_image_has_it() -> None:
    found = scan(2)
    truth = (found.image.voxels == LESION_HU) & (found.regions.voxels > 0)

    def dice(*, crf: bool) -> float:
        labels = labelled(found, settings(crf=crf, keep_to_scores=False), THRESHOLD, CT_SEVERITY)[1].voxels == LESION
        return 2 * (labels & truth).sum() / (labels.sum() + truth.sum())

    assert dice(crf=True) > dice(crf=False) + 0.1


def test_a_region_without_disease_has_no_lesion() -> None:
    _, labels = labelled(scan(0), settings(), THRESHOLD, CT_SEVERITY)
    assert not (labels.voxels == LESION).any()


@pytest.fixture(params=[False, True], ids=["volume", "slice"])
def windows(request: pytest.FixtureRequest, tmp_path: Path) -> Windows:
    """Of a scan whose grey values tell its labels."""
    config = settings(flat=request.param)
    _, labels = labelled(scan(flat=request.param), config, THRESHOLD, CT_SEVERITY)
    telling = np.array([-1200, -450, 300])[labels.voxels].astype(np.int16)
    (tmp_path / "images").mkdir()
    np.save(tmp_path / "images" / "one.npy", telling)
    write_volume(labels, tmp_path / "labels" / "one.nii.gz")
    return Windows(tmp_path, config)


def test_windows_show_what_their_labels_say(windows: Windows) -> None:
    axes = 2 if windows.flat else 3
    for step in range(3):
        batch = windows(step)
        assert batch["image"].shape == (3, 1, *[100] * axes)
        assert batch["labels"].shape == (3, 1, *[12] * axes)
        middle = batch["image"][(..., *[slice(44, -44)] * axes)]
        assert torch.equal((middle * 2).round().long(), batch["labels"])
        assert all(torch.equal(batch[name], windows(step)[name]) for name in batch)


def test_windows_visit_lesions_and_the_rest(windows: Windows) -> None:
    classes = torch.cat([windows(step)["labels"].flatten() for step in range(8)]).unique().tolist()
    assert classes == [BACKGROUND, VESSEL, LESION]


def test_it_learns_its_labels(windows: Windows) -> None:
    """On the smallest windows, for the network reads 88 voxels more."""
    windows.config = windows.config.model_copy(
        update={
            "context": windows.config.context.model_copy(update={"window_voxels": 4, "on_lesions": 1.0, "batch": 1})
        }
    )
    torch.manual_seed(0)
    network = UNet(2 if windows.flat else 3, out_channels=3, width=2, padding="valid")
    optimiser = torch.optim.Adam(network.parameters(), 3e-2)
    objective, batch = ContextObjective(windows.config.context), windows(3)
    losses = []
    for step in range(12):
        loss = objective(network, batch, step)["total"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_a_network_of_slices_takes_no_volume() -> None:
    config, found = settings(flat=True), scan()
    network = UNet(**context_arguments(config)).eval()  # pyright: ignore[reportArgumentType]
    regional = RegionModel(network, config, CT_SEVERITY, {3: "RUL"}, (2.0, 2.0, 2.0), header={})
    with pytest.raises(UserError, match="a volume of 30 slices, but crops of 1 x 16 x 16"):
        segment_in_context(DramModel(regional, 0.5, config.context), found.image, found.regions)


def test_on_the_scans_grid_it_is_one_pass_of_the_network() -> None:
    torch.manual_seed(0)
    config, found = settings(), scan()
    network = UNet(**context_arguments(config)).eval()  # pyright: ignore[reportArgumentType]
    regional = RegionModel(network, config, CT_SEVERITY, {3: "RUL"}, (2.0, 2.0, 2.0), header={})
    model = DramModel(regional, 0.5, config.context, Limits(memory_gb=1.0))
    activation, mask = segment_in_context(model, found.image, found.regions)
    grey = np.clip((found.image.voxels.astype(np.float32) + 1200) / 1500, 0, 1)
    inside = found.regions.voxels > 0
    box = tuple(slice(int(place.min()), int(place.max()) + 1) for place in np.nonzero(inside))
    # one pass whose poolings begin at the regions' box, as the answer's do
    shifted = class_probabilities(network, np.roll(np.pad(grey, 64), [-5] * 3, (0, 1, 2)))
    z, y, x = (slice(64 + axis.start - 5, 64 + axis.stop - 5) for axis in box)
    expected = shifted[:, z, y, x]
    assert np.abs(activation[box] - expected[LESION] * inside[box]).max() < 1e-4
    sure = np.abs(expected[LESION] - np.delete(expected, LESION, axis=0).max(0)) > 1e-3
    assert np.array_equal(mask[box][sure], (expected.argmax(0) == LESION)[sure])
    assert not mask[~inside].any()


def test_inside_only_neither_shows_nor_teaches_what_lies_around() -> None:
    found = scan()
    image, labels = labelled(found, settings(inside_only=True), THRESHOLD, CT_SEVERITY)
    outside = found.regions.voxels == 0
    assert (image.voxels[outside] == -1200).all()
    assert (labels.voxels[outside] == NOT_LEARNT).all()
    assert (labels.voxels[~outside] != NOT_LEARNT).all()
    logits = torch.randn(1, 3, 6, 6, 6, requires_grad=True)
    taught = torch.randint(3, (1, 1, 6, 6, 6))
    taught[..., :3] = NOT_LEARNT
    ContextObjective(ContextSettings(dice=1.0))(nn.Identity(), {"image": logits, "labels": taught}, 0)[
        "total"
    ].backward()
    assert logits.grad is not None
    assert (logits.grad[..., :3] == 0).all()
    assert (logits.grad[..., 3:] != 0).all()


@pytest.mark.parametrize("inside_only", [False, True])
def test_no_window_is_without_anything_to_learn(tmp_path: Path, *, inside_only: bool) -> None:
    labels = np.full((40, 120, 120), NOT_LEARNT, np.uint8)
    labels[5:15, 5:15, 5:15] = BACKGROUND  # a corner, which a window drawn anywhere would seldom meet
    image = Volume(np.zeros(labels.shape, np.int16), Geometry(labels.shape, (2.0, 2.0, 2.0)))
    (tmp_path / "images").mkdir()
    np.save(tmp_path / "images" / "one.npy", image.voxels)
    write_volume(image.with_voxels(labels, "label"), tmp_path / "labels" / "one.nii.gz")
    drawn = Windows(tmp_path, settings(inside_only=inside_only, padding="same", window_voxels=16))
    for step in range(10):
        assert (drawn(step)["labels"] != NOT_LEARNT).flatten(1).any(dim=1).all()


def test_every_seed_remembers_other_places(tmp_path: Path) -> None:
    found = scan()
    (tmp_path / "images").mkdir()
    np.save(tmp_path / "images" / "one.npy", found.image.voxels)
    lesions = np.full(found.image.geometry.shape, LESION, np.uint8)  # far more voxels than are remembered
    write_volume(found.image.with_voxels(lesions, "label"), tmp_path / "labels" / "one.nii.gz")
    first, again, other = (
        Windows(tmp_path, settings().model_copy(update={"seed": seed})).lesions[0] for seed in (3, 3, 4)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_from_the_regression_it_begins_with_its_answer(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = settings(padding="same", window_voxels=16, from_regression=True)
    regression = UNet(3, width=2, initial_probability=0.3).eval()
    names = {"region_names": {"3": "RUL"}, "crop_spacing_mm": [2.0, 2.0, 2.0]}
    unrefined = config.model_copy(update={"refinement": RefinementSettings(weight=0)})
    path = tmp_path / "model.safetensors"
    save_model(path, regression, unrefined, threshold=0.5, score_map=CT_SEVERITY, trained_on=names)
    network = UNet(**context_arguments(config)).eval()  # pyright: ignore[reportArgumentType]
    start_from(network, path, Work(tmp_path, tmp_path, config))
    given = torch.rand(1, 1, 16, 16, 16)
    with torch.inference_mode():
        lesion = torch.softmax(network(given), dim=1)[:, LESION]
        expected = torch.sigmoid(regression(given))[:, 0]
    assert torch.allclose(lesion, expected, atol=0.02)


def test_an_impossible_window_is_refused() -> None:
    with pytest.raises(ValidationError, match="leave 4, 12, 20"):
        ContextSettings(window_voxels=40)
    with pytest.raises(ValidationError, match="at least 16"):
        ContextSettings(padding="same", window_voxels=12)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_memory_and_precision_change_the_tiles_and_little_else(padding: str) -> None:
    torch.manual_seed(0)
    config, found = settings(padding=padding, window_voxels=20), scan()
    network = UNet(**context_arguments(config)).eval()  # pyright: ignore[reportArgumentType]
    regional = RegionModel(network, config, CT_SEVERITY, {3: "RUL"}, (2.0, 2.0, 2.0), header={})
    model = DramModel(regional, 0.5, config.context)
    plain, _ = segment_in_context(model, found.image, found.regions)
    tiled, _ = segment_in_context(replace(model, limits=Limits(memory_gb=0.3)), found.image, found.regions)
    half, _ = segment_in_context(replace(model, limits=Limits(precision="bfloat16")), found.image, found.regions)
    assert np.abs(tiled - plain).max() < 1e-4
    assert 0 < np.abs(half - plain).max() < 0.05
