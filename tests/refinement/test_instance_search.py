import numpy as np
import pytest

from weakmask.evaluation.instance_overlap import instance_overlap
from weakmask.evaluation.instances import instance_scores
from weakmask.refinement.instance_search import SEARCHED, Decoder, decoders, search_decoder
from weakmask.refinement.instances import grow_seeds, mask_components, watershed


def example(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes in touching pairs; the maps are best cut at 0.7 and have specks of noise."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((6, 40, 60), np.uint32)
    for number in range(6):
        y, x = 20 * (number // 3), 20 * (number % 3)
        truth[1:5, y + 3 : y + 16, x + 2 : x + 9] = 2 * number + 1
        truth[1:5, y + 3 : y + 16, x + 9 : x + 17] = 2 * number + 2
    halo = np.maximum.reduce([np.roll(truth > 0, shift, axis) for axis in (1, 2) for shift in (-1, 1)])
    mask = np.where(truth > 0, 0.92, np.where(halo, 0.65, 0.05)).astype(np.float32)
    mask[rng.random(truth.shape) < 0.002] = 0.97
    border = np.roll(truth, 1, axis=2) != truth
    return mask, np.where(border | np.roll(border, -1, axis=2), 0.7, 0.1).astype(np.float32), truth


def test_a_decoder_calls_the_function_of_its_name():
    mask, contour, _ = example(0)
    assert np.array_equal(Decoder(contour=0.5).decode(mask, contour), watershed(mask, contour, (0.9, 0.5, 0.85)))
    decoder = Decoder("grow", contour=0.5, grow_pixels=1)
    assert np.array_equal(decoder.decode(mask, contour), grow_seeds(mask, contour, (0.9, 0.5), 1))
    assert np.array_equal(Decoder("components", mask=0.7).decode(mask, contour), mask_components(mask, 0.7))


def test_the_grid_holds_what_a_method_reads():
    watersheds = decoders("watershed")
    pairs = [(seed, mask) for seed in SEARCHED["seed"] for mask in SEARCHED["mask"] if seed >= mask]
    assert {(one.seed, one.mask) for one in watersheds} == set(pairs)
    assert len(watersheds) == len(pairs) * np.prod([len(SEARCHED[name]) for name in ("contour", "least_voxels")])
    assert len(set(watersheds)) == len(watersheds)
    assert {one.mask for one in decoders("grow")} == {Decoder().mask}
    assert {one.least_voxels for one in decoders("components", [5, 10])} == {5, 10}


def test_the_best_thresholds_are_found():
    examples = [example(0), example(1)]
    tried = [Decoder("watershed", 0.9, t2, t3, least_voxels=least) for t2 in (0.5, 0.8) for t3 in (0.6, 0.7)
             for least in (1, 100)]  # fmt: skip
    found = search_decoder(examples, tried)
    assert found.best == Decoder("watershed", 0.9, 0.5, 0.7, least_voxels=100)
    assert len(found.table) == len(tried)
    best = found.table[(found.table["contour"] == 0.5) & (found.table["mask"] == 0.7)]
    assert best[["ap_75", "fp", "truths"]].to_numpy().tolist()[1] == [1, 0, 24]
    merged = found.table[found.table["contour"] == 0.8]
    assert (merged["merges"] == 12).all()  # every pair


def test_the_scores_are_those_of_the_decoder_itself():
    mask, contour, truth = example(2)
    tried = [Decoder(contour=0.5, least_voxels=least) for least in (1.0, 50.0)]
    table = search_decoder([(mask, contour, truth)], tried).table
    for decoder, row in zip(tried, table.to_dict("records"), strict=True):
        expected = instance_scores(instance_overlap(decoder.decode(mask, contour), truth)).row()
        assert {name: row[name] for name in expected} == expected
    assert table["fp"].tolist()[0] > table["fp"].tolist()[1] == 0


def test_equal_criteria_are_decided_by_the_panoptic_quality():
    tried = [Decoder(contour=0.5, mask=mask) for mask in (0.6, 0.7)]
    found = search_decoder([example(0)], tried, criterion="truths")
    assert found.best.mask == 0.7


def test_nothing_to_search():
    with pytest.raises(ValueError, match="0 decoders on 1 volumes"):
        search_decoder([example(0)], [])
    with pytest.raises(ValueError, match="1 decoders on 0 volumes"):
        search_decoder([], [Decoder()])
