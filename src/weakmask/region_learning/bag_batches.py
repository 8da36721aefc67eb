"""Bags in training: crops with a yes or no each, drawn and changed so that neither patient nor look gives it away."""

from collections.abc import Mapping

import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from weakmask.datasets.augment import apply_moves, blurred
from weakmask.errors import UserError
from weakmask.pipeline import Work
from weakmask.region_learning.bag_settings import BagTrainingSettings
from weakmask.region_learning.crops import CropSet, augmented, draw_moves, load_crops
from weakmask.training.sampling import alternating_batch
from weakmask.training.seeding import generator_for


def load_bags(work: Work, split: str) -> CropSet:
    """The crops of one split of the stage `prepare`.

    Raises:
        UserError: They are to be learnt, and all are yes or all are no.
    """
    crops = load_crops(work.stage("prepare"), split, work.config.prepare)
    has = positive(crops)
    if split == "training" and (not has.any() or has.all()):
        raise UserError(
            f"{work.config.data.cohort}: {int(has.sum())} of {len(has)} training regions have lesions; expected some "
            "with and some without"
        )
    return crops


def positive(crops: CropSet) -> Bool[Tensor, " crops"]:
    """Whether each crop's region has lesions."""
    return torch.from_numpy(crops.table["score"].to_numpy() > 0)


class BagBatches:
    """step -> batch, a pure function of the step, so that a resumed training sees the same batches."""

    def __init__(
        self,
        crops: CropSet,
        settings: BagTrainingSettings,
        seed: int,
        maps: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Hold the crops.

        Args:
            crops: To learn.
            settings: Of the training.
            seed: Of the run.
            maps: Further maps of the crops, of their size, that move along; uint8.
        """
        self.crops, self.settings, self.seed, self.maps = crops, settings, seed, dict(maps or {})
        self.positive = positive(crops)
        self.patients = pd.factorize(crops.table["patient"])[0].tolist()

    def __call__(self, step: int) -> dict[str, Tensor]:
        """The crops of a step, augmented: `image`, `region`, `positive` and the maps, as floats."""
        settings, seed = self.settings, self.seed
        rows = alternating_batch(self.positive.int().tolist(), self.patients, settings.batch, seed, step)
        image, region = self.crops.image[rows].float(), self.crops.region[rows].float()
        maps = {name: of_crops[rows].float() for name, of_crops in self.maps.items()}
        if settings.augment:
            generator = generator_for(seed, step, "augment")
            moves = draw_moves(generator, image)
            image = in_plane_blur(image, settings.blur, generator) * region
            image, region = augmented(image, (region,), moves, settings.contrast, generator)
            maps = {name: apply_moves(of_crops, moves, "nearest") for name, of_crops in maps.items()}
        return {"image": image, "region": region, "positive": self.positive[rows].float(), **maps}


def in_plane_blur(
    image: Float[Tensor, "batch 1 *space"], largest: float, generator: torch.Generator
) -> Float[Tensor, "batch 1 *space"]:
    """Each crop after a Gaussian blur of its own random width within its slices.

    Args:
        image: Crops.
        largest: The largest sigma, in pixels; 0: no blur.
        generator: Source of the widths.
    """
    sigmas = largest * torch.rand(len(image), generator=generator)
    if largest == 0:
        return image
    slices = image.reshape(len(image), -1, *image.shape[-2:])  # of a volume as channels
    return blurred(slices, sigmas).reshape(image.shape)
