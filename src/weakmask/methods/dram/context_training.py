"""The context network: scans and their pseudo-labels -> a network that segments whole scans (section III-A-5)."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from weakmask.datasets.augment import apply_intensity, draw_intensity
from weakmask.losses import bootstrapping, dice
from weakmask.methods.dram.config import ContextSettings, DramSettings
from weakmask.methods.dram.context_grid import BACKGROUND, LESION, MARGIN, NOT_LEARNT, VESSEL
from weakmask.methods.dram.maps import load
from weakmask.methods.dram.model import load_model, save_model
from weakmask.networks import build_network
from weakmask.pipeline import Work
from weakmask.region_learning.crop_batches import dimensions_of
from weakmask.region_learning.region_model import trained_on
from weakmask.region_learning.score_calibration import calibrate_score_sets
from weakmask.training.checkpoints import MODEL, load_weights
from weakmask.training.fit import fit
from weakmask.training.optimisers import build_optimiser
from weakmask.training.plan import Plan
from weakmask.training.sampling import uniform_batch
from weakmask.training.seeding import generator_for, seed_all
from weakmask.volume.files import read_volume
from weakmask.volume.geometry import Box, Index3
from weakmask.volume.intensity import window
from weakmask.volume.tiles import cut

RARE = -3.0  # first logit of a vessel where background has 0: 5 % of the voxels
PLACES = 4_000  # voxels remembered per scan and kind, to draw windows around


def context_network(work: Work) -> None:
    """Train on the pseudo-labels and write the run's model file; nothing without a context network."""
    config: DramSettings = work.config
    if not config.context.train:
        return
    settings, arguments = config.context, context_arguments(config)
    seed_all(config.seed)
    network = build_network("unet", arguments)
    regression = work.stage("model") / MODEL
    if settings.from_regression:
        start_from(network, regression, work)
    plan = Plan(
        steps=settings.steps,
        validate_every=settings.steps,
        checkpoint_every=config.regression.checkpoint_every,
        seed=config.seed,
        schedule=config.regression.schedule,
        average_decay=config.regression.average_decay,
        device=config.device,
        spread=work.spread,
        precision=config.regression.precision,
        header={"network": "unet", "arguments": arguments},
    )
    optimiser = build_optimiser(network.parameters(), "adam", settings.learning_rate)
    windows = Windows(work.stage("pseudo-labels"), config)
    fit(network, optimiser, windows, ContextObjective(settings), None, work.out, plan)
    before = load_model(regression, torch.device("cpu"))
    save_model(
        work.out / MODEL,
        network,
        config,
        threshold=before.threshold,
        score_map=before.regional.score_map,
        trained_on={**trained_on(work), "context_spacing_mm": windows.spacing_range_mm},
        described_as=("unet", arguments),
    )
    calibrate_score_sets(work, load)


def context_arguments(config: DramSettings) -> dict[str, object]:
    """Arguments of the U-Net."""
    return {
        "dimensions": dimensions_of(config.prepare),
        "in_channels": 1,
        "out_channels": 3,  # background, vessel, lesion
        "width": config.context.width,
        "padding": config.context.padding,
    }


class ContextObjective:
    """network, batch, step -> the bootstrapping loss (4) over three classes, of all voxels of a window, and Dice."""

    def __init__(self, settings: ContextSettings) -> None:
        """Trust the labels by `beta`."""
        self.settings = settings

    def __call__(self, network: nn.Module, batch: Mapping[str, Tensor], step: int) -> dict[str, Tensor]:  # noqa: ARG002
        """The losses, averaged over the batch; voxels labelled `NOT_LEARNT` do not count."""
        logits, labels = network(batch["image"]).float(), batch["labels"]
        learnt = labels != NOT_LEARNT
        labels = labels * learnt
        found = {"bootstrapping": bootstrapping(logits, labels, learnt, self.settings.beta).mean()}
        if self.settings.dice:
            others = torch.cat([logits[:, :LESION], logits[:, LESION + 1 :]], dim=1).logsumexp(1, keepdim=True)
            lesion = logits[:, LESION : LESION + 1] - others  # its sigmoid is the lesion's softmax
            found["dice"] = dice(lesion, (labels == LESION).long(), learnt).mean()
        total = found["bootstrapping"] + self.settings.dice * found.get("dice", 0.0)
        return {**found, "total": total}


class Windows:
    """step -> windows of the scans with their labels, a pure function of the step.

    Images stay on the disk, of which a window reads its part; labels are held in memory, a byte per voxel.
    """

    def __init__(self, folder: Path, config: DramSettings) -> None:
        """Open the scans that the pseudo-label stage left in `folder`."""
        files = sorted((folder / "labels").glob("*.nii.gz"))
        self.folder, self.config = folder, config
        self.flat = config.prepare.crop_shape[0] == 1
        margin = MARGIN[config.context.padding]
        self.margin = (0 if self.flat else margin, margin, margin)
        self.beyond = NOT_LEARNT if config.context.inside_only else BACKGROUND  # the scan
        self.images = [np.load(folder / "images" / f"{file.name[:-7]}.npy", mmap_mode="r") for file in files]
        labels = [read_volume(file, "label") for file in files]
        spacings = [volume.geometry.spacing_mm for volume in labels]
        self.spacing_range_mm = [np.min(spacings, axis=0).tolist(), np.max(spacings, axis=0).tolist()]
        self.labels = [volume.voxels.astype(np.uint8) for volume in labels]
        self.lesions = [
            _some_places(labels == LESION, config.seed, number) for number, labels in enumerate(self.labels)
        ]
        # a window is drawn around a learnt voxel where some are not learnt; else it could hold nothing to learn from
        self.learnt = [
            _some_places(labels != NOT_LEARNT, config.seed, number) if (labels == NOT_LEARNT).any() else None
            for number, labels in enumerate(self.labels)
        ]

    def __reduce__(self) -> tuple[type["Windows"], tuple[Path, DramSettings]]:
        """Another process opens the folder itself: the scans do not travel."""
        return Windows, (self.folder, self.config)

    def __call__(self, step: int) -> dict[str, Tensor]:
        """The windows of one step: flipped, and with other contrast."""
        settings, seed = self.config.context, self.config.seed
        rows = uniform_batch(len(self.images), settings.batch, seed, step)
        draw = generator_for(seed, step, "windows")
        pairs = [self._window(row, draw) for row in rows]
        image = torch.stack([pair[0] for pair in pairs])
        labels = torch.stack([pair[1] for pair in pairs])
        if self.config.regression.augment:
            contrast = self.config.regression.contrast
            around_one = (1.0 - contrast, 1.0 + contrast)
            change = draw_intensity(draw, len(image), around_one, around_one, contrast / 2, contrast / 5)
            image = apply_intensity(image, change)
        return {"image": image, "labels": labels}

    def _window(self, row: int, draw: torch.Generator) -> tuple[Tensor, Tensor]:
        """One window of one scan: the image that is read and the labels of what is answered, (1, *space) each."""
        shape = self.labels[row].shape
        answered = self._answered(row, shape, draw)
        read = answered.grown(self.margin) if self.config.context.padding == "valid" else answered
        low, high = self.config.prepare.window
        image = torch.from_numpy(window(cut(self.images[row], read, fill=low), low, high)).float()
        labels = torch.from_numpy(cut(self.labels[row], answered, fill=self.beyond)).long()
        if self.flat:
            image, labels = image[0], labels[0]
        if self.config.regression.augment:
            flips = [axis for axis in range(image.ndim) if torch.rand((), generator=draw) < 0.5]
            image, labels = image.flip(flips), labels.flip(flips)
        return image[None], labels[None]

    def _answered(self, row: int, shape: tuple[int, ...], draw: torch.Generator) -> Box:
        """The voxels that a window segments, around a lesion voxel or around any voxel that is learnt."""
        side = self.config.context.window_voxels
        sides = (1 if self.flat else side, side, side)
        on_lesion = bool(torch.rand((), generator=draw) < self.config.context.on_lesions)
        places = self.lesions[row] if on_lesion and len(self.lesions[row]) else self.learnt[row]
        u = torch.rand(4, generator=draw, dtype=torch.float64)
        if places is not None and len(places):
            near = places[int(u[3] * len(places))] + (u[:3].numpy() - 0.5) * sides
        else:
            outer = np.array(self.margin)  # about the box of the regions
            span = np.maximum(np.array(shape) - 2 * outer, 1)
            near = np.minimum(outer, np.array(shape) // 2) + u[:3].numpy() * span
        start = np.floor(near - np.array(sides) / 2).astype(int)
        if self.flat:
            start[0] = 0
        return Box(_index(start), _index(start + sides))


def _some_places(mask: np.ndarray, seed: int, number: int) -> np.ndarray:
    """At most `PLACES` voxels of the mask of scan `number`, drawn from the run's seed, as (n, 3)."""
    places = np.argwhere(mask)
    if len(places) <= PLACES:
        return places
    draw = np.random.default_rng([seed, number])
    return places[draw.choice(len(places), PLACES, replace=False)]


def start_from(network: nn.Module, model_file: Path, work: Work) -> None:
    """Begin with the regression's answer: all its weights, its logit as the lesion's, against 0 for background."""
    state, header = load_weights(model_file)
    own = network.state_dict()
    prefix = "unet." if header["network"] == "refined_unet" else ""
    same = {name: state[prefix + name] for name in own if not name.startswith("head.")}
    if any(value.shape != own[name].shape for name, value in same.items()):
        work.note("context.from_regression: the widths differ, so the context network starts afresh")
        return
    weight, bias = torch.zeros_like(own["head.weight"]), torch.zeros_like(own["head.bias"])
    weight[LESION], bias[LESION] = state[f"{prefix}head.weight"][0], state[f"{prefix}head.bias"][0]
    bias[VESSEL] = RARE
    network.load_state_dict(same | {"head.weight": weight, "head.bias": bias})


def _index(values: np.ndarray) -> Index3:
    z, y, x = (int(value) for value in values)
    return z, y, x
