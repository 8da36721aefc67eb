import numpy as np
import pytest

from weakmask.datasets.cohort import check_cohort
from weakmask.datasets.mask_checks import on_grid
from weakmask.datasets.named_masks import read_region_mask
from weakmask.errors import UserError
from weakmask.volume.files import write_volume
from weakmask.volume.geometry import Box, Geometry
from weakmask.volume.volume import Volume

LOBES = {1: "LUL", 2: "LLL"}
GRID = Geometry((6, 8, 10), (2.5, 0.7, 0.8), (-20.25, 11.5, 301.125))


def test_structures_of_totalsegmentator_are_the_regions(tmp_path):
    upper = np.zeros((4, 5, 6), np.uint8)
    upper[2:, 1:4] = 1
    for name, mask in {"lung_upper_lobe_left": upper, "lung_lower_lobe_left": upper[::-1], "heart": upper}.items():
        write_volume(Volume.from_array(mask, (1, 1, 1), "label"), tmp_path / f"{name}.nii.gz")
    assert np.array_equal(read_region_mask(tmp_path, LOBES).voxels, upper + 2 * upper[::-1])


def test_a_cohort_reads_a_folder_of_structures_for_each_scan(tmp_path):
    rng = np.random.default_rng(0)
    for part in ("images", "regions/p1"):
        (tmp_path / part).mkdir(parents=True)
    image = Volume.from_array(rng.normal(-800, 50, (12, 14, 16)).astype(np.float32), (2, 2, 2))
    write_volume(image, tmp_path / "images" / "p1.nii.gz")
    mask = np.zeros(image.voxels.shape, np.uint8)
    mask[2:8, 2:8, 2:8] = 1
    for name in ("upper", "heart"):
        write_volume(Volume(mask, image.geometry, "label"), tmp_path / "regions" / "p1" / f"{name}.nii.gz")
    (tmp_path / "regions.yaml").write_text("labels: {upper: 5, lower: 6}\n")
    (tmp_path / "scores.csv").write_text("scan,region,score\np1,upper,2\n")
    cohort = check_cohort(tmp_path, hounsfield=False)
    assert cohort.cases[0].scores == {5: 2}
    notes = [fault.message for fault in cohort.faults]
    assert "regions/p1: structures of other names are not used: heart" in notes


@pytest.mark.parametrize("flip", [None, 0, 2])
def test_a_segmentation_of_a_part_of_the_voxels_lies_in_its_place(tmp_path, flip):
    box = Box((1, 2, 3), (4, 7, 9))
    part = Volume(np.arange(90, dtype=np.uint8).reshape(box.shape), GRID.cropped(box), "label")
    expected = np.zeros(GRID.shape, np.uint8)
    expected[box.slices] = part.voxels
    turned = part if flip is None else part.flip(flip)
    with pytest.raises(UserError, match="resample the mask onto the image"):
        on_grid(turned, GRID, "mask")
    path = tmp_path / "a.seg.nrrd"
    path.write_text("NRRD0004\nSegment0_Name:=a\n\n")
    placed = on_grid(turned, GRID, path)
    assert np.array_equal(placed.voxels, expected)
    assert placed.geometry == GRID


@pytest.mark.parametrize(
    "grid",
    [
        GRID.cropped(Box((-1, 0, 0), (3, 8, 10))),  # reaches past the image
        GRID.with_spacing((2.5, 1.4, 0.8)),
        Geometry((3, 4, 5), GRID.spacing_mm, (-20.25, 11.85, 301.125)),  # by half a voxel
    ],
)
def test_other_grids_are_refused(tmp_path, grid):
    path = tmp_path / "a.seg.nrrd"
    path.write_text("NRRD0004\nSegment0_Name:=a\n\n")
    with pytest.raises(UserError, match="resample the mask onto the image"):
        on_grid(Volume(np.zeros(grid.shape, np.uint8), grid, "label"), GRID, path)
