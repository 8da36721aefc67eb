"""TensorFlow's `same` padding, beside its formula written out."""

import pytest
import torch
from torch.nn import functional as F

from weakmask.networks.same_convolution import SameConvolution


@pytest.mark.parametrize(
    ("kernel", "side", "zeros"),
    [(3, 8, (0, 1)), (5, 8, (1, 2)), (3, 9, (1, 1)), (5, 9, (2, 2)), (3, 1, (1, 1)), (7, 8, (2, 3))],
)
def test_stride_two_pads_more_at_the_far_end(kernel: int, side: int, zeros: tuple[int, int]) -> None:
    layer = SameConvolution(2, 3, kernel, 2)
    assert layer.zeros(side) == zeros
    image = torch.rand(1, 2, side, 12)
    padded = F.pad(image, (*layer.zeros(12), *zeros))
    torch.testing.assert_close(layer(image), F.conv2d(padded, layer.weight, stride=2))
    assert layer(image).shape == (1, 3, -(-side // 2), 6)


@pytest.mark.parametrize(("kernel", "dilation"), [(3, 1), (5, 2), (3, 4)])
def test_stride_one_keeps_the_size(kernel: int, dilation: int) -> None:
    layer = SameConvolution(4, 4, kernel, dilation=dilation, groups=4)
    image = torch.rand(2, 4, 7, 10)
    before, after = layer.zeros(7)
    assert before == after == dilation * (kernel - 1) // 2
    padded = F.pad(image, [before] * 4)
    torch.testing.assert_close(layer(image), F.conv2d(padded, layer.weight, dilation=dilation, groups=4))
    assert layer(image).shape == image.shape
