"""What every network keeps: shapes, gradients for all weights, the same answer twice, weights that come back."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from weakmask.networks import NETWORKS, build_network
from weakmask.networks.encoder import Encoder
from weakmask.networks.reach import Reach, SegmentationNetwork
from weakmask.training.checkpoints import load_weights, save_weights
from weakmask.training.pretrained import load_pretrained


@dataclass(frozen=True)
class Case:
    """A small network, what goes in and what shape comes out."""

    name: str
    arguments: dict[str, Any]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]


DENSE = {"kernels": 4, "layers": (2, 2, 2), "dropout": 0.0}
CASES = [
    Case("unet", {"dimensions": 2, "width": 4}, (2, 1, 24, 32), (2, 1, 24, 32)),
    Case("unet", {"dimensions": 3, "width": 2}, (2, 1, 16, 24, 16), (2, 1, 16, 24, 16)),
    Case("unet", {"dimensions": 2, "width": 4, "out_channels": 3}, (2, 1, 33, 18), (2, 3, 33, 18)),
    Case("unet", {"dimensions": 3, "width": 2, "in_channels": 2}, (2, 2, 17, 9, 20), (2, 1, 17, 9, 20)),
    Case("unet", {"dimensions": 2, "width": 4, "padding": "valid"}, (2, 1, 100, 108), (2, 1, 12, 20)),
    Case("refined_unet", {"dimensions": 2, "width": 4, "residual": False}, (2, 1, 24, 30), (2, 2, 24, 30)),
    Case("refined_unet", {"dimensions": 3, "width": 2}, (2, 1, 16, 18, 16), (2, 2, 16, 18, 16)),
    Case("unet", {"dimensions": 3, "width": 2, "padding": "valid"}, (1, 1, 92, 100, 92), (1, 1, 4, 12, 4)),
    Case("pdv_net", {**DENSE, "growth": (2, 2, 2)}, (2, 1, 16, 24, 18), (2, 6, 16, 24, 18)),
    Case("dense_v_net", {**DENSE, "growth": (2, 2, 2), "prior": 3}, (2, 1, 16, 17, 24), (2, 6, 16, 17, 24)),
    Case("v_net", {"width": 2, "dropout": 0.0}, (2, 1, 32, 20, 32), (2, 6, 32, 20, 32)),
    Case("res_unet_r", {"widths": (2, 3, 4, 5, 6)}, (2, 1, 4, 32, 40), (2, 2, 4, 32, 40)),
    Case("res_unet_r", {"widths": (2, 3, 4), "decoders": 2, "norm": "batch"}, (2, 1, 3, 24, 17), (2, 2, 3, 24, 17)),
    Case("res_unet_r", {"widths": (2, 3), "padding": "zeros", "isotropic": True}, (2, 1, 4, 8, 8), (2, 2, 4, 8, 8)),
    Case("res_unet_h", {"widths": (2, 3, 4, 5, 6)}, (2, 1, 4, 32, 48), (2, 2, 4, 32, 48)),
    Case("res_unet_h", {"widths": (2, 3, 4), "norm": "batch"}, (2, 1, 3, 18, 24), (2, 2, 3, 18, 24)),
    Case("encoder_classifier", {"dimensions": 2, "width": 4}, (2, 1, 24, 32), (2, 1)),
    Case("region_classifier", {"dimensions": 2, "width": 4}, (2, 2, 24, 32), (2, 1)),
    Case("encoder_classifier", {"dimensions": 3, "width": 2, "in_channels": 2}, (2, 2, 17, 24, 20), (2, 1)),
    Case("encoder_classifier", {"dimensions": 3, "width": 2, "out_channels": 3}, (2, 1, 16, 24, 16), (2, 3)),
    Case("backbone_classifier", {"out_channels": 3}, (2, 3, 64, 48), (2, 3)),
    Case("encoder_unet", {"out_channels": 2, "stride": 16}, (2, 3, 64, 48), (2, 2, 64, 48)),
    Case("decovnet", {"dimensions": 2}, (2, 2, 40, 56), (2, 2)),
    Case("decovnet", {"dimensions": 3, "in_channels": 1, "shrink": 4}, (2, 1, 9, 24, 32), (2, 2)),
    Case("ad3d_mil", {"dimensions": 2}, (2, 1, 40, 56), (2, 1)),
    Case("ad3d_mil", {"dimensions": 3, "pooling": "gated", "shrink": 4}, (2, 1, 9, 24, 32), (2, 1)),
    Case("ad3d_mil", {"dimensions": 2, "pooling": "mean"}, (2, 1, 40, 56), (2, 1)),
    Case("ad3d_mil", {"dimensions": 2, "pooling": "max"}, (2, 1, 40, 56), (2, 1)),
    Case("instance_network", {"dimensions": 2}, (2, 1, 23, 35), (2, 1, 23, 35)),
    Case("instance_network", {"dimensions": 3, "patch": 3}, (2, 1, 12, 11, 9), (2, 1, 12, 11, 9)),
    Case("deeplab_v3", {"stride": 16}, (2, 1, 64, 48), (2, 1, 64, 48)),
    Case("deeplab_v3_plus", {"out_channels": 3}, (2, 3, 64, 48), (2, 3, 64, 48)),
]
every_network = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{case.input_shape}")

mapping_networks = pytest.mark.parametrize(
    "case",
    [case for case in CASES if len(case.output_shape) == len(case.input_shape)],
    ids=lambda case: f"{case.name}-{case.input_shape}",
)


def built(case: Case, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build_network(case.name, case.arguments)


def with_open_blocks(network: nn.Module) -> nn.Module:
    """The network with the batch norms that begin at zero set to 1: until their first step they let nothing through."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d) and not module.weight.any():
            nn.init.ones_(module.weight)
    return network


def image(case: Case, seed: int = 1) -> torch.Tensor:
    return torch.rand(case.input_shape, generator=torch.Generator().manual_seed(seed))


def test_every_network_is_in_the_contract():
    assert {case.name for case in CASES} == NETWORKS.keys()


@every_network
def test_shape_and_gradients_for_all_weights(case: Case):
    network = with_open_blocks(built(case))
    logits = network(image(case))
    assert logits.shape == case.output_shape
    assert logits.isfinite().all()
    (logits * torch.randn_like(logits)).sum().backward()
    without = [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert not without


@every_network
def test_eval_answers_the_same_twice_and_sample_by_sample(case: Case):
    network = built(case)
    with torch.no_grad():
        network(image(case))  # moves batch norm's statistics off their start
        network.double().eval()  # deep networks amplify the rounding of float32
        once = network(image(case).double())
        assert torch.equal(once, network(image(case).double()))
        alone = torch.cat([network(sample[None].double()) for sample in image(case)])
    torch.testing.assert_close(once, alone, atol=1e-8, rtol=1e-8)


@every_network
def test_the_same_seed_builds_the_same_network(case: Case):
    first, second, other = built(case).state_dict(), built(case).state_dict(), built(case, seed=1).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@every_network
def test_weights_round_trip_through_a_file(case: Case, tmp_path: Path):
    network, fresh = built(case), built(case, seed=1)
    with torch.no_grad():
        network(image(case))
    save_weights(tmp_path / "weights.safetensors", network, {"network": case.name, "arguments": case.arguments})
    state, header = load_weights(tmp_path / "weights.safetensors")
    fresh = build_network(header["network"], header["arguments"])
    fresh.load_state_dict(state)
    with torch.no_grad():
        assert torch.equal(network.eval()(image(case)), fresh.eval()(image(case)))


@every_network
def test_bfloat16_gradients_point_where_float32_ones_do(case: Case):
    """Catches kernels that are wrong in one precision only, which no warning tells."""
    network, x = built(case), image(case)
    if hasattr(network, "encoder") and isinstance(network.encoder, Encoder):
        # of random weights with batch norm over two samples, a deep network amplifies rounding without bound;
        # as it is trained: published weights, and batch norm with its learned statistics
        load_pretrained(network, "lite0")
        network.encoder.freeze(8)
        x = torch.rand(8, *case.input_shape[1:], generator=torch.Generator().manual_seed(1))
    gradients = []
    for enabled in (False, True):
        network.zero_grad()
        torch.manual_seed(2)  # for dropout
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            logits = network(x)
        (logits.float() - 1.0).square().mean().backward()
        gradients.append(torch.cat([w.grad.flatten() for w in network.parameters() if w.grad is not None]))
    assert gradients[1].isfinite().all()
    assert torch.cosine_similarity(gradients[0], gradients[1], dim=0) > 0.5  # random networks amplify rounding


def settled(case: Case) -> tuple[SegmentationNetwork, Reach]:
    """The network in double precision and evaluation mode, with batch norm statistics of noise, and its reach."""
    network = built(case)
    assert isinstance(network, SegmentationNetwork), f"{case.name} returns a map and does not say how far it sees"
    with torch.no_grad():
        network(image(case))
    return network.double().eval(), network.reach()


def long_image(case: Case, reach: Reach, axis: int, blocks: int) -> torch.Tensor:
    """Noise whose output has `blocks` blocks of `multiple` voxels along one axis and at least one along the others."""
    sides = [reach.along(k).multiple * (blocks if axis == k else 1) for k in range(len(case.input_shape) - 2)]
    shape = (1, case.input_shape[1], *(side + reach.smallest + reach.valid_loss for side in sides))
    return torch.rand(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@mapping_networks
@torch.no_grad()
def test_valid_loss_and_multiples_are_those_of_the_shapes(case: Case):
    network, reach = settled(case)
    assert network.dimensions == len(case.input_shape) - 2
    assert network.out_channels == case.output_shape[1]
    assert all(n - m == reach.valid_loss for n, m in zip(case.input_shape[2:], case.output_shape[2:], strict=True))
    x = long_image(case, reach, axis=0, blocks=2)
    assert network(x).shape[2:] == tuple(side - reach.valid_loss for side in x.shape[2:])
    if reach.smallest:
        smallest = torch.rand(1, 1, *[reach.smallest + reach.valid_loss] * network.dimensions, dtype=torch.float64)
        assert set(network(smallest).shape[2:]) == {reach.smallest}


@mapping_networks
@torch.no_grad()
def test_a_block_of_the_output_sees_to_its_margin_and_no_farther(case: Case):
    network, of_all_axes = settled(case)
    if of_all_axes.margin is None:
        pytest.skip("sees the whole image")
    few = 1 if of_all_axes.along_z is None else 2  # 3-D takes minutes along all three
    for axis in range(network.dimensions if network.dimensions == 2 else few):
        reach = of_all_axes.along(axis)
        assert reach.margin is not None
        blocks_around = -((reach.valid_loss // 2 - reach.margin) // reach.multiple) + 1
        x = long_image(case, of_all_axes, axis, 2 * blocks_around + 1)
        block = slice(blocks_around * reach.multiple, (blocks_around + 1) * reach.multiple)
        low = block.start + reach.valid_loss // 2 - reach.margin  # the first and last input voxels that count
        high = block.stop + reach.valid_loss // 2 + reach.margin
        before = network(x).movedim(2 + axis, 0)[block]

        beyond, edges = x.clone().movedim(2 + axis, 0), x.clone().movedim(2 + axis, 0)
        beyond[:low] += 5.0
        beyond[high:] -= 5.0
        edges[[low, high - 1]] += 1e9  # seen through many small weights
        beyond, edges = (changed.movedim(0, 2 + axis) for changed in (beyond, edges))
        assert not torch.equal(network(beyond), network(x))
        assert torch.equal(network(beyond).movedim(2 + axis, 0)[block], before)
        assert not torch.equal(network(edges).movedim(2 + axis, 0)[block], before)


def test_an_unknown_network_is_named():
    with pytest.raises(ValueError, match=r"'nosuchnet' is unknown, expected one of .*unet"):
        build_network("nosuchnet", {})


def test_unknown_arguments_are_named():
    with pytest.raises(ValueError, match="widht"):
        build_network("unet", {"widht": 3})
