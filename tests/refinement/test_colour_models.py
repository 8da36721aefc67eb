"""Maps that learn the colours of a picture's object and of its background."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage.color import rgb2lab

from weakmask.refinement import weigh_colours

SIDE, THRESHOLD = 40, 0.2


def ginger_cat() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A picture of a ginger body on grass, a map that marks its head alone, and the body's mask."""
    generator = torch.Generator().manual_seed(0)
    body = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    body[10:30, 6:34] = True
    grass, ginger = torch.tensor([60.0, 130.0, 50.0]), torch.tensor([200.0, 120.0, 40.0])
    image = torch.where(body, ginger[:, None, None], grass[:, None, None])[None]
    image = (image + 10 * torch.randn(image.shape, generator=generator)).clamp(0, 255)
    maps = torch.zeros(1, 2, SIDE, SIDE)
    maps[0, 1, 12:20, 8:16] = 1.0  # the head
    maps[0, 1, 10:30, 6:34] += 0.1  # the rest, below the threshold
    return image, maps.clamp(max=1), body


def test_the_body_has_the_colours_of_the_head() -> None:
    image, maps, body = ginger_cat()
    found = weigh_colours(maps, image, THRESHOLD, 1.0)
    assert (maps[0, 1] > THRESHOLD).sum() < 0.2 * body.sum()
    marked = found[0, 1] > THRESHOLD
    assert (marked & body).sum() > 0.95 * body.sum()
    assert (marked & ~body).sum() < 0.05 * body.sum()
    assert not found[0, 0].any()
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1


def test_the_formula() -> None:
    """One round, written out pixel by pixel."""
    image, maps, _ = ginger_cat()
    found = weigh_colours(maps, image, THRESHOLD, 0.7, rounds=1)[0, 1].double().numpy()
    strongest = maps[0].amax(0).double().numpy()
    prior = np.clip(strongest / (strongest + THRESHOLD), 0.02, 0.98)
    lab = rgb2lab(image[0].permute(1, 2, 0).double().numpy() / 255)
    histograms = np.zeros((2, 20, 20, 20))
    bins = np.empty((SIDE, SIDE, 3), int)
    for y in range(SIDE):
        for x in range(SIDE):
            bins[y, x] = np.clip(np.floor(20 * (lab[y, x] - [0, -60, -60]) / [100, 120, 120]), 0, 19)
            histograms[0][tuple(bins[y, x])] += prior[y, x] ** 2
            histograms[1][tuple(bins[y, x])] += (1 - prior[y, x]) ** 2
    smooth = [gaussian_filter(one, 1.0, mode="nearest") for one in histograms]
    of_object, of_background = (one / one.sum() for one in smooth)
    logits = np.empty((SIDE, SIDE))
    for y in range(SIDE):
        for x in range(SIDE):
            ratio = (of_object[tuple(bins[y, x])] + 1e-7) / (of_background[tuple(bins[y, x])] + 1e-7)
            logits[y, x] = np.log(prior[y, x] / (1 - prior[y, x])) + 0.7 * np.log(ratio)
    belief = np.clip(gaussian_filter(1 / (1 + np.exp(-logits)), SIDE / 224), 0.02, 0.98)
    expected = np.minimum(THRESHOLD * belief / (1 - belief), 1.0)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_two_classes_keep_their_shares_of_a_pixel() -> None:
    image, maps, _ = ginger_cat()
    maps[0, 0] = 0.5 * maps[0, 1]
    found = weigh_colours(maps, image, THRESHOLD, 1.0)
    shown = maps[0, 1] > 0
    torch.testing.assert_close(found[0, 0][shown], 0.5 * found[0, 1][shown])


def test_no_weight_and_empty_maps_change_nothing() -> None:
    image, maps, _ = ginger_cat()
    assert torch.equal(weigh_colours(maps, image, THRESHOLD, 0.0), maps)
    empty = torch.zeros_like(maps)
    assert torch.equal(weigh_colours(empty, image, THRESHOLD, 1.0), empty)


def test_grey_pictures_and_single_colours_have_finite_maps() -> None:
    _, maps, _ = ginger_cat()
    for image in (torch.full((1, 1, SIDE, SIDE), 90.0), torch.zeros(1, 3, SIDE, SIDE)):
        found = weigh_colours(maps, image, THRESHOLD, 1.0)
        assert bool(found.isfinite().all())


@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_a_threshold_at_the_end_of_the_range_is_refused(threshold: float) -> None:
    image, maps, _ = ginger_cat()
    with pytest.raises(ValueError, match=r"threshold must be in \(0, 1\)"):
        weigh_colours(maps, image, threshold, 1.0)
