"""Grey values of any modality reach the network as they are, through the prepare stage and back from its files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from ball_cohort import run_stage, write_ball_cohort
from bright_ball import scene

from weakmask.methods.dram import DramSettings
from weakmask.region_learning.crops import OUTSIDE, CropSet, load_crops
from weakmask.region_learning.prepare import prepare
from weakmask.region_learning.settings import DataSettings, PrepareSettings
from weakmask.volume.files import read_volume, write_volume
from weakmask.volume.geometry import Geometry
from weakmask.volume.intensity import window
from weakmask.volume.regions import crop_region
from weakmask.volume.volume import Volume

SCORES = {"one": {"LUL": 2, "LLL": 0}}


def prepared(tmp_path: Path, cohort: Path, **settings: object) -> tuple[Path, CropSet]:
    config = DramSettings(
        data=DataSettings(cohort=cohort, test=cohort, seen=True, validation=0.0),
        prepare=PrepareSettings(spacing_mm=None, **settings),  # pyright: ignore[reportArgumentType]
    )
    work = run_stage(prepare, tmp_path / "run", "01-prepare", config)
    return work.out, load_crops(work.out, "training", config.prepare)


def test_real_numbers_from_0_to_1_keep_their_precision(tmp_path: Path) -> None:
    cohort = tmp_path / "cohort"
    write_ball_cohort(cohort, SCORES, lambda hu: ((hu + 1000) / 1000).astype(np.float32))
    folder, crops = prepared(tmp_path, cohort, window=(0.0, 1.0), crop_shape=(24, 24, 24))
    image, regions, _ = scene()
    for row, label in enumerate(crops.table["region"]):
        scaled = image.with_voxels(((image.voxels + 1000) / 1000).astype(np.float32))
        expected, inside = crop_region(scaled, regions, int(label), 5.0, (24, 24, 24))
        assert np.array_equal(crops.region[row, 0].numpy(), inside.voxels > 0)
        shown = np.clip(expected.voxels, 0, 1) * (inside.voxels > 0)
        np.testing.assert_allclose(crops.image[row, 0].numpy(), shown, atol=1e-6)
        assert np.isnan(read_volume(folder / crops.table["file"][row]).voxels[inside.voxels == 0]).all()
    assert len(np.unique(crops.image[0].numpy())) > 1000


def test_an_x_ray_of_16_bits_keeps_all_its_values(tmp_path: Path) -> None:
    cohort, geometry = tmp_path / "cohort", Geometry((1, 256, 256), (1.0, 0.2, 0.2))
    values = np.random.default_rng(0).permutation(65536).astype(np.uint16).reshape(geometry.shape)
    write_volume(Volume(values, geometry), cohort / "images" / "one.nii.gz")
    write_volume(Volume(np.ones(geometry.shape, np.uint8), geometry, "label"), cohort / "regions" / "one.nii.gz")
    (cohort / "scores.csv").write_text("scan,region,score\none,LUL,2\n")
    settings = {"window": (0.0, 65535.0), "crop_shape": (1, 256, 256), "margin_mm": 0.0}
    _, crops = prepared(tmp_path, cohort, **settings)
    seen = (crops.image[0, 0].double() * 65535).round().numpy()
    assert np.array_equal(seen, values[0])


@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_hounsfield_units_are_whole_numbers_on_the_disk_and_halves_in_memory(tmp_path: Path, kind: type) -> None:
    """As in the first edition, byte by byte: tables that were made with it stay as they are."""
    cohort = tmp_path / "cohort"
    write_ball_cohort(cohort, SCORES, lambda hu: np.rint(hu).astype(kind))
    folder, crops = prepared(tmp_path, cohort, crop_shape=(24, 24, 24))
    image, regions, _ = scene()
    hounsfield = image.with_voxels(np.rint(image.voxels).astype(kind))
    for row, label in enumerate(crops.table["region"]):
        resampled, inside = crop_region(hounsfield, regions, int(label), 5.0, (24, 24, 24))
        limited = np.clip(np.rint(resampled.voxels), -32767, 32767)
        expected = np.where(inside.voxels > 0, limited, OUTSIDE).astype(np.int16)
        crop = read_volume(folder / crops.table["file"][row]).voxels
        assert crop.dtype == np.int16
        assert np.array_equal(crop, expected)
        shown = torch.from_numpy(window(expected, -1200, 300) * (expected != OUTSIDE)).half()
        assert torch.equal(crops.image[row, 0], shown)
