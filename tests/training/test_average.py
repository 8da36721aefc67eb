"""The running average beside its formula."""

import pytest
import torch
from torch import nn

from weakmask.training.average import WeightAverage


def test_follows_the_formula():
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 1.0)
    average = WeightAverage(network, 0.5)
    expected = 1.0
    for step, value in enumerate((3.0, -2.0, 7.0, 7.0, 7.0, 7.0, 0.0, 1.0, 4.0, 4.0, 4.0)):
        nn.init.constant_(network.weight, value)
        average.update(network, step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
        assert average.network.weight.item() == pytest.approx(expected)


def test_buffers_are_averaged_and_counts_copied():
    network = nn.BatchNorm1d(2)
    average = WeightAverage(network, 0.9)
    network(torch.full((4, 2), 8.0))
    average.update(network, 0)
    assert network.running_mean is not None
    torch.testing.assert_close(average.network.running_mean, 0.9 * network.running_mean)
    assert average.network.num_batches_tracked == network.num_batches_tracked == 1


def test_a_long_average_is_steadier_than_the_weights():
    torch.manual_seed(0)
    network = nn.Linear(1, 1, bias=False)
    average = WeightAverage(network, 0.99)
    for step in range(2000):
        nn.init.normal_(network.weight, mean=2.0)
        average.update(network, step)
    assert average.network.weight.item() == pytest.approx(2.0, abs=0.3)
    assert not average.network.weight.requires_grad


@pytest.mark.parametrize("decay", [0.0, 1.0, -1.0])
def test_impossible_decays_are_refused(decay: float):
    with pytest.raises(ValueError, match="between 0 and 1"):
        WeightAverage(nn.Linear(1, 1), decay)
