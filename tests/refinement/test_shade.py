"""Maps times the shade of what they show."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from weakmask.refinement import times_shade, times_top_hat


def test_a_wide_map_keeps_to_the_dark_lesion_in_it() -> None:
    image = torch.full((1, 1, 40, 40), 180.0)
    image[..., 16:24, 16:24] = 40.0  # the lesion
    image[..., :4] = 10.0  # a shadow that the map does not show
    maps = torch.zeros(1, 2, 40, 40)
    maps[0, 1, 8:32, 8:32] = 0.8
    found = times_shade(maps, image, "dark", 0.0)
    assert torch.equal(found[0, 1] > 0.3, image[0, 0] == 40.0)
    assert not found[0, 0].any()
    bright = times_shade(maps, image, "bright", 0.0)
    assert torch.equal(bright[0, 1] > 0.3, (maps[0, 1] > 0) & (image[0, 0] == 180.0))


def test_the_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    maps, image = torch.rand(1, 1, 16, 12, generator=generator), 255 * torch.rand(1, 3, 16, 12, generator=generator)
    grey = gaussian_filter(image.mean(1)[0].double().numpy(), 1.5)
    low, high = np.percentile(grey[maps[0, 0].numpy() > 0.3 * float(maps.max())], [2, 98])
    expected = maps[0, 0].double().numpy() * (1 - np.clip((grey - low) / (high - low), 0, 1))
    found = times_shade(maps, image, "dark", 1.5)[0, 0].double().numpy()
    assert np.allclose(found, expected / expected.max(), atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_one_grey_value_and_an_empty_map_change_nothing(value: float) -> None:
    maps = torch.full((1, 1, 8, 8), value)
    assert torch.equal(times_shade(maps, torch.full((1, 1, 8, 8), 7.0), "dark", 1.0), maps)


def lesion_and_shadow() -> torch.Tensor:
    """A small dark lesion in bright tissue, and a wide shadow that is just as dark."""
    image = torch.full((1, 1, 96, 64), 180.0)
    image[..., 20:30, 20:30] = 40.0
    image[..., 40:, :] = 40.0
    return image


@pytest.mark.parametrize("radius", [12.0, 24.0])
def test_the_top_hat_leaves_a_wide_shadow_out(radius: float) -> None:
    maps = torch.full((1, 1, 96, 64), 0.5)
    image = lesion_and_shadow()
    found = times_top_hat(maps, image, "dark", 0.0, radius)
    lesion = image[0, 0, :40] == 40.0
    marked = found[0, 0, :40] > 0.5
    assert (marked & lesion).sum() >= 0.8 * lesion.sum()
    assert (marked & ~lesion).sum() <= 0.3 * lesion.sum()
    assert not (found[0, 0, 48:] > 0.5).any()
    white = times_top_hat(maps, 255 - image, "bright", 0.0, radius)
    torch.testing.assert_close(white, found)


def test_the_formula_of_the_top_hat() -> None:
    """Closing is the minimum over disks of the maximum in each disk."""
    generator = torch.Generator().manual_seed(0)
    maps, image = torch.rand(1, 1, 9, 11, generator=generator), 255 * torch.rand(1, 3, 9, 11, generator=generator)
    grey = gaussian_filter(image.mean(1)[0].double().numpy(), 1.0)
    around = np.pad(grey, 4, mode="symmetric")
    offsets = [(y, x) for y in range(-2, 3) for x in range(-2, 3) if y * y + x * x <= 4]

    def extreme(values: np.ndarray, of: np.ufunc) -> np.ndarray:
        """The extreme over a disk, of the voxels that have a whole disk."""
        rows, columns = values.shape[0] - 4, values.shape[1] - 4
        return of.reduce([values[2 + y : 2 + y + rows, 2 + x : 2 + x + columns] for y, x in offsets])

    closed = extreme(extreme(around, np.maximum), np.minimum)
    expected = np.sqrt(maps[0, 0].double().numpy()) * (closed - grey)
    found = times_top_hat(maps, image, "dark", 1.0, 2.0)[0, 0].double().numpy()
    np.testing.assert_allclose(found, expected / expected.max(), atol=1e-5)


def test_a_picture_without_a_spot_changes_nothing() -> None:
    maps = torch.rand(1, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(times_top_hat(maps, torch.full((1, 1, 16, 16), 7.0), "dark", 1.0, 5.0), maps)
