"""The train stage: scans and masks on the network's grid -> V-Net, by soft Dice."""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from weakmask.csv_table import read_csv
from weakmask.datasets.random_moves import MoveRanges, draw_grid, moved
from weakmask.evaluation.class_masks import IGNORED
from weakmask.losses import dice_by_class
from weakmask.methods.v_net.config import AugmentationSettings, NetworkSettings, VNetSettings
from weakmask.methods.v_net.prepare import TRAINING, VALIDATION
from weakmask.networks import build_network
from weakmask.pipeline import Work
from weakmask.training.fit import fit
from weakmask.training.optimisers import build_optimiser
from weakmask.training.plan import Plan
from weakmask.training.sampling import uniform_batch
from weakmask.training.seeding import generator_for, seed_all
from weakmask.volume.files import read_volume


def train(work: Work[VNetSettings]) -> None:
    """Train; leaves best.safetensors, last.safetensors and curves.csv."""
    config, settings = work.config, work.config.train
    training, validation = (FramedScans(work, part) for part in (TRAINING, VALIDATION))
    seed_all(config.seed)
    arguments = network_arguments(config.network, len(config.data.classes))
    network = build_network(config.network.name, arguments)
    plan = Plan(
        settings.steps,
        settings.validate_every,
        settings.checkpoint_every,
        seed=config.seed,
        schedule=settings.schedule,
        average_decay=settings.average_decay,
        device=config.device,
        spread=work.spread,
        precision=settings.precision,
        header={"network": config.network.name, "arguments": arguments},
    )
    optimiser = build_optimiser(network.parameters(), settings.optimiser, settings.learning_rate, settings.weight_decay)
    validate = Validation(validation, len(config.data.classes)) if len(validation) else None
    fit(network, optimiser, BatchMaker(training, config), Objective(config), validate, work.out, plan)


def network_arguments(settings: NetworkSettings, classes: int) -> dict[str, object]:
    """The arguments of the network for a number of classes beside the background."""
    shared: dict[str, object] = {"in_channels": 1, "out_channels": classes + 1, "width": settings.width}
    return {**shared, "dropout": settings.dropout} if settings.name == "v_net" else {**shared, "dimensions": 3}


class FramedScans:
    """The prepared scans of one part."""

    def __init__(self, work: Work[VNetSettings], part: str) -> None:
        """Open the folder of the prepare stage."""
        self.folder = work.stage("prepare")
        index = read_csv(self.folder / "index.csv")
        self.names: list[str] = index.loc[index["split"] == part, "scan"].tolist()

    def __len__(self) -> int:
        """Number of scans."""
        return len(self.names)

    def scan(self, row: int) -> tuple[Float[Tensor, "1 1 z y x"], Int[Tensor, "1 1 z y x"]]:
        """Z-scores and classes of a scan."""
        image = read_volume(self.folder / "images" / f"{self.names[row]}.nii").voxels
        labels = read_volume(self.folder / "labels" / f"{self.names[row]}.nii", "label").voxels
        return torch.from_numpy(image)[None, None], torch.from_numpy(labels.astype(np.int64))[None, None]


class BatchMaker:
    """Step -> batch, a pure function of the step, so that a resumed training sees the same batches."""

    def __init__(self, scans: FramedScans, config: VNetSettings) -> None:
        """Hold the scans."""
        self.scans, self.config = scans, config

    def __call__(self, step: int) -> dict[str, Tensor]:
        """The augmented scans of one step with their classes."""
        seed, settings = self.config.seed, self.config.augmentation
        generator = generator_for(seed, step, "augment")
        rows = uniform_batch(len(self.scans), self.config.train.batch, seed, step)
        pairs = [augmented(*self.scans.scan(row), settings, generator) for row in rows]
        images, labels = zip(*pairs, strict=True)
        return {"image": torch.cat(images), "labels": torch.cat(labels)}


def augmented(
    image: Float[Tensor, "1 1 z y x"],
    labels: Int[Tensor, "1 1 z y x"],
    settings: AugmentationSettings,
    generator: torch.Generator,
) -> tuple[Float[Tensor, "1 1 z y x"], Int[Tensor, "1 1 z y x"]]:
    """A scan and its classes after the same random move, with another contrast."""
    ranges = MoveRanges(settings.scale, settings.angle_degrees, settings.shift, settings.bend)
    grid = draw_grid(generator, tuple(image.shape[2:]), ranges)
    gain, offset = (settings.contrast * (2 * torch.rand(2, generator=generator) - 1)).tolist()
    return (1 + gain) * moved(image, grid) + offset, moved(labels.float(), grid, labels=True).long()


class Objective:
    """Network, batch, step -> soft Dice over all classes and cross-entropy, weighted as the settings say."""

    def __init__(self, config: VNetSettings) -> None:
        """Hold the weights."""
        self.losses = config.losses

    def __call__(self, network: nn.Module, batch: Mapping[str, Tensor], step: int) -> dict[str, Tensor]:  # noqa: ARG002 (the loop gives it)
        """Means over the scans; ignored voxels do not count."""
        logits, labels = network(batch["image"]).float(), batch["labels"]
        counted = labels != IGNORED
        overlap = dice_by_class(logits, torch.where(counted, labels, 0), counted).mean()
        voxelwise = F.cross_entropy(logits, labels[:, 0], ignore_index=IGNORED)
        total = self.losses.dice * overlap + self.losses.cross_entropy * voxelwise
        return {"dice": overlap, "cross_entropy": voxelwise, "total": total}


class Validation:
    """Network, steps -> Dice of each class on the network's grid, pooled over the validation scans, and its mean."""

    def __init__(self, scans: FramedScans, classes: int) -> None:
        """Hold the scans."""
        self.scans, self.classes = scans, classes

    def __call__(self, network: nn.Module, steps: int) -> dict[str, float]:  # noqa: ARG002 (the loop gives it)
        """The score is the mean over the classes that occur."""
        device = next(network.parameters()).device
        counts = torch.zeros(3, self.classes + 1)
        for row in range(len(self.scans)):
            image, labels = self.scans.scan(row)
            with torch.inference_mode():
                found = network(image.to(device))[:, :].argmax(dim=1, keepdim=True).cpu()
            counted = labels != IGNORED
            for k in range(1, self.classes + 1):
                marked, true = (found == k) & counted, labels == k
                counts[:, k] += torch.tensor([(marked & true).sum(), marked.sum(), true.sum()])
        dice = [float(2 * both / (marked + true)) for both, marked, true in counts.T[1:].tolist() if marked + true > 0]
        return {"score": sum(dice) / max(1, len(dice))}
