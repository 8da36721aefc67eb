"""The segmentation stage: scans and lobes on the network's grid -> the network, by soft Dice on every output it has."""

import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from weakmask.anatomy.lobe_numberings import NUMBERINGS
from weakmask.csv_table import read_csv
from weakmask.datasets.random_moves import draw_grid, moved
from weakmask.losses import dice_by_class
from weakmask.methods.lobes.augmentation import ranges_of, recoloured
from weakmask.methods.lobes.config import LobeSettings
from weakmask.pipeline import Work, provenance
from weakmask.regions.lobe_frame import BLANK, network_input
from weakmask.regions.lobe_model import CLASSES, lobe_logits, lobe_network
from weakmask.training.checkpoints import MODEL, load_weights, save_weights
from weakmask.training.fit import fit
from weakmask.training.optimisers import build_optimiser
from weakmask.training.plan import Plan
from weakmask.training.sampling import uniform_batch
from weakmask.training.seeding import generator_for, seed_all
from weakmask.volume.files import read_volume

CACHE_BYTES = 1 << 30  # of prepared scans that are kept in memory
VOXEL_BYTES = 4  # int16 grey values, lobes and lungs


def segmentation(work: Work) -> None:
    """Train; leaves best.safetensors, last.safetensors and curves.csv."""
    config: LobeSettings = work.config
    training, validation = (Grids(work.stage("prepare"), split, config) for split in ("training", "validation"))
    seed_all(config.seed)
    network = lobe_network(config.network)
    settings = config.segmentation
    header = {"network": config.network.name, "arguments": config.network.arguments(CLASSES)}
    plan = Plan(
        steps=settings.steps,
        validate_every=settings.validate_every,
        checkpoint_every=settings.checkpoint_every,
        seed=config.seed,
        schedule=settings.schedule,
        average_decay=settings.average_decay,
        device=config.device,
        spread=work.spread,
        precision=settings.precision,
        header=header,
    )
    optimiser = build_optimiser(network.parameters(), "adam", settings.learning_rate, settings.weight_decay)
    validate = Validation(validation) if len(validation) else None
    fit(network, optimiser, BatchMaker(training, config), Objective(config), validate, work.out, plan)


def write_model(work: Work) -> None:
    """Write model.safetensors."""
    config: LobeSettings = work.config
    state, header = load_weights(work.stage("segmentation") / f"{config.segmentation.keep}.safetensors")
    network = lobe_network(config.network)
    network.load_state_dict(state)
    index = read_csv(work.stage("prepare") / "index.csv")
    described = {
        "method": config.method,
        "network": header["network"],
        "arguments": header["arguments"],
        "labels": NUMBERINGS["weakmask"],
        "trained_on": {"scans": len(index), "training": index["split"].tolist().count("training")},
        "config": config.model_dump(mode="json"),
        "provenance": provenance(),
    }
    save_weights(work.out / MODEL, network, described)


class Grids:
    """The scans of one split: grey values, lobes and lungs on the network's grid.

    A scan is read when it is drawn, and as many as `CACHE_BYTES` hold are kept: a cohort at the paper's size (354 scans
    of 64 x 512 x 512 voxels) would take 24 GB.
    """

    def __init__(self, folder: Path, split: str, config: LobeSettings) -> None:
        """Open the folder that the prepare stage left."""
        index = read_csv(folder / "index.csv")
        self.names: list[str] = index.loc[index["split"] == split, "scan"].tolist()
        self.config, self.folder = config, folder
        kept = CACHE_BYTES // (VOXEL_BYTES * math.prod(config.prepare.shape))
        self.scan = lru_cache(maxsize=max(1, kept))(self._read)
        self.split = split

    def __reduce__(self) -> tuple[type["Grids"], tuple[Path, str, LobeSettings]]:
        """Another process opens the folder itself: the scans do not travel."""
        return Grids, (self.folder, self.split, self.config)

    def __len__(self) -> int:
        """Number of scans."""
        return len(self.names)

    def _read(self, row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Grey values, lobes, and the lungs where they are needed."""
        name = f"{self.names[row]}.nii"
        image = read_volume(self.folder / "images" / name).voxels
        lobes = read_volume(self.folder / "lobes" / name, "label").voxels
        blanked = self.config.prepare.outside == "blank"
        return image, lobes, read_volume(self.folder / "fields" / name, "label").voxels if blanked else None

    def plain(self, row: int) -> tuple[Float[Tensor, "1 1 z y x"], Float[Tensor, "1 1 z y x"]]:
        """The network's input of a scan, and its lobes."""
        image, lobes, field = self.scan(row)
        return _batch_of(network_input(image, field, self.config.prepare)), _batch_of(lobes)

    def changed(
        self, row: int, generator: torch.Generator
    ) -> tuple[Float[Tensor, "1 1 z y x"], Float[Tensor, "1 1 z y x"]]:
        """As `plain`, of the scan after it was turned, bent and recoloured."""
        settings = self.config.augmentation
        kept = self.config.prepare.model_copy(update={"outside": "keep"})
        voxels, lobes, field = self.scan(row)
        image = _batch_of(network_input(voxels, None, kept))
        labels = torch.cat([_batch_of(each) for each in (lobes, field) if each is not None], dim=1)
        grid = draw_grid(generator, tuple(image.shape[2:]), ranges_of(settings))
        labels = moved(labels, grid, labels=True)
        image = recoloured(moved(image, grid), generator, settings)
        if field is not None:
            image[labels[:, 1:] == 0] = BLANK
        return image, labels[:, :1]


class BatchMaker:
    """step -> batch, a pure function of the step, so that a resumed training sees the same batches."""

    def __init__(self, grids: Grids, config: LobeSettings) -> None:
        """Hold the scans."""
        self.grids, self.config = grids, config

    def __call__(self, step: int) -> dict[str, Tensor]:
        """The scans of one step."""
        seed, settings = self.config.seed, self.config.segmentation
        generator = generator_for(seed, step, "augment")
        rows = uniform_batch(len(self.grids), settings.batch, seed, step)
        if settings.augment:
            pairs = [self.grids.changed(row, generator) for row in rows]
        else:
            pairs = [self.grids.plain(row) for row in rows]
        images, lobes = zip(*pairs, strict=True)
        return {"image": torch.cat(images), "lobes": torch.cat(lobes).to(torch.uint8)}


class Objective:
    """network, batch, step -> soft Dice over all classes and outputs, and where asked for a cross-entropy."""

    def __init__(self, config: LobeSettings) -> None:
        """Hold the weights; a progressive network is supervised at each of its outputs."""
        self.cross_entropy = config.segmentation.cross_entropy
        self.progressive = config.network.name == "pdv_net"

    def __call__(self, network: nn.Module, batch: Mapping[str, Tensor], step: int) -> dict[str, Tensor]:  # noqa: ARG002 (the loop gives it)
        """Means over outputs, scans and the six classes."""
        image, lobes = batch["image"], batch["lobes"].long()
        outputs = network(image, stages=True) if self.progressive else lobe_logits(network, image)[None]
        everywhere = torch.ones_like(image)
        overlap = torch.stack([dice_by_class(logits, lobes, everywhere).mean() for logits in outputs]).mean()
        total, found = overlap, {"dice": overlap}
        if self.cross_entropy:
            found["cross_entropy"] = torch.stack(
                [F.cross_entropy(logits.float(), lobes[:, 0]) for logits in outputs]
            ).mean()
            total = total + self.cross_entropy * found["cross_entropy"]
        return {**found, "total": total}


class Validation:
    """network, step -> Dice of the five lobes on the network's grid, pooled over the held-out scans."""

    def __init__(self, grids: Grids) -> None:
        """Hold the scans."""
        self.grids = grids

    def __call__(self, network: nn.Module, step: int) -> dict[str, float]:  # noqa: ARG002 (the loop gives it)
        """The score is the mean over the lobes that any scan or answer has; before any cleaning."""
        device = next(network.parameters()).device
        both, either = np.zeros(CLASSES), np.zeros(CLASSES)
        for row in range(len(self.grids)):
            image, lobes = self.grids.plain(row)
            found = lobe_logits(network, image.to(device)).max(dim=1).indices.cpu().flatten()
            truth = lobes.long().flatten()
            both += np.bincount(truth[found == truth].numpy(), minlength=CLASSES)
            either += np.bincount(found.numpy(), minlength=CLASSES) + np.bincount(truth.numpy(), minlength=CLASSES)
        seen = either[1:] > 0
        score = float((2 * both[1:][seen] / either[1:][seen]).mean()) if seen.any() else 0.0
        return {"score": score, "lobe_dice": score}


def _batch_of(voxels: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(voxels)).float()[None, None]
