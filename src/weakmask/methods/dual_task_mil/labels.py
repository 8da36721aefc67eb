"""The fine labels: maps of the patches, cut where held-out regions without lesions stay clean."""

from functools import partial

import numpy as np

from weakmask.methods.dual_task_mil.config import DualTaskSettings
from weakmask.methods.dual_task_mil.patches import patch_activation
from weakmask.pipeline import Work
from weakmask.progress import track
from weakmask.region_learning.bag_batches import load_bags, positive
from weakmask.region_learning.bag_classifier import trained_classifier
from weakmask.region_learning.crop_maps import write_crop_maps
from weakmask.region_learning.held_out_cut import held_out_cut, maps_of_crops
from weakmask.training.devices import device_of

LABELS = "labels"


def labels(work: Work[DualTaskSettings], *, again: bool) -> None:
    """Write labels/ of the training crops: 1 in lesions; a region that has none is 0 everywhere.

    Args:
        work: Of the stage.
        again: Whether it is the second round; without one: nothing.

    Raises:
        UserError: No region without lesions is held out.
    """
    if again and work.config.rounds == 1:
        return
    network = trained_classifier(work, "patches-again" if again else "patches")
    activation = partial(patch_activation, network, work.config.patches)
    cut = held_out_cut(work, activation)
    crops = load_bags(work, "training")
    found = track(maps_of_crops(crops, activation, device_of(work.config.device)), "labels", len(crops))
    has = positive(crops)
    fine = [
        ((values >= cut) & inside & yes).astype(np.uint8)
        for (values, inside), yes in zip(found, has.tolist(), strict=True)
    ]
    write_crop_maps(work.out / LABELS, fine)
    marked = sum(bool(label.any()) for label in fine)
    work.note(f"{marked} of {int(has.sum())} regions with lesions have a label that is not empty")
