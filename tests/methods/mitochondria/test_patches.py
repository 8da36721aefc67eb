"""Training patches: image and instances stay together, and a batch follows from its step alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from weakmask.methods.mitochondria.augmentation import patch_of, plain_patch
from weakmask.methods.mitochondria.config import AugmentationSettings, DataSettings, MitochondriaSettings, TrainSettings
from weakmask.methods.mitochondria.training import BatchMaker, Objective, Stack, Validation, best_dice

NOTHING = AugmentationSettings(
    flip=False, rotate=0, rescale=0, bend=0, grey=0, missing_part=0, missing_section=0, misaligned=0, motion_blur=0,
    cut_blur=0, cut_noise=0,
)  # fmt: skip


def stack() -> Stack:
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, 5, (10, 5, 5)), np.ones((1, 10, 10), int)).astype(np.int32)
    return Stack("a", (labels * 50).astype(np.uint8), labels, 16.0)


def test_without_changes_a_patch_is_a_cut():
    one, rng = stack(), np.random.default_rng(1)
    image, labels = patch_of(one.image, one.labels, (5, 20, 30), (4, 16, 12), NOTHING, rng)
    expected = plain_patch(one.image, one.labels, (5, 20, 30), (4, 16, 12))
    assert np.array_equal(labels, expected[1])
    np.testing.assert_allclose(image, expected[0], atol=2e-3)
    assert np.array_equal(expected[1], one.labels[3:7, 12:28, 24:36])


@pytest.mark.parametrize("change", ["rotate", "rescale", "bend", "missing_section", "misaligned"])
def test_image_and_instances_move_together(change: str):
    one, settings = stack(), NOTHING.model_copy(update={change: 1.0, "shift_pixels": 4})
    image, labels = patch_of(one.image, one.labels, (5, 25, 25), (6, 20, 20), settings, np.random.default_rng(2))
    assert image.shape == labels.shape == (6, 20, 20)
    assert not np.array_equal(labels, plain_patch(one.image, one.labels, (5, 25, 25), (6, 20, 20))[1])
    same = np.abs(image * 255 / 50 - labels) < 0.05
    assert same.mean() > 0.6  # all but interpolated borders


def noisy_stack() -> Stack:
    grey = np.random.default_rng(5).integers(0, 256, (10, 50, 50)).astype(np.uint8)
    return replace(stack(), image=grey)


@pytest.mark.parametrize("change", ["grey", "missing_part", "motion_blur", "cut_blur", "cut_noise"])
def test_other_changes_leave_the_instances_alone(change: str):
    one, settings = noisy_stack(), NOTHING.model_copy(update={change: 1.0, "band_pixels": 4.0})
    image, labels = patch_of(one.image, one.labels, (5, 25, 25), (6, 20, 20), settings, np.random.default_rng(3))
    expected = plain_patch(one.image, one.labels, (5, 25, 25), (6, 20, 20))
    assert np.array_equal(labels, expected[1])
    assert not np.allclose(image, expected[0], atol=5e-3)


def maker(seed: int = 0) -> BatchMaker:
    config = MitochondriaSettings(
        seed=seed, data=DataSettings(cohort="c"), train=TrainSettings(patch=(4, 16, 16), foreground=0.5)
    )
    return BatchMaker([stack()], (4, 16, 16), config, "first")


def test_a_batch_follows_from_its_step():
    first, again, other = maker()(3), maker()(3), maker()(4)
    assert first["image"].shape == (2, 1, 4, 16, 16)
    assert first["targets"].shape == (2, 2, 4, 16, 16)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["image"], other["image"])
    assert not torch.equal(first["image"], maker(seed=1)(3)["image"])


def test_some_patches_lie_around_dark_background():
    image, labels = np.full((4, 60, 200), 200, np.uint8), np.zeros((4, 60, 200), np.int32)
    image[:, :20, :20], labels[:, :20, :20] = 80, 1
    image[:, 30:, 170:] = 40
    train = TrainSettings(patch=(4, 8, 8), foreground=0.5, dark=1.0)
    config = MitochondriaSettings(data=DataSettings(cohort="c"), train=train, augmentation=NOTHING)
    batches = BatchMaker([Stack("a", image, labels, 16.0)], (4, 8, 8), config, "first")
    darkest = torch.cat([batches(step)["image"] for step in range(20)]).amin(dim=(1, 2, 3, 4)) * 255
    kinds = [int((abs(darkest - grey) < 1).sum()) for grey in (40, 80)]
    assert sum(kinds) == 40  # none lies anywhere
    assert min(kinds) > 12


def test_the_loss_adds_the_dice_of_all_voxels_of_a_target():
    config = MitochondriaSettings.model_validate(
        {"data": {"cohort": "c"}, "train": {"dice": 2.0, "class_power": 0.0}, "targets": {"contour_weight": 0}}
    )
    targets = torch.zeros(2, 2, 1, 1, 4)
    targets[0, 0, ..., :2] = 1  # 2 of 8 voxels of the mask; the second patch has none

    class Half(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return torch.zeros(2, 2, 1, 1, 4)

    losses = Objective(config)(Half(), {"image": torch.zeros(2, 1, 1, 1, 4), "targets": targets}, 0)
    dice = 1 - 2 * 0.5 * 2 / (8 * 0.25 + 2)
    assert float(losses["total"]) == pytest.approx(np.log(2) + 2 * dice)


def test_without_a_weight_the_contour_does_not_count():
    config = MitochondriaSettings.model_validate({"data": {"cohort": "c"}, "targets": {"contour_weight": 0}})
    batch = maker()(0)

    class Logits(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return torch.cat([image, -image], dim=1)

    losses = Objective(config)(Logits(), batch, 0)
    assert losses["total"] == losses["mask"] > 0
    assert losses["contour"] > 0


def test_the_best_dice_is_that_of_the_best_threshold():
    counts = np.zeros((2, 256), int)
    counts[0, [10, 200]], counts[1, [190, 250]] = [80, 2], [6, 4]
    score, threshold = best_dice(counts)
    assert score == pytest.approx(2 * 10 / (12 + 10))
    assert 10 / 255 <= threshold < 190 / 255


def test_the_validation_takes_the_best_threshold_of_all_stacks():
    class Grey(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return torch.cat([8 * image - 4, image], dim=1)

    found = Validation([stack(), stack()])(Grey(), 1)
    assert found["score"] == found["dice"] == 1.0
