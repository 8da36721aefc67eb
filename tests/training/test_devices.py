"""Where a training runs."""

import pytest
import torch
from torch import nn

from weakmask.errors import UserError
from weakmask.training.devices import computes_bfloat16, device_of, fabric_for, lay_out


def test_auto_takes_bfloat16_only_where_the_device_has_it():
    fabric = fabric_for("cpu", "auto")
    assert fabric.device.type == "cpu"
    assert (fabric._precision.precision == "bf16-mixed") == computes_bfloat16("cpu")


def test_auto_takes_the_best_device():
    expected = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert fabric_for("auto", "32-true").device.type == expected


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_an_absent_device_is_one_line():
    with pytest.raises(UserError, match="device cuda is not available on this machine; use one of cpu"):
        fabric_for("cuda")
    with pytest.raises(UserError, match="device cuda is not available on this machine; use one of cpu"):
        device_of("cuda")


@pytest.mark.parametrize("name", ["gpu", "", "cpu:0", "cuda:99", "cuda:-1"])
def test_a_device_of_no_known_name_is_one_line(name: str):
    with pytest.raises(UserError, match=f"device {name} is not available on this machine; use one of cpu"):
        device_of(name)


def test_inference_takes_the_device_that_training_takes():
    assert device_of("auto").type == fabric_for("auto", "32-true").device.type
    assert device_of("cpu") == torch.device("cpu")


@pytest.mark.parametrize(
    ("convolution", "layout"), [(nn.Conv2d, torch.channels_last), (nn.Conv3d, torch.channels_last_3d)]
)
def test_weights_are_laid_out_with_channels_last_and_stay_the_same(convolution, layout):
    network = nn.Sequential(convolution(4, 6, 3), nn.BatchNorm1d(6))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    lay_out(network, torch.device("cpu"))
    assert network[0].weight.is_contiguous(memory_format=layout)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
