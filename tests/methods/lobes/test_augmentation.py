"""Scans are changed as patients differ, and never mirrored."""

import torch

from weakmask.datasets.random_moves import draw_grid, moved
from weakmask.methods.lobes.augmentation import ranges_of, recoloured
from weakmask.methods.lobes.config import AugmentationSettings

NOTHING = AugmentationSettings(scale=0, angle_degrees=0, shift=0, bend=0, contrast=0, noise=0)
SHAPE = (10, 12, 14)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ramp(axis: int) -> torch.Tensor:
    values = torch.linspace(0.0, 1.0, SHAPE[axis])
    shape = [1, 1, 1, 1, 1]
    shape[axis + 2] = SHAPE[axis]
    return values.reshape(shape).expand(1, 1, *SHAPE).clone()


def test_nothing_asked_changes_nothing() -> None:
    image = torch.rand(1, 1, *SHAPE, generator=generator(1))
    grid = draw_grid(generator(), SHAPE, ranges_of(NOTHING))
    torch.testing.assert_close(moved(image, grid), image, atol=1e-5, rtol=1e-4)
    assert torch.equal(moved(torch.round(3 * image), grid, labels=True), torch.round(3 * image))
    torch.testing.assert_close(recoloured(image, generator(), NOTHING), image)


def test_the_same_generator_moves_the_same_way() -> None:
    first, second = (draw_grid(generator(5), SHAPE, ranges_of(AugmentationSettings())) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, draw_grid(generator(6), SHAPE, ranges_of(AugmentationSettings())))


def test_no_draw_mirrors() -> None:
    for seed in range(8):
        grid = draw_grid(generator(seed), SHAPE, ranges_of(AugmentationSettings()))
        for axis, component in ((0, 2), (1, 1), (2, 0)):  # grids count x, y, z
            assert torch.corrcoef(torch.stack([grid[..., component].flatten(), ramp(axis).flatten()]))[0, 1] > 0.9


def test_a_shift_moves_by_part_of_the_side() -> None:
    settings = NOTHING.model_copy(update={"shift": 0.2})
    grid = draw_grid(generator(3), SHAPE, ranges_of(settings)) - draw_grid(generator(3), SHAPE, ranges_of(NOTHING))
    assert grid.abs().max() <= 0.4
    torch.testing.assert_close(grid, grid[:, :1, :1, :1].expand_as(grid), atol=1e-5, rtol=0)


def test_grey_values_stay_in_range() -> None:
    image = torch.rand(1, 1, *SHAPE, generator=generator(1))
    settings = AugmentationSettings(contrast=0.5, noise=0.3)
    found = recoloured(image, generator(2), settings)
    assert 0.0 <= found.min() < found.max() <= 1.0
    assert not torch.equal(found, image)
