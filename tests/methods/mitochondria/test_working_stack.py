"""The working grid: bytes, blocks of pixels, and instances back on the stack's own grid."""

from pathlib import Path

import numpy as np
import pytest

from weakmask.errors import UserError
from weakmask.methods.mitochondria.config import DataSettings, MitochondriaSettings
from weakmask.methods.mitochondria.working_stack import (
    binned,
    binning_of,
    enlarged,
    enlarged_map,
    grey_bytes,
    spacing_nm_of,
    thinned,
)
from weakmask.refinement.instance_search import Decoder
from weakmask.volume.volume import Volume


def settings(spacing_nm: tuple[float, float, float] | None = None) -> MitochondriaSettings:
    return MitochondriaSettings(data=DataSettings(cohort=Path("c"), spacing_nm=spacing_nm))


def test_the_voxel_size_comes_from_the_settings_else_from_the_file():
    unknown = Volume.from_array(np.zeros((2, 4, 4), np.uint8), (1, 1, 1))
    known = Volume.from_array(np.zeros((2, 4, 4), np.uint8), (30e-6, 8e-6, 8e-6))
    assert spacing_nm_of(known, settings(), "a") == pytest.approx((30, 8, 8))
    assert spacing_nm_of(known, settings((50, 5, 5)), "a") == (50, 5, 5)
    with pytest.raises(UserError, match=r"a: states no voxel size; set data.spacing_nm"):
        spacing_nm_of(unknown, settings(), "a")


@pytest.mark.parametrize(("pixel_nm", "factor"), [(None, 1), (18.0, 4), (4.0, 1), (100.0, 22)])
def test_blocks_have_about_the_working_size(pixel_nm: float | None, factor: int):
    assert binning_of((50.0, 4.6, 4.6), pixel_nm) == factor


def test_grey_values_of_16_bits_become_bytes_between_their_percentiles():
    values = np.linspace(1000, 3000, 10_000).reshape(1, 100, 100).astype(np.uint16)
    found = grey_bytes(values)
    assert found.dtype == np.uint8
    assert (found.min(), found.max()) == (0, 255)
    assert abs(int(found[0, 50, 0]) - 128) < 3
    same = np.array([[[3, 200]]], np.uint8)
    assert grey_bytes(same) is same
    assert not grey_bytes(np.full((1, 4, 4), 7.0, np.float32)).any()


def test_a_block_is_averaged_and_a_part_of_one_repeats_its_last_pixel():
    values = np.array([[[0, 2, 8], [2, 4, 8]]], np.uint8)
    assert binned(values, 2).tolist() == [[[2, 8]]]
    assert thinned(np.arange(20).reshape(1, 4, 5), 2).tolist() == [[[6, 8, 9], [16, 18, 19]]]


def test_a_disc_keeps_its_shape_on_the_way_to_the_working_grid_and_back():
    y, x = np.mgrid[:90, :94]
    disc = (((y - 40) ** 2 + (x - 50) ** 2) < 26**2)[None]
    probability = binned((255 * disc).astype(np.uint8), 4)
    labels = (probability > 127).astype(np.int32) * 7
    found = enlarged(labels, probability, Decoder(mask=0.5), 4, (1, 90, 94))
    assert found.shape == (1, 90, 94)
    assert set(np.unique(found)) == {0, 7}
    both = (disc & (found > 0)).sum()
    assert 2 * both / (disc.sum() + (found > 0).sum()) > 0.97
    blocks = enlarged(labels, probability, Decoder("grow"), 4, (1, 90, 94))
    assert np.array_equal(blocks[0, ::4, ::4], labels[0])
    assert enlarged(labels, probability, Decoder(), 1, (1, 23, 24)) is labels


def test_touching_instances_stay_apart():
    labels = np.zeros((1, 4, 6), np.int32)
    labels[0, 1:3, 1:3], labels[0, 1:3, 3:5] = 1, 2
    found = enlarged(labels, np.where(labels > 0, 255, 0).astype(np.uint8), Decoder(mask=0.5), 3, (1, 12, 18))
    assert found[0, 5].tolist() == [0] * 3 + [1] * 6 + [2] * 6 + [0] * 3


def test_a_map_is_interpolated():
    fine = enlarged_map(np.array([[[0, 100]]], np.uint8), 2, (1, 2, 4))
    assert fine[0, 0].tolist() == [0, 25, 75, 100]
