"""Maps times the shade of what they show."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from weakmask.refinement import times_shade


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
