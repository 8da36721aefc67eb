"""The context network's grid does not depend on how precisely a file states the spacing."""

import numpy as np

from weakmask.methods.dram.config import ContextSettings
from weakmask.methods.dram.context_grid import context_grid
from weakmask.volume.geometry import Geometry
from weakmask.volume.volume import Volume


def test_rounding_of_a_spacing_in_a_header_moves_no_border() -> None:
    regions = np.zeros((40, 40, 40), np.uint8)
    regions[11:31, 12:30, 13:32] = 1
    grids = []
    for edge in (0.6, float(np.float32(0.6))):  # DICOM and NIfTI
        geometry = Geometry(regions.shape, (edge, edge, edge))
        image, labels = Volume(np.zeros(regions.shape, np.int16), geometry), Volume(regions, geometry, "label")
        grids.append(context_grid(image, labels, ContextSettings(spacing_mm=1.2, padding="same")))
    assert grids[0].answered == grids[1].answered
    assert grids[0].whole.same_grid(grids[1].whole)
