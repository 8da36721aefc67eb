"""Segmentation of the lobes of a scan, with checks of the result."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from weakmask.anatomy.lobe_assignment import assign_freely, assign_lobes
from weakmask.anatomy.lobe_faults import lobe_faults
from weakmask.anatomy.lobe_fissures import follow_fissures
from weakmask.anatomy.lung_field import lung_field
from weakmask.anatomy.scan_checks import check_scan
from weakmask.errors import UserError
from weakmask.regions.lobe_frame import frame_scan, network_input
from weakmask.regions.lobe_model import LobeModel, lobe_logits
from weakmask.volume.storage_order import in_order_of, upright
from weakmask.volume.volume import Volume


@dataclass(frozen=True)
class FoundLobes:
    """Lobes of one scan, predicted by a model.

    Attributes:
        lobes: In weakmask's numbering, on the scan's grid.
        drawn: The lobes of the network, before their borders are moved onto fissures.
        faults: Anatomical faults of the lobes; empty if they are plausible.
    """

    lobes: Volume
    drawn: Volume
    faults: tuple[str, ...]


def find_lobes(model: LobeModel, image: Volume, field: Volume | None = None) -> FoundLobes:
    """Segment the lobes of one scan.

    Args:
        model: A trained model.
        image: The scan, of any direction and spacing.
        field: Its lungs (left 1, right 2) on the same grid, where somebody else knows them; None: by threshold where
            the model needs them.

    Raises:
        UserError: The scan shows no lungs, is not in Hounsfield units although the model needs these, or the network
            gives no numbers for it.
    """
    standing = upright(image)
    found = _found(model, standing, None if field is None else in_order_of(field, standing.geometry))
    lobes = in_order_of(found.lobes, image.geometry)
    drawn = lobes if found.drawn is found.lobes else in_order_of(found.drawn, image.geometry)
    return replace(found, lobes=lobes, drawn=drawn)


def _found(model: LobeModel, image: Volume, field: Volume | None) -> FoundLobes:
    """The lobes of an upright scan."""
    confined = model.masks.confine == "lungs"
    is_ct = model.frame.grey_values == "hounsfield"
    fault = check_scan(image, None, {}, hounsfield=is_ct).fault("image")
    if fault:
        raise UserError(fault)
    if field is None and (confined or model.frame.needs_field):
        field = lung_field(image)
    framed = frame_scan(image, field, model.frame)
    values = network_input(framed.image.voxels, framed.field.voxels, model.frame)
    shares = _shares(model, values)
    if not np.isfinite(shares).all():
        raise UserError(
            "the lobe network gives no numbers for this scan (NaN or infinity); the model is damaged or the scan's "
            "grey values are far from those of a CT"
        )
    if confined and field is not None:
        drawn = assign_lobes(shares, framed.image, field)
    else:
        drawn = assign_freely(shares, framed.image, image)
    faults = tuple(lobe_faults(drawn))
    if field is None or faults or not (confined and model.masks.fissures and is_ct):
        return FoundLobes(drawn, drawn, faults)
    lobes = follow_fissures(drawn, image, field)
    return FoundLobes(drawn if lobe_faults(lobes) else lobes, drawn, ())


@torch.inference_mode()
def _shares(model: LobeModel, values: np.ndarray) -> np.ndarray:
    """Probability of each class on the network's grid, (class, z, y, x)."""
    device = next(model.network.parameters()).device
    image = torch.from_numpy(values)[None, None].to(device)
    return torch.softmax(lobe_logits(model.network, image).float(), dim=1)[0].cpu().numpy()
