"""A trained model that works region by region, ready to segment scans."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

from weakmask.errors import UserError
from weakmask.prediction import About, Prediction, Scan
from weakmask.region_learning.prediction import as_prediction, region_name, regions_of
from weakmask.region_learning.region_model import RegionModel
from weakmask.region_learning.scan_map import Activation, scan_map
from weakmask.region_learning.usable_cases import in_hounsfield
from weakmask.volume.regions import region_boxes
from weakmask.volume.volume import Volume

MapAndMask = tuple[Float[np.ndarray, "z y x"], Bool[np.ndarray, "z y x"]]


@runtime_checkable
class SegmentVolume(Protocol):
    """Image in Hounsfield units and region labels -> map and mask on the image's grid."""

    def __call__(self, image: Volume, regions: Volume, *, known: Collection[int]) -> MapAndMask:
        """Segment; `known` are the labels of the regions that the model was trained on, see `scan_map`."""
        ...


@dataclass(frozen=True)
class RegionSegmenter:
    """A model, and how its method makes a map and a mask.

    Attributes:
        model: The network, and how it sees regions.
        about: For reports.
        segment_volume: How its method makes a map and a mask.
        has_probability_maps: Whether its maps are probabilities of a lesion, of which the masks are cuts.
    """

    model: RegionModel
    about: About
    segment_volume: SegmentVolume
    has_probability_maps: bool = False

    def __repr__(self) -> str:
        """One line: the method and its regions."""
        return f"RegionSegmenter({self.about.title}; regions {', '.join(self.needs_regions.values())})"

    @property
    def needs_regions(self) -> Mapping[int, str]:
        """Label -> name of the regions that it was trained on."""
        return self.model.region_names

    @property
    def needs_hounsfield(self) -> bool:
        """Whether the model was trained on Hounsfield units."""
        return self.model.prepare.needs_hounsfield

    def segment(self, scan: Scan) -> Prediction:
        """Segment one scan.

        Raises:
            UserError: The scan has no regions, is a volume and the model takes slices, cannot be brought to HU, or the
                model's map of it is not made of numbers.
        """
        regions = regions_of(scan)
        trained = set(self.model.region_names.values())
        known = [label for label in region_boxes(regions) if region_name(scan.region_names, label) in trained]
        image = in_hounsfield(scan.image, regions, self.model.prepare)
        activation, mask = self.segment_volume(image, regions, known=known)
        refuse_broken_map(activation, scan.name)
        return self._with_score_sets(as_prediction(self.model.score_map, scan, activation, mask))

    def _with_score_sets(self, found: Prediction) -> Prediction:
        """A prediction with sets of scores for regions like those of the training; unchanged without a calibration."""
        sets, trained = self.model.score_sets, set(self.model.region_names.values())
        if sets is None:
            return found
        values = [
            replace(value, score_set=sets.of(self.model.score_map, value.amount)) if value.name in trained else value
            for value in found.values
        ]
        return replace(found, values=tuple(values))

    def shown(self, scan: Scan) -> tuple[Volume, tuple[float, float]]:
        """The image in Hounsfield units and the window of the training."""
        return in_hounsfield(scan.image, regions_of(scan), self.model.prepare), self.model.prepare.window


def refuse_broken_map(activation: Float[np.ndarray, "..."], scan: str) -> None:
    """Refuse a map with NaN or infinity: every comparison with them is false, which would read as healthy.

    Args:
        activation: Output of a network.
        scan: Its name, for the message.

    Raises:
        UserError: Such values.
    """
    broken = int(activation.size - np.count_nonzero(np.isfinite(activation)))
    if broken:
        raise UserError(
            f"{scan}: the model gives {broken} of {activation.size} voxels no number (NaN or infinity), so the scan "
            "has no result; the model is damaged or the scan's grey values are far from those it was trained on"
        )


def threshold_map(activation_of: Activation, threshold: float, model: RegionModel) -> SegmentVolume:
    """The way of most methods: the map of the regions, and the mask where it is at least a threshold.

    Args:
        activation_of: Crops and their regions -> maps.
        threshold: Of the averaged map.
        model: How it sees regions.
    """
    return partial(_threshold_map, activation_of, threshold, model)


def _threshold_map(
    activation_of: Activation,
    threshold: float,
    model: RegionModel,
    image: Volume,
    regions: Volume,
    *,
    known: Collection[int],
) -> MapAndMask:
    found = scan_map(model, activation_of, image, regions, known=known)
    return found, (found >= threshold) & (regions.voxels > 0)
