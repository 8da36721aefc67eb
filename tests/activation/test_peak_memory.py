"""Bytes that live at one time, counted by hand."""

import copy
import gc

import torch
from torch import nn

from weakmask.activation.peak_memory import peak_bytes
from weakmask.networks import UNet
from weakmask.networks.unet_inference import LeanUNet


class Chain(nn.Module):
    """Makes 4 kB, 8 kB, 4 kB; the input of 4 kB stays with the caller."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x + 1
        y = torch.cat([y, y])  # the old y lives until the name is given anew: 4 + 4 + 8
        return y[:1000].clone()  # 4 + 8 + 4


class Frugal(nn.Module):
    """Only views, and changes in place."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x += 1
        return x.view(10, 100)[:5].relu_()


def test_counts_what_lives_together():
    assert peak_bytes(Chain(), (1000,), torch.float32) == 16_000
    assert peak_bytes(Chain(), (1000,), torch.float16) == 8_000


def test_views_and_changes_in_place_are_free():
    assert peak_bytes(Frugal(), (1000,), torch.float32) == 4_000


def test_the_inference_form_takes_less_and_grows_with_the_tile():
    network = UNet(3, width=8, padding="valid").eval()
    plain, lean = (copy.deepcopy(form).to("meta") for form in (network, LeanUNet(network)))
    gc.collect()
    need = {side: peak_bytes(lean, (1, 1, *[side] * 3), torch.float32) for side in (132, 180, 252)}
    assert need[132] < need[180] < need[252]
    assert need[252] < 0.4 * peak_bytes(plain, (1, 1, 252, 252, 252), torch.float32)


def test_half_precision_takes_half():
    network = UNet(3, width=8, padding="valid").to("meta")
    full, half = (
        peak_bytes(LeanUNet(network, dtype), (1, 1, 180, 180, 180), dtype) for dtype in (torch.float32, torch.bfloat16)
    )
    assert half == full / 2
