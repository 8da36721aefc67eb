"""A NumPy array, a volume or a wrong number of axes is refused in one line that says how to convert it."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from weakmask.refinement import (
    CRF,
    dense_crf,
    drop_small,
    edge_affinity,
    fill_holes,
    fill_holes_in_slices,
    intensity_affinity,
    keep_largest,
    label_probabilities,
    lesion_candidates,
    random_walk,
    refine_map,
    vessel_mask,
    vesselness,
    walk_within_edges,
)
from weakmask.refinement.grey_opening import opened
from weakmask.volume.volume import Volume

pytestmark = pytest.mark.usefixtures("unchecked_types")

MAPS = {
    "vesselness": ("image", lambda x: vesselness(x, (1.0,))),
    "dense_crf": ("probabilities", lambda x: dense_crf(x, x)),
    "refine_map": ("activation_map", lambda x: refine_map(x, x, CRF())),
    "random_walk": ("seeds", lambda x: random_walk(x, x, radius=2)),
    "walk_within_edges": ("seeds", lambda x: walk_within_edges(x, x)),
    "edge_affinity": ("edge", lambda x: edge_affinity(x, 2)),
    "intensity_affinity": ("image", lambda x: intensity_affinity(x, 2, 1.0)),
    "opened": ("image", lambda x: opened(x, 3)),
}
ARRAY = np.random.default_rng(0).random((6, 7, 8), dtype=np.float32)


@pytest.mark.parametrize(("name", "call"), MAPS.values(), ids=MAPS)
def test_an_array_is_refused_with_the_way_to_a_tensor(name: str, call: Callable[[Any], Any]) -> None:
    expected = f"{name} is of type ndarray; expected a tensor (batch, channel, *space); use torch.from_numpy({name})"
    with pytest.raises(TypeError, match=re.escape(f"{expected}[None, None]")):
        call(ARRAY)


@pytest.mark.parametrize(("name", "call"), MAPS.values(), ids=MAPS)
def test_a_tensor_without_batch_and_channel_is_refused(name: str, call: Callable[[Any], Any]) -> None:
    with pytest.raises(
        ValueError, match=re.escape(f"{name} has the shape (6, 7, 8); expected (batch, channel, *space)")
    ):
        call(torch.from_numpy(ARRAY))


@pytest.mark.parametrize("spoiled", ["image", "region"])
def test_every_input_of_a_crf_is_checked(spoiled: str) -> None:
    tensor = torch.from_numpy(ARRAY)[None, None]
    inputs: dict[str, Any] = {"image": tensor, "region": tensor > 0.5} | {spoiled: ARRAY}
    with pytest.raises(TypeError, match=f"{spoiled} is of type ndarray"):
        refine_map(tensor, crf=CRF(), **inputs)


def test_labels_need_no_channel() -> None:
    labels = np.zeros((6, 7, 8), np.int64)
    with pytest.raises(TypeError, match=re.escape("a tensor (batch, *space); use torch.from_numpy(labels)[None]")):
        label_probabilities(labels, 2)  # pyright: ignore[reportArgumentType]
    assert label_probabilities(torch.from_numpy(labels)[None], 2).shape == (1, 2, 6, 7, 8)


def test_a_volume_is_not_a_tensor() -> None:
    with pytest.raises(TypeError, match=re.escape("use torch.from_numpy(image.voxels)[None, None]")):
        vesselness(Volume.from_array(ARRAY, (1, 1, 1)), (1.0,))  # pyright: ignore[reportArgumentType]


MASKS = {
    "drop_small": lambda mask: drop_small(mask, 3.0),
    "keep_largest": keep_largest,
    "fill_holes": fill_holes,
    "fill_holes_in_slices": fill_holes_in_slices,
}


@pytest.mark.parametrize("call", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_masks_of_whole_numbers_are_taken(call: Callable[[Any], Any], dtype: type) -> None:
    mask = ARRAY > 0.4
    assert np.array_equal(call(3 * mask.astype(dtype)), call(mask))
    assert call(mask.astype(dtype)).dtype == bool
    assert not np.array_equal(call(mask), mask)


@pytest.mark.parametrize("call", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (ARRAY, "mask has the type float32; expected a mask; use mask > threshold"),
        (torch.from_numpy(ARRAY)[None, None] > 0, "mask is of type Tensor; .* use mask[0, 0].cpu().numpy()"),
        (Volume.from_array(ARRAY > 0, (1, 1, 1), "label"), "mask is of type Volume; .* use mask.voxels"),
    ],
    ids=["map", "tensor", "volume"],
)
def test_what_is_no_mask_is_refused(call: Callable[[Any], Any], mask: Any, words: str) -> None:
    with pytest.raises(TypeError, match=re.escape(words).replace(r"\.\*", ".*")):
        call(mask)


@pytest.mark.parametrize("call", MASKS.values(), ids=MASKS)
def test_a_mask_of_a_slice_needs_a_third_axis(call: Callable[[Any], Any]) -> None:
    with pytest.raises(ValueError, match=re.escape("mask has the shape (7, 8); expected (z, y, x)")):
        call(ARRAY[0] > 0)


def test_vessels_and_candidates_are_found_in_volumes() -> None:
    image, inside = Volume.from_array(1000 * ARRAY - 900, (1, 1, 1)), np.ones(ARRAY.shape, np.uint8)
    assert np.array_equal(vessel_mask(image, inside).voxels, vessel_mask(image, inside > 0).voxels)
    bright = ARRAY > 0.7
    found = lesion_candidates(image, inside, bright.astype(np.uint8)).voxels
    assert np.array_equal(found, lesion_candidates(image, inside, bright).voxels)
    assert found.any()
    for call in (vessel_mask, lesion_candidates):
        with pytest.raises(TypeError, match=re.escape("use Volume.from_array(image, spacing_mm)")):
            call(ARRAY, inside)
        with pytest.raises(ValueError, match=re.escape("the shape (5, 7, 8); expected the image's (6, 7, 8)")):
            call(image, inside[1:])
