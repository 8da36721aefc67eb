"""DropBlock: the share dropped, the shape of the blocks, the expectation, and the rise of the probability."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from weakmask.networks.dropblock import DropBlock, set_dropblock_progress


def dropped(drop: DropBlock, *shape: int, seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    return drop.train()(torch.ones(shape)) == 0


@pytest.mark.parametrize("shape", [(2000, 1, 20), (400, 1, 20, 24), (150, 1, 9, 12, 10)])
@pytest.mark.parametrize("probability", [0.1, 0.3])
def test_every_voxel_is_dropped_with_the_probability(shape: tuple[int, ...], probability: float) -> None:
    found = dropped(DropBlock(probability, block=5), *shape).float()
    assert found.mean().item() == pytest.approx(probability, abs=0.01)
    corner = found[(slice(None), 0, *[slice(2)] * (len(shape) - 2))]  # at the border as elsewhere
    assert corner.mean().item() == pytest.approx(probability, abs=0.06)


def test_what_is_dropped_is_made_of_whole_blocks() -> None:
    found = dropped(DropBlock(0.2, block=3), 50, 1, 16, 16)
    inside = F.pad(found.float(), [2, 2, 2, 2], value=1.0)  # blocks may reach beyond the border
    starts = -F.max_pool2d(-inside, 3, stride=1)  # where a whole block fits
    opened = F.max_pool2d(F.pad(starts, [2, 2, 2, 2]), 3, stride=1)[..., 2:-2, 2:-2]
    assert found.any()
    assert torch.equal(opened > 0, found)


def test_all_channels_of_an_image_lose_the_same_voxels_and_images_differ() -> None:
    found = dropped(DropBlock(0.3), 2, 4, 30, 30)
    assert torch.equal(found, found[:, :1].expand_as(found))
    assert not torch.equal(found[0], found[1])


def test_the_expectation_is_kept_in_each_image() -> None:
    torch.manual_seed(0)
    found = DropBlock(0.3, block=3)(torch.full((8, 2, 24, 24), 5.0))
    torch.testing.assert_close(found.mean(dim=(1, 2, 3)), torch.full((8,), 5.0))
    kept = [image[image > 0].unique().numel() for image in found]
    assert kept == [1] * 8


def test_it_is_off_in_evaluation_and_at_probability_zero() -> None:
    maps = torch.rand(2, 3, 12, 12)
    assert torch.equal(DropBlock(0.5).eval()(maps), maps)
    assert torch.equal(DropBlock(0.0).train()(maps), maps)


def test_a_map_that_is_dropped_whole_stays_finite() -> None:
    found = [DropBlock(0.9, block=9)(torch.ones(1, 1, 2, 2)) for _ in range(20)]
    assert all(torch.isfinite(maps).all() for maps in found)
    assert any((maps == 0).all() for maps in found)


def test_the_probability_rises_with_the_training() -> None:
    drop = DropBlock(0.3, ramp=0.5)
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Sequential(drop))
    expected = {0.0: 0.0, 0.25: 0.15, 0.5: 0.3, 1.0: 0.3}
    for done, probability in expected.items():
        set_dropblock_progress(network, done)
        assert drop.probability_now() == pytest.approx(probability)
    assert DropBlock(0.3).probability_now() == 0.3
    assert not network[1].state_dict()


@pytest.mark.parametrize("values", [(1.0, 7, 0.0), (-0.1, 7, 0.0), (0.2, 0, 0.0), (0.2, 7, 1.5)])
def test_values_out_of_range_are_refused(values: tuple[float, int, float]) -> None:
    with pytest.raises(ValueError, match="DropBlock takes a probability"):
        DropBlock(*values)
