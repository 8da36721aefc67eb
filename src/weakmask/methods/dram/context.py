"""A scan -> lesions, by the context network: over the whole scan at once, with all that lies around a region."""

import numpy as np
import torch
from jaxtyping import Bool, Float

from weakmask.activation.whole_scan import Workspace, class_probabilities
from weakmask.methods.dram.context_grid import BACKGROUND, LESION, VESSEL, context_grid
from weakmask.methods.dram.model import DramModel
from weakmask.networks import UNet
from weakmask.prediction import Precision
from weakmask.region_learning.crops import refuse_volume
from weakmask.volume.intensity import window
from weakmask.volume.resample import resample_onto
from weakmask.volume.volume import Volume


def segment_in_context(
    model: DramModel, image: Volume, regions: Volume
) -> tuple[Float[np.ndarray, "z y x"], Bool[np.ndarray, "z y x"]]:
    """Probability of lesion and the mask, both on the scan's grid and empty outside the regions.

    Lesion is where its channel is the largest (section III-A-5): that is settled on the scan's own grid, for which the
    lead of the lesion's channel over the others is interpolated, not the classes.

    Args:
        model: With a context network.
        image: The scan in Hounsfield units.
        regions: Region labels on the same grid.

    Raises:
        UserError: The model takes slices and the scan is a volume.
    """
    refuse_volume(image, model.regional.prepare)
    network = model.regional.network
    if model.context is None or not isinstance(network, UNet):
        raise ValueError("the model has no context network")
    inside = regions.voxels > 0
    if not inside.any():
        return np.zeros(inside.shape, np.float32), inside
    grid = context_grid(image, regions, model.context, model.trained_mm)
    low, high = model.regional.prepare.window
    grey = window(resample_onto(image, grid.whole, fill=low).voxels, low, high)
    if model.context.inside_only:
        grey *= resample_onto(regions, grid.whole).voxels > 0
    device = next(network.parameters()).device
    workspace = Workspace(model.limits.memory_gb, str(device), _dtype(model.limits.precision, device))
    if model.context.padding == "valid":
        found = class_probabilities(network, grey, workspace, part=grid.answered)
    else:
        found = class_probabilities(network, grey, workspace)[(slice(None), *grid.answered.slices)]
    del grey  # of a large scan every volume of this size counts
    answered = grid.whole.cropped(grid.answered)
    best_other = found[BACKGROUND]
    np.maximum(best_other, found[VESSEL], out=best_other)
    lead = np.subtract(found[LESION], best_other, out=best_other)
    lesion = resample_onto(Volume(found[LESION], answered), image.geometry).voxels
    ahead = resample_onto(Volume(lead, answered), image.geometry, fill=-1.0).voxels
    lesion *= inside
    return lesion, (ahead > 0) & inside


def _dtype(precision: Precision, device: torch.device) -> torch.dtype:
    if precision == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[precision]
