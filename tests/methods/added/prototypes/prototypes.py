"""The training stage: small pictures and the classes present in them -> one colour per class."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weakmask.methods.prototypes.config import PrototypeSettings
from weakmask.pipeline import Work
from weakmask.training.fit import fit
from weakmask.training.optimisers import build_optimiser
from weakmask.training.plan import Plan
from weakmask.training.seeding import generator_for, seed_all
from weakmask.volume.pictures import read_rgb

NOT_CLASSES = ("scan", "split")  # columns of index.csv


class Prototypes(nn.Module):
    """Colours in [0, 1] -> a logit per class and pixel; class 0 is the dark ground, which is not learnt."""

    def __init__(self, classes: int, sharpness: float) -> None:
        """Start from colours near grey, so that each is near every pixel and has a gradient."""
        super().__init__()
        self.colours, self.sharpness = nn.Parameter(0.5 + 0.1 * torch.rand(classes, 3)), sharpness

    def forward(self, image: Tensor) -> Tensor:
        """(batch, 3, y, x) -> (batch, 1 + classes, y, x)."""
        known = torch.cat((self.colours.new_zeros(1, 3), self.colours))
        return -self.sharpness * (image[:, None] - known[None, :, :, None, None]).square().sum(2)


def prototypes(work: Work[PrototypeSettings]) -> None:
    """Train; leaves last.safetensors and curves.csv."""
    config = work.config
    table = pd.read_csv(work.stage("prepare") / "index.csv", dtype={"scan": str}).query("split == 'training'")
    classes = [name for name in table.columns if name not in NOT_CLASSES]
    pictures = torch.stack([read_small(work.stage("prepare"), scan) for scan in table["scan"]])
    labels = torch.from_numpy(table[classes].to_numpy(np.float32))
    seed_all(config.seed)
    network = Prototypes(len(classes), config.network.sharpness)
    settings = config.learning

    def batch_at(step: int) -> dict[str, Tensor]:
        rows = torch.randint(len(pictures), (settings.batch,), generator=generator_for(config.seed, step))
        return {"image": pictures[rows], "present": labels[rows]}

    def losses_of(network: nn.Module, batch: Mapping[str, Tensor], step: int) -> dict[str, Tensor]:
        found = presence(network(batch["image"]).softmax(1), settings.highest)
        known = batch["present"].isfinite()
        return {"total": F.binary_cross_entropy(found[known], batch["present"][known])}

    header = {"classes": classes, "sharpness": config.network.sharpness}
    plan = Plan(settings.steps, 50, settings.checkpoint_every, seed=config.seed, device=config.device, header=header)
    optimiser = build_optimiser(network.parameters(), "adam", settings.learning_rate)
    fit(network, optimiser, batch_at, losses_of, None, work.out, plan)


def presence(probability: Tensor, highest: float) -> Tensor:
    """Probability that each class is in the picture: the mean over its most probable pixels.

    Args:
        probability: (batch, 1 + classes, y, x).
        highest: Share of the pixels.

    Returns:
        (batch, classes).
    """
    flat = probability[:, 1:].flatten(2)
    return flat.topk(max(1, round(highest * flat.shape[2])), dim=2).values.mean(2).clamp(1e-6, 1 - 1e-6)


def read_small(prepared: Path, scan: str) -> Tensor:
    """One small picture as (3, y, x) in [0, 1]."""
    return torch.from_numpy(read_rgb(prepared / "pictures" / f"{scan}.png")[0].astype(np.float32) / 255)
