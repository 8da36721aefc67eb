"""The boundary stage: sure labels -> IRNet's boundary network; maps walk within its boundaries."""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from weakmask.activation import by_maximum
from weakmask.errors import UserError
from weakmask.losses.class_boundary import class_boundary
from weakmask.methods.wsmis.config import WsmisSettings
from weakmask.methods.wsmis.labels import LABELS, read_label_tensor, refined, shaded
from weakmask.methods.wsmis.maps import learnt_and_evaluated, read_classifier, read_maps
from weakmask.methods.wsmis.picture_set import PictureSet, augmented, read_pictures, write_picture
from weakmask.networks.boundary_net import BoundaryNet
from weakmask.networks.encoder import Encoder
from weakmask.pipeline import Work
from weakmask.progress import track
from weakmask.refinement import edge_affinity, pixel_pairs, walk_within_edges
from weakmask.training.devices import device_of
from weakmask.training.fit import fit
from weakmask.training.optimisers import build_optimiser
from weakmask.training.plan import Plan
from weakmask.training.seeding import generator_for, seed_all

EDGES = "edges"
GRID = 4  # pixels of a picture per pixel of the boundary's grid


def boundary(work: Work[WsmisSettings]) -> None:
    """Train; leaves last.safetensors, curves.csv, edges/FILE and labels/FILE. Without `boundary.train`: nothing.

    Raises:
        UserError: No training picture has a label to learn from.
    """
    config, settings = work.config, work.config.boundary
    if not settings.train:
        return
    device = device_of(config.device)
    encoder = read_classifier(work, device).encoder.requires_grad_(requires_grad=False)
    pictures = learnt_and_evaluated(read_pictures(work.stage("prepare")))
    training = pictures.of("training")
    if not (training.presence == 1).any():
        raise UserError("no training picture has a class in labels.csv; expected some with a 1")
    seed_all(config.seed)
    network = BoundaryNet(encoder.channels)
    plan = Plan(
        settings.steps,
        max(1, settings.steps // 10),
        settings.checkpoint_every,
        seed=config.seed,
        schedule="poly",
        device=config.device,
        spread=work.spread,
        precision="32-true",
    )
    optimiser = build_optimiser(network.parameters(), "sgd", settings.learning_rate, settings.weight_decay)
    objective = Objective(encoder, settings.radius)
    fit(network, optimiser, BatchMaker(training, work), objective, None, work.out, plan)
    _write_labels(work, pictures, encoder, network.eval().to(device))


class BatchMaker:
    """Step -> batch of augmented pictures with their sure labels on the boundary's grid."""

    def __init__(self, pictures: PictureSet, work: Work[WsmisSettings]) -> None:
        """Hold the pictures that have a class; the others have no boundary."""
        self.pictures, self.config = pictures, work.config
        self.positive = np.flatnonzero((pictures.presence == 1).any(axis=1))
        self.labels = work.stage("labels") / LABELS

    def __call__(self, step: int) -> dict[str, Tensor]:
        """The batch of a step."""
        generator = generator_for(self.config.seed, step, "boundary")
        drawn = torch.randint(len(self.positive), (self.config.boundary.batch,), generator=generator)
        rows = self.positive[drawn.numpy()].tolist()
        labels = read_label_tensor(self.labels, [self.pictures.files[row] for row in rows])
        images, moved = augmented(self.pictures.images(rows), labels, self.config.augmentation, generator)
        assert moved is not None  # noqa: S101 - for the type checker
        return {"image": images, "labels": on_boundary_grid(moved[:, None].float())[:, 0].round().long()}


class Objective:
    """Network, batch, step -> the class-boundary loss, on features of the frozen encoder."""

    def __init__(self, encoder: Encoder, radius: float) -> None:
        """Hold the encoder."""
        self.encoder, self.radius = encoder.eval(), radius

    def __call__(self, network: nn.Module, batch: Mapping[str, Tensor], step: int) -> dict[str, Tensor]:  # noqa: ARG002 (the loop gives it)
        """The mean over pictures."""
        labels: Int[Tensor, "batch y x"] = batch["labels"]
        with torch.no_grad():
            features = self.encoder.to(labels.device)(batch["image"])
        edge = network(features, labels.shape[1:]).float().sigmoid()
        pairs = pixel_pairs(labels, self.radius)
        affinity = edge_affinity(edge, self.radius)
        return {"total": class_boundary(affinity, pairs.background, pairs.foreground, pairs.different).mean()}


def on_boundary_grid(labels: Float[Tensor, "batch 1 side side"]) -> Float[Tensor, "batch 1 y x"]:
    """Labels at a quarter of the size, each that of the nearest pixel."""
    size = [max(2, side // GRID) for side in labels.shape[2:]]
    return F.interpolate(labels, size=size, mode="nearest-exact")


def _write_labels(work: Work[WsmisSettings], pictures: PictureSet, encoder: Encoder, network: BoundaryNet) -> None:
    """Write the boundary of each picture with a class, and the labels of its walked maps."""
    settings, device = work.config.boundary, device_of(work.config.device)
    for row in track(range(len(pictures)), "walks", len(pictures)):
        file, picture = pictures.files[row], pictures.image(row)
        maps = shaded(read_maps(work, pictures, row), picture, work.config.labels)
        if not maps.any():
            write_picture(work.out / LABELS / file, np.zeros((1, *maps.shape[2:]), np.uint8))
            continue
        image = pictures.images([row]).to(device)
        seeds = F.interpolate(maps * (maps > settings.seeds), size=on_boundary_grid(maps[:, :1]).shape[2:], mode="area")
        edge = edge_of(network, encoder, image, seeds.shape[2:])
        walked = walk_within_edges(
            seeds.to(device), edge, radius=settings.walk_radius, beta=settings.beta, steps=settings.walk_steps
        )
        fine = F.interpolate(by_maximum(walked.cpu()), size=maps.shape[2:], mode="bilinear", align_corners=False)
        found = refined(fine, settings.background, picture, work.config.labels)
        write_picture(work.out / LABELS / file, found.numpy().astype(np.uint8))
        write_picture(work.out / EDGES / file, np.rint(255 * edge[0].cpu().numpy()).astype(np.uint8))


@torch.inference_mode()
def edge_of(
    network: BoundaryNet, encoder: Encoder, image: Float[Tensor, "1 colour side side"], size: tuple[int, ...]
) -> Float[Tensor, "1 1 y x"]:
    """Probability of a class boundary: the sigmoid of the mean logit of picture and mirror image."""
    mirrored = network(encoder(image.flip(-1)), size).flip(-1)
    return ((network(encoder(image), size) + mirrored).float() / 2).sigmoid()
