"""A model that says whether a scan has lesions, and where: a `RegionSegmenter` with a probability per scan."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from weakmask.prediction import About, Prediction, Scan, Value
from weakmask.region_learning.bag_classifier import InputOf, lesion_logit
from weakmask.region_learning.crops import as_batch, region_crops, windowed
from weakmask.region_learning.prediction import regions_of
from weakmask.region_learning.segmenter import RegionSegmenter
from weakmask.region_learning.usable_cases import in_hounsfield
from weakmask.volume.regions import region_boxes
from weakmask.volume.volume import Volume


@dataclass(frozen=True)
class ClassifyingSegmenter:
    """A segmenter of regions whose network is a classifier.

    Attributes:
        regions: Makes maps, masks and the fractions of regions.
        input_of: How crops become the network's input.
    """

    regions: RegionSegmenter
    input_of: InputOf

    def __repr__(self) -> str:
        """One line: the method and its regions."""
        return repr(self.regions)

    @property
    def needs_regions(self) -> Mapping[int, str]:
        """Label -> name of the regions that it was trained on."""
        return self.regions.needs_regions

    @property
    def needs_hounsfield(self) -> bool:
        """Whether the model was trained on Hounsfield units."""
        return self.regions.needs_hounsfield

    @property
    def about(self) -> About:
        """Description of the model for a report."""
        return self.regions.about

    def segment(self, scan: Scan) -> Prediction:
        """Segment one scan; the last value is the probability that any of its regions has lesions: the highest of them.

        Raises:
            UserError: As `RegionSegmenter.segment`.
        """
        found = self.regions.segment(scan)
        regions = regions_of(scan)
        image = in_hounsfield(scan.image, regions, self.regions.model.prepare)
        amount = float(np.max(self.probabilities(image, regions, list(region_boxes(regions)))))
        return replace(found, values=(*found.values, Value("image", scan.name, "probability", amount)))

    def shown(self, scan: Scan) -> tuple[Volume, tuple[float, float]]:
        """The image in Hounsfield units and the window of the training."""
        return self.regions.shown(scan)

    @torch.inference_mode()
    def probabilities(self, image: Volume, regions: Volume, labels: Collection[int]) -> list[float]:
        """The probability of lesions in each region.

        Args:
            image: In Hounsfield units.
            regions: Region labels on the same grid.
            labels: The regions, in the order of the result.
        """
        model = self.regions.model
        device = next(model.network.parameters()).device
        found = []
        for crop in region_crops(image, regions, list(labels), model.prepare).values():
            grey, inside = (torch.from_numpy(part).float()[None] for part in windowed(crop, model.prepare))
            shown = self.input_of(as_batch(grey).to(device), as_batch(inside).to(device))
            found.append(float(torch.sigmoid(lesion_logit(model.network(shown)))[0]))
        return found
