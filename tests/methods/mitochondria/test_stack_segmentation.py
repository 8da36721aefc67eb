"""A stack on the disk is segmented block by block: the result of one pass, and no more than a block is read."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weakmask.methods.mitochondria import MitochondriaSettings
from weakmask.methods.mitochondria.model import MitochondriaSegmenter
from weakmask.methods.mitochondria.stack_segmentation import BlockSizes
from weakmask.prediction import Limits, Scan, StackSegmenter
from weakmask.refinement.instance_search import Decoder
from weakmask.volume.geometry import Box
from weakmask.volume.new_arrays import OnDisk
from weakmask.volume.stack import Stack
from weakmask.volume.stack_files import open_stack, write_stack

SHAPE, SPACING = (6, 48, 160), (30.0, 8.0, 8.0)
TINY = BlockSizes(1e-9, SHAPE[1] * SHAPE[2])  # blocks of a stride, slabs of a section
AROUND = 6 * 48 * 48  # voxels of the windows that meet a block of a stride


class DarkAround(nn.Module):
    """Dark surroundings of a voxel are mitochondria, and where they differ is a contour."""

    def forward(self, image: Tensor) -> Tensor:
        near = F.avg_pool3d(F.pad(image, (1, 1, 1, 1, 1, 1), mode="replicate"), 3, 1)
        return torch.cat([30 * (0.4 - near), 60 * ((image - near).abs() - 0.2)], dim=1)


def touching_bodies(dtype: str) -> np.ndarray:
    """Rows of dark bodies that touch in pairs and cross the borders of all blocks, and noise."""
    z, y, x = np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    grey = 200.0 - 150 * ((y % 37 < 24) & (x % 41 < 30) & ((z + y // 37) % 7 < 5))
    grey += 60 * (np.abs(x % 41 - 15) < 2)
    grey += np.random.default_rng(0).normal(0, 4, SHAPE)
    return (grey.astype(dtype) * (100 if dtype == "u2" else 1)).astype(dtype)


def segmenter(sizes: BlockSizes, pixel_nm: float | None = None, denoise: str = "none") -> MitochondriaSegmenter:
    config = MitochondriaSettings.model_validate(
        {
            "data": {"cohort": "c"},
            "prepare": {"pixel_nm": pixel_nm},
            "predict": {"window": [4, 32, 32], "stride": [2, 16, 16], "padding": [0, 0, 0]},
            "denoise": {"method": denoise, "steps": 2, "width": 2, "patch": 24, "batch": 2},
        }
    )
    decoder = Decoder(seed=0.8, contour=0.5, mask=0.5, least_voxels=20)
    return MitochondriaSegmenter(DarkAround(), decoder, SPACING, SPACING, config, {}, torch.device("cpu"), sizes)


def stored(grey: np.ndarray, path: Path) -> Stack:
    write_stack(grey, path, SPACING, grey.dtype)
    return open_stack(path)


@pytest.mark.parametrize(
    ("dtype", "pixel_nm", "denoise"),
    [("u1", None, "none"), ("u2", 16.0, "gaussian"), ("f4", None, "interpolation")],
)
def test_blocks_give_the_result_of_one_pass(tmp_path: Path, dtype: str, pixel_nm: float | None, denoise: str):
    stack = stored(touching_bodies(dtype), tmp_path / "stack.zarr")
    whole = segmenter(BlockSizes(), pixel_nm, denoise).segment(Scan("a", stack.volume()))
    blocks = segmenter(TINY, pixel_nm, denoise)
    assert isinstance(blocks, StackSegmenter)
    found = blocks.segment_stack("a", stack, OnDisk(tmp_path / "scratch", TINY.slab_voxels))
    assert whole.instances is not None
    assert len(whole.instances) > 4
    assert np.array_equal(np.asarray(found.mask), whole.mask.voxels)
    rounding = np.abs(np.asarray(found.maps["activation"]).astype(int) - whole.maps["activation"].voxels)
    assert rounding.max() <= 1
    pd.testing.assert_frame_equal(found.instances.drop(columns="score"), whole.instances.drop(columns="score"))
    assert found.instances["score"].to_numpy() == pytest.approx(whole.instances["score"].to_numpy(), abs=1 / 255)
    assert found.values == whole.values


@pytest.mark.parametrize(("dtype", "suffix"), [("u1", ".h5"), ("u2", ".tif")])
def test_no_more_than_a_block_is_read(tmp_path: Path, dtype: str, suffix: str):
    stack = stored(touching_bodies(dtype), tmp_path / f"stack{suffix}")
    sizes: list[int] = []

    def counted(box: Box) -> np.ndarray:
        sizes.append(int(np.prod(box.shape)))
        return stack.read_box(box)

    segmenter(TINY).segment_stack("a", replace(stack, read_box=counted), OnDisk(tmp_path / "scratch"))
    most = AROUND if dtype == "u1" else TINY.slab_voxels
    assert most / 2 <= max(sizes) <= most < np.prod(SHAPE) / 3


def test_less_memory_makes_smaller_blocks():
    assert BlockSizes.within(Limits()) == BlockSizes()
    assert BlockSizes.within(Limits(1)) == BlockSizes(0.125, 1 << 22)


def test_a_stack_without_a_voxel_size_has_that_of_the_training(tmp_path: Path):
    write_stack(touching_bodies("u1"), tmp_path / "a.h5", None, np.uint8)
    stack: Any = open_stack(tmp_path / "a.h5")
    found = segmenter(BlockSizes()).segment_stack("a", stack, OnDisk(tmp_path / "scratch"))
    assert found.instances["nm3"].iloc[0] == found.instances["voxels"].iloc[0] * 30 * 8 * 8
