"""The published form of each backbone: names, shapes, numbers of weights, and what it answers with known weights.

The digests and answers are those of torchvision 0.29.1, pretrainedmodels 0.7.4 and efficientnet-lite-pytorch 0.1.0.
"""

import hashlib
import math
from collections.abc import Mapping
from functools import cache

import numpy as np
import torch
from torch import Tensor

from weakmask.networks.backbones import build_encoder
from weakmask.networks.encoder import Encoder

STRIDES = {"efficientnet_lite0": 32, "resnet50": 32, "se_resnext50_32x4d": 32, "vgg16_bn": 16}
Shapes = Mapping[str, tuple[int, ...]]
HEADS: dict[str, Shapes] = {  # the classification layers, which the encoders leave out
    "efficientnet_lite0": {"_fc.weight": (1000, 1280), "_fc.bias": (1000,)},
    "resnet50": {"fc.weight": (1000, 2048), "fc.bias": (1000,)},
    "se_resnext50_32x4d": {"last_linear.weight": (1000, 2048), "last_linear.bias": (1000,)},
    "vgg16_bn": {
        "classifier.0.weight": (4096, 512 * 7 * 7),
        "classifier.0.bias": (4096,),
        "classifier.3.weight": (4096, 4096),
        "classifier.3.bias": (4096,),
        "classifier.6.weight": (1000, 4096),
        "classifier.6.bias": (1000,),
    },
}


@cache
def encoder_shapes(backbone: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the encoder's state dict, with the last layers of a classifier if the file has them."""
    with torch.device("meta"):
        encoder = build_encoder(backbone, STRIDES[backbone])
        if backbone == "efficientnet_lite0":
            encoder.add_last_layers()
    return {name: tuple(tensor.shape) for name, tensor in encoder.state_dict().items()}


def published_shapes(backbone: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the published file, from the encoder and the layers that it leaves out."""
    return encoder_shapes(backbone) | dict(HEADS[backbone])


def weights_in(shapes: Shapes) -> int:
    """The number of trained weights; running statistics and counters are none."""
    return sum(
        math.prod(shape) for name, shape in shapes.items() if "running_" not in name and "num_batches" not in name
    )


def digest_of(shapes: Shapes) -> str:
    lines = "\n".join(sorted(f"{name} {shape}" for name, shape in shapes.items()))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


@cache
def known_weights(backbone: str) -> Mapping[str, Tensor]:
    """Weights that any program can draw again: uniform numbers, scaled as Kaiming does; no counters."""
    drawn = np.random.RandomState(0)
    state = {}
    for name, shape in sorted(encoder_shapes(backbone).items()):
        if not shape:
            continue
        numbers = torch.from_numpy(drawn.random_sample(shape) * 2 - 1).float()
        if len(shape) > 1:
            state[name] = numbers * math.sqrt(6 / math.prod(shape[1:]))
        elif name.endswith(("running_var", "weight")):
            state[name] = 1 + 0.3 * numbers
        else:
            state[name] = 0.1 * numbers
    return state


def waves(height: int = 64, width: int = 96) -> Tensor:
    """A colour image (1, 3, y, x) of waves, in [0, 1]."""
    y, x = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing="ij")
    return torch.stack([torch.sin(x / 7 + y / 11), torch.sin(x / 5 - y / 13), torch.cos(x * y / 800)])[None] / 2 + 0.5


def known_encoder(backbone: str, stride: int) -> Encoder:
    """An encoder with the known weights, in evaluation mode; drawing random ones would take most of the time."""
    with torch.device("meta"):
        encoder = build_encoder(backbone, stride)
    encoder.to_empty(device="cpu").load_state_dict(known_weights(backbone), strict=False)
    return encoder.eval()
