"""What every network keeps: shapes, gradients for all weights, the same answer twice, weights that come back."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from weakmask.networks import NETWORKS, build_network
from weakmask.training.checkpoints import load_weights, save_weights


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
    Case("encoder_classifier", {"dimensions": 2, "width": 4}, (2, 1, 24, 32), (2, 1)),
    Case("encoder_classifier", {"dimensions": 3, "width": 2, "in_channels": 2}, (2, 2, 17, 24, 20), (2, 1)),
    Case("encoder_classifier", {"dimensions": 3, "width": 2, "out_channels": 3}, (2, 1, 16, 24, 16), (2, 3)),
]
every_network = pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{case.input_shape}")


def built(case: Case, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build_network(case.name, case.arguments)


def image(case: Case, seed: int = 1) -> torch.Tensor:
    return torch.rand(case.input_shape, generator=torch.Generator().manual_seed(seed))


def test_every_network_is_in_the_contract():
    assert {case.name for case in CASES} == NETWORKS.keys()


@every_network
def test_shape_and_gradients_for_all_weights(case: Case):
    network = built(case)
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
        network.eval()
        once = network(image(case))
        assert torch.equal(once, network(image(case)))
        alone = torch.cat([network(sample[None]) for sample in image(case)])
    torch.testing.assert_close(once, alone, atol=1e-5, rtol=1e-5)


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
    gradients = []
    for enabled in (False, True):
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            logits = network(x)
        (logits.float() - 1.0).square().mean().backward()
        gradients.append(torch.cat([w.grad.flatten() for w in network.parameters() if w.grad is not None]))
    assert gradients[1].isfinite().all()
    assert torch.cosine_similarity(gradients[0], gradients[1], dim=0) > 0.5  # random networks amplify rounding


def test_an_unknown_network_is_named():
    with pytest.raises(ValueError, match=r"'nosuchnet' is unknown, expected one of .*unet"):
        build_network("nosuchnet", {})


def test_unknown_arguments_are_named():
    with pytest.raises(ValueError, match="widht"):
        build_network("unet", {"widht": 3})
