"""Lung field: segmentation of the two lungs of a chest CT by thresholds and morphology, without learning.

All steps but the last run on a coarse grid of about 2.4 mm in the patient's frame.
"""

import numpy as np
from jaxtyping import Float32

from weakmask.anatomy.lung_airways import find_airways
from weakmask.anatomy.lung_border import BONE_HU, cover_lesions
from weakmask.anatomy.lung_sides import LEFT, RIGHT, part_sides
from weakmask.anatomy.upright_frame import coarse_upright, graded, paint
from weakmask.errors import UserError
from weakmask.volume.geometry import Float3, Geometry
from weakmask.volume.morphology import (
    CORNERS,
    Mask,
    components,
    enclosed,
    grown,
    margin_voxels,
    object_boxes,
    open_to_side,
    worn,
)
from weakmask.volume.storage_order import in_order_of, upright
from weakmask.volume.volume import Volume

COARSE_MM = 2.4
LUNG_HU, TISSUE_HU = -850.0, 50.0
AIR_HU = (LUNG_HU + TISSUE_HU) / 2  # half lung, half wall
TABLE_MM = 5.0  # thicker plates than twice this are body
GAS_WALLS_HU = (-600.0, -750.0, -850.0)
GAS_HU = -925.0  # largest upper quartile of a pocket of bowel gas
GAS_SPREAD_HU = 30.0  # largest difference of its quartiles
GAS_MM3 = (1e3, 1e6)  # smaller pockets are too small for statistics; larger ones are lung
LEAST_LUNG_MM3 = 1.5e5  # volume of both lungs
LEAST_LUNG_MM2 = 3e3  # volume per mm of scan height, for scans of a few slices
LEAST_SHARE = 0.05  # of the largest component; smaller ones are bowel, or lung that is filled in later
RIBS_MM = 20.0  # margin around a lung that contains its ribs


def lung_field(image: Volume) -> Volume:
    """Label the patient's left lung 1 and right lung 2 in a chest CT, 0 elsewhere.

    Trachea and main bronchi are excluded. Vessels, nodules and consolidations inside the lung or between lung and ribs
    are included, and so is pleural fluid, which a threshold cannot distinguish. A scan that shows one lung gets one
    label.

    Args:
        image: A scan in Hounsfield units, of any direction and spacing; padding values are air.

    Returns:
        Labels (uint8) on the scan's grid.

    Raises:
        UserError: The scan shows no lungs.
    """
    stored, image = image.geometry, upright(image)
    scan = coarse_upright(image, COARSE_MM)
    hu, spacing_mm = scan.voxels, scan.geometry.spacing_mm
    body, air = _body_and_air(hu, spacing_mm)
    from_midline_mm = _from_midline(body, air, spacing_mm[2])
    airways = find_airways(hu, air, from_midline_mm, spacing_mm)
    air &= ~airways
    lungs = _lung_components(air & ~_gas(hu, air, spacing_mm), scan.geometry)
    aerated = part_sides(hu, lungs, from_midline_mm, spacing_mm)
    keep_out = airways | (hu > BONE_HU)
    left, right = (_whole_lung(hu, side, keep_out, spacing_mm, to) for side, to in zip(aerated, (-1, 1), strict=True))
    share_of_air = np.clip((TISSUE_HU - hu) / (TISSUE_HU - LUNG_HU), 0, 1)
    labels = np.zeros(image.geometry.shape, dtype=np.uint8)
    paint(labels, LEFT, scan.with_voxels(graded((left & ~right) | aerated[0], share_of_air)), image.geometry)
    paint(labels, RIGHT, scan.with_voxels(graded((right & ~left) | aerated[1], share_of_air)), image.geometry)
    return in_order_of(image.with_voxels(labels, kind="label"), stored)


def _body_and_air(hu: Float32[np.ndarray, "z y x"], spacing_mm: Float3) -> tuple[Mask, Mask]:
    """The patient without table and blankets, outlined in each axial slice, and the air inside that outline.

    Raises:
        UserError: There is nothing but air.
    """
    air = hu < AIR_HU
    in_slice = np.zeros((3, 3, 3), dtype=bool)
    in_slice[1, 1, :] = in_slice[1, :, 1] = True
    steps = max(1, round(TABLE_MM / max(spacing_mm[1:])))
    pieces, count = components(worn(~air, in_slice, steps))
    if count == 0:
        raise UserError("no body found: nothing is denser than -400; bring a chest CT in Hounsfield units")
    core = grown(pieces == np.bincount(pieces.ravel())[1:].argmax() + 1, in_slice, steps)
    body = np.ones_like(core)
    for axis in (1, 2):  # between the first and the last voxel of each row and column
        before = np.logical_or.accumulate(core, axis)
        after = np.flip(np.logical_or.accumulate(np.flip(core, axis), axis), axis)
        body &= before & after
    return body, air & body & ~open_to_side(air)


def _from_midline(body: Mask, air: Mask, spacing_mm: float) -> np.ndarray:
    """Signed distance in mm of each sagittal slice from the body's middle at the level of the lungs, left positive.

    The middle divides the body into halves of equal volume, so that one visible arm hardly moves it.
    """
    mass = np.cumsum(body[air.any(axis=(1, 2))].sum(axis=(0, 1)))
    middle = np.searchsorted(mass, mass[-1] / 2)
    return ((np.arange(body.shape[2]) - middle) * spacing_mm)[None, None, :]


def _gas(hu: np.ndarray, air: Mask, spacing_mm: Float3) -> Mask:
    """Stomach and bowel gas: uniform and as light as air, whereas even an emphysematous lung has texture.

    A thin diaphragm between bowel gas and lung may be blurred away, so pockets are searched below several thresholds.
    Each pocket is extended by its rim, the denser voxels up to the threshold of air.
    """
    gas = np.zeros_like(air)
    for wall_hu in GAS_WALLS_HU:
        light = air & (hu < wall_hu) & ~gas
        pockets, _ = components(light)
        cores = pockets * worn(light)
        sizes_mm3 = np.bincount(cores.ravel()) * np.prod(spacing_mm)
        found = np.zeros_like(air)
        for number, box in object_boxes(cores):
            if GAS_MM3[0] < sizes_mm3[number] < GAS_MM3[1]:
                low, high = np.percentile(hu[box.slices][cores[box.slices] == number], [25, 75])
                if high < GAS_HU and high - low < GAS_SPREAD_HU:
                    found |= pockets == number
        if found.any():
            gas |= grown(found, CORNERS, steps=2, within=found | (air & ~light))
    return gas


def _lung_components(air: Mask, geometry: Geometry) -> Mask:
    """The large components of air.

    Raises:
        UserError: They are too small for lungs.
    """
    pieces, count = components(air)
    sizes_mm3 = np.bincount(pieces.ravel(), minlength=count + 1) * geometry.voxel_volume_mm3
    sizes_mm3[0] = 0
    kept = sizes_mm3 > LEAST_SHARE * sizes_mm3.max()
    found, least = sizes_mm3[kept].sum(), min(LEAST_LUNG_MM3, LEAST_LUNG_MM2 * geometry.extent_mm[0])
    if found < least:
        raise UserError(
            f"no lungs found: {found / 1000:.0f} ml of lung-like air inside the body, expected at least "
            f"{least / 1000:.0f} ml; bring a chest CT in Hounsfield units"
        )
    return kept[pieces]


def _whole_lung(hu: np.ndarray, aerated: Mask, keep_out: Mask, spacing_mm: Float3, toward_midline: int) -> Mask:
    """Complete one lung by hidden lesions and enclosed gaps, without `keep_out`; computed inside its box."""
    whole = np.zeros_like(aerated)
    for _, box in object_boxes(aerated.astype(np.int8)):
        around = box.grown(margin_voxels(RIBS_MM, spacing_mm)).clipped(aerated.shape)
        lung = cover_lesions(hu[around.slices], aerated[around.slices], spacing_mm, toward_midline)
        lung &= ~keep_out[around.slices]
        whole[around.slices] = lung | enclosed(lung)
    return whole
