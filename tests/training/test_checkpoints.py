"""Weights and checkpoints: what is written comes back, and what is not ours is told in one line."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from weakmask.errors import MachineError, UserError
from weakmask.networks import UNet
from weakmask.training.checkpoints import Checkpoint, load_checkpoint, load_weights, save_checkpoint, save_weights
from weakmask.training.optimisers import build_optimiser

HEADER = {
    "network": "unet",
    "arguments": {"width": 2, "padding": "same"},
    "window": [-1200.0, 300.0],
    "lobe": "Lunge ü",
}


def trained(name: Any = "adam", steps: int = 3, seed: int = 0, width: int = 2):
    """A small network and its optimiser after some steps."""
    torch.manual_seed(seed)
    network = UNet(3, width=width)
    network.to(memory_format=torch.channels_last_3d)  # pyright: ignore[reportCallIssue]
    optimiser = build_optimiser(network.parameters(), name, 1e-2)
    for _ in range(steps):
        optimiser.zero_grad()
        network(torch.rand(1, 1, 16, 16, 16)).square().mean().backward()
        optimiser.step()
    return network, optimiser


def layout(tensor: torch.Tensor) -> list[int]:
    """Strides of the axes along which one can go."""
    return [stride for stride, side in zip(tensor.stride(), tensor.shape, strict=True) if side > 1]


def test_weights_and_header_round_trip(tmp_path: Path):
    network, _ = trained()
    save_weights(tmp_path / "w.safetensors", network, HEADER)
    state, header = load_weights(tmp_path / "w.safetensors")
    assert header == HEADER
    assert state.keys() == network.state_dict().keys()
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())
    assert list(tmp_path.iterdir()) == [tmp_path / "w.safetensors"]


def test_the_same_weights_are_the_same_bytes(tmp_path: Path):
    network, _ = trained()
    files = [tmp_path / f"{i}.safetensors" for i in range(4)]
    for file in files:
        save_weights(file, network, HEADER)
    assert len({file.read_bytes() for file in files}) == 1


def test_tied_weights_can_be_saved(tmp_path: Path):
    network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    network[1].weight = network[0].weight
    save_weights(tmp_path / "w.safetensors", network, {})
    state, _ = load_weights(tmp_path / "w.safetensors")
    assert torch.equal(state["0.weight"], state["1.weight"])


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, -1])
def test_weights_cut_short_are_one_line(tmp_path: Path, keep: float):
    file = tmp_path / "w.safetensors"
    save_weights(file, trained()[0], HEADER)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(keep * len(whole)) if isinstance(keep, float) else keep])
    with pytest.raises(UserError, match=r"w\.safetensors .*damaged or cut short") as told:
        load_weights(file)
    assert "\n" not in str(told.value)


def test_other_files_are_told_apart(tmp_path: Path):
    network, optimiser = trained()
    save_file({"a": torch.zeros(2)}, tmp_path / "foreign.safetensors")
    save_checkpoint(tmp_path / "checkpoint.safetensors", network, optimiser, Checkpoint(3, None, {}, {}))
    for name, word in (("foreign", "another program"), ("checkpoint", "checkpoint 1"), ("absent", "does not exist")):
        with pytest.raises(UserError, match=word):
            load_weights(tmp_path / f"{name}.safetensors")


def test_a_place_that_is_no_folder_is_one_line(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="cannot write"):
        save_weights(tmp_path / "file" / "w.safetensors", trained()[0], HEADER)


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_a_checkpoint_brings_everything_back(tmp_path: Path, name: str):
    network, optimiser = trained(name)
    notes = {"rows": [{"step": 1, "loss": 0.1 + 0.2}], "plan": {"seed": 1}}
    was = Checkpoint(3, 0.25, {"average.x": torch.arange(3.0)}, notes)
    save_checkpoint(tmp_path / "c.safetensors", network, optimiser, was)

    other, other_optimiser = trained(name, steps=1, seed=1)
    now = load_checkpoint(tmp_path / "c.safetensors", other, other_optimiser)
    assert (now.step, now.best, now.notes) == (3, 0.25, notes)
    assert torch.equal(now.tensors["average.x"], torch.arange(3.0))
    assert all(
        torch.equal(a, b) for a, b in zip(network.state_dict().values(), other.state_dict().values(), strict=True)
    )
    for parameter, mirror in zip(network.parameters(), other.parameters(), strict=True):
        for key, value in optimiser.state[parameter].items():
            restored = other_optimiser.state[mirror][key]
            assert torch.equal(restored, value)
            assert layout(restored) == layout(value)


def test_a_checkpoint_of_another_network_is_one_line(tmp_path: Path):
    save_checkpoint(tmp_path / "c.safetensors", *trained(), Checkpoint(3, None, {}, {}))
    with pytest.raises(UserError, match="another network or optimiser") as told:
        load_checkpoint(tmp_path / "c.safetensors", *trained(width=3))
    assert "\n" not in str(told.value)


def test_the_header_is_readable_without_this_package(tmp_path: Path):
    save_weights(tmp_path / "w.safetensors", trained()[0], HEADER)
    raw = (tmp_path / "w.safetensors").read_bytes()
    metadata = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"]
    assert json.loads(metadata["weakmask"])["header"] == HEADER
