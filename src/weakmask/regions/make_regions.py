"""Regions of a scan that brings none: its lobes by a network where lobes are scored, else its lungs by threshold."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from weakmask.anatomy.lobe_numberings import BOTH_LUNGS, NUMBERINGS
from weakmask.anatomy.lung_field import lung_field
from weakmask.regions.find_lobes import find_lobes
from weakmask.regions.lobe_model import SHIPPED, LobeModel, load_lobe_model
from weakmask.training.devices import device_of
from weakmask.volume.storage_order import in_order_of, upright
from weakmask.volume.volume import Volume

LOBES, LUNGS = NUMBERINGS["weakmask"], NUMBERINGS["lungs"]


@dataclass(frozen=True)
class MadeRegions:
    """Regions made by a network or a threshold.

    Attributes:
        labels: On the scan's grid, in the house's numbering of lobes or lungs.
        numbering: Name -> label.
        note: How they were made, for the notes.
    """

    labels: Volume
    numbering: Mapping[str, int]
    note: str


def make_regions(image: Volume, names: Collection[str], model: Path | None = None, device: str = "auto") -> MadeRegions:
    """Make a scan's regions.

    Lobes that no radiologist would believe (see `lobe_faults`) are not passed on: the lungs are taken instead.

    Args:
        image: A chest CT in Hounsfield units.
        names: The regions that are wanted. The lobe network is asked where any of them is a lobe.
        model: A lobe model; None: the one that comes with the package.
        device: Where the network computes.

    Raises:
        UserError: The scan shows no lungs, or the model cannot be read.
    """
    made = _made(upright(image), names, model, device)
    return replace(made, labels=in_order_of(made.labels, image.geometry))


def _made(image: Volume, names: Collection[str], model: Path | None, device: str) -> MadeRegions:
    """The regions of an upright scan."""
    lungs = lung_field(image)
    wanted = {name.lower() for name in names}
    if wanted == BOTH_LUNGS.keys():
        both = lungs.with_voxels((lungs.voxels > 0).astype(np.uint8))
        return MadeRegions(both, BOTH_LUNGS, "both lungs as one region, by threshold")
    by_threshold = "left and right lung by threshold"
    if not {name.upper() for name in wanted} & LOBES.keys():
        return MadeRegions(lungs, LUNGS, by_threshold)
    if model is None and not SHIPPED.is_file():
        return MadeRegions(lungs, LUNGS, f"no lobe model is installed; {by_threshold}")
    found = find_lobes(_kept(model, device), image, lungs)
    if found.faults:
        return MadeRegions(lungs, LUNGS, f"the lobe network's lobes look wrong ({found.faults[0]}); {by_threshold}")
    whose = "the lobe network that comes with weakmask" if model is None else str(model)
    return MadeRegions(found.lobes, LOBES, f"lobes by {whose}")


def relabelled(made: MadeRegions, names: Mapping[int, str]) -> Volume:
    """The regions with the labels that a cohort gives their names; a region whose name it does not have becomes 0."""
    label_of = {name.lower(): label for label, name in names.items()}
    labels = np.zeros_like(made.labels.voxels)
    for name, label in made.numbering.items():
        labels[made.labels.voxels == label] = label_of.get(name.lower(), 0)
    return made.labels.with_voxels(labels)


@lru_cache(maxsize=2)
def _kept(model: Path | None, device: str) -> LobeModel:
    """Load a model once and keep it for the next scan of a cohort."""
    return load_lobe_model(model, device_of(device))
