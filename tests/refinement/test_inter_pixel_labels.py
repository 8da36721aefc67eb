"""Sure pixels, their pairs, and the walk between edges."""

import dataclasses

import pytest
import torch

from weakmask.evaluation.class_masks import IGNORED
from weakmask.refinement import (
    PRESETS,
    dense_crf,
    labels_at_threshold,
    most_probable,
    pixel_pairs,
    proportional_probabilities,
    sure_labels,
    walk_within_edges,
)


def test_foreground_background_and_neither() -> None:
    maps = torch.tensor([[[[0.9, 0.2, 0.0, 0.4]], [[0.1, 0.0, 0.0, 0.6]]]])
    high, low = labels_at_threshold(maps, 0.5), labels_at_threshold(maps, 0.1)
    assert high.tolist() == [[[1, 0, 0, 2]]]
    assert low.tolist() == [[[1, 1, 0, 2]]]
    assert sure_labels(high, low).tolist() == [[[1, IGNORED, 0, 2]]]


@pytest.mark.parametrize("confidence", [0.7, None])
def test_a_class_that_is_absent_never_appears_also_through_the_crf(confidence: float | None) -> None:
    generator = torch.Generator().manual_seed(0)
    maps = torch.rand(2, 3, 20, 20, generator=generator)
    maps[0, 1], maps[1] = 0, 0
    image = 255 * torch.rand(2, 3, 20, 20, generator=generator)
    labels = labels_at_threshold(maps, 0.4, image, PRESETS["irnet"].for_side(20), confidence)
    assert set(labels[0].unique().tolist()) <= {0, 1, 3}
    assert 1 in labels[0] or 3 in labels[0]
    assert not labels[1].any()


def test_the_crf_moves_a_label_to_the_edge_of_the_image() -> None:
    image = torch.zeros(1, 3, 24, 24)
    image[..., 12:] = 200
    maps = torch.zeros(1, 1, 24, 24)
    maps[..., 10:] = 0.9  # two pixels too wide
    labels = labels_at_threshold(maps, 0.5, image, dataclasses.replace(PRESETS["irnet"], appearance_mm=10.0))
    assert not labels[..., :12].any()
    assert bool(labels[..., 12:].all())


def test_probabilities_in_proportion_to_the_maps() -> None:
    maps = torch.tensor([[[[0.0, 0.3, 1.0]], [[0.0, 0.0, 0.0]], [[0.0, 0.3, 0.2]]]])
    found = proportional_probabilities(maps, 0.2)[0, :, 0]
    assert torch.allclose(found[:, 0], torch.tensor([0.9, 0.1, 0.0, 0.1]) / 1.1)
    assert torch.allclose(found[:, 1], torch.tensor([0.2, 0.3, 0.0, 0.3]) / 0.8)
    assert torch.allclose(found[:, 2], torch.tensor([0.2, 1.0, 0.0, 0.2]) / 1.4)


def test_a_crf_that_begins_with_the_maps_trusts_high_values_more() -> None:
    """The unsure half of a region joins the other colour; with one confidence for all, it would stay."""
    crf = dataclasses.replace(PRESETS["irnet"], appearance_mm=20.0)
    image = torch.zeros(1, 3, 16, 16)
    image[..., 8:] = 200
    maps = torch.zeros(1, 2, 16, 16)
    maps[:, 1, :, 8:] = 1.0
    maps[:, 1, :, 2:8] = 0.35
    assert (labels_at_threshold(maps, 0.3, image, crf, 0.7) == 2)[..., 4:].all()
    found = labels_at_threshold(maps, 0.3, image, crf, None)
    assert torch.equal(found == 2, image[:, 0] > 100)
    plain = dense_crf(proportional_probabilities(maps[:, 1:], 0.3), image, crf).argmax(1)
    assert torch.equal(found, 2 * plain)
    assert not most_probable(torch.tensor([1.0, 0.0, 0.0]).reshape(1, 3, 1, 1).expand(1, 3, 16, 16), image, crf).any()


def test_a_crf_without_an_image_is_a_fault_of_the_program() -> None:
    with pytest.raises(ValueError, match="needs the image"):
        labels_at_threshold(torch.rand(1, 1, 8, 8), 0.5, crf=PRESETS["irnet"])


def test_sigmas_of_space_grow_with_the_picture() -> None:
    crf = PRESETS["irnet"].for_side(250)
    assert (crf.smoothness_mm, crf.appearance_mm) == (1.5, 25.0)
    assert crf.appearance_intensity == PRESETS["irnet"].appearance_intensity
    with pytest.raises(ValueError, match="positive numbers of pixels"):
        PRESETS["irnet"].for_side(0)


def test_unsure_pixels_are_in_no_pair_in_two_and_three_dimensions() -> None:
    for shape, neighbours in (((1, 6, 5), 8), ((1, 4, 5, 3), 26)):
        labels = torch.randint(0, 3, shape, generator=torch.Generator().manual_seed(1))
        whole = pixel_pairs(labels, 2)
        labels[(0, 2, 2, 1)[: len(shape)]] = IGNORED
        fewer = pixel_pairs(labels, 2)
        lost = 0
        for name in ("background", "foreground", "different"):
            before, after = getattr(whole, name), getattr(fewer, name)
            assert not bool((after & ~before).any())
            lost += int(before.sum() - after.sum())
        assert lost == neighbours


def test_a_walk_without_edges_ends_flat_and_nothing_crosses_a_line_of_edges() -> None:
    seeds = torch.zeros(1, 1, 12, 12)
    seeds[..., 2, 2] = 1
    flat = walk_within_edges(seeds, torch.zeros_like(seeds), steps=4096)
    assert float(flat.max() - flat.min()) < 0.25 * float(flat.mean())
    edge = torch.zeros_like(seeds)
    edge[..., 6] = 1
    split = walk_within_edges(seeds, edge, steps=256)
    assert not split[..., 6:].any()
    assert float(split[..., :6].sum()) > 0
