"""Means inside regions."""

import torch

from weakmask.losses import region_mean


def test_is_the_mean_of_the_values_inside():
    values = torch.arange(8.0).reshape(1, 1, 2, 2, 2)
    region = torch.zeros(1, 1, 2, 2, 2, dtype=torch.bool)
    region[0, 0, 1] = True
    assert region_mean(values, region).tolist() == [5.5]


def test_weights_count_in_part():
    values = torch.tensor([[[[1.0, 4.0]]]])
    assert region_mean(values, torch.tensor([[[[1.0, 0.5]]]])).tolist() == [2.0]


def test_small_weights_are_not_rounded_up_to_a_voxel():
    values = torch.full((1, 1, 2, 2), 0.7)
    torch.testing.assert_close(region_mean(values, torch.full((1, 1, 2, 2), 0.01)), torch.tensor([0.7]))


def test_an_empty_region_has_mean_zero_beside_full_ones():
    region = torch.stack([torch.zeros(1, 3, 3), torch.ones(1, 3, 3)])
    assert region_mean(torch.ones(2, 1, 3, 3), region).tolist() == [0.0, 1.0]


def test_bfloat16_maps_are_summed_in_float32():
    values = torch.ones(1, 1, 40, 40, 40, dtype=torch.bfloat16)
    mean = region_mean(values, torch.ones(1, 1, 40, 40, 40, dtype=torch.bool))
    assert mean.dtype == torch.float32
    assert mean.item() == 1.0


def test_float64_stays():
    assert region_mean(torch.ones(1, 1, 2, 2, dtype=torch.float64), torch.ones(1, 1, 2, 2)).dtype == torch.float64
