"""Weights and checkpoints: safetensors files with a JSON header, complete or absent, without pickles."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from weakmask.atomic_write import atomic_file
from weakmask.errors import UserError, refuse_machine_fault
from weakmask.memory import is_out_of_memory

WEIGHTS = "weakmask weights 1"
CHECKPOINT = "weakmask checkpoint 1"
DEEPEST = 16  # levels of a header
MODEL = "model.safetensors"  # the file in which a run leaves its model


@dataclass(frozen=True)
class Checkpoint:
    """Content of a checkpoint besides the states of network and optimiser, which `load_checkpoint` restores.

    Attributes:
        step: Steps done.
        best: Best validation score so far; None before the first.
        tensors: Further tensors by name.
        notes: Further plain data that JSON can hold.
    """

    step: int
    best: float | None
    tensors: Mapping[str, Tensor]
    notes: Mapping[str, Any]


def save_weights(path: Path, network: nn.Module, header: Mapping[str, Any]) -> None:
    """Write a network's weights and buffers with a header of plain data.

    Args:
        path: File, by convention `.safetensors`.
        network: The network, whose `state_dict` is written.
        header: Data needed to use the weights: network name and arguments, preprocessing, score map, provenance.

    Raises:
        MachineError: The file cannot be written.
    """
    write(path, WEIGHTS, dict(network.state_dict()), header)


def extend_header(path: Path, further: Mapping[str, Any]) -> None:
    """Add data to the header of a file of `save_weights`; the weights stay.

    Raises:
        UserError: As `load_weights`.
        MachineError: The file cannot be written.
    """
    weights, header = read(path, WEIGHTS)
    write(path, WEIGHTS, weights, {**header, **further})


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a file of `save_weights`: the state dict, on the CPU, and the header.

    Raises:
        UserError: The file is missing, truncated, does not hold weights of this package, or holds NaN or infinity.
    """
    weights, header = read(path, WEIGHTS)
    for name, tensor in weights.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor.float()).all()):
            raise UserError(f"{path}: weights are not finite numbers ({name[:100]}); copy or train it again")
    return weights, header


def training_notes(folder: Path) -> dict[str, Any]:
    """How the weights in a folder were trained: device and precision, from the header of `last.safetensors`.

    Empty if the folder, or its folder `network`, holds no such file.
    """
    for path in (folder / "last.safetensors", folder / "network" / "last.safetensors"):
        if path.exists():
            training = load_weights(path)[1].get("training", {})
            return {name: training[name] for name in ("device", "precision") if name in training}
    return {}


def save_checkpoint(path: Path, network: nn.Module, optimiser: Optimizer, checkpoint: Checkpoint) -> None:
    """Write everything that a training needs to continue.

    Raises:
        MachineError: The file cannot be written.
    """
    state = optimiser.state_dict()
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    tensors |= {f"tensors.{name}": tensor for name, tensor in checkpoint.tensors.items()}
    plain: dict[str, dict[str, Any]] = {}
    for index, values in state["state"].items():
        for name, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"optimiser.{index}.{name}"] = value
            else:
                plain.setdefault(str(index), {})[name] = value
    strides = {name: tensor.stride() for name, tensor in tensors.items() if not tensor.is_contiguous()}
    header = {
        "step": checkpoint.step,
        "best": checkpoint.best,
        "notes": dict(checkpoint.notes),
        "optimiser": {"groups": state["param_groups"], "plain": plain, "strides": strides},
    }
    write(path, CHECKPOINT, tensors, header)


def load_checkpoint(path: Path, network: nn.Module, optimiser: Optimizer) -> Checkpoint:
    """Read a file of `save_checkpoint` and restore the states of network and optimiser on their devices.

    Raises:
        UserError: The file is missing, truncated, not a checkpoint, or of another network or optimiser.
    """
    tensors, header = read(path, CHECKPOINT)
    try:
        strides = header["optimiser"]["strides"]
        state: dict[int, dict[str, Any]] = {
            int(index): dict(values) for index, values in header["optimiser"]["plain"].items()
        }
        for name, tensor in under("optimiser.", tensors).items():
            index, _, key = name.partition(".")
            state.setdefault(int(index), {})[key] = laid_out(tensor, strides.get(f"optimiser.{name}"))
        network.load_state_dict(under("network.", tensors))
        optimiser.load_state_dict({"state": state, "param_groups": header["optimiser"]["groups"]})
        found = Checkpoint(header["step"], header["best"], under("tensors.", tensors), header["notes"])
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        if is_out_of_memory(error):
            raise
        reason = str(error).partition("\n")[0][:200]
        raise UserError(
            f"{path} is a checkpoint of another network or optimiser ({reason}); "
            "train into another folder or remove the checkpoint"
        ) from error
    return found


def laid_out(tensor: Tensor, strides: Sequence[int] | None) -> Tensor:
    """A tensor with given strides; None leaves it unchanged.

    A file has only one layout, but a training must continue in the layout it stopped in: another layout would use
    slower code with results that differ in the last bit.
    """
    return tensor if strides is None else torch.empty_strided(tensor.shape, strides, dtype=tensor.dtype).copy_(tensor)


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names start with a prefix, with the prefix removed."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def write(path: Path, kind: str, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write tensors and a JSON header as one safetensors file, atomically."""
    # Copies, because safetensors refuses views and tensors that share memory.
    copies = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    # One entry, because safetensors writes several in random order and equal weights must give equal bytes.
    metadata = {"weakmask": json.dumps({"kind": kind, "header": header})}
    # As bytes, because `save_file` uses another temporary file, which a kill would leave behind.
    content = save(copies, metadata=metadata)
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)


def read(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors and header of a safetensors file that this package wrote as `kind`."""
    if not path.is_file():
        raise UserError(f"{path} does not exist; expected a file with {kind}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError) as error:
        refuse_machine_fault(error, path)
        raise UserError(
            f"{path} cannot be read as safetensors ({error}); it is damaged or cut short: copy or train it again"
        ) from error
    try:
        content = json.loads(metadata.get("weakmask", '{"kind": "tensors of another program"}'))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: its header is no JSON; it is damaged: copy or train it again") from error
    if not isinstance(content, dict) or not isinstance(content.get("kind"), str):
        raise UserError(f"{path}: its header names no kind of content; it is damaged: copy or train it again")
    if content["kind"] != kind:
        raise UserError(f"{path} holds {content['kind'][:100]}; expected {kind}; give a file of this kind")
    header = content.get("header")
    if not isinstance(header, dict) or not _is_shallow(header):
        raise UserError(f"{path}: its header is no mapping of values; it is damaged: copy or train it again")
    return tensors, header


def _is_shallow(values: object) -> bool:
    """Whether nested plain values are nested at most `DEEPEST` times; what works on them recurses."""
    level = [values]
    for _ in range(DEEPEST):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    return not level
