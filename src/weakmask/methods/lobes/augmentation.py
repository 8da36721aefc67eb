"""Scans as other patients might show them: turned, resized and smoothly bent, brighter or noisier; never mirrored.

A mirrored chest has its heart and its middle lobe on the wrong side, so a network would learn wrong lobes.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from weakmask.datasets.random_moves import MoveRanges
from weakmask.methods.lobes.config import AugmentationSettings


def ranges_of(settings: AugmentationSettings) -> MoveRanges:
    """The ranges of the moves of the settings."""
    return MoveRanges(settings.scale, settings.angle_degrees, settings.shift, settings.bend)


def recoloured(
    image: Float[Tensor, "1 1 z y x"], generator: torch.Generator, settings: AugmentationSettings
) -> Float[Tensor, "1 1 z y x"]:
    """Grey values in [0, 1] with another gain, gamma and noise, in [0, 1] again."""
    draws = torch.rand(3, generator=generator)
    gain, gamma = (1.0 + settings.contrast * (2.0 * draws[:2] - 1.0)).tolist()
    noise = float(settings.noise * draws[2]) * torch.randn(image.shape, generator=generator)
    return (gain * image.clamp(0.0, 1.0) ** gamma + noise).clamp(0.0, 1.0)
