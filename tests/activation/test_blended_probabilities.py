from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weakmask.activation.blended_probabilities import BlendingWork, blended_probabilities
from weakmask.activation.blended_windows import Windows
from weakmask.networks.reach import Reach
from weakmask.volume.stack_files import open_stack, write_stack

SHAPE = (11, 37, 42)
SCAN = np.random.default_rng(0).integers(0, 256, SHAPE).astype(np.uint8)
WINDOWS = Windows((8, 16, 24), (4, 8, 12), (0, 8, 12))
SMALL = BlendingWork(memory_gb=2e-5, batch=3)  # many blocks


class Convolution(nn.Module):
    """Sees one voxel in every direction; the zeros around a window matter."""

    reach = Reach(1, 1)

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv3d(1, 2, 3, padding=1)
        self.calls: list[tuple[int, ...]] = []

    def forward(self, voxels: Tensor) -> Tensor:
        self.calls += [tuple(voxels.shape[2:])] * len(voxels)
        return torch.sigmoid(3 * self.layer(voxels / 255 + 0.5))


class Pooled(Convolution):
    """Pools 2 x 2 pixels of a section: windows agree on the grid of the poolings alone."""

    reach = Reach(2, 2, along_z=Reach(1, 1))

    def forward(self, voxels: Tensor) -> Tensor:
        pooled = F.max_pool3d(voxels, (1, 2, 2))
        return F.interpolate(super().forward(pooled), scale_factor=(1, 2, 2))


def plain_blending(network: Callable[[Tensor], Tensor], scan: np.ndarray, windows: Windows) -> np.ndarray:
    """Every window of the mirrored volume, weighted and added up in float64."""
    grown = [w - s for w, s in zip(windows.size, windows.stride, strict=True)]
    padding = [(p, p + w + g) for p, w, g in zip(windows.padding, windows.size, grown, strict=True)]
    padded = np.pad(scan, padding, mode="reflect")
    sums, total = np.zeros((2, *padded.shape)), np.zeros(padded.shape)
    line = [np.linspace(-1, 1, side) for side in windows.size]
    r2 = line[0][:, None, None] ** 2 + line[1][:, None] ** 2 + line[2] ** 2
    weights = np.exp(-r2 / (2 * 0.2**2)) + 1e-4
    counts = [
        max(0, -(-(n + 2 * p - w) // s)) + 1
        for n, p, w, s in zip(scan.shape, windows.padding, windows.size, windows.stride, strict=True)
    ]
    for index in np.ndindex(*counts):
        at = tuple(slice(i * s, i * s + w) for i, s, w in zip(index, windows.stride, windows.size, strict=True))
        with torch.inference_mode():
            answer = network(torch.from_numpy(padded[at].astype(np.float32))[None, None])[0].double().numpy()
        sums[(slice(None), *at)] += weights * answer
        total[at] += weights
    inside = tuple(slice(p, p + n) for p, n in zip(windows.padding, scan.shape, strict=True))
    return sums[(slice(None), *inside)] / total[inside]


@pytest.mark.parametrize("work", [BlendingWork(), SMALL], ids=["one block", "many blocks"])
@pytest.mark.parametrize("windows", [WINDOWS, Windows((8, 16, 16), (3, 16, 7), (1, 0, 3))], ids=["halves", "odd"])
def test_windows_are_blended_as_the_plain_formula_does(windows: Windows, work: BlendingWork):
    network = Convolution()
    expected = plain_blending(network, SCAN, windows)
    out = np.zeros((2, *SHAPE), np.float32)
    assert blended_probabilities(network, SCAN, windows, out=out, work=work) is out
    assert out == pytest.approx(expected, abs=2e-6)
    assert np.ptp(expected) > 0.3


LARGER = np.random.default_rng(1).integers(0, 256, (20, 40, 52)).astype(np.uint8)
LARGE_WINDOWS = Windows((16, 32, 48), (8, 16, 24), (0, 16, 24))


@pytest.mark.parametrize("work", [BlendingWork(), SMALL], ids=["one block", "many blocks"])
@pytest.mark.parametrize("network", [Convolution(), Pooled()], ids=["unpooled", "pooled"])
def test_the_reach_saves_work_and_changes_nothing(network: Convolution, work: BlendingWork):
    expected = plain_blending(network, LARGER, LARGE_WINDOWS)
    assert np.ptp(expected) > 0.3
    network.calls.clear()
    out = np.zeros(expected.shape, np.float32)
    blended_probabilities(network, LARGER, LARGE_WINDOWS, out=out, reach=network.reach, work=work)
    assert out == pytest.approx(expected, abs=2e-6)
    assert min(call[0] for call in network.calls) < 16


def test_less_work_is_done_where_the_reach_is_known():
    network = Convolution()
    blended_probabilities(network, LARGER, LARGE_WINDOWS)
    whole = sum(np.prod(call) for call in network.calls)
    network.calls.clear()
    blended_probabilities(network, LARGER, LARGE_WINDOWS, reach=network.reach)
    assert sum(np.prod(call) for call in network.calls) < 0.7 * whole


def test_bands_matter():
    """Without them the average would be that of one pass, which has no zeros around windows."""
    network = Convolution()
    expected = plain_blending(network, LARGER, LARGE_WINDOWS)
    with torch.inference_mode():
        padded = np.pad(LARGER, [(0, 0), (16, 16), (24, 24)], mode="reflect").astype(np.float32)
        once = network(torch.from_numpy(padded)[None, None])[0, :, :, 16:-16, 24:-24].numpy()
    assert np.abs(once - expected).max() > 1e-3


@pytest.mark.parametrize("reach", [None, Reach(1, None), Reach(1, 30), Reach(16, 1), Reach(1, 1, valid_loss=2)])
def test_a_reach_that_does_not_help_is_not_used(reach: Reach | None):
    network = Convolution()
    blended_probabilities(network, SCAN, WINDOWS, reach=reach)
    assert set(network.calls) == {WINDOWS.size}


def test_maps_of_8_bits_are_rounded():
    network = Convolution()
    exact = blended_probabilities(network, SCAN, WINDOWS, out=np.zeros((2, *SHAPE), np.float32))
    for work in (BlendingWork(), SMALL):
        found = blended_probabilities(network, SCAN, WINDOWS, work=work)
        assert found.dtype == np.uint8
        assert np.abs(found / 255 - exact).max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize("suffix", [".h5", ".zarr", ".tif"])
def test_a_volume_on_the_disk_is_read_by_blocks(suffix: str, tmp_path: Path):
    write_stack(SCAN, tmp_path / f"a{suffix}", dtype=np.uint8)
    stack, network = open_stack(tmp_path / f"a{suffix}"), Convolution()
    found = np.lib.format.open_memmap(tmp_path / "maps.npy", "w+", np.uint8, (2, *SHAPE))
    blended_probabilities(network, stack, WINDOWS, out=found, work=SMALL)
    whole = blended_probabilities(network, SCAN, WINDOWS)
    assert np.abs(found.astype(int) - whole).max() <= 1  # a sum in another order may round the other way


def test_other_types_of_voxels():
    network = Convolution()
    whole = blended_probabilities(network, SCAN, WINDOWS)
    for dtype in (np.uint16, np.int16, np.float32, np.float64):
        assert np.array_equal(blended_probabilities(network, SCAN.astype(dtype), WINDOWS), whole)


def test_an_answer_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"expected \(1, 3, 8, 16, 24\)"):
        blended_probabilities(Convolution(), SCAN, WINDOWS, channels=3)
