"""As few tiles as fit, and a promise about memory that the operating system confirms."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from weakmask.activation.tile_plan import plan_tiles
from weakmask.errors import UserError
from weakmask.networks import UNet
from weakmask.networks.dense_v_net import DenseVNet
from weakmask.networks.unet_inference import LeanUNet

SHAPE = (200, 240, 240)


def tiles(memory_gb: float, dtype: torch.dtype = torch.float32) -> list:
    network = UNet(3, width=8, padding="valid")
    return plan_tiles(LeanUNet(network, dtype), network.reach(), SHAPE, memory_gb)


def test_more_memory_means_fewer_tiles():
    counts = [len(tiles(memory)) for memory in (0.5, 1, 2, 8)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 8
    assert counts[-1] == 1
    assert len(tiles(1, torch.bfloat16)) < counts[1]


def test_larger_tiles_read_less_in_all():
    read = [sum(np.prod(tile.read.shape) for tile in tiles(memory)) for memory in (0.4, 0.8, 2)]
    assert read == sorted(read, reverse=True)
    paper = 6 * 6 * 5 * 132**3
    assert read[-1] < paper / 5


def test_slices_are_split_before_they_are_cut():
    network = UNet(2, width=8, padding="valid")
    found = plan_tiles(LeanUNet(network), network.reach(), (90, 200, 200), 0.6)
    assert len(found) > 1
    assert all(tile.write.shape[1:] == (200, 200) for tile in found)
    assert sum(tile.read.shape[0] for tile in found) == 90


def test_padded_networks_read_a_margin_and_end_with_the_scan():
    network = UNet(3, width=4).eval()
    found = plan_tiles(network, network.reach(), (100, 200, 90), 0.6)
    assert len(found) > 1
    assert all(tile.read.clipped((100, 200, 90)) == tile.read for tile in found)


def test_a_network_that_sees_the_whole_image_gets_one_tile():
    shape, memory = (16, 16, 400), 0.203
    for prior in (0, 4):
        network = DenseVNet(kernels=4, layers=(1, 1, 1), prior=prior)
        if prior:
            assert len(plan_tiles(network, network.reach(), shape, 2.0)) == 1
            with pytest.raises(UserError, match="smallest tile, 16 x 16 x 400 voxels"):
                plan_tiles(network, network.reach(), shape, memory)
        else:
            assert len(plan_tiles(network, network.reach(), shape, memory)) > 1


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_too_little_memory_is_one_line(padding):
    network = UNet(3, width=8, padding=padding)
    with pytest.raises(UserError, match=r"0\.05 GB of memory are too few .* float16"):
        plan_tiles(LeanUNet(network) if padding == "valid" else network, network.reach(), (60, 60, 130), 0.05)


MEASURE = """
import re, sys, torch
from pathlib import Path
import numpy as np
from weakmask.activation.whole_scan import Workspace, class_labels
from weakmask.networks import UNet
from weakmask.networks.dense_v_net import DenseVNet
torch.set_num_threads(1)
padding, width, memory = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])

def gigabytes(line):
    return int(re.search(line + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 2**20

network = UNet(3, width=width, padding=padding, out_channels=3)
class_labels(network, np.zeros((4, 4, 4), np.float32), Workspace(2.0))
scan = np.random.default_rng(0).random((100, 100, 110), dtype=np.float32)
before = gigabytes("VmRSS")
class_labels(network, scan, Workspace(memory))
print(gigabytes("VmHWM") - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(("padding", "width", "memory"), [("valid", 4, 0.5), ("same", 2, 0.4)])
def test_the_process_takes_no_more_than_it_may(padding: str, width: int, memory: float):
    command = [sys.executable, "-c", MEASURE, padding, str(width), str(memory)]
    one_arena = {**os.environ, "MALLOC_ARENA_MAX": "1"}  # several keep freed memory, more or less by chance
    run = subprocess.run(command, check=True, capture_output=True, text=True, env=one_arena)
    taken = float(run.stdout)
    assert 0.3 * memory < taken < memory
