"""Every tiling of a scan gives what one pass over all of it gives."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from weakmask.activation.tile_plan import plan_tiles
from weakmask.activation.whole_scan import Workspace, class_labels, class_probabilities
from weakmask.networks import UNet, build_network
from weakmask.networks.reach import SegmentationNetwork
from weakmask.volume.geometry import Index3


def network(dimensions: int, classes: int = 3, padding: str = "valid", width: int = 2) -> UNet:
    """A fresh network with batch norm statistics of noise, so that its features are of ordinary size."""
    torch.manual_seed(dimensions)
    made = UNet(dimensions, out_channels=classes, width=width, padding=padding)
    with torch.no_grad():
        made(torch.rand(2, 1, *[100] * dimensions))
        made.head.weight *= 3
    return made


NETWORKS = {dimensions: network(dimensions) for dimensions in (2, 3)}


def noise(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(sum(shape)).random(shape, dtype=np.float32)


def one_pass(made: UNet, scan: np.ndarray, border: str = "constant") -> np.ndarray:
    """The plain way: pad the whole scan by 44 and up to the network's sizes, run it once, cut off the rest."""
    flat = made.dimensions == 2
    margin = [(44, 44 + (4 - n) % 8) for n in scan.shape]
    margin[0] = (0, 0) if flat else margin[0]
    padded = torch.from_numpy(np.pad(scan, margin, mode=border))
    with torch.no_grad():
        logits = made.eval()(padded[:, None] if flat else padded[None, None])
    logits = logits.movedim(1, 0) if flat else logits[0]
    z, y, x = scan.shape
    return torch.softmax(logits, dim=0).numpy()[:, :z, :y, :x]


@settings(deadline=None, max_examples=25)
@given(
    st.tuples(st.integers(1, 5), st.integers(2, 150), st.integers(2, 150)),
    st.sampled_from(["constant", "reflect"]),
    st.floats(0.215, 0.3),
)
def test_slices_of_any_size_are_one_pass(shape, border, memory):
    scan = noise(shape)
    found = class_probabilities(NETWORKS[2], scan, Workspace(memory), border)
    np.testing.assert_allclose(found, one_pass(NETWORKS[2], scan, border), atol=1e-4)


@settings(deadline=None, max_examples=4)
@given(st.tuples(*[st.integers(1, 50)] * 3), st.sampled_from(["constant", "reflect"]), st.floats(0.26, 0.4))
def test_scans_of_any_size_are_one_pass(shape, border, memory):
    scan = noise(shape)
    found = class_probabilities(NETWORKS[3], scan, Workspace(memory), border)
    np.testing.assert_allclose(found, one_pass(NETWORKS[3], scan, border), atol=1e-4)


def test_is_the_papers_tiling_stepped_by_40():
    """132 -> 44 at multiples of 40, as one would write it down."""
    scan, made = noise((50, 44, 81)), NETWORKS[3].eval()
    z, y, x = ([0, 40], [0], [0, 40])
    padded = torch.from_numpy(np.pad(scan, 44 + 44))  # 44 for the margin, the rest so that the last tiles are whole
    whole = np.full((3, 128, 128, 128), np.nan, np.float32)
    for corner in itertools.product(z, y, x):
        read = tuple(slice(44 + start, 44 + start + 132) for start in corner)
        with torch.no_grad():
            answer = torch.softmax(made(padded[read][None, None])[0], dim=0)
        whole[(slice(None), *(slice(start, start + 44) for start in corner))] = answer.numpy()
    np.testing.assert_allclose(class_probabilities(made, scan)[..., :80], whole[:, :50, :44, :80], atol=1e-4)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_padded_networks_too(dimensions: int):
    made, scan = network(dimensions, padding="same"), noise((9, 40, 200))
    filled = torch.from_numpy(scan)
    with torch.no_grad():
        logits = made.eval()(filled[:, None] if dimensions == 2 else filled[None, None])
    expected = torch.softmax(logits.movedim(1, 0) if dimensions == 2 else logits[0], dim=0).numpy()
    for memory in (0.21 if dimensions == 2 else 0.214, 2.0):
        assert (len(plan_tiles(made, made.reach(), scan.shape, memory)) > 1) == (memory < 2)
        np.testing.assert_allclose(class_probabilities(made, scan, Workspace(memory)), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "arguments", "shape", "memory"),
    [
        ("refined_unet", {"dimensions": 2, "width": 2}, (3, 20, 333), 0.204),
        ("dense_v_net", {"kernels": 4, "layers": (1, 1, 1)}, (9, 13, 270), 0.2018),
        ("pdv_net", {"kernels": 4, "layers": (1, 1, 1)}, (9, 13, 270), 0.2023),
        ("v_net", {"width": 2}, (8, 10, 560), 0.2105),
    ],
)
def test_any_network_that_tells_its_reach_is_tiled(name: str, arguments: dict, shape: Index3, memory: float):
    torch.manual_seed(0)
    made = build_network(name, arguments)
    assert isinstance(made, SegmentationNetwork)
    scan = noise(shape)
    with torch.no_grad():
        made(torch.rand(2, 1, *[32] * made.dimensions))
    whole, tiled = (class_probabilities(made, scan, Workspace(gb)) for gb in (2.0, memory))
    assert len(plan_tiles(made, made.reach(), shape, memory)) > 1
    assert whole.shape == (made.out_channels, *shape)
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


def test_labels_are_the_largest_probability():
    scan = noise((20, 30, 41))
    probabilities = class_probabilities(NETWORKS[3], scan)
    labels = class_labels(NETWORKS[3], scan)
    np.testing.assert_array_equal(labels, probabilities.argmax(axis=0))
    assert len(np.unique(labels)) > 1


def test_one_channel_is_a_sigmoid():
    made, scan = network(2, classes=1), noise((3, 30, 41))
    probabilities = class_probabilities(made, scan)
    assert probabilities.shape == (1, 3, 30, 41)
    np.testing.assert_array_equal(class_labels(made, scan), probabilities[0] > 0.5)


def test_writes_where_it_is_told(tmp_path):
    scan = noise((3, 20, 30))
    file = np.memmap(tmp_path / "probabilities", np.float16, "w+", shape=(3, 3, 20, 30))
    assert class_probabilities(NETWORKS[2], scan, out=file) is file
    np.testing.assert_allclose(file, class_probabilities(NETWORKS[2], scan), atol=1e-3)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_bfloat16_labels_nearly_all_voxels_alike(padding: str):
    made, scan = network(2, padding=padding, width=8), noise((4, 90, 90))
    exact, rough = (class_labels(made, scan, Workspace(dtype=dtype)) for dtype in (torch.float32, torch.bfloat16))
    assert (exact == rough).mean() > 0.95
    assert len(np.unique(exact)) > 1


def test_the_network_is_left_as_it_was():
    made = network(2)
    before = {name: value.clone() for name, value in made.state_dict().items()}
    made.train()
    class_labels(made, noise((2, 20, 20)))
    assert made.training
    assert all(torch.equal(value, before[name]) for name, value in made.state_dict().items())


@pytest.mark.parametrize("kind", [np.float16, np.float64, np.int16, np.uint8])
def test_scans_of_any_type(kind: type):
    scan = (noise((2, 20, 24)) > 0.5).astype(kind)
    np.testing.assert_array_equal(
        class_probabilities(NETWORKS[2], scan), class_probabilities(NETWORKS[2], scan.astype(np.float32))
    )
