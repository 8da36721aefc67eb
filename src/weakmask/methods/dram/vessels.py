"""Vessels: which voxels of the crops are vessel (section III-A-3).

A network learns vessels on scans without lesions, where a Frangi filter marks little else, and then marks them in all
scans: there the filter alone would mark the borders of consolidations too.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weakmask.csv_table import read_csv
from weakmask.losses import region_mean
from weakmask.methods.dram.config import DramSettings
from weakmask.methods.dram.model import network_arguments
from weakmask.networks import build_network
from weakmask.pipeline import Work
from weakmask.progress import track
from weakmask.refinement.vessels import vessel_mask
from weakmask.region_learning.crops import CropSet, as_batch, augmented, draw_moves, inside_of, load_crops, windowed
from weakmask.training.devices import device_of
from weakmask.training.fit import fit
from weakmask.training.optimisers import build_optimiser
from weakmask.training.plan import Plan
from weakmask.training.sampling import uniform_batch
from weakmask.training.seeding import generator_for, seed_all
from weakmask.volume.files import read_volume, write_volume
from weakmask.volume.volume import Volume


def vessels(work: Work) -> None:
    """Write masks/*.nii, one per crop; nothing if vessels are not asked for."""
    config: DramSettings = work.config
    if not asks_for_vessels(config):
        return
    prepared = work.stage("prepare")
    index = read_csv(prepared / "index.csv")
    network = _trained(work)
    if network is None:
        work.note(
            "no scan is free of lesions, so no vessel network was trained; vessels are marked by Frangi's filter and "
            "Otsu's threshold instead"
        )
    for file in track(index["file"], "vessels", len(index)):
        crop = read_volume(prepared / file)
        found = frangi_reference(crop, config) if network is None else vessels_by_network(network, crop, config)
        write_volume(crop.with_voxels(found.astype(np.uint8), "label"), work.out / "masks" / Path(file).name)


def asks_for_vessels(config: DramSettings) -> bool:
    """Whether a later stage reads the vessels."""
    return config.vessels.suppress and config.refinement.weight > 0


def lesion_free(table: pd.DataFrame) -> np.ndarray:
    """True for the crops of scans without lesions: every region has a score, and every score rules lesions out."""
    by_scan = table.groupby("scan")
    healthy = by_scan["high"].transform("max").to_numpy() == 0
    return healthy & (table["unscored"].to_numpy() == 0)


def frangi_reference(crop: Volume, config: DramSettings) -> np.ndarray:
    """Otsu on the Frangi vesselness inside the region."""
    return vessel_mask(crop, inside_of(crop), config.vessels.sigmas_mm).voxels > 0


@torch.inference_mode()
def vessels_by_network(network: nn.Module, crop: Volume, config: DramSettings) -> np.ndarray:
    """The voxels of the region whose vessel probability exceeds `vessels.confidence`."""
    device = next(network.parameters()).device
    image, inside = windowed(crop, config.prepare)
    logits = network(as_batch(torch.from_numpy(image).float()[None]).to(device))
    sure = torch.sigmoid(logits.float()).cpu().numpy().reshape(image.shape) > config.vessels.confidence
    return sure & inside


def _trained(work: Work) -> nn.Module | None:
    """The trained vessel network; None without a lesion-free scan."""
    config: DramSettings = work.config
    prepared = work.stage("prepare")
    crops = load_crops(prepared, "training", config.prepare)
    crops = crops.only(np.flatnonzero(lesion_free(crops.table)).tolist())
    if len(crops) == 0:
        return None
    arguments, settings = network_arguments(config), config.vessels
    seed_all(config.seed)
    network = build_network("unet", arguments)
    plan = Plan(
        steps=settings.steps,
        validate_every=config.regression.validate_every,
        checkpoint_every=config.regression.checkpoint_every,
        seed=config.seed,
        schedule="cosine",
        device=config.device,
        spread=work.spread,
        precision=config.regression.precision,
        header={"network": "unet", "arguments": arguments},
    )
    optimiser = build_optimiser(network.parameters(), "adam", settings.learning_rate)
    batches = VesselBatches(crops, prepared, config)
    fit(network, optimiser, batches, vessel_losses, None, work.out / "network", plan)
    return network.eval().to(device_of(config.device))


class VesselBatches:
    """step -> crops without lesions and where the reference has vessels.

    The reference of a crop is computed when the crop is drawn first.
    """

    def __init__(self, crops: CropSet, folder: Path, config: DramSettings) -> None:
        """Hold the crops, whose files lie in `folder`."""
        self.crops, self.folder, self.config = crops, folder, config
        self._references: dict[int, Tensor] = {}

    def reference(self, row: int) -> Tensor:
        """True in the vessels of one crop, of the shape of its image."""
        if row not in self._references:
            crop = read_volume(self.folder / self.crops.table["file"].iloc[row])
            found = torch.from_numpy(frangi_reference(crop, self.config))
            self._references[row] = found.reshape(self.crops.image.shape[1:])
        return self._references[row]

    def __call__(self, step: int) -> dict[str, Tensor]:
        """The crops of one step, augmented."""
        settings, seed = self.config.regression, self.config.seed
        rows = uniform_batch(len(self.crops), settings.batch, seed, step)
        image, region = self.crops.image[rows].float(), self.crops.region[rows].float()
        vessel = torch.stack([self.reference(row) for row in rows]).float()
        if settings.augment:
            generator = generator_for(seed, step, "vessels")
            moves = draw_moves(generator, image)
            image, region, vessel = augmented(image, (region, vessel), moves, settings.contrast, generator)
        return {"image": image, "region": region, "vessel": vessel}


def vessel_losses(network: nn.Module, batch: Mapping[str, Tensor], step: int) -> dict[str, Tensor]:  # noqa: ARG001
    """Binary cross-entropy inside the region."""
    voxelwise = F.binary_cross_entropy_with_logits(network(batch["image"]).float(), batch["vessel"], reduction="none")
    return {"total": region_mean(voxelwise, batch["region"]).mean()}
