"""The part of a map that has the sharpest border in the image."""

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation, binary_erosion, binary_fill_holes, label

from weakmask.refinement import sharpest_region
from weakmask.refinement.sharp_region import GROWTH


def spots() -> tuple[torch.Tensor, torch.Tensor]:
    """A dark disk with a bright one in its middle, another dark disk, and the distance from the first one's middle."""
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    distance = ((y - 40) ** 2 + (x - 44) ** 2).sqrt()
    image = torch.full((1, 1, 96, 96), 170.0)
    image[0, 0][distance <= 15] = 60.0
    image[0, 0][distance <= 3] = 170.0
    image[0, 0][(y - 80) ** 2 + (x - 80) ** 2 <= 64] = 60.0
    return image, distance


@pytest.mark.parametrize("shade", ["dark", "bright"])
def test_a_wide_map_is_cut_at_the_outline_of_what_it_shows(shade: str) -> None:
    image, distance = spots()
    wide = (1 - distance / 30.5).clamp(0, 1)  # a level is at 15.25
    found = sharpest_region(wide[None, None], wide[None, None], image if shade == "dark" else 255 - image, shade, 0.0)  # pyright: ignore[reportArgumentType]
    disk = distance <= 15  # its hole is filled
    assert found.dtype == torch.bool
    assert (found & disk).sum() / (found | disk).sum() > 0.9


def test_the_formula() -> None:
    generator = torch.Generator().manual_seed(3)
    image = 255 * torch.rand(1, 3, 40, 40, generator=generator)
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
    located = 1 - ((y - 18) ** 2 + (x - 21) ** 2).sqrt() / 30
    weighted = located * (0.8 + 0.2 * torch.rand(40, 40, generator=generator))
    grey = image.mean(1)[0].double().numpy()
    levels = weighted.numpy()
    found = []
    for step in range(4, 17):
        parts, _ = label(levels > step / 20 * levels.max())
        region = binary_fill_holes(parts == parts.flat[levels.argmax()])
        if not 60 / 224**2 * region.size <= region.sum() <= 0.4 * region.size:
            continue
        outside, inside = binary_dilation(region, iterations=2) & ~region, binary_erosion(region, iterations=2)
        contrast = (grey[outside].mean() - grey[region & ~inside].mean()) / grey.std()
        worth = max(contrast, 1e-3) * located.numpy()[region].mean() * region.sum() ** GROWTH
        found.append((worth, region))
    assert len(found) > 3
    expected = max(found, key=lambda one: one[0])[1]
    np.testing.assert_array_equal(
        sharpest_region(located[None, None], weighted[None, None], image, "dark", 0.0).numpy(), expected
    )


def test_maps_without_a_region_of_a_fitting_size() -> None:
    image = torch.full((1, 1, 32, 32), 7.0)
    small = torch.zeros(32, 32)
    small[4, 4] = 0.5
    assert torch.equal(sharpest_region(small[None, None], small[None, None], image, "dark", 1.0), small > 0)
    nothing = torch.zeros(32, 32)
    assert not sharpest_region(nothing[None, None], nothing[None, None], image, "dark", 1.0).any()
