"""Whether a mask has the voxels of its image, in any order, and the advice where it has not."""

import numpy as np
import pytest
from storage_orders import EVERY_ORDER, stored

from weakmask.datasets.mask_checks import on_grid
from weakmask.errors import UserError
from weakmask.volume.geometry import IDENTITY, Geometry
from weakmask.volume.storage_order import RAS
from weakmask.volume.volume import Volume

GRID = Geometry((3, 4, 5), (7.0, 7.0, 6.0), (-20.0, 11.5, 301.0))


def mask(geometry: Geometry = GRID) -> Volume:
    return Volume(np.arange(np.prod(geometry.shape), dtype=np.uint8).reshape(geometry.shape), geometry, "label")


@pytest.mark.parametrize("order", EVERY_ORDER)
def test_the_same_voxels_in_any_order_are_turned_to_the_image_s(order) -> None:
    found = on_grid(stored(mask(), order), GRID, "m.nii")
    assert (found.geometry, found.kind) == (GRID, "label")
    assert np.array_equal(found.voxels, mask().voxels)


HEADERLESS = "m.nii: the mask has no position (identity header), "


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (Geometry(GRID.shape), HEADERLESS + "but the scan's 3 x 4 x 5 voxels; copy the scan's header"),
        (Geometry(GRID.shape, direction=RAS), HEADERLESS + "but the scan's 3 x 4 x 5 voxels; copy the scan's"),
        (Geometry(GRID.shape, (7.0, 7.0, 6.0), direction=RAS), HEADERLESS + "but the scan's 3 x 4 x 5 voxels; copy"),
        (Geometry((5, 4, 3), direction=RAS), HEADERLESS + "and its 5 x 4 x 3 voxels are the scan's 3 x 4 x 5 in an"),
        (Geometry((3, 4, 6)), "m.nii: grid 3 x 4 x 6 at 1 x 1 x 1 mm, the image's 3 x 4 x 5 at 7 x 7 x 6 mm; resample"),
        (Geometry((3, 4, 5), (3.5, 3.5, 3.0)), "m.nii: grid 3 x 4 x 5 at 3.5 x 3.5 x 3 mm, the image's 3 x 4 x 5 at"),
        (Geometry(GRID.shape, GRID.spacing_mm, (0.0, 11.5, 301.0)), "begins at 0 x 11.5 x 301 mm (z, y, x) or is turn"),
        (GRID.cropped(GRID.box.grown((0, 0, 1))), "m.nii: grid 3 x 4 x 7 at 7 x 7 x 6 mm, the"),
    ],
)
def test_other_voxels_are_refused_with_the_right_advice(other: Geometry, words: str) -> None:
    with pytest.raises(UserError) as caught:
        on_grid(mask(other), GRID, "m.nii")
    assert words in str(caught.value)
    assert ("resample" in str(caught.value)) == ("identity header" not in str(caught.value))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("direction", [IDENTITY, RAS])
def test_an_image_without_a_header_is_named(direction) -> None:
    with pytest.raises(UserError, match=r"m: the scan has no position .*; copy the mask's header to the scan"):
        on_grid(mask(), Geometry(GRID.shape, direction=direction), "m")
